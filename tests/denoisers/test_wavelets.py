"""Wavelet thresholding: the transform, the thresholds, and the identities of projections."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

import gahb
from gahb.datasets.classes.calpha import CAlpha
from gahb.denoisers.classical.transform import WaveletTransform
from gahb.denoisers.classical.wavelets import WaveletDenoiser
from gahb.randomness import image_noise

SIGMAS = (1.0, 0.3, 0.1, 0.03)


def clean_images(alpha: float, count: int, size: int = 40) -> Tensor:
    images = CAlpha(
        size=size, seed=11, alpha=alpha, background_alpha=alpha, rendering="antialiased"
    ).render(0, count)
    return torch.from_numpy(images)[:, None].double()


def noise(count: int, size: int = 40) -> Tensor:
    draws = [image_noise(5, image, 0, 0, size) for image in range(count)]
    return torch.from_numpy(np.stack(draws)).double()


def errors(denoised: Tensor, clean: Tensor) -> Tensor:
    return (denoised - clean).square().mean(dim=(1, 2, 3))


@pytest.mark.parametrize("wavelet", ["haar", "db2", "db4", "sym4", "coif2"])
@pytest.mark.parametrize(
    ("sides", "levels"), [((32, 32), 3), ((40, 40), 3), ((80, 80), 4), ((40, 24), 2), ((12, 10), 1)]
)
def test_the_transform_is_orthogonal(wavelet: str, sides: tuple[int, int], levels: int):
    transform = WaveletTransform(wavelet)
    assert transform.levels_of(*sides) == levels
    first, second = torch.randn(
        2, 3, *sides, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    approximation, details = transform.analyse(first)
    torch.testing.assert_close(
        transform.synthesise(approximation, details), first, atol=1e-10, rtol=0
    )
    other_approximation, other_details = transform.analyse(second)
    products = [
        (a * b).sum()
        for a, b in zip(
            [approximation, *details], [other_approximation, *other_details], strict=True
        )
    ]
    torch.testing.assert_close(sum(products), (first * second).sum(), atol=1e-8, rtol=0)
    numbers = approximation.numel() + sum(subbands.numel() for subbands in details)
    assert numbers == first.numel()


@pytest.mark.filterwarnings("ignore:Level value of 3 is too high")
def test_the_transform_is_that_of_pywavelets():
    images = clean_images(2, 2)[:, 0]
    approximation, details = WaveletTransform("db2").analyse(images)
    expected, *coarse_to_fine = pywt.wavedec2(
        images.numpy(), "db2", mode="periodization", level=3, axes=(-2, -1)
    )
    np.testing.assert_allclose(approximation.numpy(), expected, atol=1e-12)
    for ours, (horizontal, vertical, diagonal) in zip(details, coarse_to_fine[::-1], strict=True):
        theirs = np.stack([vertical, horizontal, diagonal], axis=1)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)


def test_a_huge_and_a_tiny_threshold():
    clean = clean_images(2, 2)
    everything = WaveletDenoiser(rule=1e-12)
    torch.testing.assert_close(everything(clean, 1.0), clean, atol=1e-9, rtol=0)
    nothing = WaveletDenoiser("haar", rule=1e9)
    blocks = torch.nn.functional.avg_pool2d(clean, 8)  # haar: the approximation is the mean of 8x8
    upsampled = torch.nn.functional.interpolate(blocks, scale_factor=8)
    torch.testing.assert_close(nothing(clean, 1.0), upsampled, atol=1e-12, rtol=0)
    assert nothing.kept(clean, 1.0).tolist() == [25, 25]


def test_the_universal_threshold_is_that_of_the_theory():
    y = clean_images(2, 2) + 0.1 * noise(2)
    by_hand = WaveletDenoiser(rule=math.sqrt(2 * math.log(1600)))
    torch.testing.assert_close(WaveletDenoiser()(y, 0.1), by_hand(y, 0.1), atol=0, rtol=0)
    assert not torch.equal(WaveletDenoiser()(y, 0.1), WaveletDenoiser(rule=3.0)(y, 0.1))


@pytest.mark.parametrize("alpha", [2, 4])
def test_the_oracle_is_the_least_error_of_all_thresholds(alpha: int):
    clean = clean_images(alpha, 8)
    for sigma in SIGMAS:
        y = clean + sigma * noise(8)
        oracle = errors(WaveletDenoiser(rule="oracle")(y, sigma, clean), clean)
        rules = ["universal", *np.linspace(0.02, 6, 40)]
        each = [errors(WaveletDenoiser(rule=rule)(y, sigma), clean) for rule in rules]
        assert (oracle <= torch.stack(each).amin(0) + 1e-15).all()
        assert oracle.mean() < errors(WaveletDenoiser()(y, sigma), clean).mean()


def test_the_oracle_of_cycle_spinning():
    clean = clean_images(2, 3)
    y = clean + 0.1 * noise(3)
    oracle = errors(WaveletDenoiser(rule="oracle", shifts=2)(y, 0.1, clean), clean)
    for rule in ("universal", 2.0, 3.0):
        assert (oracle <= errors(WaveletDenoiser(rule=rule, shifts=2)(y, 0.1), clean)).all()


def test_cycle_spinning_lowers_the_error():
    clean = clean_images(2, 12)
    for sigma in SIGMAS:
        y = clean + sigma * noise(12)
        plain, some, full = (
            float(errors(WaveletDenoiser(shifts=shifts)(y, sigma), clean).mean())
            for shifts in (1, 2, "all")
        )
        assert full < some < plain


def test_all_shifts_make_the_denoiser_equivariant():
    y = clean_images(2, 2) + 0.1 * noise(2)
    shifted = y.roll((3, 5), (2, 3))
    spun, plain = WaveletDenoiser(shifts="all"), WaveletDenoiser()
    expected = spun(y, 0.1).roll((3, 5), (2, 3))
    torch.testing.assert_close(spun(shifted, 0.1), expected, atol=1e-12, rtol=0)
    difference = plain(shifted, 0.1) - plain(y, 0.1).roll((3, 5), (2, 3))
    assert difference.abs().max() > 1e-3


def test_images_do_not_depend_on_their_batch():
    y = (clean_images(2, 40) + 0.1 * noise(40)).float()
    for shifts in (1, 2):
        denoiser = WaveletDenoiser(shifts=shifts)
        together = denoiser(y, 0.1)
        assert together.dtype == torch.float32
        torch.testing.assert_close(denoiser(y[17:18], 0.1), together[17:18], atol=1e-7, rtol=0)
        assert torch.equal(denoiser(y, 0.1), together)


@pytest.mark.parametrize("rule", ["universal", "oracle"])
@pytest.mark.parametrize("shifts", [1, 2])
def test_the_jacobian_is_the_projection_on_what_is_kept(rule: str, shifts: int):
    clean = clean_images(2, 1, 16)
    y = clean + 0.1 * noise(1, 16)
    denoiser = WaveletDenoiser("db2", rule, shifts=shifts)
    given = [clean] if denoiser.needs_clean else []
    basis = torch.eye(256, dtype=torch.float64).view(256, 1, 16, 16)
    jacobian = denoiser.jacobian_product(y[0], basis, 0.1, *(image[0] for image in given))
    jacobian = jacobian.view(256, 256)
    torch.testing.assert_close(jacobian, jacobian.T, atol=1e-10, rtol=0)
    eigenvalues = torch.linalg.eigvalsh(jacobian)
    assert eigenvalues.min() > -1e-9
    assert eigenvalues.max() < 1 + 1e-9
    if shifts == 1:
        torch.testing.assert_close(jacobian @ jacobian, jacobian, atol=1e-10, rtol=0)
    kept = denoiser.kept(y, 0.1, *given)
    assert 16 < kept < 256
    torch.testing.assert_close(jacobian.trace()[None], kept, atol=1e-8, rtol=0)
    torch.testing.assert_close(
        (jacobian @ y.view(256)).view(y.shape), denoiser(y, 0.1, *given), atol=1e-10, rtol=0
    )
    differentiated = torch.func.jacrev(lambda image: denoiser(image, 0.1, *given))(y)
    torch.testing.assert_close(differentiated.view(256, 256), jacobian, atol=1e-10, rtol=0)


def test_its_spectrum_is_analysed_as_any_denoisers():
    y = clean_images(2, 1, 16)[0] + 0.1 * noise(1, 16)[0]
    eigenvalues, _ = gahb.eigenbasis(gahb.WaveletDenoiser("db2"), y, k=8, sigma=0.1)
    np.testing.assert_allclose(eigenvalues, 1, atol=1e-8)


def test_with_a_low_threshold_the_noise_error_is_sigma_squared_times_what_is_kept():
    """Nothing but noise, everything kept: MSE = sigma^2; nothing kept: sigma^2 (d / 64) / d."""
    y = 0.5 * noise(64)
    zero = torch.zeros_like(y)
    everything = errors(WaveletDenoiser(rule=1e-9)(y, 0.5), zero).mean()
    nothing = errors(WaveletDenoiser(rule=1e9)(y, 0.5), zero).mean()
    assert float(everything) == pytest.approx(0.25, rel=0.02)
    assert float(nothing) == pytest.approx(0.25 / 64, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wavelet": "db99"}, "wavelet: expected a discrete one of PyWavelets, found 'db99'"),
        ({"wavelet": "bior2.2"}, "wavelet: expected an orthogonal one, found 'bior2.2'"),
        ({"rule": "minimax"}, "rule: expected .* found 'minimax'"),
        ({"rule": -1.0}, "rule: expected .* found -1"),
        ({"shifts": 0}, "shifts: expected .* found 0"),
        ({"shifts": "some"}, "shifts: expected .* found 'some'"),
        ({"levels": 0}, "levels: expected a positive integer, found 0"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        WaveletDenoiser(**options)


def test_wrong_inputs_are_refused():
    y = torch.zeros(1, 1, 40, 40)
    with pytest.raises(ValueError, match="needs the noise level: sigma > 0, found None"):
        WaveletDenoiser()(y)
    with pytest.raises(ValueError, match="needs the noise level: sigma > 0, found 0"):
        WaveletDenoiser()(y, 0.0)
    oracle = WaveletDenoiser(rule="oracle")
    assert oracle.needs_clean
    assert not WaveletDenoiser().needs_clean
    with pytest.raises(ValueError, match="an oracle needs the clean image"):
        oracle(y, 0.1)
    with pytest.raises(ValueError, match=r"image sides: .* found 41 x 40"):
        WaveletDenoiser()(torch.zeros(1, 1, 41, 40), 0.1)
    with pytest.raises(ValueError, match=r"image sides: expected multiples of 16.* found 40 x 40"):
        WaveletDenoiser(levels=4)(y, 0.1)
    with pytest.raises(ValueError, match="shifts: expected at most 8 along an axis, found 9"):
        WaveletDenoiser(shifts=9)(y, 0.1)
