"""Synthetic results of networks beside exact and classical denoisers, for the figures of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gahb.artifacts import provenance, write_table
from helpers.figure_results import (
    contour_image,
    evaluation,
    network,
    smoothing_basis,
    store_spectra,
)

LEVELS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
SPECTRA_LEVELS = [0.04, 0.1, 0.3]
WINDOW = [0.02, 0.5]
LOWER, UPPER = "known-contour", ["wavelets", "wavelets-spun", "bandlets", "bandlets-spun"]
ALPHAS = {"alpha1": 1.0, "alpha2": 2.0, "alpha3": 3.0, "alpha4": 4.0, "alpha5": 5.0}
SPLIT = "S1"
OTHER_IMAGES = 0.7  # dB by which the 64 images of references are easier than the 128 of networks


def theories(alpha: float) -> dict[str, float]:
    """Theoretical slopes of the references of C^alpha images, all different."""
    return {LOWER: 1 - 1 / alpha} | {
        name: 0.501 + 0.01 * alpha + 0.002 * place for place, name in enumerate(UPPER)
    }


PARAMETERS: dict[str, dict[str, Any]] = {
    "disks": {"rendering": "antialiased", "parameters": "continuous"},
    "gaussian": {"exponent": 3, "mean": 0.5, "standard_deviation": 0.2},
    "rays": {"exponent": 2},
    "sines": {"frequency": [2, 3]},
}


def dataset(kind: str, side: int, **more: Any) -> dict[str, Any]:
    """The dataset of a spec."""
    common = {"class": kind, "size": side, "images": 2200, "test_images": 200, "seed": 7}
    return common | PARAMETERS.get(kind, {}) | more


def calpha(side: int, alpha: float) -> dict[str, Any]:
    more = {"alpha": alpha, "background_alpha": alpha, "rendering": "antialiased"}
    return dataset("calpha", side, **more)


def head_of(experiment: str, size: int, images: dict[str, Any]) -> dict[str, Any]:
    """The network section of a spec."""
    changed = {"image_class": experiment, "dataset": images}
    return network(experiment, size, SPLIT) | changed


def reference_head(image_class: str, name: str, images: dict[str, Any]) -> dict[str, Any]:
    """What the specs of a reference denoiser's table and spectra share."""
    return {
        "image_class": image_class,
        "dataset": images,
        "reference": {"name": name, "denoiser": "exact", "images": 64},
    }


class Results:
    """Tables and spectra of some experiments, and the tables over all of them."""

    def __init__(self, folder: Path, side: int) -> None:
        self.folder, self.side = folder, side
        self.files: dict[str, list[Path]] = {}
        self.psnr: dict[tuple[str, Any], np.ndarray] = {}  # (experiment, N or reference) on test
        self.summary: list[dict[str, Any]] = []
        self.references: list[dict[str, Any]] = []

    def add_network(
        self, experiment: str, size: int, images: dict[str, Any], psnr: np.ndarray
    ) -> None:
        spec = {"network": head_of(experiment, size, images), "evaluation": evaluation(LEVELS)}
        path = self.folder / "evaluation" / experiment / f"N{size}_{SPLIT}.csv"
        frames = [_rows("network", where, psnr, 128) for where in ("own", "other", "test")]
        write_table(path, pd.concat(frames), provenance(spec))
        self.files.setdefault(experiment, []).append(path)
        self.psnr[experiment, size] = psnr
        row = {"experiment": experiment, "alpha": images.get("alpha", np.nan), "set_size": size}
        empty = (
            *("gap", "gap_se", "largest_gap", "agreement", "agreement_se"),
            *("agreement_same_set", "agreement_same_set_se", "gap_between", "slope_between"),
            *("oracle_slope", "slope_above_oracle", "slope_above_oracle_se"),
        )
        alpha = images.get("alpha", np.nan)
        more = {"trainings": 1, "pooled_cells": 0, "theoretical_slope": 1 - 1 / alpha}
        self.summary.append(
            row
            | {"split": SPLIT, "updates": 1234}
            | more
            | dict.fromkeys(empty, np.nan)
            | _fit(psnr)
        )

    def add_reference(
        self,
        experiment: str,
        name: str,
        images: dict[str, Any],
        psnr: np.ndarray,
        theory: float = 1.0,
    ) -> None:
        spec = reference_head(experiment, name, images) | {"evaluation": evaluation(LEVELS)}
        path = self.folder / "evaluation/references" / experiment / f"{name}.csv"
        write_table(path, _rows(name, "test", psnr + OTHER_IMAGES, 64), provenance(spec))
        self.files.setdefault(experiment, []).append(path)
        self.psnr[experiment, name] = psnr
        row = {"image_class": experiment, "reference": name, "images": 64}
        self.references.append(row | _fit(psnr) | {"theoretical_slope": theory})

    def write_tables(self) -> list[Path]:
        """The summary, the table of references and the table of gaps."""
        gaps = [
            {
                "experiment": experiment,
                "image_class": experiment,
                "set_size": size,
                "split": SPLIT,
                "reference": reference,
                "sigma": LEVELS[at],
                "input_psnr": -20 * np.log10(LEVELS[at]),
                "images": 64,
                "reference_gap": exact[at] - learned[at],
                "reference_gap_se": 0.06 + 0.02 * at,
                "reference_gap_between": 0.1,
            }
            for (experiment, size), learned in self.psnr.items()
            if isinstance(size, int)
            for (other, reference), exact in self.psnr.items()
            if other == experiment and isinstance(reference, str)
            for at in range(len(LEVELS))
        ]
        paths = []
        for name, rows in (
            ("summary", self.summary),
            ("references", self.references),
            ("gaps", gaps),
        ):
            paths.append(self.folder / "evaluation" / f"{name}.csv")
            write_table(paths[-1], pd.DataFrame(rows), provenance({}))
        return paths


def _rows(denoiser: str, where: str, psnr: np.ndarray, images: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "denoiser": denoiser,
            "evaluated_on": where,
            "sigma": LEVELS,
            "input_psnr": -20 * np.log10(LEVELS),
            "images": images,
            "draws": images,
            "psnr_of_mean_mse": psnr,
            "psnr_of_mean_mse_se": 0.15,
            "mean_psnr": psnr + 0.4,
            "mean_psnr_se": 0.15,
        }
    )


def _fit(psnr: np.ndarray) -> dict[str, float]:
    sigma = np.array(LEVELS)
    inside = (sigma >= WINDOW[0]) & (sigma <= WINDOW[1])
    slope = np.polyfit(-20 * np.log10(sigma[inside]), psnr[inside], 1)[0]
    return {
        "slope": slope,
        "slope_se": 0.004,
        "sigma_low": WINDOW[0],
        "sigma_high": WINDOW[1],
    }


def write_results(
    folder: Path, side: int = 12, spectra_levels: list[float] = SPECTRA_LEVELS
) -> dict[str, list[Path]]:
    """Inputs of each figure; curves and eigenvalues have the shapes that real ones have."""
    results = Results(folder, side)
    level = -20 * np.log10(LEVELS)
    for kind, dimension in (("disks", 5), ("rays", 1), ("sines", 2)):
        images = dataset(kind, side)
        gain = 10 * np.log10(side**2 / dimension)
        exact = level + gain + 4 / (1 + (level / 12) ** 2)
        results.add_reference(kind, "exact", images, exact)
        for size, loss in {10: 0.5, 100: 0.2, 1000: 0.05}.items():
            if kind == "disks" or size == 1000:
                results.add_network(kind, size, images, exact - 1 - loss * level)
    results.add_reference("gaussian", "exact", dataset("gaussian", side), 10 + 0.7 * level)
    gaussian_network = 10 + 0.7 * level - 0.2 - 0.004 * level
    results.add_network("gaussian", 1000, dataset("gaussian", side), gaussian_network)
    for experiment, alpha in ALPHAS.items():
        images, learned = calpha(side, alpha), 14 + 1.3 * alpha + level * alpha / (alpha + 1.2)
        results.add_network(experiment, 1000, images, learned)
        for (name, theory), above in zip(
            theories(alpha).items(), (2.5, -3.5, -2.0, -1.2, 0.4), strict=True
        ):
            psnr = learned + above * (1 + level / 40)
            results.add_reference(experiment, name, images, psnr, theory)
    base = calpha(side, 2.0)
    shuffled = dataset("shuffled", side, permutation_seed=3, of=base)
    results.add_network("alpha2-shuffled", 1000, shuffled, 12 + 0.62 * level)
    tables = results.write_tables()
    spectra = write_spectra_of_all(folder / "spectra", side, spectra_levels)
    files = results.files
    return {
        "optimum": [*tables, *files["disks"], *spectra["disks"]],
        "bounds": [*tables, *(path for name in ALPHAS for path in files[name])],
        "wiener": [*tables, *files["gaussian"], *spectra["gaussian"]],
        "shuffled": [*tables, *files["alpha2"], *files["alpha2-shuffled"], *spectra["shuffled"]],
        "cones": [*tables, *files["rays"], *files["sines"]],
    }


def write_spectra_of_all(folder: Path, side: int, levels: list[float]) -> dict[str, list[Path]]:
    """Spectra of the networks of disks, Gaussian fields and C^alpha images, and of optima."""

    def network_file(experiment: str, images: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
        head = {"network": head_of(experiment, 1000, images)}
        return folder / experiment / f"N1000_{SPLIT}.h5", head

    disks = {position: disk(side, *_PARAMETERS[position]) for position in (0, 5)}
    fields = {position: field(side, position) for position in (0, 5)}
    found: dict[str, list[Path]] = {"disks": [], "gaussian": [], "shuffled": []}
    for kind, clean, of_network, of_optimum in (
        ("disks", disks, _learned_disk, _exact_disk),
        ("gaussian", fields, _learned_field, _exact_field),
    ):
        path, head = network_file(kind, dataset(kind, side))
        store_spectra(path, head, clean, levels, of_network, 24)
        exact = folder / kind / "exact.h5"
        head = reference_head(kind, "exact", dataset(kind, side))
        store_spectra(exact, head, clean, levels, of_optimum, 24, asymmetry=0.0)
        found[kind] = [path, exact]
    image = contour_image(side, 2.0, 5)
    order = np.random.default_rng(3).permutation(side**2)
    mixed = image.ravel()[order].reshape(side, side)
    base = calpha(side, 2.0)
    shuffled = dataset("shuffled", side, permutation_seed=3, of=base)
    for experiment, clean, images in (
        ("alpha2", image, base),
        ("alpha2-shuffled", mixed, shuffled),
    ):
        path, head = network_file(experiment, images)
        store_spectra(path, head, {5: clean}, [0.1], lambda *given: smoothing_basis(given[1]), 24)
        found["shuffled"].append(path)
    return found


_PARAMETERS = {0: (0.45, 0.55, 0.2, 0.8, 0.25), 5: (0.55, 0.4, 0.17, 0.2, 0.7)}


def disk(side: int, row: float, column: float, radius: float, inner: float, outer: float) -> Any:
    """An antialiased disk; centre and radius in units of the side."""
    at = (np.arange(side) + 0.5) / side
    distance = np.hypot(at[:, None] - row, at[None, :] - column)
    mask = np.clip((radius - distance) * side + 0.5, 0, 1)
    return outer + (inner - outer) * mask


def _tangent(position: int, side: int) -> np.ndarray:
    """(d, 5) derivatives of the image with respect to its parameters."""
    centre, columns = np.array(_PARAMETERS[position]), []
    for axis in range(5):
        step = 0.5 / side * np.eye(5)[axis]
        moved = disk(side, *(centre + step)) - disk(side, *(centre - step))
        columns.append(moved.ravel() / np.linalg.norm(moved))
    return np.stack(columns, axis=1)


def _filled(leading: np.ndarray, seed: int) -> np.ndarray:
    """An orthonormal basis (d, d) that begins with the span of ``leading``."""
    rest = np.random.default_rng(seed).standard_normal(
        (len(leading), len(leading) - leading.shape[1])
    )
    return np.linalg.qr(np.hstack([leading, rest]))[0]


def _exact_disk(position: int, clean: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    tail = 0.3 * sigma * np.exp(-np.arange(clean.size - 5) / 8)
    values = np.concatenate([[1.0, 0.999, 0.99, 0.98, 0.96], tail])
    return values, _filled(_tangent(position, len(clean)), 1)


def _learned_disk(position: int, clean: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    edge = smoothing_basis(clean)[1][:, :8]
    tangent = np.linalg.qr(_tangent(position, len(clean)))[0]
    values = np.concatenate(
        [
            [1.18, 1.07, 1.0, 0.99, 0.95],
            0.7 * 0.03 ** (sigma + 0.02) * np.exp(-np.arange(clean.size - 5) / 6),
        ]
    )
    return values, _filled(np.hstack([tangent @ _turn(5) + 0.1 * edge[:, :5], edge[:, 5:]]), 2)


def _turn(count: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(4).standard_normal((count, count)))[0]


def _waves(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Power P_k, descending, and real waves (d, d) of a stationary field."""
    at = np.arange(side)
    waves = np.cos(np.pi * np.outer(at + 0.5, at) / side)
    waves /= np.linalg.norm(waves, axis=0)
    power = 1 / (1 + at[:, None] ** 2 + at[None, :] ** 2) ** 1.5
    order = np.argsort(-power.ravel(), kind="stable")
    return power.ravel()[order], np.kron(waves, waves)[:, order]


def field(side: int, seed: int) -> np.ndarray:
    power, waves = _waves(side)
    draws = np.random.default_rng(seed).standard_normal(power.size)
    return 0.5 + 0.3 * (waves @ (np.sqrt(power) * draws)).reshape(side, side)


def _exact_field(_: int, clean: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    power, waves = _waves(len(clean))
    return power / (power + sigma**2), waves


def _learned_field(_: int, clean: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    values, waves = _exact_field(_, clean, sigma)
    learned = (
        1.06 * values**1.1 - 0.03 + 0.03 * np.random.default_rng(6).standard_normal(values.size)
    )
    return np.sort(learned)[::-1], waves
