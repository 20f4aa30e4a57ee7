"""Figures of networks beside exact and classical denoisers draw what the tables and spectra say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")

from helpers import figures  # noqa: E402
from helpers.figure_results import check_text, lines_of  # noqa: E402
from helpers.figures import texts_of  # noqa: E402
from helpers.reference_results import (  # noqa: E402
    ALPHAS,
    LEVELS,
    LOWER,
    PARAMETERS,
    SPECTRA_LEVELS,
    UPPER,
    WINDOW,
    write_results,
)
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402

from gahb.artifacts import ArtifactError, provenance, write_table  # noqa: E402
from gahb.figures.parts.beside import small_noise_gain  # noqa: E402
from gahb.figures.parts.tables import read_tables  # noqa: E402
from gahb.params import ParamsError, figure_files, validate  # noqa: E402

SIDE = 12
NETWORK = {"set_size": 1000, "split": "S1"}
SPECS: dict[str, dict[str, Any]] = {
    "optimum": {
        "title": "Networks and the exact posterior mean",
        "experiment": "disks",
        "reference": "exact",
        "image": 0,
        "sigma": 0.04,
        "eigenvectors": 10,
        "threshold": 0.5,
    }
    | NETWORK,
    "bounds": {
        "title": "Networks between bounds",
        "experiments": list(ALPHAS),
        "lower": LOWER,
        "upper": UPPER,
    }
    | NETWORK,
    "wiener": {
        "title": "Learned and true eigenvalues",
        "experiment": "gaussian",
        "reference": "exact",
    }
    | NETWORK,
    "shuffled": {
        "title": "The same images, shuffled",
        "experiments": ["alpha2", "alpha2-shuffled"],
        "image": 5,
        "sigma": 0.1,
        "eigenvectors": [1, 4, 12, 24],
        "lower": LOWER,
        "upper": UPPER,
    }
    | NETWORK,
    "cones": {
        "title": "Rays and sines",
        "experiments": ["rays", "sines"],
        "reference": "exact",
    }
    | NETWORK,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return write_results(tmp_path_factory.mktemp("results"), SIDE)


@pytest.fixture(scope="module")
def captions(results: dict[str, list[Path]]) -> dict[str, str]:
    return {name: figures.told(name, results[name], SPECS[name]) for name in SPECS}


@pytest.fixture(scope="module")
def pages(results: dict[str, list[Path]]) -> dict[str, Any]:
    return {name: figures.drawn(name, results[name], SPECS[name]) for name in SPECS}


def table_of(results: dict[str, list[Path]], name: str, ending: str) -> pd.DataFrame:
    (path,) = [path for path in results[name] if path.as_posix().endswith(ending)]
    table = pd.read_csv(path).sort_values("sigma")
    return table.query("evaluated_on == 'test'") if "evaluated_on" in table else table


def spectra_of(results: dict[str, list[Path]], name: str, ending: str) -> dict[str, np.ndarray]:
    (path,) = [path for path in results[name] if path.as_posix().endswith(ending)]
    with h5py.File(path) as file:
        return {key: file[key][()] for key in file}


def draws(axes: Any, x: Any, y: Any) -> bool:
    expected = np.column_stack([x, y])
    return any(
        line.shape == expected.shape and np.allclose(line, expected, rtol=1e-6)
        for line in lines_of(axes)
    )


def titled(figure: Any, text: str) -> Any:
    (axes,) = [axes for axes in figure.axes if axes.get_title() == text]
    return axes


# ---------------------------------------------------------------------------------------------
# Pages


@pytest.mark.parametrize("name", SPECS)
def test_text_is_readable_and_inside_the_page(name: str, pages: dict[str, Any]) -> None:
    check_text(pages[name])


def test_one_experiment_makes_a_page_too(results: dict[str, list[Path]]) -> None:
    for name, one in (("bounds", ["alpha3"]), ("cones", ["sines"])):
        figure = figures.drawn(name, results[name], SPECS[name] | {"experiments": one})
        check_text(figure)
        assert figure.get_figwidth() < 4.5


def test_one_noise_level_makes_a_page_too(tmp_path: Path) -> None:
    results = write_results(tmp_path, SIDE, spectra_levels=[0.04])
    for name in ("optimum", "wiener"):
        check_text(figures.drawn(name, results[name], SPECS[name]))


def test_files_have_the_same_bytes(results: dict[str, list[Path]], tmp_path: Path) -> None:
    figures.check_same_bytes("cones", results["cones"], SPECS["cones"], tmp_path)


# ---------------------------------------------------------------------------------------------
# What is drawn is what the tables and spectra say


def test_optimum_draws_curves_and_gaps(
    results: dict[str, list[Path]], pages: dict[str, Any]
) -> None:
    left = titled(pages["optimum"], "on held-out test images")
    right = titled(pages["optimum"], "exact minus network")
    gaps = table_of(results, "optimum", "gaps.csv").query("experiment == 'disks'")
    exact = table_of(results, "optimum", "disks/exact.csv")
    assert draws(left, exact["input_psnr"], exact["psnr_of_mean_mse"])
    for size in (10, 100, 1000):
        found = gaps.query("set_size == @size")
        assert draws(right, found["input_psnr"], found["reference_gap"]), size
        same_images = exact["psnr_of_mean_mse"].to_numpy() - found["reference_gap"].to_numpy()
        assert draws(left, exact["input_psnr"], same_images), size
    offsets = {
        line.get_xy1()[1] for line in left.lines if isinstance(line, matplotlib.lines.AxLine)
    }
    assert sorted(offsets) == pytest.approx([0, 10 * np.log10(SIDE**2 / 5)])


@pytest.mark.parametrize(
    ("changed", "dimension"),
    [
        ({"rendering": "antialiased", "parameters": "continuous"}, 5),
        ({"rendering": "hard_edged", "parameters": "continuous"}, 2),
        ({"rendering": "antialiased", "parameters": "integer"}, 2),
    ],
)
def test_only_what_is_continuous_is_free(changed: dict[str, str], dimension: int) -> None:
    images = {"class": "disks", "size": 10, "seed": 7, "images": 9, "test_images": 3}
    spec = {"dataset": images | changed}
    assert small_noise_gain(spec) == (dimension, pytest.approx(10 * np.log10(100 / dimension)))


def test_legend_of_eigenvalues_is_where_they_are_not(
    results: dict[str, list[Path]], pages: dict[str, Any], tmp_path: Path
) -> None:
    def legend_is_clear(figure: Any) -> bool:
        axes = titled(figure, "eigenvalues, σ = 0.04")
        FigureCanvasAgg(figure).draw()
        box = axes.get_legend().get_window_extent()
        return not any(
            box.contains(*point)
            for line in axes.get_lines()[2:]
            for point in axes.transData.transform(line.get_xydata())
        )

    assert legend_is_clear(pages["optimum"])
    flat = tmp_path / "flat"
    flat.mkdir()
    inputs = [path for path in results["optimum"] if path.suffix == ".csv"]
    for path in results["optimum"]:
        if path.suffix == ".h5":
            inputs.append(flat / path.name)
            inputs[-1].write_bytes(path.read_bytes())
            with h5py.File(inputs[-1], "a") as file:
                file["eigenvalues"][...] = np.linspace(1.02, 0.9, SIDE**2)
    assert legend_is_clear(figures.drawn("optimum", inputs, SPECS["optimum"]))


def test_optimum_draws_eigenvalues_and_counts(
    results: dict[str, list[Path]], pages: dict[str, Any]
) -> None:
    values = titled(pages["optimum"], "eigenvalues, σ = 0.04")
    counts = titled(pages["optimum"], "eigenvalues above 0.5")
    for ending in ("disks/N1000_S1.h5", "disks/exact.h5"):
        eigenvalues = spectra_of(results, "optimum", ending)["eigenvalues"]
        assert draws(values, np.arange(1, 31), eigenvalues[:, 0, :30].mean(0))
        above = (eigenvalues > 0.5).sum(-1).mean(0)
        assert draws(counts, SPECTRA_LEVELS, above), ending
    assert draws(counts, [0, 1], [5, 5])


def test_optimum_measures_shares_of_the_tangent_space(
    results: dict[str, list[Path]], pages: dict[str, Any], captions: dict[str, str]
) -> None:
    exact = spectra_of(results, "optimum", "disks/exact.h5")["eigenvectors"][0, 0, :5]
    learned = spectra_of(results, "optimum", "disks/N1000_S1.h5")
    vectors = learned["eigenvectors"][0, 0, :10].reshape(10, -1).astype(float)
    basis = np.linalg.qr(exact.reshape(5, -1).T.astype(float))[0]
    shares = ((vectors @ basis) ** 2).sum(1)
    assert shares[0] > 0.9 > 0.1 > shares[9]
    images = [axes for axes in pages["optimum"].axes if axes.get_images()]
    for k in range(10):
        value = learned["eigenvalues"][0, 0, k]
        (axes,) = [
            axes
            for axes in images
            if axes.get_title() == f"λ$_{{{k + 1}}}$ = {value:.3f}\nshare {shares[k]:.2f}"
        ]
        np.testing.assert_array_equal(
            axes.get_images()[0].get_array(), learned["eigenvectors"][0, 0, k]
        )
        both = learned["eigenvalues"][:, 0, k]
        mean, se = both.mean(), np.abs(np.diff(both))[0] / 2
        stated = rf"^ *{k + 1}  .* {mean:.3f} \+/- {se:.3f}  .* \+/- "
        assert re.search(stated, captions["optimum"], re.M)
    assert len(images) == 4 + 5 + 10


def test_bounds_draws_gains_gaps_and_slopes(
    results: dict[str, list[Path]], pages: dict[str, Any], captions: dict[str, str]
) -> None:
    figure = pages["bounds"]
    gains, below = figure.axes[0::2], figure.axes[1::2]
    gaps = table_of(results, "bounds", "gaps.csv")
    for (experiment, alpha), upper, lower in zip(ALPHAS.items(), gains, below, strict=True):
        assert upper.get_title() == f"α = {alpha:g}"
        table = table_of(results, "bounds", f"{experiment}/N1000_S1.csv")
        gain = (table["psnr_of_mean_mse"] - table["input_psnr"]).to_numpy()
        assert draws(upper, table["input_psnr"], gain), experiment
        for name in (LOWER, *UPPER):
            found = gaps.query("experiment == @experiment and reference == @name")
            same_images = gain + found["reference_gap"].to_numpy()
            assert draws(upper, found["input_psnr"], same_images), (experiment, name)
            assert draws(lower, found["input_psnr"], found["reference_gap"]), (experiment, name)
        bands = [band.get_paths()[0].vertices[:, 1] for band in lower.collections]
        found = gaps.query("experiment == @experiment and reference == @LOWER")
        errors = np.fmax(found["reference_gap_se"], found["reference_gap_between"])
        top = (found["reference_gap"] + errors).max()
        assert max(band.max() for band in bands) == pytest.approx(top)
    texts = texts_of(figure)
    (path,) = [path for path in results["bounds"] if path.name == "references.csv"]
    slopes = pd.read_csv(path).query("reference in @UPPER or reference == @LOWER")
    assert len(slopes) == 5 * len(ALPHAS)
    for slope, theory in zip(slopes["slope"], slopes["theoretical_slope"], strict=True):
        assert f"{slope:.3f} ± 0.004" in texts
        assert f"{theory:.3f}" in texts
        assert f"{slope:.3f} +/- 0.004 ({theory:.3f})" in captions["bounds"]
    for alpha in ALPHAS.values():
        assert f"{1 - 1 / alpha:.3f}" in texts  # of the network
    for stated in (*texts, captions["bounds"]):
        assert "lower bound" not in stated
    assert f"{LOWER}: bound under the Gaussian surrogate" in texts
    assert "bound under the Gaussian surrogate" in captions["bounds"]


def test_wiener_draws_learned_against_true(
    results: dict[str, list[Path]], pages: dict[str, Any], captions: dict[str, str]
) -> None:
    figure = pages["wiener"]
    learned = spectra_of(results, "wiener", "gaussian/N1000_S1.h5")
    true = spectra_of(results, "wiener", "gaussian/exact.h5")
    scatters = [axes for axes in figure.axes if axes.get_xlabel() == "true λ$_k$"]
    k = np.fft.fftfreq(SIDE, 1 / SIDE)
    k = np.hypot(k[:, None], k[None])
    frequencies = np.unique(k.round(9))

    def radial(modes: np.ndarray) -> np.ndarray:
        return np.array([modes[np.isclose(k, one)].mean() for one in frequencies])

    for level, sigma in enumerate(SPECTRA_LEVELS):
        modes = [one["fourier_quotients"][:, level].mean(0) for one in (learned, true)]
        ours, best = map(radial, modes)
        shrinkage = titled(figure, f"σ = {sigma:g}")
        assert draws(shrinkage, frequencies[1:], ours[1:])
        assert draws(shrinkage, frequencies[1:], best[1:])
        assert draws(scatters[level], best, ours)
        rms = np.sqrt(np.mean((modes[0] - modes[1]) ** 2))
        assert f"rms {rms:.3f}" in [text.get_text() for text in scatters[level].texts]
        ranks = [one["eigenvalues"][:, level].mean(0) for one in (learned, true)]
        of_ranks = np.sqrt(np.mean((ranks[0] - ranks[1]) ** 2))
        assert re.search(rf"^ *{sigma:g}  {rms:.3f}  {of_ranks:.3f}  ", captions["wiener"], re.M)
        assert f"{ours[1]:.3f} +/- 0.000" in captions["wiener"]
    gaps = table_of(results, "wiener", "gaps.csv").query("experiment == 'gaussian'")
    axes = titled(figure, "optimum minus network, test images")
    assert draws(axes, gaps["sigma"], gaps["reference_gap"])
    asymmetry = titled(figure, "asymmetry of the Jacobian")
    assert draws(asymmetry, SPECTRA_LEVELS, [0.12] * 3)
    assert draws(asymmetry, SPECTRA_LEVELS, [0.0] * 3)


def test_shuffled_draws_both_networks(
    results: dict[str, list[Path]], pages: dict[str, Any], captions: dict[str, str]
) -> None:
    figure = pages["shuffled"]
    curves = titled(figure, "on held-out test images")
    values = titled(figure, "eigenvalues, σ = 0.1")
    images = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]
    assert len(images) == 2 * (3 + 4)
    psnr = []
    for experiment in SPECS["shuffled"]["experiments"]:
        table = table_of(results, "shuffled", f"{experiment}/N1000_S1.csv")
        psnr.append(table["psnr_of_mean_mse"].to_numpy())
        assert draws(curves, table["input_psnr"], psnr[-1])
        spectra = spectra_of(results, "shuffled", f"{experiment}/N1000_S1.h5")
        assert draws(values, np.arange(1, SIDE**2 + 1), spectra["eigenvalues"][0, 0])
        for shown in (spectra["clean"][0, 0], spectra["eigenvectors"][0, 0, 11]):
            assert any(np.array_equal(image, shown) for image in images), experiment
    loss = psnr[0] - psnr[1]
    assert f"shuffling, {loss.mean():.2f} dB on average" in captions["shuffled"]
    assert re.search(rf"^ *0\.1 .* {loss[LEVELS.index(0.1)]:.2f} ", captions["shuffled"], re.M)
    assert "hold the same intensities" in captions["shuffled"]
    gaps = table_of(results, "shuffled", "gaps.csv").query("experiment == 'alpha2'")
    bounds = [
        psnr[0] + gaps.query("reference == @name")["reference_gap"].to_numpy()
        for name in (LOWER, *UPPER)
    ]
    assert draws(curves, table["input_psnr"], bounds[0])
    assert draws(curves, table["input_psnr"], np.max(bounds[1:], axis=0))
    assert "bound under the Gaussian surrogate" in captions["shuffled"]
    assert any("optimum, equal for both" in text for text in texts_of(figure))


def test_cones_draws_curves_and_states_the_lines(
    results: dict[str, list[Path]], pages: dict[str, Any], captions: dict[str, str]
) -> None:
    outputs, gains = pages["cones"].axes[0::2], pages["cones"].axes[1::2]
    for kind, dimension, upper, lower in zip(
        ("rays", "sines"), (1, 2), outputs, gains, strict=True
    ):
        limit = 10 * np.log10(SIDE**2 / dimension)
        assert upper.get_title() == f"{kind}, d = {SIDE**2}"
        assert draws(lower, [0, 1], [limit, limit])
        table = table_of(results, "cones", f"{kind}/N1000_S1.csv")
        gaps = table_of(results, "cones", "gaps.csv").query("experiment == @kind")
        above = {"network": 0.0, "exact": gaps["reference_gap"].to_numpy()}
        for name, gap in above.items():
            psnr = table["psnr_of_mean_mse"] + gap
            assert draws(upper, table["input_psnr"], psnr)
            assert draws(lower, table["input_psnr"], psnr - table["input_psnr"])
            inside = table["sigma"].between(*WINDOW)
            slope, intercept = np.polyfit(table["input_psnr"][inside], psnr[inside], 1)
            stated = f"{slope:.3f} ± 0.004,  {intercept:.2f} dB"
            assert stated in texts_of(pages["cones"]), (kind, name)
            theory = {"network": "-", "exact": r"1\.000"}[name]
            line = rf"{kind} +{name}  {slope:.3f} +0\.004 +{theory} +{intercept:.2f} +{limit:.2f}"
            assert re.search(line, captions["cones"])


# ---------------------------------------------------------------------------------------------
# Captions


@pytest.mark.parametrize("name", SPECS)
def test_captions_print_the_parameters(name: str, captions: dict[str, str]) -> None:
    for expected in (SPECS[name]["title"], "updates 1234", "16 channels", f"{SIDE} x {SIDE}", "S1"):
        assert expected in captions[name]


@pytest.mark.parametrize("name", SPECS)
def test_captions_are_plain_restructuredtext(name: str, results: dict[str, list[Path]]) -> None:
    figures.check_caption(name, results[name], SPECS[name])


def test_captions_print_gaps(results: dict[str, list[Path]], captions: dict[str, str]) -> None:
    gaps = table_of(results, "bounds", "gaps.csv")
    found = gaps.query("experiment == 'alpha2' and reference == 'wavelets'")["reference_gap"]
    stated = f"{found.mean():.2f} ({found.min():.2f} to {found.max():.2f}; 0.18)"
    assert stated in captions["bounds"]
    disks = gaps.query("experiment == 'disks' and set_size == 1000").iloc[0]
    assert disks["reference_gap_se"] < disks["reference_gap_between"]  # which is told
    value = f"{disks['reference_gap']:.2f} +/- {disks['reference_gap_between']:.2f}"
    assert value in captions["optimum"]


# ---------------------------------------------------------------------------------------------
# Errors


def without(paths: list[Path], ending: str) -> list[Path]:
    kept = [path for path in paths if not path.as_posix().endswith(ending)]
    assert len(kept) == len(paths) - 1
    return kept


@pytest.mark.parametrize(
    ("name", "ending", "message"),
    [
        ("optimum", "disks/exact.csv", "the reference denoiser exact on disks is needed"),
        ("optimum", "disks/exact.h5", "no spectra file of exact on disks among"),
        ("optimum", "disks/N1000_S1.h5", "no spectra file of disks, N = 1000, S1 among"),
        ("optimum", "gaps.csv", "exactly one table of gaps"),
        ("bounds", "alpha3/bandlets.csv", "the reference denoiser bandlets on alpha3"),
        ("bounds", "alpha3/N1000_S1.csv", "no psnr table of experiment alpha3"),
        ("bounds", "references.csv", "exactly one table of references"),
        ("wiener", "gaussian/exact.h5", "no spectra file of exact on gaussian"),
        ("shuffled", "alpha2-shuffled/N1000_S1.csv", "no psnr table of experiment alpha2-shuffled"),
        ("cones", "summary.csv", "exactly one table of summary"),
    ],
)
def test_what_is_missing_is_named(
    name: str, ending: str, message: str, results: dict[str, list[Path]]
) -> None:
    with pytest.raises(ArtifactError, match=message):
        figures.drawn(name, without(results[name], ending), SPECS[name])


def test_images_of_another_kind_are_refused(results: dict[str, list[Path]]) -> None:
    of_disks = {"experiments": ["disks"], "lower": "exact", "upper": ["exact"]}
    with pytest.raises(ArtifactError, match="class disks have no regularity alpha"):
        figures.drawn("bounds", results["optimum"], SPECS["bounds"] | of_disks)
    with pytest.raises(ArtifactError, match="class gaussian are no manifold of known dimension"):
        figures.drawn("cones", results["wiener"], SPECS["cones"] | {"experiments": ["gaussian"]})
    swapped = SPECS["shuffled"] | {"experiments": ["alpha2-shuffled", "alpha2"]}
    with pytest.raises(ArtifactError, match="is not of the shuffled images of"):
        figures.drawn("shuffled", results["shuffled"], swapped)
    with pytest.raises(ArtifactError, match=r"has the test images 0, 5 .* asks for 3"):
        figures.drawn("optimum", results["optimum"], SPECS["optimum"] | {"image": 3})


def test_gaps_at_other_noise_levels_are_refused(
    results: dict[str, list[Path]], tmp_path: Path
) -> None:
    (path,) = [path for path in results["bounds"] if path.name == "gaps.csv"]
    table = pd.read_csv(path)
    write_table(tmp_path / "gaps.csv", table[table["sigma"] != LEVELS[1]], provenance({}))
    inputs = [*without(results["bounds"], "gaps.csv"), tmp_path / "gaps.csv"]
    with pytest.raises(ArtifactError, match="the table of gaps has the noise levels"):
        figures.drawn("bounds", inputs, SPECS["bounds"])


@pytest.mark.parametrize(
    ("name", "dataset", "message"),
    [
        ("optimum", "noisy", "do not hold the same noisy image for test image 0"),
        ("wiener", "image_index", "do not hold the same images and noise levels"),
    ],
)
def test_other_noisy_images_are_refused(
    name: str, dataset: str, message: str, results: dict[str, list[Path]], tmp_path: Path
) -> None:
    (path,) = [path for path in results[name] if path.name == "exact.h5"]
    other = tmp_path / "exact.h5"
    other.write_bytes(path.read_bytes())
    with h5py.File(other, "a") as file:
        file[dataset][...] += 1
    with pytest.raises(ArtifactError, match=message):
        figures.drawn(name, [*without(results[name], "exact.h5"), other], SPECS[name])


def test_tables_are_told_apart(results: dict[str, list[Path]]) -> None:
    kinds = [table.kind for table in read_tables(results["cones"])]
    assert kinds == ["summary", "references", "gaps", *["reference", "psnr"] * 2]


@pytest.mark.parametrize("name", SPECS)
def test_missing_and_wrong_options_are_named(name: str) -> None:
    for option in set(SPECS[name]) - {"title"}:
        without_it = {key: value for key, value in SPECS[name].items() if key != option}
        for spec in (without_it, SPECS[name] | {option: None}):
            with pytest.raises(ValueError, match=rf"(?m)^{option}\b"):
                figures.figure(name, spec)


# ---------------------------------------------------------------------------------------------
# params.yaml


@pytest.fixture
def params(params: dict[str, Any]) -> dict[str, Any]:
    """The tiny project with an image class, an experiment and references for every figure."""
    common = {"size": 8, "images": 72, "test_images": 40, "seed": 3}
    kinds = {
        "disks": {"class": "disks"} | PARAMETERS["disks"],
        "fields": {"class": "gaussian"} | PARAMETERS["gaussian"],
        "rays": {"class": "rays"} | PARAMETERS["rays"],
        "mixed": {"class": "shuffled", "of": "soft", "permutation_seed": 1},
    }
    network = {"architecture": "small", "set_sizes": [4, 16], "splits": ["S1"]}
    for name, kind in kinds.items():
        shared = {} if name == "mixed" else common
        params["image_classes"][name] = kind | shared
        params["experiments"][name] = {"image_class": name} | network
        params["spectra"]["networks"][name] = {"set_sizes": [16], "splits": ["S1"]}
    for name in ("disks", "fields"):
        params["spectra"]["networks"][name]["references"] = ["exact"]
    params["references"] = {
        "exact": {"denoiser": "exact", "images": 8},
        "contour": {"denoiser": "known_contour", "images": 8},
        "wavelets": {"denoiser": "wavelet", "images": 8},
    }
    params["evaluation"]["references"] = {
        "soft": ["contour", "wavelets"],
        "disks": ["exact"],
        "fields": ["exact"],
        "rays": ["exact"],
    }
    sixteen = {"set_size": 16, "split": "S1"}
    chosen = {
        "optimum": {"experiment": "disks", "sigma": 0.1, "image": 0, "eigenvectors": 8},
        "bounds": {"experiments": ["soft"], "lower": "contour", "upper": ["wavelets"]},
        "wiener": {"experiment": "fields"},
        "shuffled": {"experiments": ["soft", "mixed"], "image": 0, "sigma": 0.1}
        | {"lower": "contour", "upper": ["wavelets"]},
        "cones": {"experiments": ["rays"]},
    }
    for name, options in chosen.items():
        kept = {key: value for key, value in SPECS[name].items() if key not in NETWORK}
        params["figures"][name] = kept | sixteen | options
    params["figures"]["shuffled"]["eigenvectors"] = [1, 2]
    return params


def test_figures_ask_for_what_they_need(params: dict[str, Any]) -> None:
    assert validate(params) is params
    assert figure_files(params, "optimum") == [
        "results/evaluation/gaps.csv",
        "results/evaluation/disks/N4_S1.csv",
        "results/evaluation/disks/N16_S1.csv",
        "results/evaluation/references/disks/exact.csv",
        "results/spectra/disks/N16_S1.h5",
        "results/spectra/disks/exact.h5",
    ]
    assert figure_files(params, "shuffled") == [
        "results/evaluation/gaps.csv",
        *(f"results/evaluation/{name}/N16_S1.csv" for name in ("soft", "mixed")),
        *(f"results/evaluation/references/soft/{name}.csv" for name in ("contour", "wavelets")),
        *(f"results/spectra/{name}/N16_S1.h5" for name in ("soft", "mixed")),
    ]
    assert figure_files(params, "bounds")[3:] == [
        "results/evaluation/soft/N16_S1.csv",
        *(f"results/evaluation/references/soft/{name}.csv" for name in ("contour", "wavelets")),
    ]


def test_older_figures_ask_for_what_they_did(params: dict[str, Any]) -> None:
    sizes = (1, 4, 16)
    assert figure_files(params, "transition") == [
        "results/evaluation/summary.csv",
        *(f"results/evaluation/soft/N{size}_S1.csv" for size in sizes),
        *(f"results/evaluation/soft/N{size}_S1_memorising.csv" for size in sizes),
    ]
    assert figure_files(params, "gap") == [
        "results/evaluation/summary.csv",
        *(f"results/evaluation/soft/N{size}_agreement.csv" for size in sizes),
    ]
    assert figure_files(params, "basis") == [
        "results/spectra/soft/N4_S1.h5",
        "results/spectra/soft/N16_S1.h5",
    ]
    assert figure_files(params, "regularity") == [
        "results/evaluation/summary.csv",
        *(f"results/evaluation/{name}/N16_S1.csv" for name in ("soft", "hard")),
        *(f"results/spectra/{name}/N16_S1.h5" for name in ("soft", "hard")),
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("figures.optimum.experiment", "cubes", 'figures.optimum: experiment: found "cubes"'),
        ("figures.optimum.set_size", 8, "figures.optimum: set size of disks: found 8"),
        ("figures.optimum.sigma", 0.2, "figures.optimum.sigma: found 0.2, allowed is one of 0.1"),
        ("figures.optimum.eigenvectors", 9, "figures.optimum.eigenvectors: found 9, .* most 8"),
        ("figures.optimum.threshold", 1, "figures.optimum.threshold: found 1, .* less than 1"),
        (
            "figures.optimum.reference",
            "wavelets",
            "figures.optimum: needs the evaluation of wavelets on disks, which "
            "evaluation.references.disks does not list",
        ),
        (
            "spectra.networks.disks.references",
            [],
            "figures.optimum: needs the spectra of exact on the images of disks, which "
            "spectra.networks.disks.references does not list",
        ),
        (
            "spectra.networks.fields.set_sizes",
            [4],
            "figures.wiener: needs the spectra of fields at N = 16 on S1",
        ),
        (
            "evaluation.references.soft",
            ["contour"],
            "figures.bounds: needs the evaluation of wavelets on soft",
        ),
        ("evaluation.references", {}, "figures.cones: needs the evaluation of exact on rays"),
        ("figures.bounds.experiments", ["rays"], "figures.bounds: found rays, whose .* are rays"),
        ("figures.cones.experiments", ["disks"], "allowed are images of class rays or sines"),
        (
            "figures.shuffled.experiments",
            ["hard", "mixed"],
            "figures.shuffled.experiments: .* shuffled images of hard",
        ),
        ("figures.shuffled.experiments", ["soft"], "figures.shuffled.experiments: .* at least 2"),
        (
            "spectra.method",
            "leading",
            "figures.wiener.* fields have the method leading, .* is full",
        ),
        ("figures.shuffled.image", 7, "figures.shuffled.image: found 7, allowed is one of 0, 1"),
    ],
)
def test_what_a_figure_lacks_is_said_before_anything_runs(
    params: dict[str, Any], key: str, value: Any, message: str
) -> None:
    *sections, last = key.split(".")
    changed = params
    for section in sections:
        changed = changed[section]
    changed[last] = value
    with pytest.raises(ParamsError, match=message):
        validate(params)
