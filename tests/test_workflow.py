"""The smoke preset through Snakemake, in a copy of the project: everything is made, once."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pandas as pd
import pytest
import yaml

from gahb.artifacts import read_table
from gahb.spectra.store import read_spectra

pytestmark = pytest.mark.slow

PHASES = ("datasets", "denoisers", "evaluation", "samples", "spectra", "figures")


def copy_of_the_project(root: Path, folder: Path) -> Path:
    """What a clone would hold: no results, no caches, no environment."""
    for name in ("Snakefile", "params.yaml", "CITATION.cff"):
        shutil.copy(root / name, folder / name)
    for name in ("src", "workflow", "profiles"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(root / name, folder / name, ignore=ignored)
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run snakemake as a user does, with this interpreter's folder first in PATH."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        ["snakemake", "--cores", "2", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def planned(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many jobs of each rule a dry run lists."""
    assert run.returncode == 0, run.stdout
    table = run.stdout.split("Job stats:")[-1]
    counts = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in counts if rule not in ("all", "total")}


SMOKE = ("--config", "preset=smoke")
IMAGE_CLASSES = ("alpha1", "alpha2", "alpha2-shuffled", "disks", "gaussian", "rays")
REFERENCES = {
    "alpha2": ("known-contour", "wavelets", "bandlets"),
    "disks": ("disk-posterior",),
    "gaussian": ("exact",),
    "rays": ("exact",),
}
OF_SPECTRA = ("basis", "regularity", "optimum", "wiener", "shuffled")
OF_SAMPLES = ("samples", "similarity", "trajectory", "twins")
OF_TABLES = ("outputs", "memorisation", "onset", "density")
FIGURES = (*OF_SPECTRA, "transition", "gap", "bounds", "cones", *OF_SAMPLES, *OF_TABLES)


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_of_the_project(root, tmp_path_factory.mktemp("project"))
    run = snakemake(folder, *SMOKE)
    assert run.returncode == 0, run.stdout
    return folder


def test_every_phase_leaves_what_it_should(finished: Path):
    results = finished / "results/smoke"
    made = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    for split in ("S1", "S2"):
        assert f"denoisers/alpha2/N16_{split}.safetensors" in made
    assert {f"datasets/{name}.h5" for name in IMAGE_CLASSES} <= made
    for name, references in REFERENCES.items():
        for reference in references:
            assert f"evaluation/references/{name}/{reference}.csv" in made
    assert {f"evaluation/{name}.csv" for name in ("summary", "references", "gaps")} <= made
    assert {"evaluation/metrics.json", "spectra/alpha2/N2_S1.h5"} <= made
    assert {"spectra/disks/disk-posterior.h5", "spectra/gaussian/exact.h5"} <= made
    assert {f"samples/alpha2/N16.{kind}" for kind in ("csv", "json", "h5")} <= made
    assert {f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "pdf", "rst")} <= made
    assert not [name for name in made if name.endswith(".partial")]
    assert not [name for name in made if name.startswith("checkpoints/")]
    summary = read_table(results / "evaluation/summary.csv")
    assert (
        len(summary) == 4 + 5
    )  # alpha2 at two sizes on two splits, one network of each other class
    assert set(summary.image_class) == set(IMAGE_CLASSES)
    assert summary.slope.notna().all()
    gaps = read_table(results / "evaluation/gaps.csv")
    measured = {(row.image_class, row.reference) for row in gaps.itertuples()}
    assert measured == {(name, one) for name, known in REFERENCES.items() for one in known}
    log = pd.read_csv(results / "training/alpha2/N16_S1.csv")
    assert list(log["update"]) == list(range(1, 31))
    spectra, _ = read_spectra(results / "spectra/alpha2/N16_S1.h5")
    assert (spectra["homogeneity_residual"] < 1e-4).all()
    assert (spectra["homogeneity_residual"] > 0).all()


LOADED_BY = {  # rule: the module whose content, with all that it loads, decides its results
    "denoiser": "gahb.denoisers.training",
    "denoiser_followed": "gahb.denoisers.training",
    "evaluation_network": "gahb.evaluation.evaluate",
    "evaluation_ensembles": "gahb.evaluation.ensembles",
    "evaluation_density": "gahb.evaluation.divergence",
    "sample_pair": "gahb.samples.pair",
    "samples_over_training": "gahb.samples.over_training",
    "spectrum": "gahb.spectra.run",
}
# Loaded, and of no effect there: other image classes and denoisers; formats, whose readers check them.
WITHOUT_EFFECT = re.compile(
    r"src/gahb/(__init__|artifacts|params/\w+|datasets/(?!splits|store)\w+|\w+/__init__"
    r"|denoisers/(empirical|references|\w+/__init__))\.py"
)


@pytest.mark.parametrize("rule", LOADED_BY)
def test_a_rule_watches_every_module_that_decides_its_results(finished: Path, rule: str):
    records = (finished / "results/smoke/records").glob("*.json")
    jobs = [job for file in records for job in json.loads(file.read_text())]
    (watched, *_) = (set(job["input_checksums"]) for job in jobs if job["rule"] == rule)
    program = (
        f"import sys, {LOADED_BY[rule]}\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'gahb'), sep='\\n')"
    )
    environment = os.environ | {"PYTHONPATH": "src"}
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=finished,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {Path(name).relative_to(finished).as_posix() for name in run.stdout.split()}
    assert len(loaded) > 3
    assert not [name for name in loaded - watched if not WITHOUT_EFFECT.fullmatch(name)]


def test_a_finished_tree_plans_nothing(finished: Path):
    assert "Nothing to be done" in snakemake(finished, "-n", *SMOKE).stdout
    for path in finished.rglob("*"):
        if path.suffix in (".py", ".h5", ".safetensors", ".csv"):
            os.utime(path)
    assert "Nothing to be done" in snakemake(finished, "-n", *SMOKE).stdout


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_is_a_target(finished: Path, phase: str):
    assert "Nothing to be done" in snakemake(finished, phase, "-n", *SMOKE).stdout


def test_an_edit_redoes_its_phase_and_what_depends_on_it(finished: Path):
    module = finished / "src/gahb/spectra/eigen.py"
    original = module.read_text()
    try:
        module.write_text(original + "\n# an edit\n")
        redone = {"spectrum": 6, "spectrum_reference": 2, "figure": len(OF_SPECTRA)}
        assert planned(snakemake(finished, "-n", *SMOKE)) == redone
    finally:
        module.write_text(original)


def datasets_redone(finished: Path, edited: str, *targets: str) -> int:
    """How many datasets a dry run plans after an edit of an image class's module."""
    module = finished / f"src/gahb/datasets/{edited}.py"
    original = module.read_text()
    try:
        module.write_text(original + "\n# an edit\n")
        run = snakemake(finished, *targets, "-n", *SMOKE)
        return 0 if "Nothing to be done" in run.stdout else planned(run)["dataset"]
    finally:
        module.write_text(original)


def test_an_edit_of_an_image_class_redoes_its_own_datasets(finished: Path):
    assert datasets_redone(finished, "calpha", "datasets") == 3  # and the shuffled images of one
    assert datasets_redone(finished, "rays", "datasets") == 1
    assert datasets_redone(finished, "sines", "datasets") == 0


def test_a_shuffled_dataset_depends_on_the_class_underneath(finished: Path):
    target = "results/smoke/datasets/alpha2-shuffled.h5"
    for edited, redone in (("calpha", 1), ("shuffled", 1), ("rays", 0)):
        assert datasets_redone(finished, edited, target) == redone


def test_a_parameter_redoes_what_depends_on_it(finished: Path):
    params = finished / "params.yaml"
    original = params.read_text()
    changed = yaml.safe_load(original)
    changed["figures"]["gap"]["title"] = "Another title"
    try:
        params.write_text(yaml.safe_dump(changed))
        assert planned(snakemake(finished, "-n", *SMOKE)) == {"figure": 1}
        changed["experiments"]["alpha1"]["training"] = {"seed": 7}
        params.write_text(yaml.safe_dump(changed))
        jobs = planned(snakemake(finished, "-n", *SMOKE))
        assert jobs["denoiser"] == 1
        assert jobs["evaluation_network"] == 1
        assert jobs["spectrum"] == 1
        assert "dataset" not in jobs
    finally:
        params.write_text(original)


@pytest.mark.parametrize(
    ("section", "value", "told"),
    [
        ("typo", {}, "typo"),
        ("training", {"updates": "many"}, "training.updates"),
        ("evaluation", {"sigmas": [0.1, -1.0]}, "evaluation.sigmas.1"),
    ],
)
def test_bad_params_stop_before_anything_runs(finished: Path, section: str, value, told: str):
    params = finished / "params.yaml"
    original = params.read_text()
    changed = yaml.safe_load(original)
    changed[section] = changed.get(section, {}) | value
    try:
        params.write_text(yaml.safe_dump(changed))
        run = snakemake(finished)
        assert run.returncode != 0
        assert told in run.stdout
        assert "allowed" in run.stdout or "known keys" in run.stdout
        assert "Building DAG" not in run.stdout
    finally:
        params.write_text(original)


def test_the_report_carries_the_captions(finished: Path):
    run = snakemake(finished, *SMOKE, "--report", "report.html")
    assert run.returncode == 0, run.stdout
    report = (finished / "report.html").read_text()
    assert "weighting annealed" in report
    assert "architecture: blocks 1, channels 8" in report


def test_a_corrupted_dataset_stops_the_run_by_name(finished: Path):
    dataset = finished / "results/smoke/datasets/alpha1.h5"
    whole = dataset.read_bytes()
    with h5py.File(dataset) as file:
        offset = file["images"].id.get_chunk_info(0).byte_offset
    damaged = bytearray(whole)
    damaged[offset + 100] ^= 1
    try:
        dataset.write_bytes(damaged)
        run = snakemake(finished, *SMOKE, "--forcerun", "denoiser", "--until", "denoiser")
        assert run.returncode != 0
        assert "alpha1.h5 is damaged" in run.stdout
    finally:
        dataset.write_bytes(whole)


def test_the_linters_find_nothing(root: Path):
    run = snakemake(root, "--lint")
    assert run.returncode == 0, run.stdout
