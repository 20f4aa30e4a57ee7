"""Whoever reads an artifact refuses a wrong one by name: every verb, every input, every kind of wrong."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from conftest import TINY

from gahb import params as gahb_params
from gahb.cli import main

PARAMS: dict[str, Any] = copy.deepcopy(TINY) | {
    "references": {
        "haar": {"denoiser": "wavelet", "wavelet": "haar", "images": 8},
        "db2": {"denoiser": "wavelet", "wavelet": "db2", "images": 8},
    }
}
PARAMS["image_classes"]["other"] = PARAMS["image_classes"]["soft"] | {"seed": 9}
PARAMS["training"] |= {"updates": 2, "warmup": 1, "monitor_every": 1}
PARAMS["experiments"]["soft"] |= {"set_sizes": [4], "snapshots": {"first": 1, "count": 2}}
PARAMS["evaluation"] |= {"images": 8, "minimum_draws": 4}
FOREIGN = {  # artifact -> what is put under its name
    "soft.h5": "other.h5",
    "S1.safetensors": "S2.safetensors",
    "S2.safetensors": "S1.safetensors",
    "S1.csv": "S2.csv",
    "S1.h5": "S2.h5",
    "haar.csv": "db2.csv",
    "haar.h5": "db2.h5",
    "agreement.csv": "S1.csv",
    "agreement.h5": "S1.h5",
    "S1_snapshots.safetensors": "S2_snapshots.safetensors",
    "S2_snapshots.safetensors": "S1_snapshots.safetensors",
    "ensembles.csv": "S1.csv",
    "ensembles.h5": "S1.h5",
    "summary.csv": "S1.csv",
}


def spec(resolve: Callable[..., Any], *names: Any) -> list[str]:
    return ["--spec", json.dumps(resolve(PARAMS, *names))]


def trained(split: str, output: str) -> list[str]:
    return [
        *("denoisers", *spec(gahb_params.network_spec, "soft", 4, split), "--dataset", "soft.h5"),
        *("--output", output, "--table", f"{output}.csv", "--checkpoint", f"{output}.state"),
        *("--snapshots", f"{split}_snapshots.safetensors", "--snapshots-at", "1", "2"),
    ]


def evaluated(split: str) -> list[str]:
    of = spec(gahb_params.evaluation_spec, "soft", 4, split)
    return ["evaluation", "network", *of, "--network", f"{split}.safetensors"]


def referred(name: str) -> list[str]:
    return ["evaluation", "reference", *spec(gahb_params.reference_spec, "soft", name)]


SLOPES = spec(gahb_params.summary_spec)
DATASET = ["--dataset", "soft.h5"]
BOTH = [*DATASET, "--networks", "S1.safetensors", "S2.safetensors"]
WEIGHTS = ("soft.h5", "S1.safetensors", "S2.safetensors")
AGREEMENT = ["evaluation", "agreement", *spec(gahb_params.agreement_spec, "soft", 4), *BOTH]
SNAPSHOTS = ("S1_snapshots.safetensors", "S2_snapshots.safetensors")
ENSEMBLES = [
    *("evaluation", "ensembles", *spec(gahb_params.ensemble_spec, "soft"), *BOTH),
    *("--snapshots", *SNAPSHOTS),
]
SUMMARY = ["evaluation", "summary", *SLOPES, "--tables", "S1.csv", "--comparisons", "agreement.csv"]
SPECTRA = ["spectra", *spec(gahb_params.spectra_spec, "soft", 4, "S1"), *DATASET]
DRAWN = ["--output", "new.png", "new.pdf", "new.rst"]
REGULARITY = PARAMS["figures"]["regularity"] | {"experiments": ["soft"], "set_size": 4}
READERS: dict[str, tuple[list[str], tuple[str, ...]]] = {  # verb -> its line, what it reads
    "denoisers": (trained("S1", "new"), ("soft.h5",)),
    "network": ([*evaluated("S1"), *DATASET, "--output", "new.csv"], WEIGHTS[:2]),
    "memorising": (
        [
            *("evaluation", "memorising", *spec(gahb_params.memorising_spec, "soft", 4, "S1")),
            *(*DATASET, "--output", "new.csv"),
        ],
        ("soft.h5",),
    ),
    "agreement": ([*AGREEMENT, "--output", "new.csv"], WEIGHTS),
    "reference": ([*referred("haar"), *DATASET, "--output", "new.csv"], ("soft.h5",)),
    "references": (
        ["evaluation", "references", *SLOPES, "--references", "haar.csv", "--output", "new.csv"],
        ("haar.csv", "haar.h5"),
    ),
    "gaps": (
        [
            "evaluation",
            "gaps",
            "--tables",
            "S1.csv",
            "--references",
            "haar.csv",
            "--output",
            "new.csv",
        ],
        ("S1.csv", "S1.h5", "haar.csv", "haar.h5"),
    ),
    "summary": (
        [*SUMMARY, "--output", "new.csv"],
        ("S1.csv", "S1.h5", "agreement.csv", "agreement.h5"),
    ),
    "samples": (
        [
            "samples",
            "pair",
            *spec(gahb_params.samples_spec, "soft", 4),
            *BOTH,
            "--output",
            "new.csv",
        ],
        WEIGHTS,
    ),
    "updates": (
        [
            *("samples", "updates", *spec(gahb_params.samples_over_training_spec, "soft")),
            *(*DATASET, "--snapshots", *SNAPSHOTS, "--output", "new.csv"),
        ],
        ("soft.h5", *SNAPSHOTS),
    ),
    "ensembles": ([*ENSEMBLES, "--output", "new.csv"], (*WEIGHTS, *SNAPSHOTS)),
    "density": (
        ["evaluation", "density", "--ensembles", "ensembles.csv", "--output", "new.csv"],
        ("ensembles.csv", "ensembles.h5"),
    ),
    "spectra": ([*SPECTRA, "--network", "S1.safetensors", "--output", "new.h5"], WEIGHTS[:2]),
    "transition": (
        [
            *("figures", "transition", *spec(gahb_params.figure_spec, "transition")),
            *("--inputs", "summary.csv", "S1.csv", "memorising.csv", *DRAWN),
        ],
        ("summary.csv", "S1.csv", "memorising.csv"),
    ),
    "regularity": (
        [
            *("figures", "regularity", "--spec", json.dumps(REGULARITY)),
            *("--inputs", "summary.csv", "S1.csv", "spectra.h5", *DRAWN),
        ],
        ("summary.csv", "S1.csv", "spectra.h5"),
    ),
    "metrics": (
        ["provenance", "metrics", "--summary", "summary.csv", "--output", "new.json"],
        ("summary.csv",),
    ),
    "model-cards": (
        [
            *("provenance", "model-cards", "--networks", "S1.safetensors"),
            *("--summary", "summary.csv", "--output", "new.md"),
            *("--citation", str(Path(__file__).parents[2] / "CITATION.cff")),
        ],
        ("S1.safetensors", "summary.csv"),
    ),
}
CASES = [(verb, name) for verb, (_, names) in READERS.items() for name in names]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each kind of artifact, and what stands for foreign ones."""
    folder = tmp_path_factory.mktemp("artifacts")
    lines = [
        *(
            ["datasets", *spec(gahb_params.dataset_spec, name), "--output", f"{name}.h5"]
            for name in ("soft", "other")
        ),
        *(trained(split, f"{split}.safetensors") for split in ("S1", "S2")),
        *([*evaluated(split), *DATASET, "--output", f"{split}.csv"] for split in ("S1", "S2")),
        *([*referred(name), *DATASET, "--output", f"{name}.csv"] for name in ("haar", "db2")),
        [*READERS["memorising"][0][:-1], "memorising.csv"],
        [*AGREEMENT, "--output", "agreement.csv"],
        [*SUMMARY, "--output", "summary.csv"],
        [*ENSEMBLES, "--output", "ensembles.csv"],
        [*READERS["spectra"][0][:-1], "spectra.h5"],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in lines:
            main(line)
    return folder


def flip_bits(path: Path) -> None:
    """Flip a bit: the last of a file without chunks, one of every chunk of an HDF5 file."""
    content = bytearray(path.read_bytes())
    positions = [len(content) - 2]
    if path.suffix == ".h5":
        positions = []
        with h5py.File(path) as file:

            def collect(_: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and item.chunks:
                    for number in range(item.id.get_num_chunks()):
                        positions.append(item.id.get_chunk_info(number).byte_offset)

            file.visititems(collect)
        assert positions
    for position in positions:
        content[position] ^= 1
    path.write_bytes(content)


def spoil(path: Path, trouble: str) -> None:
    if trouble == "missing":
        path.unlink()
    elif trouble == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    elif trouble == "damaged":
        flip_bits(path)
    else:
        shutil.copy(path.with_name(FOREIGN[path.name]), path)


@pytest.mark.parametrize(("verb", "name"), CASES, ids=lambda text: text)
def test_every_reader_refuses_by_name(
    artifacts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    name: str,
):
    for trouble in ("missing", "truncated", "damaged", "foreign"):
        if trouble == "foreign" and (verb in ("transition", "regularity") or "cards" in verb):
            continue  # figures and cards take what they are given, and say what it was made from
        folder = tmp_path / trouble
        shutil.copytree(artifacts, folder)
        monkeypatch.chdir(folder)
        spoil(folder / name, trouble)
        before = {path.name for path in folder.iterdir()}
        with pytest.raises(SystemExit) as left:
            main(READERS[verb][0])
        assert name in str(left.value.code), (trouble, left.value.code)
        assert {path.name for path in folder.iterdir()} == before


def test_without_trouble_all_is_read(
    artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(artifacts, tmp_path / "all")
    monkeypatch.chdir(tmp_path / "all")
    for line, _ in READERS.values():
        main(line)
