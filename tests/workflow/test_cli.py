"""The command line: the rules' shell lines work as typed, and errors are one message each."""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from helpers.tracking_project import copied, snakemake_plan, write_params

from gahb.artifacts import open_hdf5, read_table, read_tensors
from gahb.cli import main
from gahb.params import (
    adaptivity_spec,
    dataset_spec,
    evaluation_spec,
    figure_spec,
    network_spec,
    reference_spec,
    reference_spectra_spec,
    samples_spec,
)
from gahb.samples.store import read_samples

PHASES = ["datasets", "denoisers", "evaluation", "samples", "spectra", "figures"]
KINDS = [
    *("network", "memorising", "agreement", "reference", "references", "gaps", "summary"),
    *("ensembles", "density", "elbo"),
]

# ---------------------------------------------------------------------------------------------
# The commands of the plan


FIELDS = {
    "class": "gaussian",
    "exponent": 3,
    "mean": 0.5,
    "standard_deviation": 0.15,
    "size": 8,
    "images": 40,
    "test_images": 8,
    "seed": 5,
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All jobs of the tiny project, in the folder of the first."""
    folder = copied(tmp_path_factory.mktemp("tiny") / "gahb")
    params = copy.deepcopy(TINY)
    params["experiments"]["soft"]["snapshots"] = {"first": 10, "count": 2}
    params["image_classes"]["fields"] = FIELDS  # of which exact denoiser and likelihood are known
    params["experiments"]["fields"] = params["experiments"]["soft"] | {
        "image_class": "fields",
        "set_sizes": [4],
        "evaluation": False,
    }
    params["ensembles"] |= {
        "experiments": ["soft", "fields"],
        "elbo": {"steps": 4, "sigma_range": [0.1, 1.0], "images": 8},
    }
    params["experiments"]["reseeded"] = params["experiments"]["soft"] | {
        "set_sizes": [4],
        "splits": ["S1"],
        "training": {"seed": 1},
        "evaluation": False,
    }
    params["evaluation"]["controls"] = {"reseeded": "soft"}
    write_params(folder, params)
    return [job | {"folder": folder} for job in snakemake_plan(folder)]


@pytest.fixture(scope="module")
def project(jobs: list[dict[str, Any]]) -> Iterator[Path]:
    """The tiny project, made by the command of each job, here instead of in a process each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(jobs[0]["folder"])
        for job in jobs:
            command, redirection = job["command"].split(" > ")
            assert re.fullmatch(r"results/logs/\S+\.log 2>&1", redirection)
            words = shlex.split(command)
            assert words[:3] == ["python", "-m", "gahb"]
            main(words[3:])
        yield jobs[0]["folder"] / "results"


def test_the_tiny_project_has_a_job_of_every_rule(jobs: list[dict[str, Any]], root: Path):
    rules = (root / "workflow/rules").glob("*.smk")
    known = {
        name
        for file in rules
        for name in re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", file.read_text(), re.M)
    }
    described = {"data_cards", "model_cards", "crate", "provenance", "page"}  # of a finished run
    described.add("denoiser_imported")  # needs published weights: test_published_preset.py
    assert {job["rule"] for job in jobs} == known - set(PHASES) - described


def test_the_commands_make_everything(project: Path):
    networks = [f"soft/N{n}_{s}" for n in (1, 4, 16) for s in ("S1", "S2")] + ["hard/N16_S1"]
    for name in networks:
        experiment, size, split = re.fullmatch(r"(\w+)/N(\d+)_(S\d)", name).groups()
        read_tensors(
            project / f"denoisers/{name}.safetensors",
            network_spec(TINY, experiment, int(size), split),
        )
        read_table(project / f"training/{name}.csv")
        for suffix in ("", "_memorising"):
            assert len(read_table(project / f"evaluation/{name}{suffix}.csv")) == 12
    assert len(read_table(project / "evaluation/summary.csv")) == len(networks)
    for reference in ("known-contour", "wavelets"):
        path = project / f"evaluation/references/soft/{reference}.csv"
        assert len(read_table(path, reference_spec(TINY, "soft", reference))) == 4
    assert len(read_table(project / "evaluation/references.csv")) == 2
    assert len(read_table(project / "evaluation/gaps.csv")) == 6 * 2 * 4
    assert len(read_table(project / "evaluation/soft/ensembles.csv")) == 3 * (3 + 1)
    density = read_table(project / "evaluation/density.csv")
    assert list(density.experiment) == ["fields"]  # no other has an exact denoiser
    assert len(read_table(project / "evaluation/fields/elbo.csv")) == 2
    assert len(read_table(project / "evaluation/reseeded/N4_control.csv")) == 4  # levels
    assert len(read_table(project / "samples/soft/updates.csv")) == 3 * 2 * 32
    for size in (1, 4, 16):
        spec = samples_spec(TINY, "soft", size)
        assert len(read_table(project / f"samples/soft/N{size}.csv", spec)) == 36 + 29
        samples, _ = read_samples(project / f"samples/soft/N{size}.h5", spec)
        assert samples["samples"].shape == (2, 5, 1, 8, 8)
    for name in ("soft/N4_S1", "soft/N16_S1", "soft/wavelets", "hard/N16_S1"):
        with open_hdf5(project / f"spectra/{name}.h5") as file:
            assert file["eigenvalues"].shape == (2, 1, 64)
    adaptivity = read_table(project / "spectra/soft/adaptivity.csv", adaptivity_spec(TINY, "soft"))
    assert len(adaptivity) == (2 + 5) * 7  # networks and other bases, ranks 1 to 64
    claims = read_table(project / "claims.csv")
    assert list(claims["number"]) == list(range(1, len(claims) + 1))
    assert set(claims["verdict"]) > {"holds", "not measured"}
    for figure in TINY["figures"]:
        for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("rst", b"")):
            content = (project / f"figures/{figure}.{kind}").read_bytes()
            assert content.startswith(start)
            assert len(content) > 200
    assert not list(project.rglob("*.partial"))
    assert not list(project.glob("checkpoints/**/*.safetensors"))


# ---------------------------------------------------------------------------------------------
# Help


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ([], PHASES),
        (["datasets"], ["--spec", "--output", "--threads"]),
        (["denoisers"], ["--spec", "--dataset", "--output", "--table", "--checkpoint"]),
        (["evaluation"], KINDS),
        (["evaluation", "network"], ["--spec", "--dataset", "--network", "--output"]),
        (["evaluation", "memorising"], ["--spec", "--dataset", "--output"]),
        (["evaluation", "agreement"], ["--spec", "--dataset", "--networks", "--output"]),
        (["evaluation", "reference"], ["--spec", "--dataset", "--output"]),
        (["evaluation", "references"], ["--spec", "--references", "--output"]),
        (["evaluation", "gaps"], ["--tables", "--references", "--output"]),
        (["evaluation", "summary"], ["--spec", "--tables", "--comparisons", "--output"]),
        (["evaluation", "ensembles"], ["--spec", "--networks", "--snapshots", "--output"]),
        (["evaluation", "density"], ["--ensembles", "--output"]),
        (["evaluation", "elbo"], ["--spec", "--dataset", "--networks", "--output"]),
        (["samples"], ["pair", "updates"]),
        (["samples", "pair"], ["--spec", "--dataset", "--networks", "--output"]),
        (["samples", "updates"], ["--spec", "--dataset", "--snapshots", "--output"]),
        (["spectra"], ["--spec", "--dataset", "--network", "--output"]),
        (["adaptivity"], ["--spec", "--spectra", "--output"]),
        (["page"], ["--results", "--claims", "--scales", "--inputs", "--figures", "--output"]),
        (["claims"], ["--spec", "--inputs", "--output"]),
        (["figures"], ["name", "--spec", "--inputs", "--output"]),
    ],
)
def test_help(verb: list[str], arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main([*verb, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert " ".join(["usage: gahb", *verb]) in shown
    for argument in arguments:
        assert argument in shown
    assert len(shown.splitlines()) > 6


def test_help_is_quick_and_loads_no_torch(environment: dict[str, str], tmp_path: Path):
    code = (
        "import sys, runpy; sys.argv = ['gahb', '--help']\n"
        "try: runpy.run_module('gahb', run_name='__main__')\n"
        "except SystemExit as left: assert left.code == 0\n"
        "assert not {'torch', 'h5py', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("usage: gahb")


# ---------------------------------------------------------------------------------------------
# Errors


def spec(resolve: Callable[..., Any], *names: Any, **changes: Any) -> str:
    return json.dumps(resolve(TINY, *names) | changes)


SOFT = spec(dataset_spec, "soft")
NETWORK = spec(network_spec, "soft", 4, "S1")
TRAIN = ["--output", "new.safetensors", "--table", "new.csv", "--checkpoint", "state"]
WRONG: dict[str, tuple[list[str], str]] = {
    "spec without a key": (["datasets", "--spec", "{}", "--output", "new.h5"], "'size'"),
    "unknown image class": (
        ["datasets", "--spec", spec(dataset_spec, "soft", **{"class": "discs"}), "--output", "new"],
        "no image class 'discs'; there are arrays, calpha",
    ),
    "unknown parameter": (
        ["datasets", "--spec", spec(dataset_spec, "soft", colour=1), "--output", "new.h5"],
        "image class 'calpha': .*colour",
    ),
    "nothing to train on": (
        ["datasets", "--spec", spec(dataset_spec, "soft", images=40), "--output", "new.h5"],
        "40 images with 40 held out for testing leave nothing to train on",
    ),
    "unwritable": (
        ["datasets", "--spec", SOFT, "--output", "results/training/soft/N4_S1.csv/new.h5"],
        "N4_S1.csv",
    ),
    "missing dataset": (
        ["denoisers", "--spec", NETWORK, "--dataset", "absent.h5", *TRAIN],
        "absent.h5 does not exist",
    ),
    "other dataset": (
        ["denoisers", "--spec", NETWORK, "--dataset", "results/datasets/hard.h5", *TRAIN],
        r"results/datasets/hard.h5 was made from other settings\.\n  alpha: the file has 1, .* for 3",
    ),
    "not a dataset": (
        [
            "denoisers",
            "--spec",
            NETWORK,
            "--dataset",
            "results/denoisers/soft/N4_S1.safetensors",
            *TRAIN,
        ],
        "results/denoisers/soft/N4_S1.safetensors is damaged or truncated",
    ),
    "set too large": (
        [
            *("denoisers", "--spec", spec(network_spec, "soft", 17, "S1")),
            *("--dataset", "results/datasets/soft.h5", *TRAIN),
        ],
        "results/datasets/soft.h5: S1 has 16 images, 17 were asked for",
    ),
    "indivisible": (
        [
            *("denoisers", "--spec"),
            spec(
                network_spec,
                *("soft", 4, "S1"),
                architecture={"network": "unet", "blocks": 4, "channels": 1},
            ),
            *("--dataset", "results/datasets/soft.h5", *TRAIN),
        ],
        r"must be multiples of 16, found \(8, 8\)",
    ),
    "divergence": (
        [
            *("denoisers", "--spec"),
            spec(network_spec, "soft", 4, "S1", training=TINY["training"] | {"learning_rate": 1e3}),
            *("--dataset", "results/datasets/soft.h5", *TRAIN),
        ],
        r"training diverged at update \d+ of 30",
    ),
    "stale network": (
        [
            *("evaluation", "network", "--spec", spec(evaluation_spec, "soft", 16, "S1")),
            *(
                "--dataset",
                "results/datasets/soft.h5",
                "--network",
                "results/denoisers/soft/N4_S1.safetensors",
            ),
            *("--output", "new.csv"),
        ],
        r"soft/N4_S1.safetensors was made from.*\n  network|  set_size: the file has 4, .* 16",
    ),
    "spec of another verb": (
        [
            *("evaluation", "memorising", "--spec", spec(evaluation_spec, "soft", 16, "S1")),
            *("--dataset", "results/datasets/soft.h5", "--output", "new.csv"),
        ],
        "'memorising'",
    ),
    "table of another kind": (
        [
            *("evaluation", "summary", "--spec", '{"slope_window": [0.03, 0.3]}'),
            *("--tables", "results/training/soft/N4_S1.csv", "--output", "new.csv"),
        ],
        "results/training/soft/N4_S1.csv is not the evaluation of a network",
    ),
    "image that is not there": (
        [
            *("spectra", "--spec"),
            json.dumps(
                {
                    "network": json.loads(NETWORK),
                    "spectra": TINY["spectra"] | {"test_images": [40]},
                }
            ),
            *(
                "--dataset",
                "results/datasets/soft.h5",
                "--network",
                "results/denoisers/soft/N4_S1.safetensors",
            ),
            *("--output", "new.h5"),
        ],
        "40",
    ),
    "reference of another class": (
        [
            *("evaluation", "reference", "--spec"),
            spec(reference_spec, "soft", "wavelets", reference={"denoiser": "exact", "images": 4}),
            *("--dataset", "results/datasets/soft.h5", "--output", "new.csv"),
        ],
        "no exact denoiser is known for C.α images, α = 3",
    ),
    "reference without a name": (
        [
            *("evaluation", "reference", "--spec"),
            spec(reference_spec, "soft", "wavelets", reference={"denoiser": "cnn", "images": 4}),
            *("--dataset", "results/datasets/soft.h5", "--output", "new.csv"),
        ],
        "there is no denoiser 'cnn'; there are bandlet, exact, known_contour, memorising, wavelet",
    ),
    "table of a network among references": (
        [
            *("evaluation", "references", "--spec", '{"slope_window": [0.03, 0.3]}'),
            *("--references", "results/evaluation/soft/N4_S1.csv", "--output", "new.csv"),
        ],
        "results/evaluation/soft/N4_S1.csv is not the evaluation of a reference",
    ),
    "table of a reference among networks": (
        [
            *("evaluation", "gaps", "--tables", "results/evaluation/references/soft/wavelets.csv"),
            *(
                "--references",
                "results/evaluation/references/soft/wavelets.csv",
                "--output",
                "new.csv",
            ),
        ],
        "results/evaluation/references/soft/wavelets.csv is not the evaluation of a network",
    ),
    "spectra of a bound": (
        [
            *("spectra", "--spec", spec(reference_spectra_spec, "soft", "known-contour")),
            *("--dataset", "results/datasets/soft.h5", "--output", "new.h5"),
        ],
        "known-contour .* bound on the error",
    ),
    "spectra of an oracle": (
        [
            *("spectra", "--spec"),
            spec(
                reference_spectra_spec,
                *("soft", "wavelets"),
                reference={"denoiser": "wavelet", "rule": "oracle", "images": 4},
            ),
            *("--dataset", "results/datasets/soft.h5", "--output", "new.h5"),
        ],
        "an oracle needs the clean image",
    ),
    "unknown figure": (
        ["figures", "pie", "--spec", "{}", "--inputs", "a.csv", "--output", "new.png"],
        "there is no figure 'pie'",
    ),
    "figure without its data": (
        [
            *("figures", "gap", "--spec", spec(figure_spec, "gap"), "--inputs", "absent.csv"),
            *("--output", "new.png"),
        ],
        "absent.csv does not exist",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_are_one_message(project: Path, case: str, capsys: pytest.CaptureFixture[str]):
    arguments, message = WRONG[case]
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()}
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(arguments)
    told = left.value.code
    assert isinstance(told, str)  # which Python prints to stderr, leaving with status 1
    assert told.startswith(f"gahb {arguments[0]}: error: ")
    assert re.search(message, told), told
    assert "Traceback" not in capsys.readouterr().err
    after = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()}
    assert after == before  # nothing overwritten, nothing left behind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "PHASE"),
        (["train"], "invalid choice: 'train'"),
        (["evaluation"], "WHAT"),
        (["datasets", "--output", "a.h5"], "--spec"),
        (["datasets", "--output", "a.h5", "--spec", "{"], "not JSON"),
        (["datasets", "--output", "a.h5", "--spec", "[]"], "expected a JSON object, found []"),
        (["datasets", "--output", "a.h5", "--spec", "{}", "--threads", "two"], "invalid int"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: gahb")
    assert message in told


def test_status_and_stderr_of_the_process(environment: dict[str, str], tmp_path: Path):
    run = subprocess.run(
        [
            *(sys.executable, "-m", "gahb", "datasets"),
            *("--spec", spec(dataset_spec, "soft", images=3), "--output", "a.h5"),
        ],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("gahb datasets: error: 3 images with 40 held out")
    assert not list(tmp_path.iterdir())
