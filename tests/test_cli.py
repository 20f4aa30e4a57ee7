"""The command line: the rules' shell lines work as typed, and errors are one message each."""

from __future__ import annotations

import ast
import copy
import json
import re
import shlex
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import TINY

from gahb import params as gahb_params
from gahb.artifacts import open_hdf5, read_table, read_tensors
from gahb.cli import main
from gahb.params import (
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
    *("ensembles", "density"),
]

# ---------------------------------------------------------------------------------------------
# Shell lines of the rules, filled in as Snakemake does


class Filled(string.Formatter):
    """Lists are joined by spaces; the format ``q`` quotes."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        return shlex.quote(text) if format_spec == "q" else text


def shell_lines(root: Path) -> dict[str, str]:
    """The shell line of each computing rule, by the rule's name."""
    lines = {}
    for path in sorted((root / "workflow/rules").glob("*.smk")):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            found = re.search(r"^    shell:\n((?:        .*\n?)+)", rule, re.MULTILINE)
            if found:
                lines[rule.split(":")[0]] = ast.literal_eval(f"({found[1]})")
    return lines


class Project:
    """The tiny project in a folder, made by the rules' shell lines instead of Snakemake."""

    def __init__(self, root: Path, params: dict[str, Any]) -> None:
        self.lines, self.params = shell_lines(root), params

    def run(self, rule: str, spec: Any, *names: Any, **fields: Any) -> None:
        """Run the shell line of ``rule`` with the spec of ``names``, or without one."""
        resolved = None if spec is None else json.dumps(spec(self.params, *names), sort_keys=True)
        given = fields.pop("params", {})
        fields = {
            key: SimpleNamespace(**value) if isinstance(value, dict) else value
            for key, value in fields.items()
        }
        fields["params"] = SimpleNamespace(spec=resolved, **given)
        line = Filled().format(self.lines[rule], log="log", threads=2, **fields)
        command, redirection = line.split(" > ")
        assert redirection == "log 2>&1"
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "gahb"]
        main(words[3:])

    def make(self) -> None:
        """Every artifact of the project."""
        experiments = self.params["experiments"]
        for name in self.params["image_classes"]:
            self.run("dataset", gahb_params.dataset_spec, name, output=f"datasets/{name}.h5")
        for name, experiment in experiments.items():
            for size in experiment["set_sizes"]:
                for split in experiment["splits"]:
                    self.network(name, size, split)
                if len(experiment["splits"]) == 2:
                    self.run(
                        "evaluation_agreement",
                        gahb_params.agreement_spec,
                        *(name, size),
                        input={
                            "dataset": f"datasets/{name}.h5",
                            "networks": [f"{name}/N{size}_{s}.safetensors" for s in ("S1", "S2")],
                        },
                        output={"table": f"evaluation/{name}/N{size}_agreement.csv"},
                    )
        self.run(
            "evaluation_summary",
            gahb_params.summary_spec,
            input={
                "tables": self.found("evaluation/*/N*_S?.csv"),
                "comparisons": self.found("evaluation/*/*_agreement.csv"),
            },
            output={"table": "evaluation/summary.csv"},
        )
        self.references()
        for name in self.params["ensembles"]["experiments"]:
            self.ensembles(name)
        self.run(
            "evaluation_density",
            None,
            input={"tables": self.found("evaluation/*/ensembles.csv")},
            output={"table": "evaluation/density.csv"},
        )
        for name in self.params["sampling"]["experiments"]:
            for size in experiments[name]["set_sizes"]:
                self.run(
                    "sample_pair",
                    gahb_params.samples_spec,
                    *(name, size),
                    input={
                        "dataset": f"datasets/{name}.h5",
                        "networks": [f"{name}/N{size}_{s}.safetensors" for s in ("S1", "S2")],
                    },
                    output={"table": f"samples/{name}/N{size}.csv"},
                )
        for name, chosen in self.params["spectra"]["networks"].items():
            for size in chosen["set_sizes"]:
                self.run(
                    "spectrum",
                    gahb_params.spectra_spec,
                    *(name, size, "S1"),
                    input={
                        "dataset": f"datasets/{name}.h5",
                        "network": f"{name}/N{size}_S1.safetensors",
                    },
                    output=f"spectra/{name}/N{size}_S1.h5",
                )
            for reference in chosen.get("references", []):
                self.run(
                    "spectrum_reference",
                    gahb_params.reference_spectra_spec,
                    *(name, reference),
                    input={"dataset": f"datasets/{name}.h5"},
                    output=f"spectra/{name}/{reference}.h5",
                )
        for name, data in self.figures().items():
            self.run(
                "figure",
                gahb_params.figure_spec,
                name,
                wildcards={"figure": name},
                input={"data": data},
                output=[f"figures/{name}.{kind}" for kind in ("png", "pdf", "rst")],
            )

    def network(self, name: str, size: int, split: str) -> None:
        network, dataset = f"{name}/N{size}_{split}", f"datasets/{name}.h5"
        self.run(
            "denoiser",
            gahb_params.network_spec,
            *(name, size, split),
            input={"dataset": dataset},
            output={"weights": f"{network}.safetensors", "table": f"{network}.csv"},
            params={
                "checkpoint": f"checkpoints/{network}.safetensors",
                "snapshots": self.snapshots(name, f"{network}_snapshots.safetensors"),
            },
        )
        self.run(
            "evaluation_network",
            gahb_params.evaluation_spec,
            *(name, size, split),
            input={"dataset": dataset, "network": f"{network}.safetensors"},
            output={"table": f"evaluation/{network}.csv"},
        )
        self.run(
            "evaluation_memorising",
            gahb_params.memorising_spec,
            *(name, size, split),
            input={"dataset": dataset},
            output={"table": f"evaluation/{network}_memorising.csv"},
        )

    def snapshots(self, name: str, output: str) -> str:
        updates = gahb_params.snapshot_updates(self.params, name)
        if not updates:
            return ""
        return f" --snapshots {output} --snapshots-at {' '.join(map(str, updates))}"

    def ensembles(self, name: str) -> None:
        """All networks of an experiment together, and what of them changes with the updates."""
        chosen = self.params["experiments"][name]
        networks = [f"{name}/N{n}_{s}" for n in chosen["set_sizes"] for s in chosen["splits"]]
        data = {
            "dataset": f"datasets/{name}.h5",
            "networks": [f"{network}.safetensors" for network in networks],
            "snapshots": [f"{network}_snapshots.safetensors" for network in networks],
        }
        self.run(
            "evaluation_ensembles",
            gahb_params.ensemble_spec,
            name,
            input=data,
            output={"table": f"evaluation/{name}/ensembles.csv"},
        )
        self.run(
            "samples_over_training",
            gahb_params.samples_over_training_spec,
            name,
            input=data,
            output={"table": f"samples/{name}/updates.csv"},
        )

    def references(self) -> None:
        """Exact and classical denoisers, and the networks against them."""
        for name, references in self.params["evaluation"]["references"].items():
            for reference in references:
                self.run(
                    "evaluation_reference",
                    gahb_params.reference_spec,
                    *(name, reference),
                    input={"dataset": f"datasets/{name}.h5"},
                    output={"table": f"evaluation/references/{name}/{reference}.csv"},
                )
        references = self.found("evaluation/references/*/*.csv")
        self.run(
            "evaluation_references",
            gahb_params.summary_spec,
            input={"tables": references},
            output={"table": "evaluation/references.csv"},
        )
        self.run(
            "evaluation_gaps",
            None,
            input={"tables": self.found("evaluation/soft/N*_S?.csv"), "references": references},
            output={"table": "evaluation/gaps.csv"},
        )

    def found(self, pattern: str) -> list[str]:
        return sorted(path.as_posix() for path in Path().glob(pattern))

    def figures(self) -> dict[str, list[str]]:
        summary = "evaluation/summary.csv"
        return {
            "transition": self.found("evaluation/soft/N*_S1*.csv"),
            "basis": self.found("spectra/soft/N*.h5"),
            "regularity": [
                summary,
                *self.found("evaluation/*/N16_S1.csv"),
                *self.found("spectra/*/N16_S1.h5"),
            ],
            "gap": [summary, *self.found("evaluation/soft/*_agreement.csv")],
            "bounds": [
                *(f"evaluation/{table}.csv" for table in ("summary", "references", "gaps")),
                "evaluation/soft/N16_S1.csv",
                *self.found("evaluation/references/soft/*.csv"),
            ],
        }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Path]:
    """A folder in which every rule's shell line has been run."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        params = copy.deepcopy(TINY)
        params["experiments"]["soft"]["snapshots"] = {"first": 10, "count": 2}
        Project(root, params).make()
        yield folder


def test_every_computing_rule_is_known(root: Path):
    assert set(shell_lines(root)) == {
        "dataset",
        "denoiser",
        "evaluation_network",
        "evaluation_memorising",
        "evaluation_agreement",
        "evaluation_reference",
        "evaluation_references",
        "evaluation_gaps",
        "evaluation_summary",
        "evaluation_ensembles",
        "evaluation_density",
        "sample_pair",
        "samples_over_training",
        "spectrum",
        "spectrum_reference",
        "figure",
        "metrics",
        "data_cards",
        "model_cards",
        "crate",
    }


def test_shell_lines_make_everything(project: Path):
    networks = [f"soft/N{n}_{s}" for n in (1, 4, 16) for s in ("S1", "S2")] + ["hard/N16_S1"]
    for name in networks:
        experiment, size, split = re.fullmatch(r"(\w+)/N(\d+)_(S\d)", name).groups()
        read_tensors(
            project / f"{name}.safetensors", network_spec(TINY, experiment, int(size), split)
        )
        read_table(project / f"{name}.csv")
        for suffix in ("", "_memorising"):
            assert len(read_table(project / f"evaluation/{name}{suffix}.csv")) == 12
    assert len(read_table(project / "evaluation/summary.csv")) == len(networks)
    for reference in ("known-contour", "wavelets"):
        path = project / f"evaluation/references/soft/{reference}.csv"
        assert len(read_table(path, reference_spec(TINY, "soft", reference))) == 4
    assert len(read_table(project / "evaluation/references.csv")) == 2
    assert len(read_table(project / "evaluation/gaps.csv")) == 6 * 2 * 4
    assert len(read_table(project / "evaluation/soft/ensembles.csv")) == 3 * (3 + 1)
    assert read_table(project / "evaluation/density.csv").empty  # no exact denoiser is known
    assert len(read_table(project / "samples/soft/updates.csv")) == 3 * 2 * 32
    for size in (1, 4, 16):
        spec = samples_spec(TINY, "soft", size)
        assert len(read_table(project / f"samples/soft/N{size}.csv", spec)) == 36
        samples, _ = read_samples(project / f"samples/soft/N{size}.h5", spec)
        assert samples["samples"].shape == (2, 5, 1, 8, 8)
    for name in ("soft/N4_S1", "soft/N16_S1", "soft/wavelets", "hard/N16_S1"):
        with open_hdf5(project / f"spectra/{name}.h5") as file:
            assert file["eigenvalues"].shape == (2, 1, 64)
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
        (["samples"], ["pair", "updates"]),
        (["samples", "pair"], ["--spec", "--dataset", "--networks", "--output"]),
        (["samples", "updates"], ["--spec", "--dataset", "--snapshots", "--output"]),
        (["spectra"], ["--spec", "--dataset", "--network", "--output"]),
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
        "no image class 'discs'; there are calpha, disks",
    ),
    "unknown parameter": (
        ["datasets", "--spec", spec(dataset_spec, "soft", colour=1), "--output", "new.h5"],
        "image class 'calpha': .*colour",
    ),
    "nothing to train on": (
        ["datasets", "--spec", spec(dataset_spec, "soft", images=40), "--output", "new.h5"],
        "40 images with 40 held out for testing leave nothing to train on",
    ),
    "unwritable": (["datasets", "--spec", SOFT, "--output", "soft/N4_S1.csv/new.h5"], "N4_S1.csv"),
    "missing dataset": (
        ["denoisers", "--spec", NETWORK, "--dataset", "absent.h5", *TRAIN],
        "absent.h5 does not exist",
    ),
    "other dataset": (
        ["denoisers", "--spec", NETWORK, "--dataset", "datasets/hard.h5", *TRAIN],
        r"datasets/hard.h5 was made from other settings\.\n  alpha: the file has 1, .* for 3",
    ),
    "not a dataset": (
        ["denoisers", "--spec", NETWORK, "--dataset", "soft/N4_S1.safetensors", *TRAIN],
        "soft/N4_S1.safetensors is damaged or truncated",
    ),
    "set too large": (
        [
            *("denoisers", "--spec", spec(network_spec, "soft", 17, "S1")),
            *("--dataset", "datasets/soft.h5", *TRAIN),
        ],
        "datasets/soft.h5: S1 has 16 images, 17 were asked for",
    ),
    "indivisible": (
        [
            *("denoisers", "--spec"),
            spec(
                network_spec,
                *("soft", 4, "S1"),
                architecture={"network": "unet", "blocks": 4, "channels": 1},
            ),
            *("--dataset", "datasets/soft.h5", *TRAIN),
        ],
        r"must be multiples of 16, found \(8, 8\)",
    ),
    "divergence": (
        [
            *("denoisers", "--spec"),
            spec(network_spec, "soft", 4, "S1", training=TINY["training"] | {"learning_rate": 1e3}),
            *("--dataset", "datasets/soft.h5", *TRAIN),
        ],
        r"training diverged at update \d+ of 30",
    ),
    "stale network": (
        [
            *("evaluation", "network", "--spec", spec(evaluation_spec, "soft", 16, "S1")),
            *("--dataset", "datasets/soft.h5", "--network", "soft/N4_S1.safetensors"),
            *("--output", "new.csv"),
        ],
        r"soft/N4_S1.safetensors was made from.*\n  network|  set_size: the file has 4, .* 16",
    ),
    "spec of another verb": (
        [
            *("evaluation", "memorising", "--spec", spec(evaluation_spec, "soft", 16, "S1")),
            *("--dataset", "datasets/soft.h5", "--output", "new.csv"),
        ],
        "'memorising'",
    ),
    "table of another kind": (
        [
            *("evaluation", "summary", "--spec", '{"slope_window": [0.03, 0.3]}'),
            *("--tables", "soft/N4_S1.csv", "--output", "new.csv"),
        ],
        "soft/N4_S1.csv is not the evaluation of a network",
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
            *("--dataset", "datasets/soft.h5", "--network", "soft/N4_S1.safetensors"),
            *("--output", "new.h5"),
        ],
        "40",
    ),
    "reference of another class": (
        [
            *("evaluation", "reference", "--spec"),
            spec(reference_spec, "soft", "wavelets", reference={"denoiser": "exact", "images": 4}),
            *("--dataset", "datasets/soft.h5", "--output", "new.csv"),
        ],
        "no exact denoiser is known for images of class 'calpha'",
    ),
    "reference without a name": (
        [
            *("evaluation", "reference", "--spec"),
            spec(reference_spec, "soft", "wavelets", reference={"denoiser": "cnn", "images": 4}),
            *("--dataset", "datasets/soft.h5", "--output", "new.csv"),
        ],
        "there is no denoiser 'cnn'; there are exact, known_contour, memorising, wavelet, bandlet",
    ),
    "table of a network among references": (
        [
            *("evaluation", "references", "--spec", '{"slope_window": [0.03, 0.3]}'),
            *("--references", "evaluation/soft/N4_S1.csv", "--output", "new.csv"),
        ],
        "evaluation/soft/N4_S1.csv is not the evaluation of a reference",
    ),
    "table of a reference among networks": (
        [
            *("evaluation", "gaps", "--tables", "evaluation/references/soft/wavelets.csv"),
            *("--references", "evaluation/references/soft/wavelets.csv", "--output", "new.csv"),
        ],
        "evaluation/references/soft/wavelets.csv is not the evaluation of a network",
    ),
    "spectra of a bound": (
        [
            *("spectra", "--spec", spec(reference_spectra_spec, "soft", "known-contour")),
            *("--dataset", "datasets/soft.h5", "--output", "new.h5"),
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
            *("--dataset", "datasets/soft.h5", "--output", "new.h5"),
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
