"""Exact denoisers: against brute force, and the identities that only a conditional mean satisfies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import gahb.denoisers.exact.rays
import gahb.denoisers.exact.sines
from gahb.datasets.classes.calpha import CAlpha
from gahb.datasets.classes.gaussian import Gaussian
from gahb.datasets.classes.rays import Rays
from gahb.datasets.classes.sines import Sines
from gahb.datasets.image_class import image_class
from gahb.datasets.store import open_dataset, write_dataset
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.exact.gaussian import WienerDenoiser
from gahb.denoisers.exact.known_contour import (
    KnownContourDenoiser,
    background_covariance,
    known_contour_mse,
)
from gahb.denoisers.exact.permuted import PermutedDenoiser
from gahb.denoisers.exact.quadrature import window_rule
from gahb.denoisers.exact.rays import RayPosterior
from gahb.denoisers.exact.sines import SinePosterior
from gahb.denoisers.optimal import exact_denoiser
from gahb.evaluation.measure import noisy_set, squared_errors
from gahb.evaluation.psnr import input_psnr, psnr_of_mean_mse
from gahb.randomness import seed_of
from gahb.spectra.jacobian import LinearisedDenoiser

SIZE = 8
COUNTS = {"size": SIZE, "images": 600, "test_images": 400, "seed": 1}
FIELD = COUNTS | {"class": "gaussian", "exponent": 3, "mean": 0.5, "standard_deviation": 0.15}
SPECS: dict[str, dict[str, Any]] = {
    "gaussian": FIELD,
    "rays": COUNTS | {"class": "rays", "exponent": 4},
    "sines": COUNTS | {"class": "sines", "frequency": [1, 2]},
    "shuffled": COUNTS | {"class": "shuffled", "permutation_seed": 2, "of": FIELD},
}
every_class = pytest.mark.parametrize("name", SPECS)
SIGMAS = (0.02, 0.2, 1.0)
every_sigma = pytest.mark.parametrize("sigma", SIGMAS)


def images(name: str, count: int, first: int = 0) -> Tensor:
    """(count, 1, H, W) float64."""
    return torch.from_numpy(image_class(SPECS[name]).render(first, count))[:, None].double()


def normal(shape: torch.Size | tuple[int, ...], *keys: str | int) -> Tensor:
    return torch.randn(
        shape,
        generator=torch.Generator().manual_seed(seed_of(0, *keys)),
        dtype=torch.float64,
    )


def denoiser_of(name: str) -> Any:
    denoiser = exact_denoiser(SPECS[name])
    assert denoiser is not None
    return denoiser


def jacobian(denoiser: Any, y: Tensor, sigma: float) -> Tensor:
    """(d, d) from products with the basis of pixels; y is (1, H, W)."""
    d = y.numel()
    basis = torch.eye(d, dtype=torch.float64).view(d, 1, *y.shape[1:])
    return denoiser.jacobian_product(y, basis, sigma).view(d, d).T


def standard_error(values: Tensor) -> float:
    return float(values.std() / len(values) ** 0.5)


# ---------------------------------------------------------------------------------------------
# Against brute force on tiny images


@every_sigma
@pytest.mark.parametrize("size", [8, 9])
def test_wiener_is_the_posterior_mean_of_linear_algebra(size: int, sigma: float):
    fields = Gaussian(size=size, seed=3, exponent=3, mean=0.4, standard_deviation=0.2)
    spectrum = fields.spectrum()
    positions = np.array(list(product(range(size), repeat=2)))
    turns = (positions[:, None] - positions) @ positions.T / size  # pixel, pixel, frequency
    covariance = np.cos(2 * np.pi * turns) @ spectrum.ravel() / size**2
    gain = covariance @ np.linalg.inv(covariance + sigma**2 * np.eye(size**2))

    wiener = WienerDenoiser(fields)
    y = normal((7, 1, size, size), "wiener")
    expected = 0.4 + (y.numpy().reshape(7, -1) - 0.4) @ gain.T
    np.testing.assert_allclose(wiener(y, sigma).reshape(7, -1), expected, atol=1e-12)
    np.testing.assert_allclose(jacobian(wiener, y[0], sigma), gain, atol=1e-12)
    eigenvalues = wiener.eigenvalues(sigma).ravel().sort().values
    np.testing.assert_allclose(eigenvalues, np.linalg.eigvalsh(gain), atol=1e-12)
    least = covariance - gain @ covariance
    assert wiener.mean_squared_error(sigma) == pytest.approx(np.trace(least) / size**2)


@pytest.mark.parametrize("sigma", [0.2, 0.5, 3.0])
def test_rays_and_sines_are_posterior_means_on_a_fine_grid(sigma: float):
    """The optimum for the finite set of all images on a grid of their parameters.

    A midpoint rule of spacing h errs by h^2 / 24 in units of the posterior's width, squared.
    """

    def midpoints(count: int) -> Tensor:
        return (torch.arange(count, dtype=torch.float64) + 0.5) / count

    rays, sines = Rays(size=8, seed=1, exponent=3), Sines(size=9, seed=1, frequency=(1, 2))
    ray_grid = midpoints(4000)[:, None, None] * torch.from_numpy(rays.image()).double()
    phase = 2 * np.pi * midpoints(60)[:, None, None]
    row, column = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
    waves = 1 + torch.cos(2 * np.pi * (row + 2 * column) / 9 + phase)
    sine_grid = (midpoints(1000)[:, None, None, None] * waves / 2).flatten(0, 1)

    for exact, grid in ((RayPosterior(rays), ray_grid), (SinePosterior(sines), sine_grid)):
        brute = EmpiricalDenoiser(grid[:, None])
        own = grid[:: len(grid) // 4][:4, None]
        y = torch.cat([own + sigma * normal(own.shape, "grid"), normal(own.shape, "anything")])
        np.testing.assert_allclose(exact(y, sigma), brute(y, sigma), atol=1e-5)
        for noisy in y[2:6]:
            expected = jacobian(brute, noisy, sigma)
            np.testing.assert_allclose(jacobian(exact, noisy, sigma), expected, atol=1e-4)


@pytest.mark.parametrize("sigma", [1e-3, 1e-2, 0.1, 1.0, 10.0])
def test_quadrature_is_exact_to_float64(sigma: float, monkeypatch: pytest.MonkeyPatch):
    """128 nodes agree with 1000, on images, far from them, and beyond both ends of the cone."""
    for module, exact, drawn in (
        (gahb.denoisers.exact.rays, RayPosterior, Rays(size=16, seed=0, exponent=4)),
        (gahb.denoisers.exact.sines, SinePosterior, Sines(size=16, seed=0, frequency=(2, 3))),
    ):
        clean = torch.from_numpy(drawn.render(0, 50)).double()
        y = clean + sigma * normal(clean.shape, "quadrature")
        y = torch.cat([y, -y, 5 * y, sigma * normal(clean.shape, "noise"), torch.zeros(1, 16, 16)])
        posterior = exact(drawn).posterior
        mean, covariance = posterior(y, sigma)
        with monkeypatch.context() as patch:
            patch.setattr(module, "window_rule", lambda peak, width: window_rule(peak, width, 1000))
            fine_mean, fine_covariance = posterior(y, sigma)
        assert (mean - fine_mean).abs().max() < 1e-13
        scale = float(fine_covariance.abs().max())
        assert (covariance - fine_covariance).abs().max() < 1e-16 + 1e-12 * scale


def test_window_rule_integrates_cut_off_gaussians():
    peak = torch.tensor([0.5, 0.0, 1.0, -0.2, 1.7, 0.03], dtype=torch.float64)
    for width in (1e-4, 0.01, 0.3, 5.0):
        nodes, weights = window_rule(peak, width)
        assert ((nodes >= 0) & (nodes <= 1)).all()
        assert (weights > 0).all()
        nearest = peak.clamp(0, 1)
        offset = ((nearest - peak) / width).square()[:, None] / 2
        found = weights * torch.exp(offset - ((nodes - peak[:, None]) / width).square() / 2)
        # int_0^1 exp(-(a - p)^2 / 2 w^2) da by scaled complementary error functions, outside too
        t = [(end - peak) / width / 2**0.5 for end in (0.0, 1.0)]
        inside = torch.special.erf(t[1]) - torch.special.erf(t[0])
        tail = torch.special.erfcx(t[0].abs()) - torch.special.erfcx(t[1].abs()) * torch.exp(
            t[0].square() - t[1].square()
        )
        mirrored = torch.special.erfcx(t[1].abs()) - torch.special.erfcx(t[0].abs()) * torch.exp(
            t[1].square() - t[0].square()
        )
        exact = torch.where(peak < 0, tail, torch.where(peak > 1, mirrored, inside))
        exact = exact * width * (np.pi / 2) ** 0.5
        # of nodes close to 1 in units of the width, and of an exponent so large
        rounding = np.finfo(float).eps * (1 / width + 2 * offset[:, 0])
        assert ((found.sum(1) / exact - 1).abs() < 1e-13 + rounding).all()


# ---------------------------------------------------------------------------------------------
# Identities of a conditional mean


@every_class
@every_sigma
def test_jacobian_is_the_posterior_covariance(name: str, sigma: float):
    """Symmetric, positive semidefinite, and the derivative of the denoiser."""
    denoiser = denoiser_of(name)
    clean = images(name, 4)
    for y in clean + sigma * normal(clean.shape, "jacobian"):
        product = jacobian(denoiser, y, sigma)
        assert (product - product.T).abs().max() < 1e-12
        eigenvalues = torch.linalg.eigvalsh(product)
        assert eigenvalues.min() > -1e-12
        assert eigenvalues.max() > 1e-3
        linearised = LinearisedDenoiser(denoiser, y, sigma)
        directions = normal((3, 1, SIZE, SIZE), "directions")
        expected = linearised.product(directions)
        found = denoiser.jacobian_product(y, directions, sigma)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@every_class
@every_sigma
def test_least_error_is_the_trace_of_the_jacobian(name: str, sigma: float):
    """MSE* = sigma^2 E tr J, and Stein's unbiased estimate of the error, each within its error."""
    denoiser = denoiser_of(name)
    clean = images(name, 400)
    y = clean + sigma * normal(clean.shape, "trace", name)
    denoised = denoiser(y, sigma)
    errors = (denoised - clean).square().sum(dim=(1, 2, 3))
    traces = torch.stack([jacobian(denoiser, noisy, sigma).trace() for noisy in y])
    difference = errors - sigma**2 * traces
    assert abs(difference.mean()) < 4 * standard_error(difference)
    assert standard_error(difference) < 0.15 * errors.mean()

    probes = normal(y.shape, "probes", name)
    divergence = torch.stack(
        [
            (probe * denoiser.jacobian_product(noisy, probe[None], sigma)[0]).sum()
            for noisy, probe in zip(y, probes, strict=True)
        ]
    )
    residual = (denoised - y).square().sum(dim=(1, 2, 3))
    sure = residual - SIZE**2 * sigma**2 + 2 * sigma**2 * divergence
    difference = sure - errors
    assert abs(difference.mean()) < 4 * standard_error(difference)


@every_class
@every_sigma
def test_nothing_beats_the_exact_denoiser(name: str, sigma: float):
    """Not the optimum for a training set of the class, a mismatched Wiener filter, or the identity."""
    clean = images(name, 500)
    y = clean + sigma * normal(clean.shape, "beat", name)
    rivals: dict[str, Callable[..., Tensor]] = {
        "empirical": EmpiricalDenoiser(images(name, 5, first=500)),
        "rougher": WienerDenoiser(
            Gaussian(size=SIZE, seed=0, exponent=1, mean=0.5, standard_deviation=0.2)
        ),
        "smoother": WienerDenoiser(
            Gaussian(size=SIZE, seed=0, exponent=6, mean=0.5, standard_deviation=0.1)
        ),
        "identity": lambda y, sigma: y,
    }
    least = (denoiser_of(name)(y, sigma) - clean).square().mean(dim=(1, 2, 3))
    for rival, denoise in rivals.items():
        excess = (denoise(y, sigma) - clean).square().mean(dim=(1, 2, 3)) - least
        assert excess.mean() > 4 * standard_error(excess), rival


@pytest.mark.parametrize(
    ("drawn", "exact", "dimension"),
    [
        (Rays(size=16, seed=0, exponent=4), RayPosterior, 1),
        (Sines(size=16, seed=0, frequency=(2, 3)), SinePosterior, 2),
    ],
)
def test_slope_one_and_intercept(drawn: Any, exact: Any, dimension: int):
    """Figures 19 and 20: the output PSNR lies 10 log10(d / dimension) above the input's."""
    count = 6000
    clean = torch.from_numpy(drawn.render(0, count))[:, None].double()
    noise = normal(clean.shape, "slope", dimension)
    sigmas = [0.001, 0.003, 0.01]
    denoiser = exact(drawn)
    gains, inputs = [], []
    for sigma in sigmas:
        errors = (denoiser(clean + sigma * noise, sigma) - clean).square().mean(dim=(1, 2, 3))
        psnr, error = psnr_of_mean_mse(errors.numpy())
        inputs.append(input_psnr(sigma))
        gains.append(psnr - inputs[-1])
        assert error < 0.1
        assert gains[-1] == pytest.approx(10 * np.log10(256 / dimension), abs=4 * error)
    slope = np.polyfit(inputs, np.add(inputs, gains), 1)[0]
    assert slope == pytest.approx(1, abs=0.01)  # the same noise at every level


def test_directions_kept_and_removed():
    """lambda = 1 along the ray and along both tangents of the cone, 0 across them."""
    sigma = 0.01
    clean = images("rays", 1)
    product = jacobian(denoiser_of("rays"), clean[0], sigma)
    eigenvalues, eigenvectors = torch.linalg.eigh(product)
    assert eigenvalues[-1] == pytest.approx(1, abs=1e-3)
    assert eigenvalues[:-1].abs().max() < 1e-12
    cosine = (eigenvectors[:, -1] @ clean.flatten()).abs() / clean.norm()
    assert cosine == pytest.approx(1)

    sines = image_class(SPECS["sines"])
    index = int(np.argmax(sines.render(0, 20).max(axis=(1, 2)) < 0.9))
    product = jacobian(denoiser_of("sines"), images("sines", 1, first=index)[0], sigma)
    eigenvalues = torch.linalg.eigvalsh(product)
    np.testing.assert_allclose(eigenvalues[-2:], 1, atol=0.01)
    assert eigenvalues[-3] < 0.02
    assert eigenvalues[:-3].abs().max() < 1e-12


# ---------------------------------------------------------------------------------------------
# Shuffled images


@pytest.mark.parametrize("name", ["gaussian", "rays", "sines"])
@every_sigma
def test_shuffling_leaves_the_optimum_unchanged(name: str, sigma: float):
    inner = denoiser_of(name)
    order = np.random.default_rng(3).permutation(SIZE**2)
    shuffled = PermutedDenoiser(inner, order)

    def shuffle(x: Tensor) -> Tensor:
        return x.flatten(1)[:, order].view(x.shape)

    clean = images(name, 5)
    y = clean + sigma * normal(clean.shape, "shuffle")
    assert torch.equal(shuffled(shuffle(y), sigma), shuffle(inner(y, sigma)))
    v = normal(y.shape, "directions")
    found = shuffled.jacobian_product(shuffle(y)[0], shuffle(v), sigma)
    assert torch.equal(found, shuffle(inner.jacobian_product(y[0], v, sigma)))
    spectra = [
        torch.linalg.eigvalsh(jacobian(denoiser, noisy[0], sigma))
        for denoiser, noisy in ((inner, y), (shuffled, shuffle(y)))
    ]
    np.testing.assert_allclose(*spectra, atol=1e-12)


# ---------------------------------------------------------------------------------------------
# C^alpha images whose contour is known

SOFT = CAlpha(size=SIZE, seed=2, alpha=2, background_alpha=3, rendering="antialiased")


def test_background_covariance_is_that_of_the_fields():
    drawn = 3000
    fields = torch.from_numpy(SOFT.parts(0, drawn).fields).double().flatten(2).flatten(0, 1)
    covariance = background_covariance(SOFT)
    sample = fields.T @ fields / len(fields)
    variance = float(covariance[0, 0])
    # products of two nearly normal numbers of that variance scatter by at most sqrt(2) times it
    assert (sample - covariance).abs().max() < 4.5 * variance * (2 / len(fields)) ** 0.5
    np.testing.assert_allclose(torch.diag(covariance), variance)


@every_sigma
@pytest.mark.parametrize("rendering", ["official", "antialiased"])
def test_known_contour_is_the_posterior_mean_of_linear_algebra(rendering: str, sigma: float):
    drawn = CAlpha(size=SIZE, seed=2, alpha=2, background_alpha=3, rendering=rendering)
    mask, _, scales, offsets = (
        getattr(drawn.parts(5, 1), name)[0].astype(float)
        for name in ("mask", "fields", "scales", "offsets")
    )
    covariance = background_covariance(drawn).numpy()
    below, above = np.diag(mask.ravel()), np.diag(1 - mask.ravel())
    total = (
        scales[0] ** 2 * below @ covariance @ below + scales[1] ** 2 * above @ covariance @ above
    )
    mean = (mask * offsets[0] + (1 - mask) * offsets[1]).ravel()
    gain = total @ np.linalg.inv(total + sigma**2 * np.eye(SIZE**2))
    least = np.trace(total - gain @ total) / SIZE**2

    known = KnownContourDenoiser(drawn, 5)
    y = torch.from_numpy(drawn.render(5, 1))[None].double()
    y = torch.cat([y + sigma * normal(y.shape, "contour"), normal(y.shape, "anything")])
    expected = mean + (y.numpy().reshape(2, -1) - mean) @ gain.T
    np.testing.assert_allclose(known(y, sigma).reshape(2, -1), expected, atol=1e-9)
    np.testing.assert_allclose(jacobian(known, y[0], sigma), gain, atol=1e-9)
    assert known.mean_squared_error(sigma) == pytest.approx(least)
    assert known_contour_mse(drawn, [3, 5], [0.5, sigma])[1, 1] == pytest.approx(least)


@every_sigma
def test_error_on_an_image_is_the_mean_over_the_noise(sigma: float):
    known = KnownContourDenoiser(SOFT, 4)
    x = torch.from_numpy(SOFT.render(4, 1)).double()
    noise = normal((4000, 1, SIZE, SIZE), "noise")
    errors = (known(x + sigma * noise, sigma) - x).square().mean(dim=(1, 2, 3))
    assert abs(errors.mean() - known.error_on(x, sigma)) < 4 * standard_error(errors)


def test_known_contour_bound_holds_on_images_drawn():
    """The filter errs on real images as the bound says, and less than denoisers that see y alone."""
    count = 60
    clean = torch.from_numpy(SOFT.render(0, count)).double()
    bound = known_contour_mse(SOFT, range(count), SIGMAS)
    assert bound.shape == (count, len(SIGMAS))
    assert (np.diff(bound, axis=1) > 0).all()
    filters = [KnownContourDenoiser(SOFT, index) for index in range(count)]
    others = torch.from_numpy(SOFT.render(count, 3000))[:, None].double()
    centred = others.flatten(1) - others.flatten(1).mean(0)
    variances, basis = torch.linalg.eigh(centred.T @ centred / len(centred))
    for level, sigma in enumerate(SIGMAS):
        real = torch.tensor(
            [known.error_on(x[None], sigma) for known, x in zip(filters, clean, strict=True)]
        )
        ratio = float(real.mean()) / bound[:, level].mean()
        assert ratio == pytest.approx(1, abs=0.15)
        y = clean[:, None] + sigma * normal((count, 1, SIZE, SIZE), "bound", level)
        gain = basis * (variances / (variances + sigma**2)) @ basis.T
        mean = others.flatten(1).mean(0)
        linear = mean + (y.flatten(1) - mean) @ gain
        memorising = EmpiricalDenoiser(others)(y, sigma).flatten(1)
        for rival in (linear, memorising):
            errors = (rival - clean.flatten(1)).square().mean(1)
            excess = errors - torch.from_numpy(bound[:, level])
            assert excess.mean() > 4 * standard_error(excess)


# ---------------------------------------------------------------------------------------------
# The interface and the registry


@every_class
def test_noise_level_is_needed(name: str):
    denoiser = denoiser_of(name)
    y = images(name, 2)
    for sigma in (None, 0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="needs the noise level: sigma > 0, found"):
            denoiser(y, sigma)
        with pytest.raises(ValueError, match="needs the noise level"):
            denoiser.jacobian_product(y[0], y, sigma)


@every_class
def test_outputs_have_the_type_and_shape_of_inputs(name: str):
    denoiser = denoiser_of(name)
    y = images(name, 3)
    exact = denoiser(y, 0.1)
    assert exact.dtype == torch.float64
    rounded = denoiser(y.float(), 0.1)
    assert rounded.dtype == torch.float32
    assert rounded.shape == exact.shape == (3, 1, SIZE, SIZE)
    np.testing.assert_allclose(rounded, exact, atol=1e-6)
    one_by_one = torch.cat([denoiser(noisy[None], 0.1) for noisy in y])
    np.testing.assert_allclose(one_by_one, exact, atol=1e-13)
    assert denoiser.jacobian_product(y[0].float(), y.float(), 0.1).dtype == torch.float32


def test_exact_denoisers_are_those_that_classes_name():
    kinds = {
        "gaussian": WienerDenoiser,
        "rays": RayPosterior,
        "sines": SinePosterior,
        "shuffled": PermutedDenoiser,
    }
    for name, kind in kinds.items():
        assert isinstance(exact_denoiser(SPECS[name]), kind)
    cartoon = (
        COUNTS
        | {"class": "calpha", "alpha": 2, "background_alpha": 2}
        | {"rendering": "antialiased"}
    )
    assert exact_denoiser(cartoon) is None
    shuffled = COUNTS | {"class": "shuffled", "permutation_seed": 0, "of": cartoon}
    assert exact_denoiser(shuffled) is None


@every_class
def test_evaluation_takes_exact_denoisers(name: str, tmp_path: Any):
    """Errors measured as those of a network are, on the test set of a dataset of the class."""
    spec = SPECS[name]
    write_dataset(spec, tmp_path / "images.h5")
    dataset = open_dataset(tmp_path / "images.h5", spec)
    noisy = noisy_set(dataset, dataset.indices["test"], 400, 1)
    sigmas = [0.05, 0.3]
    errors = squared_errors(denoiser_of(name), noisy, sigmas, seed=0)
    training = torch.from_numpy(dataset.images(dataset.training_set("S1", 100)))
    memorising = squared_errors(EmpiricalDenoiser(training), noisy, sigmas, seed=0)
    assert errors.shape == (2, 400)
    assert (errors.mean(1) < memorising.mean(1)).all()
    if name in ("gaussian", "shuffled"):
        wiener = WienerDenoiser(
            Gaussian(size=SIZE, seed=1, exponent=3, mean=0.5, standard_deviation=0.15)
        )
        for sigma, measured in zip(sigmas, errors, strict=True):
            error = measured.std() / len(measured) ** 0.5
            assert measured.mean() == pytest.approx(wiener.mean_squared_error(sigma), abs=4 * error)
