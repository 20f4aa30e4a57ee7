"""How well bases are adapted to contours: cases whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pywt
import torch
from helpers.figure_results import store_spectra

from gahb.artifacts import ArtifactError, read_sidecar, read_table
from gahb.datasets.classes.calpha import CAlpha
from gahb.denoisers.classical.bandlets import BandletDenoiser
from gahb.denoisers.exact.known_contour import KnownContourDenoiser
from gahb.spectra import adaptivity
from gahb.spectra.adaptivity import (
    FILTERS,
    bandlet_errors,
    best,
    errors,
    measure_adaptivity,
    overlaps,
    ranks,
    wavelet_errors,
)

SIDE = 16
PIXELS = SIDE**2
SIGMA = 0.1
FIRST = 2000  # index of the first image of a spectra file that a test stores
SOFT = CAlpha(alpha=2, rendering="antialiased", size=SIDE, seed=7)
DATASET: dict[str, Any] = {
    "class": "calpha",
    "alpha": 2,
    "background_alpha": 2,
    "rendering": "antialiased",
    "size": SIDE,
    "images": 2200,
    "test_images": 200,
    "seed": 7,
}


def orthonormal(seed: int, pixels: int = PIXELS) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((pixels, pixels)))[0].T


def oracle(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of its filter (descending), and eigenvectors (d, d) as columns."""
    known = KnownContourDenoiser(SOFT, index)
    values = known.eigenvalues(SIGMA).numpy()[::-1]
    return values, known.eigenvectors.numpy()[:, ::-1]


def stored(
    path: Path, analyse: Callable[..., Any], kept: int = 64, images: int = 2, size: int = 4
) -> Path:
    """Spectra of a network that has these eigenvectors, at images of the class."""
    clean = {i: SOFT.render(FIRST + i, 1)[0].astype(float) for i in range(images)}
    network = {"experiment": "soft", "image_class": "soft", "dataset": DATASET}
    head = {"network": network | {"set_size": size, "split": "S1"}}
    store_spectra(path, head, clean, [SIGMA], analyse, kept)
    return path


def measured(folder: Path, *paths: Path) -> pd.DataFrame:
    spec = {
        "ensemble": {"experiment": "soft", "image_class": "soft", "dataset": DATASET},
        "spectra": {"threads": 1},
    }
    measure_adaptivity(spec, paths, folder / "adaptivity.csv")
    return read_table(folder / "adaptivity.csv", spec)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Networks whose eigenvectors are the oracle's (N = 4), and random (N = 9)."""
    folder = tmp_path_factory.mktemp("adaptivity")
    values = np.linspace(1, 0, PIXELS)
    same = stored(folder / "N4_S1.h5", lambda position, *_: oracle(FIRST + position))
    random = stored(
        folder / "N9_S1.h5", lambda position, *_: (values, orthonormal(position).T), size=9
    )
    return measured(folder, same, random)


def chosen(table: pd.DataFrame, basis: str, size: int | None = None) -> pd.DataFrame:
    rows = table[table["basis"] == basis]
    return (rows if size is None else rows[rows["set_size"] == size]).set_index("rank")


# ---------------------------------------------------------------------------------------------
# The table


def test_the_oracles_own_basis_overlaps_it_wholly(table: pd.DataFrame) -> None:
    rows = chosen(table, "learned", 4)
    kept = rows.loc[:64]
    np.testing.assert_allclose(kept["overlap"], 1, atol=1e-5)
    np.testing.assert_allclose(rows["error"], chosen(table, "known-contour")["error"], atol=1e-6)
    expected = chosen(table, "other-contour")  # two images: each is the other of the other
    np.testing.assert_allclose(kept["other_overlap"], expected["overlap"].loc[:64], atol=1e-4)
    np.testing.assert_allclose(kept["gain"], kept["overlap"] - kept["other_overlap"], atol=1e-6)
    assert (kept["gain"].loc[2:] > 0.05).all()
    assert rows["overlap"].loc[128:].isna().all()  # eigenvectors that the file does not keep


def test_shares_are_one_up_to_the_rank_of_the_oracle(table: pd.DataFrame) -> None:
    rows = chosen(table, "learned", 4)
    traces = [oracle(FIRST + image)[0].sum() for image in range(2)]
    assert rows["oracle_rank"].iloc[0] == np.mean(np.round(traces))
    inside = [rank for rank in rows.index if rank <= min(np.round(traces))]
    np.testing.assert_allclose(rows["share"].loc[inside], 1, atol=1e-5)
    beyond = [rank for rank in rows.index if rank / 2 >= max(np.round(traces)) and rank <= 64]
    np.testing.assert_allclose(rows["share"].loc[beyond], 0, atol=1e-5)


def test_random_bases_overlap_by_chance(table: pd.DataFrame) -> None:
    rows = chosen(table, "learned", 9)
    for rank in (16, 32, 64):
        assert rows.loc[rank, "overlap"] == pytest.approx(rank / PIXELS, rel=0.15)
        assert rows.loc[rank, "other_overlap"] == pytest.approx(rank / PIXELS, rel=0.15)
    assert rows.loc[64, "share"] == pytest.approx(rows["oracle_rank"].iloc[0] / PIXELS, rel=0.15)


def test_errors_fall_to_zero_in_every_basis(table: pd.DataFrame) -> None:
    assert set(table["basis"]) == {
        *("learned", "known-contour", "other-contour", "pixels", "wavelets", "bandlets")
    }
    for _, rows in table.groupby(["basis", "set_size"], dropna=False):
        assert list(rows["rank"]) == ranks(PIXELS)
        falling = rows["error"].to_numpy()
        assert (np.diff(falling) <= 1e-9).all()
        assert falling[-1] == pytest.approx(0, abs=1e-6)
        assert (falling[:-1] > 0).all()


def test_standard_errors_are_over_images(table: pd.DataFrame) -> None:
    images = [SOFT.render(FIRST + i, 1)[0].ravel().astype(float) for i in range(2)]
    each = [1 - np.sort(x**2)[-8:].sum() / (x**2).sum() for x in images]
    row = chosen(table, "pixels").loc[8]
    assert row["error"] == pytest.approx(np.mean(each), rel=1e-6)
    assert row["error_se"] == pytest.approx(abs(each[0] - each[1]) / 2, rel=1e-6)
    assert row["images"] == 2
    assert row["pixels"] == PIXELS


def test_filters_are_those_of_the_least_error(table: pd.DataFrame) -> None:
    images = torch.from_numpy(
        np.stack([SOFT.render(FIRST + i, 1)[0].astype(np.float64) for i in range(2)])
    )
    rows = chosen(table, "wavelets")
    for place, rank in enumerate(ranks(PIXELS)[:-1]):
        means = {
            name: wavelet_errors(images, name, ranks(PIXELS))[:, place].mean() for name in FILTERS
        }
        assert rows.loc[rank, "error"] == pytest.approx(min(means.values()), rel=1e-5)
        assert means[rows.loc[rank, "filter"]] == pytest.approx(min(means.values()), rel=1e-5)


def test_a_single_image_is_set_beside_the_next_of_the_class(tmp_path: Path) -> None:
    path = stored(tmp_path / "N4_S1.h5", lambda position, *_: oracle(FIRST + position), images=1)
    table = measured(tmp_path, path)
    first, second = (oracle(FIRST + i)[1].T for i in range(2))
    np.testing.assert_allclose(
        chosen(table, "other-contour")["overlap"], overlaps(second, first, ranks(PIXELS)), rtol=1e-6
    )
    assert table["error_se"].isna().all()
    (name,) = read_sidecar(tmp_path / "adaptivity.csv")["inputs"]
    assert name == path.as_posix()


def test_other_images_are_refused(tmp_path: Path) -> None:
    paths = [
        stored(tmp_path / f"N{n}_S1.h5", lambda i, *_: oracle(FIRST + i), images=n, size=n)
        for n in (1, 2)
    ]
    with pytest.raises(ArtifactError, match=r"N2_S1.h5 and .*N1_S1.h5 differ in image_index"):
        measured(tmp_path, *paths)


# ---------------------------------------------------------------------------------------------
# Its parts


def test_ranks_are_powers_of_two_and_the_last() -> None:
    assert ranks(16) == [1, 2, 4, 8, 16]
    assert ranks(100) == [1, 2, 4, 8, 16, 32, 64, 100]


def test_overlap_is_the_mean_share_in_a_span() -> None:
    first, second = orthonormal(0, 24), orthonormal(1, 24)
    found = overlaps(first[:9], second, [1, 4, 9, 16])
    for rank, value in zip((1, 4, 9), found, strict=False):
        projected = (first[:rank] @ second[:rank].T) @ second[:rank]
        assert value == pytest.approx((projected**2).sum(1).mean())
    assert np.isnan(found[3])
    turned = orthonormal(2, 8) @ first[:8]  # another basis of the same span
    assert overlaps(turned, first, [8])[0] == pytest.approx(1)


def test_errors_are_those_of_the_best_choice_of_coefficients() -> None:
    rng = np.random.default_rng(0)
    basis, x = orthonormal(0, 24), rng.standard_normal(24)
    coefficients = basis @ x
    for rank, value in zip((1, 5, 24), errors(coefficients, x, [1, 5, 24]), strict=True):
        kept = np.argsort(-np.abs(coefficients))[:rank]
        rest = x - basis[kept].T @ coefficients[kept]
        assert value == pytest.approx((rest @ rest) / (x @ x), abs=1e-12)


def test_errors_of_a_part_of_a_basis_are_bounds_from_above() -> None:
    basis, x = orthonormal(0, 24), np.random.default_rng(0).standard_normal(24)
    whole = errors(basis @ x, x, [1, 2, 4, 8])
    part = errors(basis[:8] @ x, x, [1, 2, 4, 8])
    assert (part[:3] >= whole[:3]).all()
    assert np.isnan(part[3])


@pytest.mark.parametrize("wavelet", FILTERS)
def test_wavelet_errors_are_those_of_pywavelets(wavelet: str) -> None:
    images = torch.from_numpy(np.random.default_rng(0).random((2, SIDE, SIDE)))
    found = wavelet_errors(images, wavelet, ranks(PIXELS))
    for image, values in zip(images.numpy(), found, strict=True):
        c, levels = image, []
        while c.shape[0] > 1:  # wavedec2 stops where a filter is longer than the image
            c, details = pywt.dwt2(c, wavelet, mode="periodization")
            levels += [np.ravel(one) for one in details]
        energies = np.sort(np.concatenate([c.ravel(), *levels]) ** 2)[::-1]
        assert energies.sum() == pytest.approx((image**2).sum())
        expected = 1 - energies.cumsum()[np.array(ranks(PIXELS)) - 1] / (image**2).sum()
        np.testing.assert_allclose(values, expected, atol=1e-12)


def test_bandlet_errors_are_those_of_the_denoiser_without_noise() -> None:
    image = torch.from_numpy(SOFT.render(3, 1).astype(np.float64))
    found = bandlet_errors(image, "haar", ranks(PIXELS))[0]
    assert (np.diff(found) <= 0).all()
    assert found[-1] == 0
    denoiser = BandletDenoiser("haar", rule=1.0, levels=4)
    norm = float(image.norm())
    points = []
    for step in range(adaptivity._THRESHOLDS):
        threshold = norm * 2 ** (-step / 2)
        left = (denoiser(image[None], threshold) - image).square().sum() / norm**2
        points.append((float(denoiser.kept(image[None], threshold)), float(left)))
    for rank, value in zip(ranks(PIXELS)[:-1], found, strict=False):
        fewer = min(left for count, left in points if count <= rank)
        more = [left for count, left in points if count >= rank]
        assert min(more, default=0) - 1e-12 <= value <= fewer + 1e-12


def test_bandlets_err_no_more_than_wavelets_of_their_filter_at_many_coefficients() -> None:
    images = torch.from_numpy(SOFT.render(0, 4).astype(np.float64))
    bandlets, wavelets = (
        measure(images, "haar", [32, 64]).mean(0) for measure in (bandlet_errors, wavelet_errors)
    )
    assert (bandlets < 1.1 * wavelets).all()


def test_the_best_basis_is_chosen_at_each_rank() -> None:
    values = np.array([[[0.5, 0.2, np.nan]], [[0.4, 0.3, 0.1]]])
    assert list(best(values)) == [1, 0, 1]
