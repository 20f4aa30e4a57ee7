"""Figures draw tables and spectra as they are, with captions, into byte-stable files."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402

from gahb.artifacts import ArtifactError, create_hdf5, provenance, write_table  # noqa: E402
from gahb.figures import FIGURES, make_figure  # noqa: E402
from gahb.figures.captions import escape, parameters  # noqa: E402
from gahb.figures.options import check_options  # noqa: E402
from gahb.figures.style import (  # noqa: E402
    PAGE_WIDTH,
    figure_style,
    luminance,
    ordered_colours,
    spread,
)
from gahb.figures.tables import read_tables  # noqa: E402

SIZES = [1, 10, 100, 1000]
SIGMAS = [0.01, 0.03, 0.1, 0.3, 1.0]

# ---------------------------------------------------------------------------------------------
# Synthetic results in the form that evaluation and spectra write


def training_set(experiment: str, size: int, split: str, alpha: float = 2.0) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "image_class": f"alpha{alpha:g}",
        "dataset": {
            "class": "c_alpha",
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
            "weighting": "learned",
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
                        "theoretical_slope": alpha / (alpha + 1),
                        "agreement": 8 + 7.4 * np.log10(size) if len(splits) > 2 else np.nan,
                        "agreement_se": 0.2 if len(splits) > 2 else np.nan,
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
    arrays: dict[str, list[np.ndarray]] = {}
    for position in positions:
        clean = contour_image(side, alpha, position)
        noisy = clean + sigma * np.random.default_rng(position).standard_normal(clean.shape)
        if size > 10:
            values, vectors = smoothing_basis(clean)
        else:
            others = np.stack([contour_image(side, alpha, 50 + n).ravel() for n in range(size)])
            rng = np.random.default_rng(1)
            filling = 0.02 * rng.standard_normal((clean.size, clean.size))
            filling[:, :size] += others.T
            vectors = np.linalg.qr(filling)[0]
            values = np.concatenate(
                [np.linspace(1, 0.4, size), 0.1 * np.arange(1, clean.size - size + 1) ** -0.4]
            )
        eigenvectors = vectors.T.reshape(-1, side, side)
        denoised = (vectors * values) @ (vectors.T @ noisy.ravel())
        for name, value in {
            "image_index": 2000 + position,
            "clean": clean[None],
            "noisy": noisy[None, None],
            "denoised": denoised.reshape(1, 1, side, side),
            "eigenvalues": values[None],
            "singular_values": values[None],
            "eigenvectors": eigenvectors[None, :kept],
            "clean_coefficients": (vectors.T @ clean.ravel())[None],
            "noisy_coefficients": (vectors.T @ noisy.ravel())[None],
            "asymmetry": [0.12],
            "homogeneity_residual": [3e-7],
            "trace": [values.sum()],
            "trace_se": [0.0],
            "effective_rank": [values.sum() ** 2 / (values**2).sum()],
            "leading_response": [0.9],
            "null_response": [0.01],
        }.items():
            arrays.setdefault(name, []).append(np.asarray(value))
    spec = {
        "network": network(experiment, size, split, alpha),
        "spectra": {
            "seed": 0,
            "test_images": list(positions),
            "sigmas": [sigma],
            "method": "full",
            "eigenvectors": kept,
            "threads": 2,
        },
    }
    with create_hdf5(path, provenance(spec)) as file:
        file["sigma"] = np.array([sigma])
        for name, values in arrays.items():
            stacked = np.stack(values)
            file[name] = stacked if stacked.dtype.kind == "i" else stacked.astype(np.float32)
    return path


ALPHAS = {f"alpha{n}": float(n) for n in (1, 2, 3)}
SPECS: dict[str, dict[str, Any]] = {
    "transition": {
        "title": "From memorising to generalising",
        "experiment": "alpha2",
        "aggregation": "mean_psnr",
        "split": "S1",
    },
    "basis": {
        "title": "Two bases for one image",
        "experiment": "alpha2",
        "set_sizes": [10, 1000],
        "split": "S1",
        "image": 5,
        "sigma": 0.15,
        "eigenvectors": [1, 2, 5, 9, 20],
    },
    "regularity": {
        "title": "Slopes against regularity",
        "experiments": list(ALPHAS),
        "set_size": 1000,
        "split": "S1",
        "image": 5,
        "sigma": 0.15,
        "eigenvectors": [2, 9],
    },
    "gap": {"title": "Training set size", "experiment": "alpha2"},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Inputs of every figure, with files in them that the figure must leave aside."""
    folder = tmp_path_factory.mktemp("results")
    tables = {
        name: write_evaluation(folder / "evaluation", name, alpha) for name, alpha in ALPHAS.items()
    }
    summary = write_summary(folder / "evaluation", ALPHAS)
    spectra = [write_spectra(folder / "spectra", "alpha2", size) for size in (10, 1000)]
    spectra += [
        write_spectra(folder / "spectra", name, 1000, alpha=alpha)
        for name, alpha in ALPHAS.items()
        if name != "alpha2"
    ]
    every = [path for paths in tables.values() for path in paths]
    return {
        "transition": every,
        "basis": spectra,
        "regularity": [summary, *every, *spectra],
        "gap": [summary, *every],
    }


# ---------------------------------------------------------------------------------------------
# Files


@pytest.mark.parametrize("name", FIGURES)
def test_files_have_the_same_bytes_in_every_process(
    name: str, results: dict[str, list[Path]], tmp_path: Path
) -> None:
    program = (
        "import sys, json\n"
        "from gahb.figures import make_figure\n"
        "name, spec, inputs, outputs = json.loads(sys.argv[1])\n"
        "make_figure(name, inputs, spec, outputs)\n"
    )
    made = []
    for seed in ("1", "2"):  # of Python's hashes: no order of a set may show
        outputs = [tmp_path / seed / f"{name}.{suffix}" for suffix in ("png", "pdf", "rst")]
        asked = [name, SPECS[name], [*map(str, results[name])], [*map(str, outputs)]]
        source = Path(__file__).parents[1] / "src"
        subprocess.run(
            [sys.executable, "-c", program, json.dumps(asked)],
            check=True,
            env=os.environ
            | {
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": f"{source}:{os.environ.get('PYTHONPATH', '')}",
            },
            cwd=tmp_path,
        )
        made.append([path.read_bytes() for path in outputs])
    assert made[0] == made[1]
    png, pdf, _ = made[0]
    assert b"CreationDate" not in pdf
    for file in (png, pdf):
        assert matplotlib.__version__.encode() not in file


def test_a_matplotlibrc_changes_nothing(results: dict[str, list[Path]], tmp_path: Path) -> None:
    make_figure("gap", results["gap"], SPECS["gap"], [tmp_path / "a.png"])
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "savefig.dpi": 50}):
        make_figure("gap", results["gap"], SPECS["gap"], [tmp_path / "b.png"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_readable_and_inside_the_page(name: str, results: dict[str, list[Path]]) -> None:
    check_text(FIGURES[name].draw(results[name], SPECS[name]))


@pytest.mark.parametrize("sizes", [[1000], [1, 10**5], [1, 3, 10, 30, 100, 300, 1000, 3000, 10**4]])
def test_text_is_readable_for_any_set_sizes(sizes: list[int], tmp_path: Path) -> None:
    inputs = [
        *write_evaluation(tmp_path, "alpha2", sizes=sizes),
        write_summary(tmp_path, {"alpha2": 2.0}, sizes=sizes),
    ]
    for name in ("transition", "gap"):
        check_text(FIGURES[name].draw(inputs, SPECS[name]))


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


def test_an_unknown_figure_or_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="transition, basis, regularity, gap"):
        make_figure("spiral", [], {}, [])
    with pytest.raises(ValueError, match=r"a\.svg.*\.png"):
        make_figure("gap", [], SPECS["gap"], [tmp_path / "a.svg"])
    with pytest.raises(ValueError, match=r"weights\.safetensors"):
        make_figure("gap", ["weights.safetensors"], SPECS["gap"], [tmp_path / "a.png"])


# ---------------------------------------------------------------------------------------------
# What is drawn is what the tables say


def lines_of(axes: Any) -> list[np.ndarray]:
    return [np.asarray(line.get_xydata()) for line in axes.get_lines()]


def test_transition_draws_the_tables(results: dict[str, list[Path]]) -> None:
    figure = FIGURES["transition"].draw(results["transition"], SPECS["transition"])
    panels = figure.axes[:2]
    for axes, panel in zip(panels, ("own", "test"), strict=True):
        found = lines_of(axes)
        for size in SIZES:
            for name in ("", "_memorising"):
                path = next(
                    p
                    for p in results["transition"]
                    if p.parent.name == "alpha2" and p.name == f"N{size}{name}_S1.csv"
                )
                table = pd.read_csv(path).query("evaluated_on == @panel")
                expected = table[["input_psnr", "mean_psnr"]].to_numpy()
                assert any(
                    line.shape == expected.shape and np.array_equal(line, expected)
                    for line in found
                ), (panel, size, name)
    assert panels[0].get_shared_x_axes().joined(*panels)
    assert panels[0].get_shared_y_axes().joined(*panels)


def test_basis_draws_the_spectra(results: dict[str, list[Path]]) -> None:
    figure = FIGURES["basis"].draw(results["basis"], SPECS["basis"])
    images = [np.asarray(image.get_array()) for axes in figure.axes for image in axes.get_images()]
    curves = [line for axes in figure.axes for line in lines_of(axes)]
    titles = [axes.get_title() for axes in figure.axes]
    for path in results["basis"][:2]:
        with h5py.File(path) as file:
            for name in ("clean", "noisy", "denoised"):
                image = file[name][0].reshape(12, 12)
                assert any(np.array_equal(image, found) for found in images), name
            for k in SPECS["basis"]["eigenvectors"]:
                vector = file["eigenvectors"][0, 0, k - 1]
                assert any(np.array_equal(vector, found) for found in images), k
                assert f"k = {k}\nλ = {file['eigenvalues'][0, 0, k - 1]:.3f}" in titles
            for values in (file["eigenvalues"][0, 0], np.abs(file["clean_coefficients"][0, 0])):
                expected = np.column_stack([np.arange(1, values.size + 1), values])
                assert any(np.array_equal(line, expected) for line in curves)


def test_eigenvectors_are_centred_at_zero(results: dict[str, list[Path]]) -> None:
    figure = FIGURES["basis"].draw(results["basis"], SPECS["basis"])
    shown = [axes for axes in figure.axes if axes.get_title().startswith("k = ")]
    assert len(shown) == 10
    for axes in shown:
        (image,) = axes.get_images()
        low, high = image.get_clim()
        assert low == -high
        assert high == pytest.approx(np.quantile(np.abs(np.asarray(image.get_array())), 0.995))


def test_regularity_draws_curves_and_slopes(results: dict[str, list[Path]]) -> None:
    figure = FIGURES["regularity"].draw(results["regularity"], SPECS["regularity"])
    for axes, (name, alpha) in zip(
        [axes for axes in figure.axes if "α/(α+1)" in axes.get_title()], ALPHAS.items(), strict=True
    ):
        path = next(
            p for p in results["regularity"] if p.parent.name == name and p.name == "N1000_S1.csv"
        )
        table = pd.read_csv(path).query("evaluated_on == 'test'")
        curve, fit, theory = lines_of(axes)
        np.testing.assert_array_equal(curve, table[["input_psnr", "psnr_of_mean_mse"]].to_numpy())
        window = table.query("0.029 < sigma < 0.31")
        for line, slope in ((theory, alpha / (alpha + 1)), (fit, slope_of(alpha))):
            assert line[0, 0] == window["input_psnr"].min()
            assert line[-1, 0] == window["input_psnr"].max()
            assert np.diff(line[:, 1])[0] / np.diff(line[:, 0])[0] == pytest.approx(slope)
        assert theory[0, 1] == fit[0, 1]
        assert np.interp(window["input_psnr"].mean(), *fit.T) == pytest.approx(
            window["psnr_of_mean_mse"].mean()
        )
        assert f"fit {slope_of(alpha):.3f} ± 0.012" in axes.get_title()


def test_regularity_without_spectra_has_no_eigenvectors(results: dict[str, list[Path]]) -> None:
    tables = [path for path in results["regularity"] if path.suffix == ".csv"]
    figure = FIGURES["regularity"].draw(tables, SPECS["regularity"])
    assert not [axes for axes in figure.axes if axes.get_images()]
    assert "igenvector" not in FIGURES["regularity"].caption(tables, SPECS["regularity"])


def test_gap_draws_the_tables(results: dict[str, list[Path]]) -> None:
    figure = FIGURES["gap"].draw(results["gap"], SPECS["gap"])
    left, right = figure.axes
    summary = pd.read_csv(results["gap"][0]).query("experiment == 'alpha2'")
    heights = [line[:, 1] for line in lines_of(left)]
    for split in ("S1", "S2"):
        for column in ("gap", "largest_gap"):
            expected = summary.query("split == @split")[column].to_numpy()
            assert any(np.array_equal(found, expected) for found in heights), (split, column)
    pairs = summary.query("split == 'S1'")[["set_size", "agreement"]].to_numpy()
    assert any(np.array_equal(found, pairs) for found in lines_of(right))
    lowest = [
        pd.read_csv(path).set_index("sigma").loc[SIGMAS[0], "psnr_between"]
        for path in results["gap"]
        if path.parent.name == "alpha2" and "agreement" in path.name
    ]
    assert any(np.array_equal(found[:, 1], lowest) for found in lines_of(right))
    labels = [text.get_text() for text in right.texts]
    assert "mean over σ" in labels
    assert "σ = 0.01" in labels
    assert "σ = 1" in labels


# ---------------------------------------------------------------------------------------------
# Captions


@pytest.mark.parametrize("name", FIGURES)
def test_captions_print_the_parameters(name: str, results: dict[str, list[Path]]) -> None:
    caption = FIGURES[name].caption(results[name], SPECS[name])
    for expected in (
        SPECS[name]["title"],
        "updates 1234",
        "channels 16",
        "blocks 2",
        "alpha 2",
        "size 24",
        "noise law log\\_uniform",
        "weighting learned",
        "antialiased",
        "split S1",
        "1000",
    ):
        assert expected.replace(" / 3", "") in re.sub(r"1 / (?=2)", "", caption), expected


@pytest.mark.parametrize("name", FIGURES)
def test_captions_are_plain_restructuredtext(name: str, results: dict[str, list[Path]]) -> None:
    core = pytest.importorskip("docutils.core")
    spec = SPECS[name] | {
        "title": "odd |title| with *stars*, `ticks`, under_ {{ braces }} {% %} {# #}"
    }
    caption = FIGURES[name].caption(results[name], spec)
    rendered = pytest.importorskip("jinja2").Template(caption).render()  # as snakemake does
    document = core.publish_doctree(rendered, settings_overrides={"report_level": 5})
    from docutils import nodes

    assert not list(document.findall(nodes.system_message))
    assert "odd |title| with *stars*, `ticks`, under_ {{ braces }} {% %} {# #}" in document.astext()


def test_captions_print_measured_numbers(results: dict[str, list[Path]]) -> None:
    transition = FIGURES["transition"].caption(results["transition"], SPECS["transition"])
    path = next(
        p for p in results["transition"] if p.parent.name == "alpha2" and p.name == "N1_S1.csv"
    )
    own = pd.read_csv(path).query("evaluated_on == 'own'")["mean_psnr"].mean()
    assert f"{own:.2f}" in transition
    assert "memorising denoiser on own training set for N = 1, 10" in transition
    assert "number of updates and width" in FIGURES["gap"].caption(results["gap"], SPECS["gap"])
    with h5py.File(results["basis"][1]) as file:
        value = file["eigenvalues"][0, 0, 19]
    assert f"{value:.3f}" in FIGURES["basis"].caption(results["basis"], SPECS["basis"])
    with h5py.File(results["basis"][0]) as file:
        basis = FIGURES["basis"].caption(results["basis"], SPECS["basis"])
        assert f"{file['trace'][0, 0]:.1f}" in basis
        assert "0.900 and 0.010 for N = 10, 0.900 and 0.010 for N = 1000." in basis
    regularity = FIGURES["regularity"].caption(results["regularity"], SPECS["regularity"])
    assert f"{slope_of(3):.3f}" in regularity


def test_parameters_lists_what_differs_once() -> None:
    text = parameters(
        [
            {"network": {"set_size": 1, "training": {"updates": 5}}},
            {"network": {"set_size": 10, "training": {"updates": 5}}},
        ]
    )
    assert text == "- settings: set size 1 / 10\n- training: updates 5"
    pair = [{"first": {"split": "S1"}, "second": {"split": "S2"}}]
    assert parameters(pair) == "- settings: split S1 / S2"


def test_escape_keeps_text_on_one_line() -> None:
    assert escape("a\n {{b}}") == r"a \{\{b\}\}"


# ---------------------------------------------------------------------------------------------
# Errors


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "N1_S1.csv"
    spec = {"network": network("alpha2", 1, "S1"), "evaluation": evaluation()}
    table = psnr_rows("network", 1, 2.0, SIGMAS, 0.0)
    write_table(path, table.drop(columns=["mean_psnr_se", "images"]), provenance(spec))
    with pytest.raises(ArtifactError, match=r"N1_S1\.csv lacks .*images, mean_psnr_se; found"):
        read_tables([path])
    write_table(path, table[["sigma"]], provenance(spec))
    with pytest.raises(ArtifactError, match=r"N1_S1\.csv is no table .*found .*sigma; expected"):
        read_tables([path])
    write_table(path, table.iloc[:0], provenance(spec))
    with pytest.raises(ArtifactError, match=r"N1_S1\.csv has no rows"):
        read_tables([path])


def test_an_edited_table_is_refused(tmp_path: Path) -> None:
    path = write_summary(tmp_path, ALPHAS)
    path.write_text(path.read_text().replace("S1", "S2", 1))
    with pytest.raises(ArtifactError, match=r"summary\.csv is damaged or edited"):
        read_tables([path])


def test_a_missing_network_is_named(results: dict[str, list[Path]]) -> None:
    inputs = [
        path
        for path in results["transition"]
        if not (path.parent.name == "alpha2" and path.name == "N100_S1.csv")
    ]
    with pytest.raises(ArtifactError, match="network denoiser for N = 100, alpha2, S1"):
        FIGURES["transition"].draw(inputs, SPECS["transition"])
    with pytest.raises(ArtifactError, match=r"no psnr table of experiment rays.*\n.*N1_S1\.csv"):
        FIGURES["transition"].draw(inputs, SPECS["transition"] | {"experiment": "rays"})
    with pytest.raises(ArtifactError, match="exactly one table of summary"):
        FIGURES["gap"].draw(results["gap"][1:], SPECS["gap"])
    inputs = [path for path in results["gap"] if path.name != "N100_agreement.csv"]
    with pytest.raises(ArtifactError, match=r"1, 10, 100, 1000; .* for N = 1, 10, 1000"):
        FIGURES["gap"].draw(inputs, SPECS["gap"])
    with pytest.raises(ArtifactError, match="no spectra file of alpha2, N = 7, S1"):
        FIGURES["basis"].draw(results["basis"], SPECS["basis"] | {"set_sizes": [7, 1000]})


def test_what_a_spectra_file_lacks_is_named(results: dict[str, list[Path]], tmp_path: Path) -> None:
    basis = FIGURES["basis"].draw
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 has the test images 5 .* asks for 6"):
        basis(results["basis"], SPECS["basis"] | {"image": 6})
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 has the noise levels 0\.15; .* 0\.2"):
        basis(results["basis"], SPECS["basis"] | {"sigma": 0.2})
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 keeps 24 eigenvectors; .* 25"):
        basis(results["basis"], SPECS["basis"] | {"eigenvectors": [25]})
    few = write_spectra(tmp_path, "alpha2", 10)
    other = write_spectra(tmp_path, "alpha2", 1000, alpha=3.0)
    with pytest.raises(ArtifactError, match="do not hold the same clean image"):
        basis([few, other], SPECS["basis"])
    with h5py.File(few, "a") as file:
        del file["clean_coefficients"]
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 lacks .* clean_coefficients; found"):
        basis([few, other], SPECS["basis"])
    with h5py.File(few, "a") as file:
        file["clean_coefficients"] = np.zeros((1, 1, 3))
    with pytest.raises(ArtifactError, match=r"clean_coefficients has shape \(1, 1, 3\), expected"):
        basis([few, other], SPECS["basis"])


def test_other_hdf5_files_are_left_aside(results: dict[str, list[Path]], tmp_path: Path) -> None:
    path = tmp_path / "N10_S1.h5"  # evaluation keeps the error of each draw in such a file
    spec = {"network": network("alpha2", 10, "S1"), "evaluation": evaluation()}
    with create_hdf5(path, provenance(spec)) as file:
        file["mse"] = np.zeros(3)
    assert FIGURES["basis"].draw([path, *results["basis"]], SPECS["basis"]).axes


def test_a_truncated_spectra_file_is_refused(tmp_path: Path) -> None:
    path = write_spectra(tmp_path, "alpha2", 10)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ArtifactError, match=r"N10_S1\.h5 is damaged or truncated"):
        FIGURES["basis"].draw([path], SPECS["basis"])


def test_a_class_without_slope_is_refused(tmp_path: Path) -> None:
    inputs = [
        *write_evaluation(tmp_path, "faces", float("nan"), sizes=[1000]),
        write_summary(tmp_path, {"faces": float("nan")}, sizes=[1000]),
    ]
    with pytest.raises(ArtifactError, match=r"summary\.csv: no alpha, slope .*faces"):
        FIGURES["regularity"].draw(inputs, SPECS["regularity"] | {"experiments": ["faces"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "no option colour; it takes title"),
        ({"aggregation": "median"}, "'aggregation': found 'median', expected mean_psnr or"),
        ({"split": "S3"}, "'split': found 'S3', expected S1 or S2"),
        ({"title": 3}, "'title': found 3"),
    ],
)
def test_wrong_options_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FIGURES["transition"].draw([], SPECS["transition"] | change)


@pytest.mark.parametrize("name", FIGURES)
def test_missing_options_are_named(name: str) -> None:
    for option in FIGURES[name].options:
        spec = {key: value for key, value in SPECS[name].items() if key != option}
        with pytest.raises(ValueError, match=f"needs the option '{option}'"):
            check_options(name, spec, FIGURES[name].options)


# ---------------------------------------------------------------------------------------------
# Style


@pytest.mark.parametrize("count", range(1, 10))
def test_colours_darken_monotonically(count: int) -> None:
    values = [luminance(colour) for colour in ordered_colours(count)]
    assert len(values) == count
    assert all(before > after for before, after in itertools.pairwise(values))
    # the lightest stands out on white paper: contrast ratio of WCAG 2
    assert 1.05 / (values[0] + 0.05) > 1.5


def test_spread_separates_labels_and_keeps_their_order() -> None:
    moved = spread([3.0, 1.0, 1.1, 9.0], 1.0)
    assert moved[3] == 9.0
    assert moved[1] == pytest.approx(0.55)
    assert moved[2] == pytest.approx(1.55)
    assert moved[0] == 3.0
    assert spread([], 1.0) == []
