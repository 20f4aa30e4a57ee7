"""Means over the images of a spectra file, of denoisers of which they are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gahb.artifacts import ArtifactError
from gahb.datasets.classes.gaussian import Gaussian
from gahb.denoisers.exact.gaussian import WienerDenoiser
from gahb.figures.parts.over_images import (
    OverImages,
    SpectraTables,
    mean_and_se,
    mean_text,
    read_over_images,
)
from gahb.figures.wiener import radial_means
from gahb.spectra.run import compute_spectra

SIDE, IMAGES, SIGMA = 8, 64, 0.2


@pytest.fixture(scope="module")
def fields() -> Gaussian:
    return Gaussian(size=SIDE, seed=0, exponent=3, mean=0.5, standard_deviation=0.15)


def over(
    denoiser: object, fields: Gaussian, folder: Path, method: str = "full", images: int = IMAGES
) -> OverImages:
    settings = {"sigmas": [0.1, SIGMA], "method": method, "eigenvectors": 4, "seed": 3}
    clean = fields.render(0, images)[:, None]
    path = folder / "spectra.h5"
    compute_spectra(
        denoiser, clean, range(images), {"spectra": settings}, path, {}, report=lambda _: None
    )
    return read_over_images(path, SIGMA)


def check_zero(values: np.ndarray) -> None:
    assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5


def test_error_of_the_optimum_is_its_trace(fields: Gaussian, tmp_path: Path) -> None:
    found = over(WienerDenoiser(fields), fields, tmp_path)
    assert found.images == IMAGES
    assert found.sigma == SIGMA
    check_zero(found.numbers["error"] - found.numbers["sure"])
    check_zero(found.numbers["excess"])
    factors = WienerDenoiser(fields).eigenvalues(SIGMA).numpy()
    np.testing.assert_allclose(found.numbers["trace"], factors.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.fourier_quotients - factors, 0, atol=1e-6)
    # an affine map with a symmetric Jacobian is what its symmetric part makes of it
    np.testing.assert_allclose(found.numbers["symmetric_loss"], 0, atol=1e-4)
    assert found.numbers["negative_mass"].max() < 1e-6
    assert found.text("asymmetry", ".3f") == "0.000 +/- 0.000"


def test_error_of_another_denoiser_is_that_of_sure_and_not_its_trace(
    fields: Gaussian, tmp_path: Path
) -> None:
    def rotated(y: torch.Tensor) -> torch.Tensor:
        return 0.5 * y + 0.3 * torch.cat([y[..., 1:, :], y[..., :1, :]], -2)

    found = over(rotated, fields, tmp_path)
    check_zero(found.numbers["error"] - found.numbers["sure"])
    excess = found.numbers["excess"]
    assert abs(excess.mean()) > 6 * excess.std() / IMAGES**0.5
    np.testing.assert_allclose(found.numbers["trace"], SIDE**2 / 2, rtol=1e-6)
    assert np.abs(found.numbers["symmetric_loss"]).min() > 1e-3
    k = np.fft.fftfreq(SIDE)[:, None] + np.zeros(SIDE)
    expected = 0.5 + 0.3 * np.cos(2 * np.pi * k)
    np.testing.assert_allclose(found.fourier_quotients - expected, 0, atol=1e-6)


def test_what_the_leading_method_leaves_open_is_a_dash(fields: Gaussian, tmp_path: Path) -> None:
    found = over(WienerDenoiser(fields), fields, tmp_path, "leading", 3)
    assert found.text("least_eigenvalue", ".3f") == "-"
    row = SpectraTables("N", [("10", found)]).symmetric[0]
    assert row[0] == "10"
    assert row[-2:] == ["-", "-"]
    assert "+/-" in row[1]


def test_means_and_their_errors() -> None:
    values = np.array([[1.0, 2.0], [3.0, 2.0]])
    np.testing.assert_array_equal(mean_and_se(values), [[2, 2], [1, 0]])
    np.testing.assert_array_equal(mean_and_se(values[:1]), [[1, 2], [0, 0]])
    assert mean_text(values[:, 0], ".1f") == "2.0 +/- 1.0"
    assert mean_text(values[:1, 0], ".1f") == "1.0"


@pytest.mark.parametrize("size", [5, 8])
def test_radial_means_are_over_modes_of_equal_frequency(size: int) -> None:
    k = np.round(np.fft.fftfreq(size, 1 / size))
    frequencies, means = radial_means(
        np.stack([np.hypot(k[:, None], k[None]), np.ones([size] * 2)])
    )
    assert (np.diff(frequencies) > 0).all()
    assert frequencies[0] == 0
    np.testing.assert_allclose(means, [frequencies, np.ones_like(frequencies)])


def test_denoisers_on_other_numbers_of_images_are_refused(fields: Gaussian, tmp_path: Path) -> None:
    found = over(lambda y: y / 2, fields, tmp_path, images=3)
    fewer = OverImages(
        found.path,
        found.spec,
        SIGMA,
        found.eigenvalues[:1],
        found.eigenvectors[:1],
        found.fourier_quotients[:1],
        found.numbers,
    )
    assert SpectraTables("N", [("1", fewer)]).images == "1 test image"
    with pytest.raises(ArtifactError, match=r"of as many images: .* has 3, .* has 1"):
        _ = SpectraTables("N", [("1", found), ("2", fewer)]).images
