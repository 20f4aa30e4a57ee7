"""Eigenbases for the page: every denoiser of an experiment at the same noisy images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gahb.artifacts import Spec
from gahb.datasets.image_class import image_class
from gahb.figures.parts.eigenbases import psnr
from gahb.hdf5 import with_section
from gahb.page.pictures import intensities, signed
from gahb.spectra.store import read_spectra

_USED = (
    *("image_index", "sigma", "clean", "noisy", "denoised", "eigenvalues", "eigenvectors"),
    *("clean_coefficients", "trace", "effective_rank", "asymmetry"),
)
ALL, MORE = 64, 96  # ranks whose numbers are drawn: all up to the first, and so many beyond
DIGITS = 4
IMAGES = 4  # of each file at most: the page is to stay small

Group = dict[str, Any]


def read_bases(paths: Iterable[Path]) -> list[Group]:
    """One group for each experiment among the files, of the most networks first; see :data:`IMAGES`.

    A group has ``name``, ``words`` for its images, its ``sigmas`` and test ``images``, and ``denoisers``:
    networks by growing N, then exact denoisers. A denoiser has a ``label`` and ``views``, by image
    and noise level.

    Raises:
        gahb.artifacts.ArtifactError: a file is damaged.
    """
    found = list(with_section(paths, "spectra"))
    networks = sorted((item for item in found if "network" in item[1]), key=_order)
    splits: dict[str, set[str]] = {}
    for _, spec in networks:
        splits.setdefault(spec["network"]["experiment"], set()).add(spec["network"]["split"])
    groups: dict[str, Group] = {}
    looked_at: dict[str, Spec] = {}
    for path, spec in networks:
        network = spec["network"]
        name = network["experiment"]
        label = f"network of N = {network['set_size']}"
        label += f", {network['split']}" if len(splits[name]) > 1 else ""
        group = groups.setdefault(name, _group(name, spec))
        looked_at.setdefault(name, _measured(spec))
        group["denoisers"].append({"label": label, "views": _views(path)})
    for path, spec in found:
        for name, group in groups.items():
            if "reference" in spec and looked_at[name] == _measured(spec):
                label = f"{spec['reference']['name'].replace('-', ' ')} (no network)"
                group["denoisers"].append({"label": label, "views": _views(path)})
    return sorted(groups.values(), key=lambda group: -len(group["denoisers"]))


def _order(item: tuple[Path, Spec]) -> tuple[Any, ...]:
    return tuple(item[1]["network"][key] for key in ("set_size", "split", "experiment"))


def _measured(spec: Spec) -> Spec:
    """What decides which noisy images a denoiser is looked at: those of equal ones are the same."""
    settings = {key: spec["spectra"][key] for key in ("seed", "sigmas", "test_images")}
    return settings | {"dataset": spec.get("network", spec)["dataset"]}


def _group(name: str, spec: Spec) -> Group:
    settings = spec["spectra"]
    return {
        "name": name,
        "words": image_class(spec["network"]["dataset"]).words,
        "sigmas": settings["sigmas"],
        "images": settings["test_images"][:IMAGES],
        "denoisers": [],
    }


def _views(path: Path) -> list[list[dict[str, Any]]]:
    arrays, _ = read_spectra(path, names=_USED)
    images, levels = arrays["eigenvalues"].shape[:2]
    return [[_view(arrays, (i, s)) for s in range(levels)] for i in range(min(images, IMAGES))]


def _view(arrays: dict[str, NDArray[Any]], at: tuple[int, int]) -> dict[str, Any]:
    clean = arrays["clean"][at[0]]
    noisy, denoised = arrays["noisy"][at], arrays["denoised"][at]
    vectors = arrays["eigenvectors"][at].reshape(-1, *clean.shape)
    values, coefficients = arrays["eigenvalues"][at], np.abs(arrays["clean_coefficients"][at])
    shown = ranks(len(values))
    return {
        "clean": intensities(clean),
        "noisy": intensities(noisy),
        "denoised": intensities(denoised),
        "input": round(psnr(noisy, clean), 2),
        "output": round(psnr(denoised, clean), 2),
        **{name: _short(arrays[name][at]) for name in ("trace", "effective_rank", "asymmetry")},
        "k": [k + 1 for k in shown],
        "values": [_short(values[k]) for k in shown],
        "coefficients": [_short(coefficients[k]) for k in shown],
        "vectors": [signed(vector) for vector in vectors],
        "of_vectors": [[_short(values[k]), _short(coefficients[k])] for k in range(len(vectors))],
    }


def ranks(count: int) -> list[int]:
    """Places of the eigenvalues that are drawn: the first all, the others ever more thinly."""
    if count <= ALL:
        return list(range(count))
    beyond = np.geomspace(ALL + 1, count, MORE).round().astype(int) - 1
    return [*range(ALL), *np.unique(beyond).tolist()]


def _short(value: Any) -> float:
    return float(f"{float(value):.{DIGITS}g}")
