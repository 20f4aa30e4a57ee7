"""Images of several channels and oblong ones: through linearisation, spectra and their files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gahb.artifacts import ArtifactError
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.figures.parts.eigenbases import read_eigenbasis
from gahb.figures.parts.panels import picture
from gahb.hdf5 import open_arrays
from gahb.randomness import image_noise
from gahb.spectra.analysis import analyse, eigenbasis
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.leading import leading_spectrum
from gahb.spectra.local import comb_approximation
from gahb.spectra.run import compute_spectra
from gahb.spectra.store import SCHEMA, read_spectra, write_spectra

SHAPE = (3, 6, 10)


class Colour(nn.Module):
    """A residual ReLU network without biases that mixes the channels."""

    def __init__(self, channels: int = SHAPE[0]) -> None:
        super().__init__()
        self.chain = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(8, channels, 3, padding=1, bias=False),
        )

    def forward(self, y: Tensor) -> Tensor:
        return y - self.chain(y)


@pytest.fixture(scope="module")
def colour() -> nn.Module:
    torch.manual_seed(0)
    return Colour().double().eval()


@pytest.fixture(scope="module")
def noisy() -> Tensor:
    return torch.from_numpy(image_noise(0, 0, 0, 0, SHAPE).astype(np.float64))


def direct(f: nn.Module, y: Tensor) -> np.ndarray:
    """The Jacobian by torch's own function."""
    found = torch.autograd.functional.jacobian(lambda x: f(x[None])[0], y)
    return found.reshape(y.numel(), y.numel()).numpy()


def test_products_and_spectra_of_colour_images(colour, noisy):
    jacobian = direct(colour, noisy)
    linearised = LinearisedDenoiser(colour, noisy)
    assert linearised.engine == "frozen"
    np.testing.assert_allclose(linearised.matrix().numpy(), jacobian, atol=1e-12)
    expected = np.linalg.eigvalsh((jacobian + jacobian.T) / 2)[::-1]
    full = full_spectrum(linearised)
    np.testing.assert_allclose(full.eigenvalues, expected, atol=1e-12)
    leading = leading_spectrum(linearised, 7)
    np.testing.assert_allclose(leading.eigenvalues, expected[:7], atol=1e-3 * expected[0])
    values, vectors = eigenbasis(colour, noisy.numpy(), k=4)
    assert values.shape == (180,) if len(values) > 4 else (4,)
    assert vectors.shape == (4, *SHAPE)
    flat = vectors.flatten(1).numpy()
    applied = flat @ (jacobian + jacobian.T) / 2
    np.testing.assert_allclose(np.sum(applied * flat, 1), expected[:4], atol=1e-3 * expected[0])


def test_fourier_quotients_of_each_channel(colour, noisy):
    jacobian = direct(colour, noisy)
    fourier = full_spectrum(LinearisedDenoiser(colour, noisy)).fourier
    assert fourier.shape == SHAPE
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    mode = np.zeros(SHAPE, complex)
    mode[2] = np.exp(2j * np.pi * (rows / SHAPE[1] + 3 * columns / SHAPE[2])) / 60**0.5
    expected = (mode.conj().ravel() @ jacobian @ mode.ravel()).real
    np.testing.assert_allclose(fourier[2, 1, 3], expected, atol=1e-12)


def test_combs_give_a_map_of_small_reach_within_and_between_channels():
    torch.manual_seed(0)
    blur = nn.Conv2d(2, 2, 5, padding=2, bias=False)
    y = torch.zeros(2, 20, 28)
    found = comb_approximation(LinearisedDenoiser(blur, y), 5)
    expected = direct(blur, y)
    assert found.shape == (1120, 1120)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-6)


def test_leading_spectrum_of_a_local_map_of_colours():
    torch.manual_seed(1)
    weights = torch.randn(2, 2, 3, 3).abs()
    blur = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    blur.weight.data = (weights + weights.transpose(0, 1).flip(2, 3)) / 40
    y = torch.zeros(2, 40, 44)
    jacobian = direct(blur.double(), y.double())
    expected = np.linalg.eigvalsh((jacobian + jacobian.T) / 2)[::-1][:5]
    found = leading_spectrum(LinearisedDenoiser(blur, y), 5)
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-3 * expected[0])
    assert found.products >= 2 * 10**2  # it began by combs in both channels


def test_the_memorising_denoiser_of_colours():
    images = torch.from_numpy(np.stack([image_noise(1, i, 0, 0, SHAPE) for i in range(5)])).double()
    f, sigma = EmpiricalDenoiser(images), 4.0
    y = images[0] + images[1] / 2
    weights = torch.softmax(-(images - y).flatten(1).square().sum(1) / (2 * sigma**2), 0)
    expected = torch.tensordot(weights, images, 1)
    torch.testing.assert_close(f(y[None], sigma)[0], expected)
    own = LinearisedDenoiser(f, y, sigma)
    other = LinearisedDenoiser(f, y, sigma, engine="autograd")
    assert own.engine == "exact"
    torch.testing.assert_close(own.matrix(), other.matrix())
    values, _ = eigenbasis(f, y, sigma=sigma)
    assert (values > 1e-6).sum() == 4  # of five images less their mean


def spec(**changed) -> dict:
    settings = {"sigmas": [0.5], "method": "full", "eigenvectors": 6, "seed": 3, "test_images": [0]}
    return {"spectra": settings | changed}


def clean(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.stack([image_noise(2, i, 0, 0, shape) for i in range(2)])


def test_files_of_colour_images(tmp_path, colour):
    path = tmp_path / "colour.h5"
    compute_spectra(colour, clean(), [4, 9], spec(), path, {}, report=lambda line: None)
    arrays, _ = read_spectra(path)
    assert arrays["clean"].shape == (2, *SHAPE)
    assert arrays["noisy"].shape == (2, 1, *SHAPE)
    assert arrays["eigenvectors"].shape == (2, 1, 6, *SHAPE)
    assert arrays["fourier_quotients"].shape == (2, 1, *SHAPE)
    noise = (arrays["noisy"] - arrays["clean"][:, None])[1, 0] / 0.5
    np.testing.assert_allclose(noise, image_noise(3, 9, 0, 0, SHAPE), atol=1e-6)
    one = analyse(colour, arrays["clean"][1], arrays["noisy"][1, 0], 0.5, "full", 6, seed=3)
    np.testing.assert_array_equal(arrays["eigenvalues"][1, 0], one.eigenvalues)
    with open_arrays(path, SCHEMA, {}, ["eigenvectors"]):  # alone it has channels all the same
        pass
    basis = read_eigenbasis(path, 0, 0.5)
    assert basis.clean.shape == basis.eigenvector(1).shape == SHAPE
    assert picture(basis.clean).shape == (6, 10, 3)


def test_files_of_oblong_gray_images_have_no_axis_for_channels(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "gray.h5"
    f, shape = Colour(1), (1, 6, 10)
    compute_spectra(f, clean(shape), [4, 9], spec(), path, {}, report=lambda line: None)
    arrays, _ = read_spectra(path)
    assert arrays["eigenvectors"].shape == (2, 1, 6, 6, 10)
    assert arrays["fourier_quotients"].shape == (2, 1, 6, 10)
    assert read_eigenbasis(path, 0, 0.5).clean.shape == (6, 10)


def test_arrays_of_other_channels_do_not_fit(tmp_path, colour):
    gray = Colour(1)
    torch.manual_seed(0)
    one, other = clean()[0], clean((1, 6, 10))[0]
    colours = analyse(colour, one, one, 0.5, "full", 6)
    grays = analyse(gray, other, other, 0.5, "full", 6)
    with pytest.raises(ValueError, match=r"inhomogeneous|do not fit together"):
        write_spectra(tmp_path / "x.h5", [[colours], [grays]], [0, 1], [0.5], {"spec": {}})
    assert not list(tmp_path.iterdir())
    path = tmp_path / "colour.h5"
    write_spectra(path, [[colours]], [0], [0.5], {"spec": {}})
    import h5py

    with h5py.File(path, "r+") as file:
        lost = file["eigenvectors"][:, :, :, 0]
        del file["eigenvectors"]
        file.create_dataset("eigenvectors", data=lost)
    with pytest.raises(ArtifactError, match=r"eigenvectors has shape \(1, 1, 6, 6, 10\), .*C=3"):
        read_spectra(path)


def test_the_full_spectrum_counts_all_channels():
    large = torch.zeros(3, 50, 50)
    with pytest.raises(ValueError, match=r"limited to 6,400 pixels, found 7,500 \(3x50x50\)"):
        full_spectrum(LinearisedDenoiser(Colour(), large))


def test_pictures():
    image = np.arange(24.0).reshape(4, 2, 3)
    np.testing.assert_array_equal(picture(image[0]), image[0])
    np.testing.assert_array_equal(picture(image[:1]), image[0])
    np.testing.assert_array_equal(
        picture(image)[1], [*image[0, 1], *image[1, 1], *image[2, 1], *image[3, 1]]
    )
    assert picture(image[:3] - 1).max() == 1
    assert picture(image[:3] - 1).min() == 0
