"""Bandlets: orthonormal for every flow, the best basis, and what it gains on edges and C^alpha images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gahb.datasets.classes.calpha import CAlpha
from gahb.denoisers.classical.alpert import alpert_basis, bandlet_bases, flows, warped
from gahb.denoisers.classical.bandlets import BandletDenoiser, square_sides
from gahb.denoisers.classical.transform import WaveletTransform
from gahb.denoisers.classical.wavelets import WaveletDenoiser
from gahb.randomness import image_noise


def clean_images(alpha: float, count: int, size: int = 40) -> Tensor:
    images = CAlpha(
        size=size, seed=11, alpha=alpha, background_alpha=alpha, rendering="antialiased"
    ).render(0, count)
    return torch.from_numpy(images)[:, None].double()


def noise(count: int, size: int = 40) -> Tensor:
    draws = [image_noise(5, image, 0, 0, size) for image in range(count)]
    return torch.from_numpy(np.stack(draws)).double()


def straight_edges(size: int = 40) -> Tensor:
    """Antialiased half-planes in eight directions that are no multiple of 45 degrees."""
    position = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    angles = np.pi * (np.arange(8) + 0.3) / 8
    distances = [position[:, None] * np.cos(a) + position * np.sin(a) - 1.7 for a in angles]
    return (torch.stack(distances)[:, None] + 0.5).clamp(0, 1)


def mean_error(denoised: Tensor, clean: Tensor) -> float:
    return float((denoised - clean).square().mean())


@pytest.mark.parametrize("moments", [1, 2])
@pytest.mark.parametrize("side", [4, 5, 8, 10])
def test_every_flow_has_an_orthonormal_basis(side: int, moments: int):
    bases = bandlet_bases(side, moments)
    assert bases.shape == (1 + len(flows(side)), side**2, side**2)
    identity = torch.eye(side**2, dtype=torch.float64).expand_as(bases)
    torch.testing.assert_close(bases @ bases.mT, identity, atol=1e-12, rtol=0)
    torch.testing.assert_close(bases[0], identity[0], atol=0, rtol=0)


def test_flows_are_distinct_and_cover_all_directions():
    for side in (4, 5, 8, 10):
        coordinates = [np.concatenate(warped(side, flow)) for flow in flows(side)]
        assert len(np.unique(np.round(coordinates, 9), axis=0)) == len(coordinates)
        straight = [flow for flow in flows(side) if flow[2] == 0]
        assert len(straight) == 2 * (2 * side - 1) - 2
    _, across = warped(8, (False, 3.5, 0.0))
    assert np.ptp(across.reshape(8, 8).diagonal()) < 1e-12  # constant along the diagonal


@pytest.mark.parametrize("moments", [1, 2, 3])
def test_vanishing_moments_along_the_flow(moments: int):
    for flow, basis in zip(flows(8), bandlet_bases(8, moments)[1:].numpy(), strict=True):
        along, across = warped(8, flow)
        np.testing.assert_allclose(alpert_basis(along, across, 8, moments), basis, atol=1e-12)
        for degree in range(moments):
            assert np.abs(basis[moments:] @ along**degree).max() < 1e-10
        assert np.abs(basis[moments:] @ along**moments).max() > 1e-3


def test_a_step_across_the_flow_is_few_coefficients():
    """Linear along the flow, and cut across it: two for the mean and two for each cut of the tree."""
    for flow in [(False, 0.0, 0.0), (True, 0.0, 0.0)]:
        along, across = warped(8, flow)
        basis = alpert_basis(along, across, 8, 2)
        for step in np.arange(-3, 4):
            coefficients = basis @ ((2 + along) * (across > step))
            assert (np.abs(coefficients) > 1e-10).sum() <= 2 * (1 + 3)


def test_square_sides():
    assert square_sides(16, 16) == [4, 8]
    assert square_sides(20, 20) == [5, 10]
    assert square_sides(10, 20) == [5, 10]
    assert square_sides(5, 5) == [5]
    assert square_sides(40, 40) == [5, 10]
    assert square_sides(22, 22) == []
    assert square_sides(2, 2) == []


def test_without_squares_bandlets_are_wavelets():
    y = clean_images(2, 2, 44) + 0.1 * noise(2, 44)
    wavelets = WaveletDenoiser("db2", 3.0, shifts=2)
    bandlets = BandletDenoiser("db2", 3.0, shifts=2)
    torch.testing.assert_close(bandlets(y, 0.1), wavelets(y, 0.1), atol=1e-14, rtol=0)
    assert torch.equal(bandlets.kept(y, 0.1), wavelets.kept(y, 0.1))


@pytest.mark.parametrize("size", [32, 40, 80])
def test_a_tiny_threshold_keeps_the_image_and_a_huge_one_the_approximation(size: int):
    y = clean_images(2, 2, size) + 0.1 * noise(2, size)
    keeps_all = BandletDenoiser("db2", 1e-9, flow_cost=0, split_cost=0)
    torch.testing.assert_close(keeps_all(y, 1.0), y, atol=1e-7, rtol=0)
    nothing = WaveletDenoiser("db2", 1e9)(y, 1.0)
    torch.testing.assert_close(BandletDenoiser("db2", 1e9)(y, 1.0), nothing, atol=1e-12, rtol=0)


def test_the_basis_is_the_best_of_all_segmentations_and_flows():
    """One level of a 16 x 16 image: each subband is one square of 8 or four of 4."""
    y = clean_images(2, 1, 16) + 0.1 * noise(1, 16)
    threshold = 0.3
    least = 0.0
    for c in WaveletTransform("db2", 1).analyse(y[0])[1][0][0]:

        def cost(square: Tensor) -> float:
            coefficients = bandlet_bases(len(square), 2) @ square.flatten()
            return float(coefficients.square().clamp(max=threshold**2).sum(1).min())

        quarters = [c[i : i + 4, j : j + 4] for i in (0, 4) for j in (0, 4)]
        least += min(cost(c), sum(cost(quarter) for quarter in quarters))
    denoiser = BandletDenoiser("db2", 3.0, flow_cost=0, split_cost=0, levels=1)
    kept = float(denoiser.kept(y, 0.1)) - 64
    found = float((y - denoiser(y, 0.1)).square().sum()) + threshold**2 * kept
    assert found == pytest.approx(least, rel=1e-10)
    dear = BandletDenoiser("db2", 3.0, flow_cost=1e9, levels=1)
    wavelets = WaveletDenoiser("db2", 3.0, levels=1)
    torch.testing.assert_close(dear(y, 0.1), wavelets(y, 0.1), atol=1e-14, rtol=0)


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4"])
def test_the_penalised_cost_is_below_that_of_wavelets(wavelet: str):
    clean = clean_images(2, 8)
    for sigma in (0.3, 0.1, 0.03):
        y = clean + sigma * noise(8)
        costs = []
        for denoiser in (BandletDenoiser(wavelet, 3.0), WaveletDenoiser(wavelet, 3.0)):
            residual = (y - denoiser(y, sigma)).square().sum((1, 2, 3))
            costs.append(residual + (3 * sigma) ** 2 * denoiser.kept(y, sigma))
        assert (costs[0] <= costs[1] + 1e-9).all()
        assert costs[0].mean() < costs[1].mean()


def test_straight_edges_need_fewer_coefficients_than_wavelets():
    """With no noise, at one threshold T; and fewer still with the error in units of T^2 added."""
    edges = straight_edges()
    for wavelet, share in (("db2", 1.0), ("sym4", 0.75)):
        for sigma in (0.1, 0.03):
            kept, costs = [], []
            for denoiser in (BandletDenoiser(wavelet, 3.0), WaveletDenoiser(wavelet, 3.0)):
                kept.append(denoiser.kept(edges, sigma) - 25)  # but those of the approximation
                error = (denoiser(edges, sigma) - edges).square().sum((1, 2, 3))
                costs.append(kept[-1] + error / (3 * sigma) ** 2)
            assert (kept[0] < kept[1]).all()
            assert kept[0].sum() < share * kept[1].sum()
            assert costs[0].sum() < share * costs[1].sum()


@pytest.mark.parametrize("alpha", [2, 4])
def test_bandlets_beat_wavelets_where_the_noise_is_small(alpha: int):
    """With one wavelet, threshold and number of shifts, at an input PSNR of 30 and 40 dB."""
    clean = clean_images(alpha, 8)
    for sigma in (0.03, 0.01):
        y = clean + sigma * noise(8)
        for shifts in (1, 2):
            bandlets = BandletDenoiser(shifts=shifts)
            wavelets = WaveletDenoiser(rule=bandlets.rule, shifts=shifts)
            assert mean_error(bandlets(y, sigma), clean) < mean_error(wavelets(y, sigma), clean)


@pytest.mark.parametrize("alpha", [2, 4])
def test_cycle_spinning_lowers_the_error(alpha: int):
    clean = clean_images(alpha, 8)
    for sigma in (1.0, 0.1, 0.03):
        y = clean + sigma * noise(8)
        spun = mean_error(BandletDenoiser(shifts=2)(y, sigma), clean)
        assert spun < mean_error(BandletDenoiser()(y, sigma), clean)


@pytest.mark.parametrize("shifts", [1, 2])
def test_the_jacobian_is_the_projection_on_what_is_kept(shifts: int):
    y = clean_images(2, 1, 16) + 0.1 * noise(1, 16)
    denoiser = BandletDenoiser("db2", 3.0, shifts=shifts, flow_cost=0.5)
    assert not torch.equal(denoiser(y, 0.1), WaveletDenoiser("db2", 3.0, shifts=shifts)(y, 0.1))
    basis = torch.eye(256, dtype=torch.float64).view(256, 1, 16, 16)
    jacobian = denoiser.jacobian_product(y[0], basis, 0.1).view(256, 256)
    torch.testing.assert_close(jacobian, jacobian.T, atol=1e-10, rtol=0)
    eigenvalues = torch.linalg.eigvalsh(jacobian)
    assert eigenvalues.min() > -1e-9
    assert eigenvalues.max() < 1 + 1e-9
    if shifts == 1:
        torch.testing.assert_close(jacobian @ jacobian, jacobian, atol=1e-10, rtol=0)
    kept = denoiser.kept(y, 0.1)
    torch.testing.assert_close(jacobian.trace()[None], kept, atol=1e-8, rtol=0)
    estimate = (jacobian @ y.view(256)).view(y.shape)
    torch.testing.assert_close(estimate, denoiser(y, 0.1), atol=1e-10, rtol=0)
    step = 1e-7 * noise(1, 16)  # geometry and kept vectors do not change
    torch.testing.assert_close(
        denoiser(y + step, 0.1) - denoiser(y, 0.1),
        (jacobian @ step.view(256)).view(y.shape),
        atol=1e-13,
        rtol=0,
    )
    differentiated = torch.func.jacrev(lambda image: denoiser(image, 0.1))(y).view(256, 256)
    torch.testing.assert_close(differentiated, jacobian, atol=1e-10, rtol=0)


def test_images_do_not_depend_on_their_batch():
    y = (clean_images(2, 30) + 0.1 * noise(30)).float()
    denoiser = BandletDenoiser()
    together = denoiser(y, 0.1)
    assert together.dtype == torch.float32
    assert torch.equal(denoiser(y, 0.1), together)
    torch.testing.assert_close(denoiser(y[17:18], 0.1), together[17:18], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "oracle"}, "rule: expected universal or a positive number, found 'oracle'"),
        ({"moments": 0}, "moments: expected 1 to 4, found 0"),
        ({"flow_cost": -1}, "flow_cost: expected at least 0, found -1"),
        ({"split_cost": -1}, "split_cost: expected at least 0, found -1"),
        ({"wavelet": "bior2.2"}, r"wavelet: expected an orthogonal one, found 'bior2\.2'"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        BandletDenoiser(**options)


def test_the_noise_level_is_needed():
    with pytest.raises(ValueError, match="needs the noise level: sigma > 0, found None"):
        BandletDenoiser()(torch.zeros(1, 1, 40, 40))
