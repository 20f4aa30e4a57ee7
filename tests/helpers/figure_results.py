"""Synthetic results in the form that evaluation and spectra write, and what figures are checked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gahb.artifacts import provenance, write_table
from gahb.figures.parts.style import PAGE_WIDTH, figure_style
from gahb.hdf5 import write_arrays
from gahb.spectra.eigen import fourier_quotients
from gahb.spectra.store import SCHEMA

SIZES = [1, 10, 100, 1000]
SIGMAS = [0.01, 0.03, 0.1, 0.3, 1.0]


def training_set(experiment: str, size: int, split: str, alpha: float = 2.0) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "image_class": f"alpha{alpha:g}",
        "dataset": {
            "class": "calpha",
            "alpha": alpha,
            "background_alpha": alpha,
            "rendering": "antialiased",
            "size": 24,
            "images": 2200,
            "test_images": 200,
            "seed": 7,
        },
        "set_size": size,
        "split": split,
    }


def network(experiment: str, size: int, split: str, alpha: float = 2.0) -> dict[str, Any]:
    return training_set(experiment, size, split, alpha) | {
        "architecture": {"network": "unet", "blocks": 2, "channels": 16},
        "training": {
            "seed": 0,
            "updates": 1234,
            "batch_size": 128,
            "noise_law": "log_uniform",
            "sigma_range": [0.005, 1.0],
            "weighting": "inverse_variance",
            "optimiser": "adam",
            "learning_rate": 0.002,
        },
    }


def evaluation(sigmas: list[float] = SIGMAS) -> dict[str, Any]:
    return {"seed": 3, "sigmas": sigmas, "images": 128, "minimum_draws": 64, "threads": 2}


def slope_of(alpha: float) -> float:
    return alpha / (alpha + 1) - 0.03


def psnr_rows(
    denoiser: str, size: int, alpha: float, sigmas: list[float], jitter: float
) -> pd.DataFrame:
    """Curves of the shapes that training gives: copies for small N, one curve for large N."""
    level = -20 * np.log10(np.array(sigmas))
    optimal = 14.5 + 1.3 * alpha + slope_of(alpha) * level
    memory = float(np.clip(1.1 - 0.3 * np.log10(size) ** 1.35, 0, 1))
    memorised = np.minimum(0.66 * level + 21 - 3 * np.log10(size), 45)
    generic = 9 + 1.6 * np.log10(size) - 1.5 * np.exp(-level / 8)
    curves = {
        "own": optimal + memory * (memorised - optimal) + 0.05,
        "other": optimal + memory * (generic - optimal),
        "test": optimal + memory * (generic - optimal) + jitter,
    }
    if denoiser == "memorising":
        exact = 20 + 1.2 * level**1.3 - 4 * np.log10(size)
        perfect = exact > 60 if size > 1 else np.ones_like(exact, dtype=bool)
        curves["own"] = np.where(perfect, np.inf, exact)
        curves["test"] = generic - 1
        curves["other"] = generic - 1
    parts = []
    for evaluated_on, values in curves.items():
        images = min(size, 128) if evaluated_on != "test" else 128
        se = np.where(np.isfinite(values), 0.25 + 2.5 / np.sqrt(images), np.nan)
        parts.append(
            pd.DataFrame(
                {
                    "denoiser": denoiser,
                    "evaluated_on": evaluated_on,
                    "sigma": sigmas,
                    "input_psnr": level,
                    "images": images,
                    "draws": max(images, 64),
                    "psnr_of_mean_mse": values - 0.4,
                    "psnr_of_mean_mse_se": se,
                    "mean_psnr": values,
                    "mean_psnr_se": se,
                }
            )
        )
    return pd.concat(parts)


def write_evaluation(
    folder: Path,
    experiment: str,
    alpha: float = 2.0,
    sizes: list[int] = SIZES,
    sigmas: list[float] = SIGMAS,
) -> list[Path]:
    """All tables of one experiment; returns their paths."""
    paths = []
    for size in sizes:
        for split in ("S1", "S2"):
            for denoiser, resolve, name in (
                ("network", network, ""),
                ("memorising", training_set, "_memorising"),
            ):
                path = folder / experiment / f"N{size}{name}_{split}.csv"
                spec = {
                    denoiser: resolve(experiment, size, split, alpha),
                    "evaluation": evaluation(sigmas),
                }
                table = psnr_rows(denoiser, size, alpha, sigmas, 0.1 * (split == "S2"))
                write_table(path, table, provenance(spec))
                paths.append(path)
        level = -20 * np.log10(np.array(sigmas))
        agreement = pd.DataFrame(
            {
                "sigma": sigmas,
                "input_psnr": level,
                "images": 128,
                "psnr_between": 7 + 6.5 * np.log10(size) * (1 + level / 60),
                "psnr_between_se": 0.3,
            }
        )
        path = folder / experiment / f"N{size}_agreement.csv"
        spec = {
            "first": network(experiment, size, "S1", alpha),
            "second": network(experiment, size, "S2", alpha),
            "evaluation": evaluation(sigmas),
        }
        write_table(path, agreement, provenance(spec))
        paths.append(path)
    return paths


def write_summary(
    folder: Path, alphas: dict[str, float], sizes: list[int] = SIZES, splits: str = "S1 S2"
) -> Path:
    rows = []
    for experiment, alpha in alphas.items():
        for size in sizes:
            for split in splits.split():
                gap = 24 * np.clip(1.05 - 0.3 * np.log10(size), 0.004, 1)
                rows.append(
                    {
                        "experiment": experiment,
                        "image_class": f"alpha{alpha:g}",
                        "alpha": alpha,
                        "set_size": size,
                        "split": split,
                        "updates": 1234,
                        "gap": gap + 0.6 * (split == "S2") / size,
                        "gap_se": 0.1 + 1.5 / size,
                        "largest_gap": 1.4 * gap + 0.1,
                        "slope": slope_of(alpha),
                        "slope_se": 0.012,
                        "sigma_low": 0.03,
                        "sigma_high": 0.3,
                        "theoretical_slope": 1 - 1 / alpha,
                        "agreement": 8 + 7.4 * np.log10(size) if len(splits) > 2 else np.nan,
                        "agreement_se": 0.2 if len(splits) > 2 else np.nan,
                        "agreement_same_set": 12 + 7 * np.log10(size) if size > 50 else np.nan,
                        "agreement_same_set_se": 0.2 if size > 50 else np.nan,
                        "gap_between": 0.5 + 2 / size,
                        "slope_between": 0.02,
                        "trainings": len(splits.split()),
                        "pooled_cells": 3,
                        "oracle_slope": slope_of(alpha) + 0.05,
                        "slope_above_oracle": -0.05,
                        "slope_above_oracle_se": 0.01,
                    }
                )
    path = folder / "summary.csv"
    write_table(path, pd.DataFrame(rows), provenance({"slope_window": [0.03, 0.3]}))
    return path


def contour_image(side: int, alpha: float, which: int = 0) -> np.ndarray:
    """Two smooth regions and a contour, in [0, 1]."""
    rng = np.random.default_rng([which, round(10 * alpha)])
    frequency = np.fft.fftfreq(side) * side
    radius = np.hypot(frequency[:, None], frequency[None, :]).clip(1)
    fields = [
        np.fft.ifft2(np.fft.fft2(rng.uniform(-1, 1, (side, side))) * radius**-alpha).real
        for _ in range(2)
    ]
    fields = [(field - field.min()) / np.ptp(field) for field in fields]
    line = np.fft.ifft(np.fft.fft(rng.uniform(-1, 1, side)) * np.abs(frequency).clip(1) ** -alpha)
    contour = side / 2 + 0.22 * side * line.real / np.abs(line.real).max()
    above = np.clip(np.arange(side)[:, None] - contour[None, :], 0, 1)
    return above * (0.25 * fields[0] + 0.7) + (1 - above) * 0.35 * fields[1]


def smoothing_basis(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (descending) and eigenvectors (d, d) of smoothing that stops at edges."""
    side = image.shape[0]
    count = side * side
    laplacian = np.zeros((count, count))
    index = np.arange(count).reshape(side, side)
    for near, far in ((index[1:], index[:-1]), (index[:, 1:], index[:, :-1])):
        a, b = near.ravel(), far.ravel()
        weight = np.exp(-((image.ravel()[a] - image.ravel()[b]) ** 2) / 0.02)
        laplacian[a, b] = laplacian[b, a] = -weight
    laplacian -= np.diag(laplacian.sum(1))
    values, vectors = np.linalg.eigh(laplacian)
    return np.exp(-6 * values), vectors


def store_spectra(
    path: Path,
    head: dict[str, Any],
    clean: dict[int, np.ndarray],
    sigmas: list[float],
    analyse: Callable[[int, np.ndarray, float], tuple[np.ndarray, np.ndarray]],
    kept: int,
    asymmetry: float = 0.12,
) -> None:
    """A spectra file of symmetric Jacobians.

    Args:
        path: of the file.
        head: what its spec says besides ``spectra``: the network, or the reference.
        clean: image by position in the test set.
        sigmas: noise levels.
        analyse: position, clean image and sigma to eigenvalues (descending) and eigenvectors (d, d).
        kept: eigenvectors.
        asymmetry: stored for all.
    """
    images: dict[str, list[Any]] = {}
    for position, image in clean.items():
        side = len(image)
        of_image: dict[str, list[Any]] = {}
        for level, sigma in enumerate(sigmas):
            seed = position if level == 0 else [position, level]
            noisy = image + sigma * np.random.default_rng(seed).standard_normal(image.shape)
            values, vectors = analyse(position, image, sigma)
            for name, value in {
                "noisy": noisy[None],
                "denoised": ((vectors * values) @ (vectors.T @ noisy.ravel())).reshape(
                    1, side, side
                ),
                "eigenvalues": values,
                "fourier_quotients": fourier_quotients((vectors * values) @ vectors.T, side, side),
                "least_eigenvalue": values.min(),
                "negative_mass": np.abs(values[values < 0]).sum() / np.abs(values).sum(),
                "eigenvalue_residuals": np.zeros_like(values),
                "singular_values": values,
                "eigenvectors": vectors.T.reshape(-1, side, side)[:kept],
                "clean_coefficients": vectors.T @ image.ravel(),
                "noisy_coefficients": vectors.T @ noisy.ravel(),
                "asymmetry": asymmetry,
                "asymmetry_se": 0.0,
                "homogeneity_residual": 3e-7,
                "trace": values.sum(),
                "trace_se": 0.0,
                "effective_rank": values.sum() ** 2 / (values**2).sum(),
                "leading_response": 0.9,
                "leading_response_se": 0.02,
                "null_response": 0.01,
                "null_response_se": 0.001,
            }.items():
                of_image.setdefault(name, []).append(value)
            of_image.setdefault("symmetric_denoised", []).append(of_image["denoised"][-1])
        images.setdefault("image_index", []).append(2000 + position)
        images.setdefault("clean", []).append(image[None])
        for name, value in of_image.items():
            images.setdefault(name, []).append(np.stack(value))
    settings = {
        "seed": 0,
        "test_images": list(clean),
        "sigmas": sigmas,
        "method": "full",
        "eigenvectors": kept,
        "threads": 2,
    }
    arrays = {"sigma": sigmas} | {name: np.stack(values) for name, values in images.items()}
    write_arrays(path, SCHEMA, arrays, {}, provenance(head | {"spectra": settings}))


def write_spectra(
    folder: Path,
    experiment: str,
    size: int,
    split: str = "S1",
    alpha: float = 2.0,
    side: int = 12,
    kept: int = 24,
    positions: tuple[int, ...] = (5,),
    sigma: float = 0.15,
) -> Path:
    """Spectra of a smoother for large N, of a blend of a few random images for N <= 10."""
    path = folder / experiment / f"N{size}_{split}.h5"

    def analysed(position: int, clean: np.ndarray, _: float) -> tuple[np.ndarray, np.ndarray]:
        if size > 10:
            return smoothing_basis(clean)
        others = np.stack([contour_image(side, alpha, 50 + n).ravel() for n in range(size)])
        rng = np.random.default_rng(1)
        filling = 0.02 * rng.standard_normal((clean.size, clean.size))
        filling[:, :size] += others.T
        vectors = np.linalg.qr(filling)[0]
        values = np.concatenate(
            [np.linspace(1, 0.4, size), 0.1 * np.arange(1, clean.size - size + 1) ** -0.4]
        )
        return values, vectors

    clean = {position: contour_image(side, alpha, position) for position in positions}
    head = {"network": network(experiment, size, split, alpha)}
    store_spectra(path, head, clean, [sigma], analysed, kept)
    return path


def check_text(figure: Any) -> None:
    """Text is large enough, on the page, and none of it lies on other text."""
    assert figure.get_figwidth() <= PAGE_WIDTH
    assert figure.get_figheight() <= 9.5
    with figure_style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        page = figure.bbox
        undrawn = _undrawn_tick_labels(figure)
        shown = [
            text
            for text in figure.findobj(matplotlib.text.Text)
            if text.get_text().strip() and text.get_visible() and text not in undrawn
        ]
        assert len(shown) > 20
        boxes = []
        for text in shown:
            assert text.get_fontsize() >= 8, text
            box = text.get_window_extent(renderer)
            assert box.x0 >= page.x0, text
            assert box.x1 <= page.x1, text
            assert box.y0 >= page.y0, text
            assert box.y1 <= page.y1, text
            boxes.append((box.shrunk(0.98, 0.9), text))
        for place, (box, text) in enumerate(boxes):
            for other, second in boxes[:place]:
                assert not box.overlaps(other), (text, second)


def _undrawn_tick_labels(figure: Any) -> set[Any]:
    """Labels of ticks beyond the limits of their axis: they exist and are not drawn."""
    undrawn = set()
    for axes in [*figure.axes, *(child for outer in figure.axes for child in outer.child_axes)]:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if not low <= tick.get_loc() <= high:
                    undrawn |= {tick.label1, tick.label2}
    return undrawn


def lines_of(axes: Any) -> list[np.ndarray]:
    return [np.asarray(line.get_xydata()) for line in axes.get_lines()]
