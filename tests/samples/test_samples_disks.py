"""Samples drawn with the exact posterior of disks: are they disks, and those of the class?"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from disk_fits import DiskFit, compare_parameters, fit_disks
from numpy.typing import NDArray

from gahb import DiskPosterior, Disks, EmpiricalDenoiser
from gahb.randomness import generator
from gahb.samples.draw import draw_samples
from gahb.samples.fresh import energy_distance
from gahb.samples.process import noise_levels
from gahb.samples.sampler import Denoiser, Sampler
from gahb.samples.samplers.deterministic import Deterministic
from gahb.samples.samplers.ode import FlowODE
from gahb.samples.samplers.score_ascent import ScoreAscent

Float64 = NDArray[np.float64]
LOW, HIGH = 0.02, 20.0  # the grey of a whole image has the variance 12: 20 keeps 97% of it


def disks_of(size: int, seed: int, **ranges: tuple[float, float]) -> Disks:
    """A class of antialiased disks with parameters of any value in these ranges."""
    kinds = {"rendering": "antialiased", "parameters": "continuous"}
    return Disks.model_validate({"size": size, "seed": seed, **kinds, **ranges})


CLASS = disks_of(12, 0, radius=(2, 3), centre=(3.5, 7.5))
REFERENCE = CLASS.draw(0, 600)


def levels(steps: int) -> tuple[float, ...]:
    return tuple(noise_levels("geometric", steps, (LOW, HIGH)).tolist())


# ---------------------------------------------------------------------------------------------
# The fit


@pytest.mark.parametrize(
    "disks", [CLASS, disks_of(16, 1), disks_of(21, 2, radius=(0.7, 10)), disks_of(40, 3)]
)
def test_fit_finds_the_parameters(disks: Disks):
    """Least contrast of these: 0.002."""
    parameters = disks.draw(0, 40)
    found = fit_disks(disks.images(parameters))
    np.testing.assert_allclose(found.parameters, parameters, rtol=0, atol=1e-9)
    np.testing.assert_array_less(found.residual, 1e-12)


def test_fit_finds_disks_that_the_border_cuts_off():
    parameters = np.array([[0.3, 5.2, 2.5, 0.9, 0.2], [10.9, 11.4, 4.0, 0.1, 0.6]])
    found = fit_disks(CLASS.images(parameters)[:, None])
    np.testing.assert_allclose(found.parameters, parameters, rtol=0, atol=1e-9)


def test_fit_does_not_need_greys_between_0_and_1():
    parameters = CLASS.draw(0, 3)
    images = -3 + 7 * CLASS.images(parameters)
    parameters[:, 3:] = -3 + 7 * parameters[:, 3:]
    np.testing.assert_allclose(fit_disks(images).parameters, parameters, rtol=0, atol=1e-9)


def test_fit_of_noisy_disks_errs_as_the_fisher_information_says():
    """With noise s: a residual of variance s^2 (d - 5), and parameters s^2 (D^T D)^-1 off."""
    sigma, count, truth = 0.01, 120, np.array([5.3, 6.1, 2.6, 0.9, 0.2])
    noise = sigma * generator(0, "fit").standard_normal((count, 12, 12))
    found = fit_disks(CLASS.images(truth[None]) + noise)
    steps = 1e-4 * np.eye(5)
    derivatives = (CLASS.images(truth + steps) - CLASS.images(truth - steps)) / 2e-4
    flat = derivatives.reshape(5, -1)
    covariance = sigma**2 * np.linalg.inv(flat @ flat.T)
    errors = (found.parameters - truth) / np.sqrt(np.diag(covariance))
    assert np.abs(errors.mean(axis=0)).max() < 4 / count**0.5
    np.testing.assert_allclose(errors.var(axis=0), 1, atol=4 * (2 / count) ** 0.5)
    degrees = 12 * 12 - 5
    squares = np.square(found.residual).mean() * 12 * 12 / (sigma**2 * degrees)
    assert abs(squares - 1) < 4 * (2 / (count * degrees)) ** 0.5


def test_what_is_not_a_disk_has_a_residual():
    one, two = CLASS.images(np.array([[3.5, 3.5, 2.5, 0.9, 0.1], [7.5, 7.5, 2.5, 0.9, 0.1]]))
    square = np.full((12, 12), 0.1)
    square[3:9, 3:9] = 0.9
    assert fit_disks(np.stack([(one + two) / 2, square])).residual.min() > 0.05


def test_an_image_of_one_grey_is_a_disk_without_contrast():
    found = fit_disks(np.full((1, 12, 12), 0.3))
    np.testing.assert_allclose(found.parameters[0, 3:], 0.3)
    assert found.residual[0] < 1e-12


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 5, 6)), r"images: found \(2, 5, 6\), allowed is"),
        (np.zeros((2, 3, 6, 6)), r"images: found \(2, 3, 6, 6\), allowed is"),
        (np.zeros((4, 2, 2)), r"images: found \(4, 2, 2\), allowed is .*, H at least 8"),
        (np.full((1, 8, 8), np.nan), "images: found infinite or undefined"),
    ],
)
def test_images_that_cannot_be_fitted_are_named(images: Float64, message: str):
    with pytest.raises(ValueError, match=message):
        fit_disks(images)


# ---------------------------------------------------------------------------------------------
# Two-sample tests


def test_energy_distance_is_that_of_scipy_without_pairs_of_a_point_with_itself():
    draws = generator(0, "energy")
    a, b = draws.random((30, 1)), draws.random((50, 1)) + 0.3
    within = [np.abs(x - x.T).mean() for x in (a, b)]
    biased = scipy.stats.energy_distance(a[:, 0], b[:, 0]) ** 2  # the points' pairs with themselves
    expected = biased - within[0] / 29 - within[1] / 49
    assert energy_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_comparison_reports_the_energy_distance_in_units_of_the_reference():
    draws = generator(1, "energy")
    a, b = draws.random((30, 3)) * [1, 10, 100], draws.random((50, 3)) * [2, 10, 100]
    scale = b.std(axis=0, ddof=1)
    found = compare_parameters(a, b, seed=0, resamples=19)
    assert found.energy == pytest.approx(energy_distance(a / scale, b / scale), rel=1e-10)
    assert found.energy_p == pytest.approx(1 / 20)
    assert found.ks[0] > found.ks[1:].max()
    again = compare_parameters(a, b, seed=0, resamples=19)
    assert (again.energy_p, again.ks_p.tolist()) == (found.energy_p, found.ks_p.tolist())


def test_p_values_are_those_of_a_test():
    """Of one distribution, at most a tenth of the p values are below a tenth."""
    energy, smirnov = [], []
    for repeat in range(200):
        both = generator(repeat, "level").random((40, 3))
        found = compare_parameters(both[:15], both[15:], seed=repeat, resamples=39)
        energy.append(found.energy_p)
        smirnov.append(found.ks_p.min())
    for found, least in ((np.array(energy), 0.04), (np.array(smirnov), 0.0)):
        assert least <= (found <= 0.1).mean() <= 0.1 + 3 * (0.1 * 0.9 / 200) ** 0.5
    assert scipy.stats.kstest(energy, "uniform").statistic < 1 / 40 + 1.63 / 200**0.5


def test_the_joint_test_sees_what_no_parameter_shows_alone():
    """The same numbers in each column, in another order."""
    draws = generator(0, "joint")
    related = draws.standard_normal((200, 2)) @ np.linalg.cholesky([[1, 0.95], [0.95, 1]]).T
    found = compare_parameters(related, draws.permuted(related, axis=0), seed=0, resamples=199)
    assert found.ks.tolist() == [0, 0]
    assert found.ks_p.tolist() == [1, 1]
    assert found.energy_p == pytest.approx(1 / 200)


# ---------------------------------------------------------------------------------------------
# Samples


def sample(denoiser: Denoiser, sampler: Sampler, count: int) -> DiskFit:
    drawn = draw_samples(denoiser, sampler, range(count), 12, seed=0, dtype=torch.float64)
    return fit_disks(drawn.images.numpy())


def rejected(fit: DiskFit, reference: Float64 = REFERENCE) -> bool:
    """Whether one of the five parameters, or all of them jointly, are not those of the class."""
    found = compare_parameters(fit.parameters, reference, seed=0, resamples=199)
    return bool(found.ks_p.min() < 0.01 or found.energy_p < 0.01)


@pytest.fixture(scope="module")
def posterior() -> DiskPosterior:
    """Coarse cells, at which the mean is off by less than 1% of the posterior's variance."""
    return DiskPosterior(CLASS, step=2.5)


@pytest.fixture(scope="module")
def flow(posterior: DiskPosterior) -> DiskFit:
    return sample(posterior, FlowODE(levels(8), 3), 200)


def test_the_coarse_posterior_is_exact_enough(posterior: DiskPosterior):
    clean = torch.from_numpy(CLASS.images(CLASS.draw(10**6, 10)))[:, None]
    noise = torch.from_numpy(generator(0, "coarse").standard_normal(clean.shape))
    for sigma in (HIGH, 1.0, 0.2, LOW):
        fine = DiskPosterior(CLASS, step=1.25).estimate(clean + sigma * noise, sigma)
        apart = (posterior(clean + sigma * noise, sigma) - fine.mean).square().sum()
        assert apart < 0.01 * fine.variance.sum()


@pytest.mark.slow
def test_samples_of_the_flow_are_disks_of_the_class(flow: DiskFit, posterior: DiskPosterior):
    assert not rejected(flow)
    # each sample is a disk: its residual is that of an image of the class, denoised at the last level
    clean = torch.from_numpy(CLASS.images(CLASS.draw(10**6, 120)))[:, None]
    noise = torch.from_numpy(generator(0, "last").standard_normal(clean.shape))
    last = fit_disks(posterior(clean + LOW * noise, LOW).numpy())
    assert flow.residual.max() < LOW / 5
    assert scipy.stats.ks_2samp(flow.residual, last.residual).pvalue > 0.01


@pytest.mark.slow
def test_samples_of_score_ascent_are_disks_of_the_class(posterior: DiskPosterior):
    sampler = ScoreAscent(0.42, 0.5, HIGH, LOW, growing=False, known_level=True)
    fit = sample(posterior, sampler, 80)
    assert not rejected(fit)
    assert fit.residual.max() < LOW / 5


def test_the_samples_of_the_flow_are_not_those_of_larger_disks(flow: DiskFit):
    others = disks_of(12, 0, radius=(2, 3.3), centre=(3.5, 7.5))
    assert rejected(flow, others.draw(0, 600))


def test_the_samples_of_the_flow_are_not_those_of_disks_elsewhere(flow: DiskFit):
    others = disks_of(12, 0, radius=(2, 3), centre=(3, 8.5))
    assert rejected(flow, others.draw(0, 600))


def test_too_few_steps_are_rejected_though_every_sample_is_a_disk(posterior: DiskPosterior):
    fit = sample(posterior, Deterministic(levels(4)), 90)
    assert fit.residual.max() < LOW / 5
    assert rejected(fit)


def test_copies_of_training_images_are_rejected_though_every_sample_is_a_disk():
    training = torch.from_numpy(CLASS.images(CLASS.draw(10**6, 12)))[:, None]
    fit = sample(EmpiricalDenoiser(training), FlowODE(levels(16), 2), 60)
    assert fit.residual.max() < LOW / 5
    assert rejected(fit)


def test_gaussian_images_of_the_same_covariance_are_no_disks():
    images = CLASS.images(REFERENCE)
    flat = images.reshape(len(images), -1)
    draws = generator(0, "gaussian").standard_normal((30, len(flat))) / len(flat) ** 0.5
    gaussian = flat.mean(axis=0) + draws @ (flat - flat.mean(axis=0))
    assert np.median(fit_disks(gaussian.reshape(-1, 12, 12)).residual) > 2 * LOW
