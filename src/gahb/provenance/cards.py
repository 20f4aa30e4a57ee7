"""Data cards and model cards, filled in from what the artifacts carry and from the summary table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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


def write_data_cards(datasets: list[Path], output: Path) -> None:
    """One card per dataset: what its images are, how they are split, and how to know the file."""
    cards = ["# Datasets", "Written by `gahb provenance data-cards` from the datasets themselves."]
    for path in datasets:
        with open_hdf5(path) as file:
            spec = read_attribute(file, "spec")
            rows = {
                "images": " × ".join(map(str, file["images"].shape)) + ", float32 in [0, 1]",
                **{f"indices of {name}": f"{len(file[name])}" for name in ("S1", "S2", "test")},
                "SHA-256 of the images": read_attribute(file, "images_sha256"),
                "made with": _versions(read_attribute(file, "versions")),
            }
        cards += [f"## {path.stem}", _table(_file(path) | _flat(spec) | rows)]
    write_text(output, "\n\n".join(cards) + "\n")


def write_model_cards(networks: list[Path], summary: Path, output: Path) -> None:
    """One card per network: architecture, training, training set, and how well it denoises."""
    measured = read_table(summary)
    cards = ["# Networks", "Written by `gahb provenance model-cards` from weights and tables."]
    for path in networks:
        tensors, header = read_tensors(path)
        spec = header["spec"]
        rows = {
            "parameters": f"{sum(tensor.numel() for tensor in tensors.values())}",
            "SHA-256 of the weights": header["tensors_sha256"],
            "trained on": f"{spec['set_size']} images of {spec['split']} of {spec['image_class']}",
            **_flat(spec["architecture"], "architecture"),
            **_flat(spec["training"], "training"),
            **_flat(header["computation"], "computation"),
            **_measured(measured, spec),
            "made with": _versions(header["versions"]),
        }
        name = f"{spec['experiment']}, N = {spec['set_size']}, {spec['split']}"
        cards += [f"## {name}", _table(_file(path) | rows)]
    cards.append(
        "These denoise synthetic images of the class that they were trained on, with white Gaussian "
        "noise; on other images or noise nothing is claimed. No image is of a person or a thing."
    )
    write_text(output, "\n\n".join(cards) + "\n")


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
