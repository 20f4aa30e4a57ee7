"""Data cards and model cards, filled in from what the artifacts carry and from the summary table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gahb.artifacts import (
    canonical_json,
    digest_file,
    open_hdf5,
    read_attribute,
    read_table,
    read_tensors,
    write_text,
)
from gahb.datasets.image_class import image_class
from gahb.denoisers.architecture import OWN_REMARK
from gahb.own import is_own

if TYPE_CHECKING:
    import h5py


_PURPOSE = (
    "Every network here removes white Gaussian noise from images like those that it was trained on; for "
    "other images or noise nothing is claimed."
)
_SYNTHETIC = "The images of {} are synthetic: none is of a person or a thing."
_PHOTOGRAPHS = (
    "The images of {} are cut from photographs. Whom and what they show, how they came about and what they "
    "may be used for is known to who collected them; the data cards name their folders."
)
_OTHERS = (
    "The images of {} were brought along, as a file or by a class that draws them: whom and what they "
    "show is known to who did so."
)
_IMPORTED = (
    "The weights of {} were imported: what they were trained on, and how, is known to who published them. "
    "The training set named is the one that they are measured on."
)


def write_data_cards(datasets: list[Path], output: Path) -> None:
    """One card per dataset: what its images are, how they are split, and how to know the file."""
    cards = ["# Datasets", "Written by `gahb provenance data-cards` from the datasets themselves."]
    for path in datasets:
        with open_hdf5(path) as file:
            spec = read_attribute(file, "spec")
            drawn = image_class(spec)
            clipped = drawn.underneath.clipped
            rows = {
                "stored images": " × ".join(map(str, file["images"].shape)) + ", float32",
                "intensities": "in [0, 1]" if clipped else "around [0, 1], not clipped",
                **{f"indices of {name}": f"{len(file[name])}" for name in ("S1", "S2", "test")},
                **_gathered(file),
                "SHA-256 of the images": read_attribute(file, "images_sha256"),
                "made with": _versions(read_attribute(file, "versions")),
            }
        cards += [f"## {path.stem}: {drawn.words}", _table(_file(path) | _flat(spec) | rows)]
    write_text(output, "\n\n".join(cards) + "\n")


def write_model_cards(networks: list[Path], summary: Path, output: Path) -> None:
    """One card per network: architecture, training, training set, and how well it denoises."""
    measured = read_table(summary)
    cards = ["# Networks", "Written by `gahb provenance model-cards` from weights and tables."]
    synthetic: set[str] = set()  # image classes
    photographs: set[str] = set()
    others: set[str] = set()
    imported = []
    for path in networks:
        tensors, header = read_tensors(path)
        spec = header["spec"]
        name = f"{spec['experiment']}, N = {spec['set_size']}, {spec['split']}"
        drawn = image_class(spec["dataset"])
        brought = drawn.underneath.files or is_own(
            spec["dataset"].get("of", spec["dataset"])["class"]
        )
        kind = photographs if drawn.underneath.folders else others if brought else synthetic
        kind.add(spec["image_class"])
        if "imported" in spec:
            imported.append(name)
        rows = {
            "parameters": f"{sum(tensor.numel() for tensor in tensors.values())}",
            "SHA-256 of the weights": header["tensors_sha256"],
            **_flat(spec["architecture"], "architecture"),
            **({"remark": OWN_REMARK} if is_own(spec["architecture"]["network"]) else {}),
            **(_imported if "imported" in spec else _trained)(header),
            **_measured(measured, spec),
            "made with": _versions(header["versions"]),
        }
        cards += [f"## {name}: {drawn.words}", _table(_file(path) | rows)]
    told = (
        (_SYNTHETIC, sorted(synthetic)),
        (_PHOTOGRAPHS, sorted(photographs)),
        (_OTHERS, sorted(others)),
    )
    cards += ["## What they are for", _PURPOSE]
    cards += [
        text.format("; ".join(names)) for text, names in (*told, (_IMPORTED, imported)) if names
    ]
    write_text(output, "\n\n".join(cards) + "\n")


def _trained(header: Mapping[str, Any]) -> dict[str, str]:
    spec = header["spec"]
    return {
        "training set": f"{spec['set_size']} images of {spec['split']} of {spec['image_class']}",
        **_flat(spec["training"], "training"),
        **_flat(header["computation"], "computation"),
    }


def _imported(header: Mapping[str, Any]) -> dict[str, str]:
    """The published file, and the set of images that stands in the place of a training set."""
    spec = header["spec"]
    return {
        "measured on": f"{spec['set_size']} images of {spec['split']} of {spec['image_class']}",
        **_flat(header["computation"]),
        "imported.sha256": header["inputs"]["published"],
    }


def _gathered(file: h5py.File) -> dict[str, str]:
    """What became of the files of a folder, or of the images of an array, if it is made from such."""
    counts: dict[str, str] = {}
    for kind in {"photographs", "array"} & set(file.attrs):
        counts |= _flat(read_attribute(file, kind))
    return {name.replace("_", " ").replace(".", ": "): number for name, number in counts.items()}


def _measured(summary: pd.DataFrame, spec: Mapping[str, Any]) -> dict[str, str]:
    chosen = summary
    for key in ("experiment", "set_size", "split"):
        chosen = chosen[chosen[key] == spec[key]]
    names = {
        "gap": "train-test gap (dB)",
        "slope": "slope of test PSNR",
        "agreement": "agreement (dB)",
    }
    return {
        words: f"{float(row[name]):.3f}"
        for _, row in chosen.iterrows()
        for name, words in names.items()
        if name in row and not pd.isna(row[name])
    }


def _file(path: Path) -> dict[str, str]:
    return {"file": f"`{path}`, {path.stat().st_size} bytes", "SHA-256": digest_file(path)}


def _flat(spec: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """``{"a": {"b": 1}}`` as ``{"a.b": "1"}``."""
    rows: dict[str, str] = {}
    for key, value in spec.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            rows |= _flat(value, name)
        else:
            rows[name] = value if isinstance(value, str) else canonical_json(value)
    return rows


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _table(rows: Mapping[str, str]) -> str:
    lines: Iterable[str] = (f"| {key} | {value} |" for key, value in rows.items())
    return "\n".join(["| | |", "|---|---|", *lines])
