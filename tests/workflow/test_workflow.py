"""The smoke preset through Snakemake, in a copy of the project: everything is made, once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import h5py
import pandas as pd
import pytest
import yaml
from helpers.browser import complaints, opened, requests
from helpers.tracking_project import copied, environment, run, snakemake_plan
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from gahb.artifacts import read_table
from gahb.spectra.store import read_spectra

pytestmark = pytest.mark.slow

PHASES = ("datasets", "denoisers", "evaluation", "samples", "spectra", "claims", "figures")


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run snakemake as a user does, with this interpreter's folder first in PATH."""
    return subprocess.run(
        ["snakemake", "--cores", "2", *arguments],
        cwd=folder,
        env=environment(),
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
OF_TABLES = ("adaptivity", "outputs", "memorisation", "onset", "density")
FIGURES = (*OF_SPECTRA, "transition", "gap", "bounds", "cones", *OF_SAMPLES, *OF_TABLES)


TELL_WHAT_IS_LOADED = """
import atexit, json, pathlib, sys

def tell():
    given = sys.orig_argv
    if given[1:3] == ["-m", "gahb"]:
        name = given[given.index("--output") + 1] if "--output" in given else given[-1]
        file = pathlib.Path("loaded", name.replace("/", ":") + ".json")
        file.parent.mkdir(exist_ok=True)
        own = (name for name in sys.modules if name.split(".")[0] == "gahb")
        without_effect = {"gahb", "gahb.__main__", "gahb.version"}
        file.write_text(json.dumps(sorted(set(own) - without_effect)))

atexit.register(tell)
"""


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copied(tmp_path_factory.mktemp("project") / "gahb")
    (folder / "src/sitecustomize.py").write_text(TELL_WHAT_IS_LOADED)
    run(folder, "python", "-m", "gahb", "--help", PYTHONPATH="src")
    made = snakemake(folder, *SMOKE)
    assert made.returncode == 0, made.stdout
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
    # on two splits each: alpha2 at two sizes, five other classes; and alpha2 trained again on S1
    assert len(summary) == 2 * (2 + 5) + 1
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


def test_a_rule_watches_every_module_that_its_command_loads(finished: Path):
    """And no other phase; but for what every command loads, whose output no result depends on."""
    command_line = set(json.loads((finished / "loaded/--help.json").read_text()))
    assert "gahb.commands" in command_line
    assert not {name for name in command_line if name.startswith("gahb.params")}
    unseen = {}
    for job in snakemake_plan(finished, "smoke"):
        (output,) = re.findall(r"--output (\S+)", job["command"])
        loaded = set(json.loads((finished / f"loaded/{output.replace('/', ':')}.json").read_text()))
        assert len(loaded) > len(command_line)
        unseen[job["rule"], output] = loaded - command_line - set(job["watched"])
    assert len(unseen) > 80
    assert {job: names for job, names in unseen.items() if names} == {}


def test_a_finished_tree_plans_nothing(finished: Path):
    assert "Nothing to be done" in snakemake(finished, "-n", *SMOKE).stdout
    for path in finished.rglob("*"):
        if path.suffix in (".py", ".h5", ".safetensors", ".csv"):
            os.utime(path)
    assert "Nothing to be done" in snakemake(finished, "-n", *SMOKE).stdout


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_is_a_target(finished: Path, phase: str):
    assert "Nothing to be done" in snakemake(finished, phase, "-n", *SMOKE).stdout


def test_a_parameter_redoes_what_depends_on_it(finished: Path):
    params = finished / "params.yaml"
    original = params.read_text()
    changed = yaml.safe_load(original)
    changed["figures"]["gap"]["title"] = "Another title"
    try:
        params.write_text(yaml.safe_dump(changed))
        assert planned(snakemake(finished, "-n", *SMOKE)) == {"figure": 1, "results_page": 1}
        changed["experiments"]["alpha1"]["training"] = {"seed": 7}
        params.write_text(yaml.safe_dump(changed))
        jobs = planned(snakemake(finished, "-n", *SMOKE))
        assert jobs["denoiser"] == 2  # on S1 and S2
        assert jobs["evaluation_network"] == 2
        assert jobs["evaluation_agreement"] == 1
        assert jobs["spectrum"] == 1  # of S1 alone
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


@pytest.fixture(scope="module")
def report(finished: Path) -> Path:
    run = snakemake(finished, *SMOKE, "--report", "report.html")
    assert run.returncode == 0, run.stdout
    assert "ERROR" not in run.stdout  # of a caption that is no reStructuredText
    return finished / "report.html"


def test_the_report_carries_the_captions(report: Path):
    text = report.read_text()
    assert "16 x 16 pixels" in text
    assert "networks alpha2, unet, 1 blocks, 8 channels" in text


def test_the_page_to_look_at_lies_beside_the_results(finished: Path):
    made = snakemake(finished, "page", *SMOKE)
    assert made.returncode == 0, made.stdout
    assert 'id="bases"' in (finished / "page-smoke.html").read_text()
    assert not list((finished / "results").rglob("page*.html"))
    assert "Nothing to be done" in snakemake(finished, "-n", "all", "page", *SMOKE).stdout


def test_the_report_has_categories_and_switches(report: Path):
    with opened(report) as browser:

        def entry(text: str) -> WebElement:
            path = f"//*[normalize-space(text())='{text}']"
            return WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.XPATH, path))[0]

        for category in ("Claims", "Figures", "Samples", "Tables", "Errors of networks"):
            entry(category)
        entry("Errors of networks").click()
        entry("alpha2").click()
        menu = browser.find_element(By.TAG_NAME, "body").text
        assert re.search(r"split\s+S1\s+S2\s+N\s+alpha\s+2\s+2\s+16\s+2", menu, re.IGNORECASE), menu
        link = "a[download='N2_S1.csv']"
        assert browser.find_elements(By.CSS_SELECTOR, link)
        browser.find_element(By.CSS_SELECTOR, "label[for='toggle-split-S2']").click()
        assert not browser.find_elements(By.CSS_SELECTOR, link)
        assert browser.find_elements(By.CSS_SELECTOR, "a[download='N2_S2.csv']")
        browser.get("about:blank")
        browser.get(report.as_uri())
        entry("Claims").click()
        assert browser.find_elements(By.CSS_SELECTOR, "a[download='claims.csv']")
        assert requests(browser) == []
        assert not [line for line in complaints(browser) if "tailwindcss" not in line]


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
