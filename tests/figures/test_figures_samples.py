"""Figures of samples draw what the samples files say, with captions, into byte-stable files."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from helpers import figures  # noqa: E402
from helpers.figure_results import check_text, contour_image, network, write_spectra  # noqa: E402
from helpers.figures import images_of, texts_of  # noqa: E402

from gahb.artifacts import ArtifactError, provenance  # noqa: E402
from gahb.figures.parts.pairs import mean_and_error, measured_text, read_pairs  # noqa: E402
from gahb.params import ParamsError, figure_files, validate  # noqa: E402
from gahb.samples.store import write_samples  # noqa: E402

SIZES = [1, 10, 1000]
SIDE, COUNT, SHOWN, KEPT = 12, 24, 3, 4
SIGMA = np.geomspace(3, 0.02, KEPT)
SPECS: dict[str, dict[str, Any]] = {
    "samples": {"title": "Pairs", "experiment": "alpha2", "measure": "correlation", "shown": 2},
    "similarity": {"title": "Histograms", "experiment": "alpha2", "measure": "correlation"},
    "trajectory": {
        "title": "Ways",
        "experiment": "alpha2",
        "set_sizes": [10, 1000],
        "sample": 1,
    },
    "twins": {
        "title": "Twins",
        "experiment": "alpha2",
        "set_size": 1000,
        "measure": "correlation",
    },
}


def sampling_spec(experiment: str, size: int) -> dict[str, Any]:
    return {
        "first": network(experiment, size, "S1"),
        "second": network(experiment, size, "S2"),
        "sampling": {
            "seed": 0,
            "sampler": {
                "kind": "ancestral",
                "schedule": "geometric",
                "steps": 9,
                "sigma_range": [0.02, 3],
            },
            "samples": COUNT,
            "shown": SHOWN,
            "levels_kept": KEPT,
            "start": "white",
            "start_mean": 0.5,
            "duplicate_threshold": 0.95,
        },
    }


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def write_pair(
    folder: Path, size: int, experiment: str = "alpha2", shown: int = SHOWN, side: int = SIDE
) -> Path:
    """Copies of the training images for small N; one image for both networks for large N."""
    rng = np.random.default_rng(size)
    copies = size <= 10
    pictures = np.stack([contour_image(side, 2.0, k) for k in range(2 * COUNT)])
    samples = np.stack([pictures[:COUNT], pictures[COUNT:] if copies else pictures[:COUNT]])
    samples = samples + 0.02 * rng.standard_normal(samples.shape)
    closest = samples if copies else samples[:, ::-1]
    noise = rng.standard_normal((shown, side, side))
    pair = np.array([correlation(*two) for two in zip(*samples, strict=True)])
    own, other = (0.97, 0.5) if copies else (0.6, 0.62)
    to_closest = np.full((2, 2, 2, COUNT), other) + 0.02 * rng.standard_normal((2, 2, 2, COUNT))
    to_closest[[0, 1], [0, 1]] += own - other
    to_closest = to_closest.clip(-1, 1)
    along = np.linspace(1, 0, KEPT) + np.linspace(0, 1, KEPT) * pair[:, None]
    noisy = samples[:, :shown, None] + SIGMA[:, None, None] * noise[:, None]
    twins = 0.99 - 0.4 * rng.random(size) ** 2 - 0.1 / size
    twin_images = pictures[: 2 * min(size, shown)].reshape(2, -1, side, side)
    path = folder / experiment / f"N{size}.h5"
    arrays = {
        "samples": samples[:, :, None],
        "calls": np.full((2, COUNT), 9),
        "pair_similarity": np.stack([0.5 + pair / 2, pair]),
        "closest_similarity": to_closest,
        "closest_index": np.zeros((2, 2, 2, COUNT)),
        "nearest_distances": np.ones((2, 2, COUNT, 2)),
        "nearest_scaled": np.ones((2, 2, COUNT, 2)),
        "fresh_similarity": rng.normal(0.6, 0.05, (2, 2, 30)),
        "intensity": np.full((2, COUNT), 0.5),
        "fresh_intensity": np.full(30, 0.5),
        "components": rng.standard_normal((2, COUNT, 5)),
        "fresh_components": rng.standard_normal((30, 5)),
        "start_components": rng.standard_normal((COUNT, 5)),
        "energy": np.array([[0.1, 0.3], [0.2, 0.01]]),
        "unpaired_similarity": np.zeros((2, COUNT)),
        "closest_images": np.repeat(closest[:, None, :shown, None], 2, axis=1),
        "start_noise": noise[:, None],
        "trajectory_sigma": np.broadcast_to(np.geomspace(3, 0.02, 9), (2, shown, 9)),
        "trajectory_kept_sigma": np.broadcast_to(SIGMA, (2, shown, KEPT)),
        "trajectory_noisy": noisy[:, :, :, None],
        "trajectory_denoised": 0.5 * noisy[:, :, :, None],
        "noisy_similarity": np.stack([0.5 + along / 2, along]),
        "denoised_similarity": np.stack([0.4 + along / 2, 0.9 * along]),
        "twin_similarity": np.stack([0.5 + twins / 2, twins]),
        "twin_index": np.zeros((2, size)),
        "twin_images": twin_images[:, :, None],
    }
    write_samples(path, arrays, provenance(sampling_spec(experiment, size)))
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Samples at every N, and files that the figures must leave aside."""
    folder = tmp_path_factory.mktemp("samples")
    return [
        write_spectra(folder / "spectra", "alpha2", 10),
        write_pair(folder, 10, "disks", shown=2),
        *(write_pair(folder, size) for size in reversed(SIZES)),
    ]


def stored(results: list[Path], size: int) -> dict[str, np.ndarray]:
    path = next(p for p in results if p.parent.name == "alpha2" and p.name == f"N{size}.h5")
    with h5py.File(path) as file:
        return {name: file[name][()].astype(float) for name in file}


def drawn(name: str, results: list[Path], **options: Any) -> Any:
    return figures.drawn(name, results, SPECS[name] | options)


def told(name: str, results: list[Path], **options: Any) -> str:
    return figures.told(name, results, SPECS[name] | options)


# ---------------------------------------------------------------------------------------------
# Files


@pytest.mark.parametrize("name", SPECS)
def test_same_bytes_whatever_the_order_and_the_settings(
    name: str, results: list[Path], tmp_path: Path
) -> None:
    figures.check_same_bytes(name, results, SPECS[name], tmp_path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in SPECS),
        ("samples", {"shown": 3, "measure": "cosine"}),
        ("similarity", {"measure": "cosine"}),
        ("trajectory", {"set_sizes": [1, 1000]}),
        ("twins", {"set_size": 1}),
    ],
)
def test_text_is_readable_and_inside_the_page(
    name: str, options: dict[str, Any], results: list[Path]
) -> None:
    check_text(drawn(name, results, **options))


@pytest.mark.parametrize("sizes", [[100000], [1, 3, 10, 30, 100, 300, 1000, 3000, 10**4]])
def test_text_is_readable_for_any_set_sizes(sizes: list[int], tmp_path: Path) -> None:
    inputs = [write_pair(tmp_path, size) for size in sizes]
    check_text(drawn("similarity", inputs))
    if len(sizes) > 1:
        for shown in (1, 2, 3):
            check_text(drawn("samples", inputs, shown=shown))
    check_text(drawn("twins", inputs, set_size=sizes[-1]))


@pytest.mark.parametrize("name", SPECS)
def test_captions_are_plain_restructuredtext(name: str, results: list[Path]) -> None:
    figures.check_caption(name, results, SPECS[name])


# ---------------------------------------------------------------------------------------------
# What is drawn is what the files say


def test_samples_shows_pairs_between_their_closest_images(results: list[Path]) -> None:
    page = drawn("samples", results)
    found = iter(zip(page.axes, images_of(page), strict=True))
    for size in SIZES:  # rows from few to many
        arrays = stored(results, size)
        for number in range(2):
            closest = arrays["closest_images"][:, 1, number, 0]
            samples = arrays["samples"][:, number, 0]
            for expected in (closest[0], samples[0], samples[1], closest[1]):
                axes, image = next(found)
                np.testing.assert_array_equal(image, expected)
                assert image.shape == (SIDE, SIDE)
                assert axes.get_images()[0].get_clim() == (0, 1)
            for value in (
                arrays["closest_similarity"][0, 0, 1, number],
                arrays["pair_similarity"][1, number],
                arrays["closest_similarity"][1, 1, 1, number],
            ):
                assert f"{value:.2f}".replace("-", "\N{MINUS SIGN}") in texts_of(page)
    assert next(found, None) is None


def test_samples_measures_all_of_them(results: list[Path]) -> None:
    caption = told("samples", results)
    for size in SIZES:
        arrays = stored(results, size)
        own = arrays["closest_similarity"][[0, 1], [0, 1], 1]
        pair = arrays["pair_similarity"][1]
        share = (arrays["closest_similarity"][[0, 1], [0, 1], 1] > 0.95).mean()
        row = next(
            line.split("  ") for line in caption.splitlines() if line.split()[:1] == [str(size)]
        )
        cells = [cell.strip() for cell in row if cell.strip()]
        assert cells[1] == f"{pair.mean():.3f} +/- {pair.std(ddof=1) / COUNT**0.5:.3f}"
        error = own.std(axis=1, ddof=1).mean() / COUNT**0.5
        assert cells[3] == f"{own.mean():.3f} +/- {error:.3f}"
        assert cells[4] == f"{share:.2f}"
        fresh = arrays["fresh_similarity"][:, 1]
        error = fresh.std(axis=1, ddof=1).mean() / 30**0.5
        assert cells[6] == f"{fresh.mean():.3f} +/- {error:.3f}"
        assert f"fresh {fresh.mean():.2f}" in texts_of(drawn("samples", results))
        variance = arrays["components"].var(axis=1, ddof=1)
        ratio = variance / arrays["fresh_components"].var(axis=0, ddof=1)
        assert cells[7].startswith(f"{ratio.mean():.3f} +/- ")
    assert (
        "starts at sigma = 3, and the networks were trained up to 1; sampler ancestral" in caption
    )
    assert caption != told("samples", results, measure="cosine")


def test_similarity_draws_the_shares_and_means(results: list[Path]) -> None:
    page = drawn("similarity", results)
    assert len(page.axes) == len(SIZES)
    for axes, size in zip(page.axes, SIZES, strict=True):
        arrays = stored(results, size)
        own = arrays["closest_similarity"][[0, 1], [0, 1], 1]
        other = arrays["closest_similarity"][[0, 1], [1, 0], 1]
        pair = arrays["pair_similarity"][1]
        steps = [
            patch.get_data()
            for patch in axes.patches
            if isinstance(patch, matplotlib.patches.StepPatch)
        ]
        for values in (own, pair, other):
            edges = steps[0].edges
            expected = np.histogram(values, edges)[0] / values.size
            assert expected.sum() == pytest.approx(1)
            assert any(np.allclose(step.values, expected) for step in steps)
        points = {float(line.get_xdata()[0]) for line in axes.get_lines()}
        fresh = arrays["fresh_similarity"][:, 1]
        for mean in (pair.mean(), own.mean(), other.mean(), fresh.mean()):
            assert min(abs(point - mean) for point in points) < 1e-9
        assert axes.get_xlim() == page.axes[0].get_xlim()
    assert page.axes[0].get_xlim()[0] <= min(
        stored(results, n)["pair_similarity"][1].min() for n in SIZES
    )


def test_trajectory_shows_the_ways_from_one_noise(results: list[Path]) -> None:
    page = drawn("trajectory", results)
    images = iter(images_of(page))
    for size in (10, 1000):
        arrays = stored(results, size)
        clean, noise = arrays["closest_images"][0, 1, 1, 0], arrays["start_noise"][1, 0]
        for sigma in arrays["trajectory_kept_sigma"][0, 1]:
            np.testing.assert_allclose(next(images), clean + sigma * noise)
        for split in range(2):
            for kind in ("noisy", "denoised"):
                for level in range(KEPT):
                    expected = arrays[f"trajectory_{kind}"][split, 1, level, 0]
                    np.testing.assert_array_equal(next(images), expected)
    assert next(images, None) is None
    plots = [axes for axes in page.axes if axes.get_lines()]
    for axes, size in zip(plots, (10, 1000), strict=True):
        arrays = stored(results, size)
        lines = [line.get_ydata() for line in axes.get_lines()]
        denoised = arrays["denoised_similarity"][1]
        for expected in (
            *denoised[:SHOWN],
            denoised.mean(0),
            arrays["noisy_similarity"][1].mean(0),
        ):
            assert any(len(y) == KEPT and np.allclose(y, expected) for y in lines)
        high, low = axes.get_xlim()
        assert high > 3 > 0.02 > low
    caption = told("trajectory", results)
    for size in (10, 1000):
        last = stored(results, size)["denoised_similarity"][1, :, -1]
        assert (
            f"at N = {size} it ends with a correlation of {last[1]:.3f}, {(last < last[1]).sum()} of "
            f"the {COUNT} pairs with a lower one and {(last > last[1]).sum()} with a higher"
        ) in caption


def test_levels_that_were_not_reached_stay_empty(tmp_path: Path) -> None:
    paths = [write_pair(tmp_path, size) for size in (10, 1000)]
    with h5py.File(paths[0], "r+") as file:
        for name in ("trajectory_kept_sigma", "trajectory_noisy", "trajectory_denoised"):
            file[name][0, 1, -1] = np.nan
        for name in ("noisy_similarity", "denoised_similarity"):
            file[name][:, 1, -1] = np.nan
    whole = len(images_of(drawn("trajectory", paths, sample=0)))
    assert len(images_of(drawn("trajectory", paths))) == whole - 3
    assert "nan" in told("trajectory", paths)  # the pair's; means are over those that reached it
    assert told("trajectory", paths).count("nan +/-") == 0


def test_twins_draws_the_distribution_and_its_growth(results: list[Path]) -> None:
    page = drawn("twins", results)
    left, right, *shown = page.axes
    twins = stored(results, 1000)["twin_similarity"][1]
    data = left.patches[0].get_data()
    np.testing.assert_allclose(data.values, np.histogram(twins, data.edges)[0] / 1000)
    assert data.values.sum() == pytest.approx(1)
    assert np.isclose(data.edges, 0.95).any()
    above = int((twins > 0.95).sum())
    assert above > 0
    assert left.get_title() == f"N = 1000: {above} of 1000 above 0.95"
    medians = [np.median(stored(results, size)["twin_similarity"][1]) for size in SIZES[1:]]
    np.testing.assert_allclose(right.get_lines()[0].get_xydata(), np.c_[SIZES[1:], medians])
    images = stored(results, 1000)["twin_images"][:, :, 0]
    assert len(shown) == 2 * SHOWN
    for found, expected in zip(images_of(page), images.reshape(-1, SIDE, SIDE), strict=True):
        np.testing.assert_array_equal(found, expected)
    top = np.sort(twins)[::-1][:SHOWN]
    assert [axes.get_title() for axes in shown[:SHOWN]] == [f"{value:.3f}" for value in top]
    caption = told("twins", results)
    assert f"{above / 1000:.2%}".replace("%", r"\%") in caption
    assert f"{above / 1000:.4f}" in caption


def test_means_have_errors_where_there_are_several() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    assert mean_and_error(values) == pytest.approx((3, np.std(values, ddof=1) / 2))
    assert measured_text(*mean_and_error(values[:1])) == "1.000"
    assert measured_text(-0.5, 0.25) == "\N{MINUS SIGN}0.500 ± 0.250"


# ---------------------------------------------------------------------------------------------
# Refusals


def test_files_are_found_by_what_they_say(results: list[Path]) -> None:
    assert [pair.set_size for pair in read_pairs(results, "alpha2")] == SIZES
    assert [pair.set_size for pair in read_pairs(results, "disks")] == [10]
    with pytest.raises(ArtifactError, match=r"no samples of alpha2, N = 30, among .*N1000.h5"):
        read_pairs(results, "alpha2", [10, 30])
    with pytest.raises(ArtifactError, match="no samples of rays among the inputs"):
        read_pairs(results, "rays")
    with pytest.raises(ArtifactError, match="both hold samples at N = 10"):
        read_pairs([*results, results[-2]], "alpha2")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "samples",
            {"experiment": "disks", "shown": 3},
            "holds the closest images of 2 samples; .*asks for 3",
        ),
        ("trajectory", {"sample": 3}, "holds the ways of 3 samples; .*position 3"),
        ("trajectory", {"set_sizes": [10, 30]}, "no samples of alpha2, N = 30"),
        ("twins", {"set_size": 30}, "N = 30, among the inputs: there are those of N = 1, 10, 1000"),
    ],
)
def test_what_the_files_lack_is_named(
    name: str, options: dict[str, Any], message: str, results: list[Path]
) -> None:
    with pytest.raises(ArtifactError, match=message):
        drawn(name, results, **options)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("samples", "shown", 0),
        ("samples", "measure", "euclid"),
        ("similarity", "measure", None),
        ("trajectory", "sample", -1),
        ("trajectory", "set_sizes", [10]),
        ("twins", "set_size", 0),
    ],
)
def test_wrong_options_are_named(name: str, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"(?m)^{option}\b"):
        figures.figure(name, SPECS[name] | {option: value})


def test_damaged_and_misshapen_files_are_refused(tmp_path: Path) -> None:
    path = write_pair(tmp_path, 10)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match=re.escape(str(path))):
        read_pairs([path], "alpha2")
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["start_noise"]
    with pytest.raises(ArtifactError, match="lacks the datasets start_noise"):
        read_pairs([path], "alpha2")
    with h5py.File(path, "r+") as file:
        file["start_noise"] = np.zeros((2, 1, SIDE, SIDE), np.float16)
    with pytest.raises(ArtifactError, match=r"\.h5: .* has shape .*, expected \(.*m=3"):
        read_pairs([path], "alpha2")


# ---------------------------------------------------------------------------------------------
# params.yaml


def with_figures(params: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(params)
    chosen = {"samples": {}, "similarity": {}, "trajectory": {"set_sizes": [1, 16]}}
    chosen["twins"] = {"set_size": 16}
    for name, options in chosen.items():
        changed["figures"][name] = SPECS[name] | {"experiment": "soft"} | options
    return changed


def test_figures_ask_for_samples(params: dict[str, Any]) -> None:
    changed = with_figures(params)
    assert validate(changed) is changed
    every = [f"results/samples/soft/N{size}.h5" for size in (1, 4, 16)]
    for name in ("samples", "similarity", "twins"):
        assert figure_files(changed, name) == every
    assert figure_files(changed, "trajectory") == [every[0], every[2]]


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        *(
            (
                "sampling",
                "experiments",
                [],
                f"figures.{name}: needs the samples of soft, which sampling.experiments does not",
            )
            for name in SPECS
        ),
        ("trajectory", "set_sizes", [4, 5], "figures.trajectory: set size of soft: found 5"),
        (
            "twins",
            "set_size",
            5,
            "figures.twins: set size of soft: found 5, allowed is one of 1, 4",
        ),
        ("samples", "shown", 3, "figures.samples.shown: found 3, allowed is at most 2: the images"),
        ("trajectory", "sample", 2, "figures.trajectory.sample: found 2, allowed is at most 1"),
        ("samples", "shown", 4, "figures.samples.shown: found 4, allowed is at most 3"),
        ("similarity", "measure", "euclid", "one of cosine, correlation"),
        ("samples", "experiment", "other", 'figures.samples: experiment: found "other"'),
    ],
)
def test_impossible_figures_are_named(
    params: dict[str, Any], section: str, key: str, value: Any, message: str
) -> None:
    changed = with_figures(params)
    where = changed["sampling"] if section == "sampling" else changed["figures"][section]
    where[key] = value
    with pytest.raises(ParamsError, match=re.escape(message)):
        validate(changed)
