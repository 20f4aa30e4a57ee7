"""Disks against geometry, and their posterior mean against brute force and against what it must obey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gahb import DiskPosterior, Disks, EmpiricalDenoiser, LinearisedDenoiser, analyse, eigenbasis
from gahb.denoisers.exact.unit_square import moments
from gahb.randomness import generator

RENDERINGS, PARAMETERS = ("antialiased", "hard_edged"), ("continuous", "integer")
SMOOTH: dict[str, Any] = {"rendering": "antialiased", "parameters": "continuous"}
KINDS = [(rendering, parameters) for rendering in RENDERINGS for parameters in PARAMETERS]


def drawn(disks: Disks, count: int, sigma: float, key: str = "noise") -> tuple[Tensor, Tensor]:
    """Clean and noisy images, (count, 1, H, W) float64."""
    clean = torch.from_numpy(disks.images(disks.draw(0, count)))[:, None]
    noise = generator(0, key).standard_normal(clean.shape)
    return clean, clean + sigma * torch.from_numpy(noise)


def squares(images: Tensor) -> Tensor:
    """Squares summed over the pixels of each image."""
    return images.square().sum((1, 2, 3))


# ---------------------------------------------------------------------------------------------
# The image class


def counted(geometry: np.ndarray, size: int, points: int = 200) -> np.ndarray:
    """Share of a grid of points in every pixel that lie in the disk."""
    cx, cy, r = geometry
    at = (np.arange(size * points) + 0.5) / points - 0.5
    inside = (at[None] - cx) ** 2 + (at[:, None] - cy) ** 2 <= r * r
    return inside.reshape(size, points, size, points).mean((1, 3))


@settings(max_examples=20)
@given(cx=st.floats(-2, 10), cy=st.floats(-2, 10), r=st.floats(0.05, 9))
def test_antialiased_mask_is_area_coverage(cx: float, cy: float, r: float):
    """Whole pixels, pixels that hold the disk, disks that the border cuts off or hides."""
    disks = Disks(size=8, seed=0, **SMOOTH, radius=(0.01, 10), centre=(-3, 11))
    geometry = np.array([cx, cy, r])
    mask = disks.masks(geometry[None])[0]
    np.testing.assert_allclose(mask, counted(geometry, 8), atol=4e-3)
    inside = min(cx, cy) - r >= -0.5 and max(cx, cy) + r <= 7.5
    assert mask.sum() <= np.pi * r * r + 1e-9
    if inside:
        assert mask.sum() == pytest.approx(np.pi * r * r, abs=1e-11)


def test_area_of_drawn_disks():
    disks = Disks(size=40, seed=1, **SMOOTH)
    parameters = disks.draw(0, 200)
    area = disks.masks(parameters[:, :3]).sum((1, 2))
    np.testing.assert_allclose(area, np.pi * parameters[:, 2] ** 2, rtol=1e-12)


def test_hard_edged_mask_tells_pixel_centres():
    disks = Disks(size=12, seed=0, rendering="hard_edged", parameters="continuous")
    for cx, cy, r in disks.draw(0, 20)[:, :3]:
        mask = disks.masks(np.array([[cx, cy, r]]))[0]
        for i in range(12):
            for j in range(12):
                assert mask[i, j] == ((j - cx) ** 2 + (i - cy) ** 2 <= r * r)


def test_window_holds_the_whole_disk():
    disks = Disks(size=12, seed=0, **SMOOTH, centre=(-2, 13))
    for geometry in disks.draw(0, 40)[:, :3]:
        whole = disks.masks(geometry[None])[0]
        top, bottom, left, right = window = disks.window(geometry[None])
        np.testing.assert_array_equal(
            disks.masks(geometry[None], window)[0], whole[top:bottom, left:right]
        )
        assert whole.sum() == pytest.approx(whole[top:bottom, left:right].sum())


def test_antialiased_images_are_smooth_in_their_parameters():
    """Antialiased: differences fall with the step, and so do differences of differences."""
    geometry = np.array([9.3, 10.1, 4.2])
    for direction in np.eye(3):
        firsts, seconds = [], []
        for step in (1e-2, 1e-3, 1e-4):
            path = geometry + step * np.outer(np.arange(3), direction)
            masks = Disks(size=20, seed=0, **SMOOTH).masks(path)
            slopes = np.diff(masks, axis=0) / step
            firsts.append(np.square(slopes[0]).sum())
            seconds.append(np.abs(slopes[1] - slopes[0]).max())
        # ||dm/dcx||^2 = pi r and ||dm/dr||^2 = 2 pi r, but for arcs that pixels share
        expected = np.pi * geometry[2] * (2 if direction[2] else 1)
        np.testing.assert_allclose(firsts, expected, rtol=0.12)
        assert seconds[0] > 3 * seconds[1] > 9 * seconds[2]
    hard = Disks(size=20, seed=0, rendering="hard_edged", parameters="continuous").masks(
        geometry + np.outer(np.linspace(0, 0.5, 501), [1, 0, 0])
    )
    jumps = np.abs(np.diff(hard, axis=0)).sum((1, 2))
    assert set(jumps) >= {0, 1}
    assert (jumps == 0).mean() > 0.9


@pytest.mark.parametrize(("rendering", "parameters"), KINDS)
def test_images_are_what_their_parameters_say(rendering: str, parameters: str):
    disks = Disks(size=16, seed=3, rendering=rendering, parameters=parameters)
    together = disks.render(0, 40)
    assert together.shape == (40, 16, 16)
    assert together.dtype == np.float32
    assert together.min() >= 0
    assert together.max() <= 1
    for first, count in ((0, 1), (17, 1), (7, 30), (39, 1)):
        np.testing.assert_array_equal(disks.render(first, count), together[first : first + count])
    assert not np.array_equal(
        together, Disks(size=16, seed=4, rendering=rendering, parameters=parameters).render(0, 40)
    )
    for (*geometry, f, b), image in zip(disks.draw(0, 40), together, strict=True):
        mask = disks.masks(np.array([geometry]))[0]
        np.testing.assert_allclose(image, b + (f - b) * mask, atol=1e-7)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_parameters_are_uniform_and_independent(parameters: str):
    disks = Disks(size=40, seed=0, rendering="antialiased", parameters=parameters)
    table = disks.draw(0, 4000)
    ranges = [(9.5, 29.5)] * 2 + [(4, 10)] + [(0, 1)] * 2
    for column, (low, high) in zip(table.T, ranges, strict=True):
        assert column.min() >= low
        assert column.max() <= high
        assert column.mean() == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
        variance = (high - low) ** 2 / 12
        if parameters == "integer" and (low, high) != (0, 1):
            count = np.floor(high) - np.ceil(low) + 1
            variance = (count**2 - 1) / 12
        assert column.std() == pytest.approx(variance**0.5, rel=0.05)
    assert np.abs(np.corrcoef(table.T) - np.eye(5)).max() < 0.06
    if parameters == "integer":
        assert (table[:, :3] == np.rint(table[:, :3])).all()
        assert {tuple(row) for row in table[:, :3]} <= {tuple(row) for row in disks.geometries()}
        assert [len(set(column)) for column in table[:, :3].T] == [20, 20, 7]
        assert len(disks.geometries()) == 20 * 20 * 7


def test_tangents_span_what_small_changes_do():
    disks = Disks(size=16, seed=0, **SMOOTH)
    parameters = disks.draw(2, 1)[0]
    tangents = disks.tangents(parameters).reshape(5, -1)
    np.testing.assert_allclose(tangents @ tangents.T, np.eye(5), atol=1e-10)
    here = disks.images(parameters[None])[0].ravel()
    for axis in range(5):
        moved = parameters + 1e-3 * np.eye(5)[axis]
        change = disks.images(moved[None])[0].ravel() - here
        outside = change - tangents.T @ (tangents @ change)
        assert np.linalg.norm(outside) < 5e-3 * np.linalg.norm(change)
    assert (change @ tangents[4]) > 0  # oriented along the derivatives
    for rendering, kind in KINDS[1:]:
        assert Disks(size=16, seed=0, rendering=rendering, parameters=kind).tangents(
            parameters.round()
        ).shape == (2, 16, 16)
    with pytest.raises(ValueError, match="no tangent space"):
        disks.tangents(np.array([8, 8, 3, 0.5, 0.5]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rendering": "soft"}, r"rendering\s.*'antialiased' or 'hard_edged'.*'soft'"),
        ({"parameters": "whole"}, r"parameters\s.*'continuous' or 'integer'.*'whole'"),
        ({"radius": (0, 2)}, r"radius\s.*0 < lowest < highest"),
        ({"centre": (5, 5)}, r"centre\s.*a lower value first"),
        ({"parameters": "integer", "radius": (1.1, 1.9)}, r"radius\s.*holds a whole number"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Disks(size=16, seed=0, **SMOOTH | options)


# ---------------------------------------------------------------------------------------------
# Greys: Gaussians on the unit square


@pytest.mark.parametrize(
    ("sigma", "level"),
    [(0.02, 0.02), (0.02, 0.6), (0.3, -1), (0.3, 0.6), (0.3, 3), (4, -1), (4, 0.02), (4, 3)],
)
def test_moments_on_the_unit_square(sigma: float, level: float):
    """Against a fine product rule: inside, on edges and in corners, masks of no and of few pixels."""
    random = generator(0, "square", str(sigma), str(level))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    at = ((nodes + 1) / 2 + np.arange(80)[:, None]).ravel() / 80
    share = np.tile(weights / 160, 80)
    for pixels in (0, 1, 5, 40):
        v = np.zeros(64)
        v[:pixels] = random.random(pixels)
        u, y = 1 - v, level + sigma * random.standard_normal(64)
        gram, products = np.array([u @ u, u @ v, v @ v]), np.array([u @ y, v @ y])
        found = moments(gram[None], products[None], sigma**2)
        along = products[:, None] * at - gram[[0, 2], None] * at * at / 2
        exponent = (along[0][:, None] + along[1] - gram[1] * np.outer(at, at)) / sigma**2
        density = np.exp(exponent - exponent.max()) * np.outer(share, share)
        mass = density.sum()
        mean = np.array([density.sum(1) @ at, density.sum(0) @ at]) / mass
        spread = [at - mean[0], at - mean[1]]
        covariance = [spread[i] @ density @ spread[j] / mass for i, j in ((0, 0), (0, 1), (1, 1))]
        covariance[0] = density.sum(1) @ spread[0] ** 2 / mass
        covariance[2] = density.sum(0) @ spread[1] ** 2 / mass
        widths = np.sqrt([covariance[0], covariance[2]])
        assert found.log_mass[0] == pytest.approx(exponent.max() + np.log(mass), abs=1e-5)
        assert np.abs((found.mean[0] - mean) / widths).max() < 1e-5
        scale = [widths[0] ** 2, widths[0] * widths[1], widths[1] ** 2]
        assert np.abs((found.covariance[0] - covariance) / scale).max() < 1e-4


def test_moments_far_in_the_tails():
    """Data 1000 standard deviations outside: an exponential distribution at the corner."""
    gram, sigma = np.array([[50.0, 3.0, 10.0]]), 0.1
    products = np.array([[-500.0, 700.0]])
    found = moments(gram, products, sigma**2)
    slope = np.array([500 + 3, 700 - 10]) / sigma**2
    np.testing.assert_allclose(found.mean[0], [1 / slope[0], 1 - 1 / slope[1]], rtol=1e-3)
    np.testing.assert_allclose(found.covariance[0, [0, 2]], slope**-2.0, rtol=1e-3)


# ---------------------------------------------------------------------------------------------
# The posterior


def brute_force(
    disks: Disks, y: Tensor, sigma: float, step: float, greys: int = 30
) -> tuple[np.ndarray, float]:
    """Posterior mean and variance, summed over a fine grid of all five parameters."""
    if disks.parameters == "integer":
        geometry = disks.geometries()
    else:
        axes = [
            np.linspace(low, high, round((high - low) / step) * 2 + 1)[1::2]
            for low, high in [disks.centre_range] * 2 + [disks.radius_range]
        ]
        geometry = np.stack(np.meshgrid(*axes), -1).reshape(-1, 3)
    at = (np.arange(greys) + 0.5) / greys
    b, f = (grid.ravel() for grid in np.meshgrid(at, at))
    image = y.numpy().ravel()
    logs, means, powers = [], [], []
    for part in np.array_split(geometry, 1 + len(geometry) // 256):
        m = disks.masks(part).reshape(len(part), -1)
        u = 1 - m
        energy = np.outer((u * u).sum(1), b * b) + np.outer((m * m).sum(1), f * f)
        energy += np.outer((u * m).sum(1), 2 * b * f)
        logs_here = (np.outer(u @ image, b) + np.outer(m @ image, f) - energy / 2) / sigma**2
        top = logs_here.max(1, keepdims=True)
        density = np.exp(logs_here - top)
        mass = density.sum(1)
        logs.append(top[:, 0] + np.log(mass))
        means.append(((density @ b) / mass)[:, None] * u + ((density @ f) / mass)[:, None] * m)
        powers.append((density * energy).sum(1) / mass)
    log = np.concatenate(logs)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = weights @ np.concatenate(means)
    return mean, float(weights @ np.concatenate(powers) - mean @ mean)


@pytest.mark.parametrize(("rendering", "parameters"), KINDS)
@pytest.mark.parametrize("sigma", [0.25, 1.0])
def test_posterior_is_that_of_brute_force(rendering: str, parameters: str, sigma: float):
    disks = Disks(size=8, seed=0, rendering=rendering, parameters=parameters)
    _, noisy = drawn(disks, 2, sigma)
    found = DiskPosterior(disks).estimate(noisy, sigma)
    step = 0.1 if rendering == "antialiased" else 0.08
    for index, y in enumerate(noisy):
        mean, variance = brute_force(disks, y, sigma, step)
        apart = np.square(found.mean[index].numpy().ravel() - mean).sum() / variance
        assert apart < (1e-4 if rendering == "antialiased" else 4e-3)
        exactness = 0.01 if rendering == "antialiased" else 0.05
        assert float(found.variance[index]) == pytest.approx(variance, rel=exactness)


@pytest.mark.parametrize("sigma", [0.03, 0.2])
def test_prior_of_wide_ranges(sigma: float):
    """Disks that the border cuts off, and disks that cover the image or miss it."""
    disks = Disks(
        size=8,
        seed=0,
        rendering="antialiased",
        radius=(0.5, 8),
        centre=(-4, 11),
        parameters="integer",
    )
    clean, noisy = drawn(disks, 12, sigma)
    found = DiskPosterior(disks).estimate(noisy, sigma)
    assert found.mean.isfinite().all()
    for index in range(0, 12, 4) if sigma > 0.1 else ():  # where a grid of greys resolves it
        mean, variance = brute_force(disks, noisy[index], sigma, 0, greys=100)
        np.testing.assert_allclose(found.mean[index].numpy().ravel(), mean, atol=1e-3)
        assert float(found.variance[index]) == pytest.approx(variance, rel=0.01)
    assert squares(found.mean - clean).mean() < 12 * sigma**2


@pytest.mark.parametrize(("rendering", "parameters"), KINDS)
@pytest.mark.parametrize("sigma", [0.2])
def test_error_is_the_trace_of_the_jacobian_and_what_sure_says(
    rendering: str, parameters: str, sigma: float
):
    """MSE* = sigma^2 E tr J = E SURE, within three standard errors, over the draws.

    The errors are skewed: few draws of integer parameters, which are cheap, would not do.
    """
    disks = Disks(size=12, seed=5, rendering=rendering, parameters=parameters)
    draws = 30 if parameters == "continuous" else 300
    clean, noisy = drawn(disks, draws, sigma)
    denoiser = DiskPosterior(disks)
    found = denoiser.estimate(noisy, sigma)
    errors = squares(found.mean - clean)
    differences = errors - found.variance
    assert differences.mean().abs() < 3 * differences.std() / draws**0.5
    d = 144
    if rendering == "antialiased":
        z = torch.from_numpy(generator(0, "probe").standard_normal(noisy.shape))
        step = 1e-3 * sigma
        divergence = ((denoiser(noisy + step * z, sigma) - found.mean) / step * z).sum((1, 2, 3))
    else:  # the quadrature is rougher than that: exact traces
        divergence = found.variance / sigma**2
    sure = squares(found.mean - noisy) - d * sigma**2 + 2 * sigma**2 * divergence
    gaps = sure - errors
    assert gaps.mean().abs() < 3 * gaps.std() / draws**0.5
    assert gaps.std() / draws**0.5 < 0.7 * d * sigma**2


@pytest.mark.parametrize(("rendering", "parameters"), KINDS)
@pytest.mark.parametrize("sigma", [0.02, 0.3])
def test_jacobian(rendering: str, parameters: str, sigma: float):
    """Symmetric, positive semidefinite, of trace variance / sigma^2, and the derivative of f."""
    disks = Disks(size=10, seed=2, rendering=rendering, parameters=parameters)
    _, noisy = drawn(disks, 4, sigma)
    denoiser = DiskPosterior(disks)
    y = noisy[3]
    basis = torch.eye(100, dtype=torch.float64).view(100, 1, 10, 10)
    jacobian = denoiser.jacobian_product(y, basis, sigma).view(100, 100)
    torch.testing.assert_close(jacobian, jacobian.T, atol=1e-9, rtol=0)
    assert torch.linalg.eigvalsh(jacobian).min() > -1e-9
    variance = denoiser.estimate(y[None], sigma).variance[0]
    assert float(jacobian.trace()) == pytest.approx(float(variance) / sigma**2, rel=1e-6)
    if rendering == "antialiased" or parameters == "integer":
        v = torch.from_numpy(generator(0, "v").standard_normal((1, 1, 10, 10)))
        step = 1e-3 * sigma
        change = denoiser(y[None] + step * v, sigma) - denoiser(y[None] - step * v, sigma)
        product = denoiser.jacobian_product(y, v, sigma)
        assert (change / (2 * step) - product).norm() < 0.02 * product.norm()


@pytest.mark.slow
def test_small_noise_leaves_five_dimensions_or_two():
    """Squared error over sigma^2: 5 if antialiased and continuous, else 2, from above as sigma falls."""
    for rendering, parameters in KINDS:
        dimensions = 5 if (rendering, parameters) == KINDS[0] else 2
        disks = Disks(size=16, seed=7, rendering=rendering, parameters=parameters)
        excess = []
        for sigma in (1e-2, 1e-4):
            clean, noisy = drawn(disks, 12, sigma)
            found = DiskPosterior(disks).estimate(noisy, sigma)
            ratios = squares(found.mean - clean) / sigma**2
            assert ratios.mean() == pytest.approx(
                float(found.variance.mean()) / sigma**2, abs=3 * float(ratios.std()) / 12**0.5
            )
            excess.append(found.variance / sigma**2 - dimensions)
        assert excess[1].abs().median() < 0.01
        assert abs(excess[1].mean()) < 0.1
        assert abs(excess[1].mean()) < abs(excess[0].mean()) + 0.02


@pytest.mark.parametrize(("rendering", "parameters"), [KINDS[0], KINDS[3]])
def test_no_other_denoiser_is_better(rendering: str, parameters: str):
    """Against the optimum for 2000 training images and the best affine denoiser."""
    disks = Disks(size=10, seed=9, rendering=rendering, parameters=parameters)
    training = torch.from_numpy(disks.images(disks.draw(1000, 2000))).flatten(1)
    mean = training.mean(0)
    covariance = torch.cov(training.T)
    empirical = EmpiricalDenoiser(training.view(-1, 1, 10, 10))
    for sigma in (0.05, 0.5):
        clean, noisy = drawn(disks, 30, sigma)
        best = DiskPosterior(disks)(noisy, sigma)
        gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(100))
        affine = (mean + (noisy.flatten(1) - mean) @ gain.T).view(noisy.shape)
        for other in (affine, empirical(noisy, sigma), noisy):
            worse = squares(other - clean) - squares(best - clean)
            apart = squares(other - best)  # has the same mean, as errors of f* are orthogonal
            gaps = worse - apart
            assert gaps.mean().abs() < 3 * gaps.std() / 30**0.5
            assert apart.mean() > 0.02 * squares(best - clean).mean()
            if sigma < 0.1:
                assert worse.mean() > 2 * worse.std() / 30**0.5


@pytest.mark.parametrize("rendering", RENDERINGS)
@pytest.mark.parametrize("sigma", [0.02, 0.3])
def test_error_estimate_bounds_the_effect_of_refinement(rendering: str, sigma: float):
    """Cells of half the side: the excess of the MSE is below 2%, and below what is stated."""
    disks = Disks(size=16, seed=11, rendering=rendering, parameters="continuous")
    _, noisy = drawn(disks, 4, sigma)
    found = DiskPosterior(disks).estimate(noisy, sigma)
    finer = DiskPosterior(disks, step=0.75, limit=10**6).estimate(noisy, sigma)
    assert (finer.cells >= found.cells).all()
    excess = squares(found.mean - finer.mean).sum() / finer.variance.sum()
    stated = found.error.sum() / found.variance.sum()
    assert excess < 0.02
    assert stated < 0.02
    assert excess < 3 * stated
    rough = DiskPosterior(disks, step=6.0).estimate(noisy, sigma)
    assert rough.error.sum() > found.error.sum()
    assert squares(rough.mean - finer.mean).sum() > squares(found.mean - finer.mean).sum()


def test_refining_that_stops_at_the_limit_is_said():
    disks = Disks(size=16, seed=11, **SMOOTH)
    _, noisy = drawn(disks, 4, 0.02)
    denoiser = DiskPosterior(disks)
    found = denoiser.estimate(noisy, 0.02)
    assert found.resolved.all()
    limited = DiskPosterior(disks, limit=int(found.cells.min()) - 1)
    short = limited.estimate(noisy, 0.02)
    assert not short.resolved.any()
    assert (short.cells < found.cells.min()).all()
    for asked in (noisy[:3], noisy[3:]):
        denoiser(asked, 0.02), limited(asked, 0.02)
    assert denoiser.stated == {0.02: (float(found.error.max()), 0)}
    assert limited.stated == {0.02: (float(short.error.max()), 4)}


def test_type_shape_and_refusals():
    disks = Disks(size=8, seed=0, **SMOOTH)
    _, noisy = drawn(disks, 3, 0.2)
    denoiser = DiskPosterior(disks)
    single = denoiser(noisy.float(), 0.2)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), denoiser(noisy, 0.2), atol=1e-5, rtol=0)
    torch.testing.assert_close(denoiser(noisy[1:2], 0.2), denoiser(noisy, 0.2)[1:2])
    with pytest.raises(ValueError, match="needs the noise level"):
        denoiser(noisy)
    with pytest.raises(ValueError, match=r"expected images of 8x8 pixels, found \(9, 9\)"):
        denoiser(torch.zeros(1, 1, 9, 9), 0.2)
    with pytest.raises(ValueError, match="step: found 0"):
        DiskPosterior(disks, step=0)


# ---------------------------------------------------------------------------------------------
# Spectra of denoisers that own their products


def test_spectrum_at_small_noise_is_the_tangent_space():
    disks = Disks(size=16, seed=0, **SMOOTH)
    sigma = 0.005
    clean, noisy = drawn(disks, 2, sigma)
    denoiser = DiskPosterior(disks)
    parameters = disks.draw(1, 1)[0]
    assert abs(parameters[3] - parameters[4]) > 0.2
    found = analyse(denoiser, clean[1], noisy[1], sigma)
    assert (found.engine, found.method) == ("exact", "full")
    assert found.asymmetry < 1e-9
    np.testing.assert_allclose(found.eigenvalues[:5], 1, atol=0.1)
    assert np.abs(found.eigenvalues[5:]).max() < 0.02
    tangents = disks.tangents(parameters).reshape(5, -1)
    leading = found.eigenvectors[:5].reshape(5, -1)
    assert np.linalg.svd(tangents @ leading.T, compute_uv=False).min() > 0.995
    values, vectors = eigenbasis(denoiser, noisy[1], k=5, method="leading", sigma=sigma)
    np.testing.assert_allclose(values, found.eigenvalues[:5], atol=1e-6)
    assert vectors.shape == (5, 1, 16, 16)


def test_engine_of_denoisers_that_own_their_products():
    disks = Disks(size=8, seed=0, **SMOOTH)
    clean, noisy = drawn(disks, 20, 0.1)
    v = torch.from_numpy(generator(0, "v").standard_normal((3, 1, 8, 8)))
    denoiser = EmpiricalDenoiser(clean)
    own = LinearisedDenoiser(denoiser, noisy[0], sigma=0.3)
    differentiated = LinearisedDenoiser(denoiser, noisy[0], sigma=0.3, engine="autograd")
    assert (own.engine, differentiated.engine) == ("exact", "autograd")
    torch.testing.assert_close(own.denoised, differentiated.denoised)
    torch.testing.assert_close(own.product(v), differentiated.product(v))
    torch.testing.assert_close(own.transposed_product(v), differentiated.transposed_product(v))
    torch.testing.assert_close(own.matrix(), differentiated.matrix())
    with pytest.raises(ValueError, match="'exact' needs a method jacobian_product"):
        LinearisedDenoiser(lambda x: x, noisy[0], sigma=0.3, engine="exact")
    with pytest.raises(ValueError, match="'exact' needs a noise level"):
        LinearisedDenoiser(DiskPosterior(disks), noisy[0])
