"""Synthetic results of several disjoint training sets, in the form that evaluation and samples write.

Copies of training images first, then one function: what figures of memorisation, its onset and the
density bound are drawn from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gahb.artifacts import provenance, write_table
from helpers.figure_results import lines_of, network

SIZES = [4, 16, 64, 256, 1024, 4096]
CALPHA_SIZES = [1, 10, 100, 1000, 10000]
SIGMAS = [2.0, 1.0, 0.631, 0.398, 0.251, 0.158, 0.1, 0.0631, 0.0398, 0.0251, 0.02]
UPDATES = [25, 42, 71, 119, 200, 336, 565, 951, 1600]
PIXELS = {"disks-small": 256, "gaussian-small": 256, "rays-small": 256, "sines-small": 256}
EASE = {"gaussian-small": 2.0, "alpha2": 0.6, "rays-small": 0.2, "sines-small": 0.3}  # times errors
SAMPLES = 64


def mean_squared_error(sigma: Any) -> Any:
    """Of a typical optimal denoiser of images whose pixels have a variance of 0.05."""
    return sigma**2 * 0.05 / (sigma**2 + 0.05)


def errors(experiment: str, size: int, update: float, sigma: Any) -> dict[str, Any]:
    """What K networks of N images might err after some updates: copies first, then one function."""
    exact = experiment in PIXELS
    scale = mean_squared_error(sigma) * EASE.get(experiment, 1.0)
    learned = 1 - np.exp(-update / 150)
    memory = learned / (1 + size / (60 * EASE.get(experiment, 1.0)))
    variance = scale * (0.9 * memory + 0.004 * learned)
    bias = scale * (0.35 * (1 - learned) + 0.022 + 0.06 * memory)
    bias = np.where((size > 1000) & (np.asarray(sigma) >= 1), -0.0002 * scale, bias)
    own = scale * (0.5 * np.clip(1 - memory, 0, 1) ** 1.5 + 0.02)
    if not exact:
        bias = scale * np.nan
    return {
        "variance": variance,
        "bias": bias,
        "excess": variance + bias,
        "exact_mse": 0.2 * scale if exact else scale * np.nan,
        "empirical_distance": own + 0.3 * variance,
        "own_empirical_distance": own,
        "cosine": 1 - variance,
        "correlation": 1 - 2 * variance,
        "closest_cosine": 0.9 + 0.05 * variance,
        "closest_correlation": 0.6 + 0.3 * variance,
        "mse": 0.2 * scale + variance + np.nan_to_num(bias),
    }


def ensemble(experiment: str, sizes: list[int], networks: int) -> dict[str, Any]:
    described = network(experiment, 1, "S1")
    return {key: value for key, value in described.items() if key not in ("set_size", "split")} | {
        "set_sizes": sizes,
        "splits": [f"S{number + 1}" for number in range(networks)],
    }


def write_ensembles(
    folder: Path,
    experiment: str,
    sizes: list[int] = SIZES,
    networks: int = 4,
    updates: list[int] = UPDATES[-1:],
    sigmas: list[float] = SIGMAS,
) -> Path:
    rows = []
    for size in sizes:
        for update in updates:
            for sigma in sigmas:
                measured = errors(experiment, size, update, sigma)
                rows.append(
                    {
                        "set_size": size,
                        "update": update,
                        "sigma": sigma,
                        "input_psnr": -20 * np.log10(sigma),
                        "networks": networks,
                        "images": 128,
                    }
                    | measured
                    | {f"{name}_se": 0.06 * abs(value) for name, value in measured.items()}
                    | {"bias_se": 0.06 * measured["excess"]}
                )
    path = folder / "evaluation" / experiment / "ensembles.csv"
    settings = {"seed": 0, "sigmas": sigmas, "images": 128}
    spec = {"ensemble": ensemble(experiment, sizes, networks), "measured": settings}
    write_table(path, pd.DataFrame(rows), provenance(spec))
    return path


def sample_rows(size: int, update: float) -> pd.DataFrame:
    """The table of one pair: few images are copied, and the sooner the fewer."""
    learned = 1 / (1 + (4.5 * size / update) ** 3)
    share = round(SAMPLES * learned) / SAMPLES
    rows = []

    def add(quantity: str, network: str, known: str, measure: str, mean: float, se: float) -> None:
        rows.append((quantity, network, known, measure, mean, se, SAMPLES))

    for measure in ("cosine", "correlation"):
        pair = 0.3 + 0.6 * (1 - learned) * (1 - np.exp(-update / 300))
        add("pair_similarity", "both", "none", measure, pair, 0.015)
        add("twin_similarity", "none", "both", measure, 0.6, 0.02)
        for one in ("S1", "S2"):
            for known in ("S1", "S2"):
                closest = 0.75 + 0.24 * learned * (one == known) + 0.02 * np.log10(size)
                add("closest_similarity", one, known, measure, min(closest, 1.0), 0.006)
                copied = round(SAMPLES * learned**0.5) / SAMPLES * (one == known)
                add("copied", one, known, measure, copied, 0.01)
    for one, p in (("S1", 0.25), ("S2", 0.125)):
        add("fresh_similarity", "none", one, "correlation", 0.7, 0.004)
        add("principal_variance_ratio", one, "none", "leading", 0.9, 0.05)
        add("p_value", one, "none", "euclidean", p, np.nan)
        for known in ("S1", "S2"):
            mean = share if one == known else 1 / SAMPLES
            if size == 1:
                mean = np.nan
            spread = np.sqrt(mean * (1 - mean) / (SAMPLES - 1))
            add("memorised", one, known, "scaled_ratio", mean, spread)
            add("memorised", one, known, "distance_ratio", mean / 2, spread / 2)
        add("calls", one, "none", "count", 63.0, 0.0)
    columns = ["quantity", "network", "training_set", "measure", "mean", "se", "count"]
    return pd.DataFrame(rows, columns=columns)


def sampling() -> dict[str, Any]:
    return {"seed": 2, "sampler": {"kind": "ode", "steps": 32}, "samples": SAMPLES} | {
        "duplicate_threshold": 0.95
    }


def write_samples(folder: Path, experiment: str, sizes: list[int] = SIZES) -> list[Path]:
    paths = []
    for size in sizes:
        path = folder / "samples" / experiment / f"N{size}.csv"
        spec = {
            "first": network(experiment, size, "S1"),
            "second": network(experiment, size, "S2"),
            "sampling": sampling(),
        }
        write_table(path, sample_rows(size, UPDATES[-1]), provenance(spec))
        paths.append(path)
    return paths


def write_updates(folder: Path, experiment: str, sizes: list[int] = SIZES) -> Path:
    parts = [
        sample_rows(size, update).assign(set_size=size, update=update)
        for size in sizes
        for update in UPDATES
    ]
    path = folder / "samples" / experiment / "updates.csv"
    spec = {"ensemble": ensemble(experiment, sizes, 2), "sampling": sampling()}
    write_table(path, pd.concat(parts), provenance(spec))
    return path


def write_density(folder: Path, experiments: dict[str, tuple[list[int], int]]) -> Path:
    """Integrals of what :func:`write_ensembles` writes, by the trapezoidal rule."""
    rows = []
    inner = np.array(SIGMAS[:0:-1])
    for experiment, (sizes, networks) in experiments.items():
        pixels = PIXELS[experiment]
        for size in sizes:
            measured = errors(experiment, size, UPDATES[-1], inner)
            parts = {
                name: float(np.trapezoid(pixels * measured[part] / inner**2, np.log(inner)))
                for name, part in (
                    ("kl", "excess"),
                    ("kl_variance", "variance"),
                    ("kl_bias", "bias"),
                )
            }
            outer = np.array([1.0, 2.0])
            beyond = pixels * errors(experiment, size, UPDATES[-1], outer)["excess"] / outer**2
            rows.append(
                {
                    "experiment": experiment,
                    "image_class": experiment,
                    "set_size": size,
                    "networks": networks,
                    "images": 128,
                    "pixels": pixels,
                    "sigma_low": 0.02,
                    "sigma_high": 1.0,
                    "kl_quadrature": 0.02 * parts["kl"],
                    "kl_between": 0.1 * parts["kl"],
                    "bits_per_pixel": parts["kl"] / pixels / np.log(2),
                    "kl_outside": float(np.trapezoid(3 * beyond, np.log(outer))),
                    "kl_outside_se": 0.3,
                    "outside_low": 1.0,
                    "outside_high": 2.0,
                    "start": 6.4,
                    "bound": 0.0,
                    "exponent_low": 1.0,
                    "per_efold_low": float(pixels * measured["excess"][0] / inner[0] ** 2),
                }
                | parts
                | {f"{name}_se": 0.05 * abs(value) for name, value in parts.items()}
            )
    path = folder / "evaluation" / "density.csv"
    write_table(path, pd.DataFrame(rows), provenance({}))
    return path


SPECS: dict[str, dict[str, Any]] = {
    "memorisation": {
        "title": "What networks share",
        "experiments": ["disks-small", "gaussian-small", "alpha2"],
        "sigmas": [0.1, 1.0],
    },
    "onset": {"title": "When memorisation sets in", "experiment": "disks-small", "sigma": 0.1},
    "density": {
        "title": "How far densities may be",
        "experiments": ["disks-small", "gaussian-small", "rays-small", "sines-small"],
    },
    "outputs": {
        "title": "What two networks make",
        "experiment": "disks-small",
        "measure": "correlation",
    },
}
FEW = [64, 1024]


def all_tables(folder: Path) -> list[Path]:
    """Tables of all figures together: each must leave aside those of the others."""
    return [
        write_ensembles(folder, "disks-small", updates=UPDATES),
        write_ensembles(folder, "gaussian-small"),
        write_ensembles(folder, "alpha2", CALPHA_SIZES, 2),
        write_ensembles(folder, "rays-small", FEW, 2),
        write_ensembles(folder, "sines-small", FEW, 2),
        *write_samples(folder, "disks-small"),
        *write_samples(folder, "gaussian-small"),
        *write_samples(folder, "alpha2", CALPHA_SIZES),
        write_updates(folder, "disks-small"),
        write_density(
            folder,
            {
                "disks-small": (SIZES, 4),
                "gaussian-small": (SIZES, 4),
                "rays-small": (FEW, 2),
                "sines-small": (FEW, 2),
            },
        ),
    ]


def changed(path: Path, folder: Path, change: Any) -> Path:
    """A copy of a table with other rows."""
    sidecar = json.loads(path.with_suffix(".json").read_text())
    target = folder / path.parent.name / path.name
    write_table(target, change(pd.read_csv(path)), provenance(sidecar["spec"]))
    return target


def points_of(axes: Any) -> list[np.ndarray]:
    """Finite points of every line of a panel."""
    return [line[np.isfinite(line).all(axis=1)] for line in lines_of(axes)]


def has_line(axes: Any, expected: np.ndarray) -> bool:
    """Whether a line of a panel goes through these points."""
    return any(
        line.shape == expected.shape and np.allclose(line, expected, rtol=1e-9, atol=0)
        for line in points_of(axes)
    )
