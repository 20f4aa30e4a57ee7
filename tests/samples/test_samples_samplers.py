"""Samplers against classes where the truth is known, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.weights import load_denoiser
from gahb.likeness import closest, nearest_distances
from gahb.samples.copies import distance_ratio, memorised
from gahb.samples.draw import draw_samples
from gahb.samples.process import alpha_bar_of, noise_levels
from gahb.samples.sampler import build_sampler, sampler_options
from gahb.samples.samplers.ancestral import Ancestral
from gahb.samples.samplers.deterministic import Deterministic
from gahb.samples.samplers.ode import FlowODE
from gahb.samples.samplers.score_ascent import SCORE_ASCENT, ScoreAscent
from gahb.samples.start import Start, sample_noise

SIZE, MEAN = 8, 0.5
FREQUENCY = np.hypot.outer(*2 * [np.fft.fftfreq(SIZE) * SIZE])
POWER = 0.05 / (1 + FREQUENCY**2) ** 2  # variances of the Fourier coefficients, unitary transform


class Wiener:
    """The exact denoiser of stationary Gaussian images of mean MEAN and spectrum POWER."""

    def __init__(self) -> None:
        self.levels: list[float] = []

    def __call__(self, y: torch.Tensor, sigma: float | None) -> torch.Tensor:
        assert sigma is not None
        self.levels.append(sigma)
        gains = torch.from_numpy(POWER / (POWER + sigma**2))
        return MEAN + torch.fft.ifft2(torch.fft.fft2((y - MEAN).double()) * gains).real.to(y.dtype)


class BlindWiener:
    """The same without being told the level: it is read off the frequencies without signal."""

    empty = torch.from_numpy(FREQUENCY > 2.5)
    power = torch.from_numpy(np.where(FREQUENCY > 2.5, 0, POWER))

    def __call__(self, y: torch.Tensor, sigma: float | None) -> torch.Tensor:
        assert sigma is None
        waves = torch.fft.fft2((y - MEAN).double(), norm="ortho")
        variance = waves[..., self.empty].abs().square().mean(-1)[..., None, None]
        return (
            MEAN + torch.fft.ifft2(waves * self.power / (self.power + variance), norm="ortho").real
        )


def levels(steps: int, low: float = 0.02, high: float = 1.0) -> tuple[float, ...]:
    return tuple(noise_levels("geometric", steps, (low, high)).tolist())


def spectrum(images: torch.Tensor) -> np.ndarray:
    """Mean energy of each Fourier coefficient about the true mean."""
    waves = torch.fft.fft2(images.double() - MEAN, norm="ortho")
    return waves.abs().square().mean(dim=(0, 1)).numpy()


def draw(denoiser, sampler, count=256, **options):
    options = {"start": Start(MEAN), "dtype": torch.float64} | options
    return draw_samples(denoiser, sampler, range(count), SIZE, seed=0, **options)


# ---------------------------------------------------------------------------------------------
# Gaussian images: mean and covariance


def flow_variance(low: float, high: float) -> np.ndarray:
    """Variance that the exact flow gives to noise of variance high^2, denoised at level low."""
    return high**2 * (POWER + low**2) / (POWER + high**2) * (POWER / (POWER + low**2)) ** 2


def predicted(sampler, start: float | np.ndarray = 0.0) -> np.ndarray:
    """The variance of each Fourier coefficient by the sampler's own linear recursion.

    Args:
        sampler: any but the flow of higher order.
        start: C of the start N(m, C + sigma^2 I).
    """
    variance = start + np.full_like(POWER, sampler.sigma_range[1] ** 2)
    if isinstance(sampler, ScoreAscent):
        sigma, call, resting = sampler.sigma_max, 0, False
        while True:
            call += 1
            h = sampler.step
            if sampler.growing:
                h = h * call / (1 + h * (call - 1))
            kept = POWER / (POWER + sigma**2)
            if resting:
                return variance * kept**2
            resting = sigma < sampler.sigma_min
            noise = ((1 - sampler.beta * h) ** 2 - (1 - h) ** 2) * sigma**2
            variance = variance * (1 - h * (1 - kept)) ** 2 + noise
            sigma *= 1 - sampler.beta * h
    for now, after in zip(sampler.levels, (*sampler.levels[1:], 0.0), strict=True):
        kept = POWER / (POWER + now**2)
        if isinstance(sampler, Ancestral):
            ratio = (after / now) ** 2
            variance = variance * (kept + ratio * (1 - kept)) ** 2 + after**2 * (1 - ratio)
        else:
            variance = variance * (kept + after / now * (1 - kept)) ** 2
    return variance


QUICK = ScoreAscent(0.1, 0.5, 1.0, 0.03, growing=True, known_level=True)
GAUSSIAN = {
    "ancestral": Ancestral(levels(40)),
    "deterministic": Deterministic(levels(40)),
    "ode": FlowODE(levels(25), 2),
    "score ascent": QUICK,
}


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_samples_have_the_mean_and_covariance(name):
    sampler, count = GAUSSIAN[name], 250
    samples = draw(Wiener(), sampler, count).images
    low, high = sampler.sigma_range
    truth = flow_variance(low, high) if name == "ode" else predicted(sampler)
    # Fourier coefficients are independent: energies are exponential, or chi-squared where real
    mean_error = (samples.mean(dim=(0, 1)) - MEAN).numpy()
    np.testing.assert_array_less(np.abs(mean_error), 4.5 * np.sqrt(truth.mean() / count))
    ratio = spectrum(samples) / truth
    np.testing.assert_array_less(np.abs(ratio - 1), 4.5 * np.sqrt(2 / count))
    # all coefficients together: a sharper test, the standard error being sqrt(2 / (count d))
    assert abs(ratio.mean() - 1) < 4 * np.sqrt(2 / (count * SIZE**2))
    # coefficients of different frequencies are uncorrelated
    waves = torch.fft.fft2(samples - MEAN, norm="ortho")[:, 0]
    products = (waves[:, 0, 1] * waves[:, 1, 0].conj()).real / np.sqrt(truth[0, 1] * truth[1, 0])
    assert abs(products.mean()) < 4.5 * np.sqrt(1 / count)


def test_what_the_start_lacks_is_lost():
    """Of a variance P, a start of variance V = sigma_max^2 leaves P V / (P + V)."""
    for high in (0.3, 1.0, 5.0):
        found = predicted(Deterministic(levels(4000, 1e-4, high)))
        np.testing.assert_allclose(found, POWER * high**2 / (POWER + high**2), rtol=5e-3)


def class_images(count: int) -> np.ndarray:
    """Images of the class, (count, 1, SIZE, SIZE)."""
    white = np.stack([sample_noise(7, i, 0, SIZE) for i in range(count)])
    return MEAN + np.fft.ifft2(np.fft.fft2(white) * np.sqrt(POWER)).real


def class_start(count: int = 4000) -> Start:
    images = class_images(count)
    return Start(images.mean(axis=0), images - images.mean(axis=0))


def test_a_covariance_start_has_mean_and_covariance():
    """Of 9 images in 64 dimensions: all directions that they span, and all others."""
    images = np.random.default_rng(0).random((9, 1, SIZE, SIZE))
    mean = images.mean(axis=0)
    start, sigma, count = Start(mean, images - mean), 0.3, 4000
    drawn = np.stack([start.image(0, i, sigma, SIZE) for i in range(count)]).reshape(count, -1)
    deviations = (images - mean).reshape(9, -1)
    truth = deviations.T @ deviations / 9 + sigma**2 * np.eye(SIZE**2)
    np.testing.assert_array_less(
        np.abs(drawn.mean(axis=0) - mean.ravel()), 4.5 * np.sqrt(np.diag(truth) / count)
    )
    found = np.cov(drawn, rowvar=False)
    spread = np.sqrt((truth**2 + np.outer(np.diag(truth), np.diag(truth))) / count)
    assert np.abs((found - truth) / spread).max() < 5.5
    directions = np.linalg.svd(deviations)[2]
    ratio = (drawn - mean.ravel()) @ directions.T
    ratio = ratio.var(axis=0) / np.diag(directions @ truth @ directions.T)
    np.testing.assert_array_less(np.abs(ratio - 1), 4.5 * np.sqrt(2 / count))
    assert np.array_equal(start.image(0, 3, sigma, SIZE), start.image(0, 3, sigma, SIZE))
    assert not np.array_equal(start.image(0, 3, sigma, SIZE), start.image(1, 3, sigma, SIZE))
    white = Start(MEAN).image(0, 3, sigma, SIZE)
    np.testing.assert_allclose(white, MEAN + sigma * sample_noise(0, 3, 0, SIZE).astype(float))


@pytest.mark.parametrize(
    ("name", "sampler", "off"),
    [
        ("ancestral", Ancestral(levels(64, high=0.2)), 0.05),
        ("deterministic", Deterministic(levels(64, high=0.2)), 0.03),
        ("ode", FlowODE(levels(16, high=0.2), 2), 0.01),
    ],
)
def test_from_a_covariance_start_samples_have_the_variance_of_the_class(name, sampler, off):
    """In every mode; a white start of the same level leaves three quarters of the largest at most."""
    start, count = class_start(), 400
    spectrum_of_start = np.abs(np.fft.fft2(start.deviations[:, 0], norm="ortho")) ** 2
    denoised_once = POWER / (POWER + sampler.sigma_range[0] ** 2)
    truth = POWER * denoised_once
    samples = draw(Wiener(), sampler, count, start=start).images
    ratio = spectrum(samples) / truth
    sampling = 4.5 * np.sqrt(2 / count)
    np.testing.assert_array_less(np.abs(ratio - 1), sampling + off)
    assert abs(ratio.mean() - 1) < 4 * np.sqrt(2 / (count * SIZE**2)) + off
    if name != "ode":
        found = predicted(sampler, spectrum_of_start.mean(axis=0)) / truth
        np.testing.assert_allclose(ratio, found, atol=sampling)
        np.testing.assert_allclose(predicted(sampler, POWER) / truth, 1, atol=off)
    white = spectrum(draw(Wiener(), sampler, count).images) / truth
    assert white[0, 0] < 0.75 < ratio[0, 0]


def test_ancestral_variance_converges_to_the_truth():
    gaps = []
    for steps in (400, 800, 1600):
        found = predicted(Ancestral(levels(steps, 1e-5, 20.0)))
        gaps.append(np.abs(found / POWER - 1).max())
    assert gaps[2] < gaps[1] < gaps[0]
    assert gaps[2] < 0.01
    assert gaps[1] / gaps[2] == pytest.approx(2, abs=0.1)  # first order


def test_score_ascent_variance_is_first_order_in_its_step():
    truth = POWER * 9 / (POWER + 9)
    gaps = []
    for step in (0.08, 0.04, 0.02):
        found = predicted(ScoreAscent(step, 0.1, 3.0, 1e-4, growing=False))
        gaps.append(np.abs(found / truth - 1).max())
    assert gaps[2] < 0.015
    assert gaps[1] / gaps[2] == pytest.approx(2, abs=0.1)


def test_growing_steps_lose_variance():
    """The published code's h_t tends to 1, where a step forgets the posterior's variance."""
    found = {}
    for name, preset in SCORE_ASCENT.items():
        denoised_once = POWER**2 / (POWER + preset.sigma_min**2)
        found[name] = predicted(preset) / denoised_once
    np.testing.assert_allclose(found["paper"], 1, atol=0.01)
    np.testing.assert_array_less(found["official"], 0.9)
    np.testing.assert_array_less(found["official"][POWER > 4e-4], 0.65)


# ---------------------------------------------------------------------------------------------
# The flow: order of convergence


def gain(sampler) -> np.ndarray:
    """Gain of each Fourier coefficient, by sampling from an impulse without noise."""
    impulse = torch.zeros(1, 1, SIZE, SIZE, dtype=torch.float64)
    impulse[0, 0, 0, 0] = 1
    finished = sampler.run(Wiener(), MEAN + impulse, no_noise, lambda *_: None)
    return np.fft.fft2((finished.images - MEAN).numpy()[0, 0]).real


def no_noise(step: int, rows: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(rows), 1, SIZE, SIZE, dtype=torch.float64)


@pytest.mark.parametrize("order", [1, 2])
def test_order_of_convergence(order):
    exact = np.sqrt(flow_variance(0.05, 2.0)) / 2.0
    errors = []
    for steps in (33, 65, 129):
        errors.append(np.abs(gain(FlowODE(levels(steps, 0.05, 2.0), order)) - exact).max())
    measured = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(measured, order, atol=0.2)
    assert errors[-1] < {1: 3e-3, 2: 1e-4}[order]


def test_order_three_is_closer_though_its_first_steps_limit_it():
    for high in (1.0, 5.0):
        exact = np.sqrt(flow_variance(0.02, high)) / high
        second, third = (
            np.abs(gain(FlowODE(levels(32, 0.02, high), order)) / exact - 1).max()
            for order in (2, 3)
        )
        assert third < second / 3


def test_the_deterministic_sampler_is_the_flow_at_order_one():
    first = draw(Wiener(), Deterministic(levels(12)), 5).images
    second = draw(Wiener(), FlowODE(levels(12), 1), 5).images
    torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


def test_the_deterministic_sampler_is_the_ancestral_one_without_variance():
    """Ancestral steps so short that their noise averages out follow another path: the mean."""
    sampler = Ancestral(levels(12))
    noisy = draw(Wiener(), sampler, 3).images
    start = MEAN + torch.stack([torch.from_numpy(sample_noise(0, i, 0, SIZE)) for i in range(3)])
    y = start.double()
    for now, after in zip(sampler.levels, (*sampler.levels[1:], 0.0), strict=True):
        denoised = Wiener()(y, now)
        a = float(alpha_bar_of(now) / alpha_bar_of(after))
        variance = (1 - a) * (1 - alpha_bar_of(after)) / (1 - alpha_bar_of(now))
        residual = (alpha_bar_of(now) / (1 - alpha_bar_of(now))) ** 0.5 * (y - denoised)
        # the family of the step: keep so much of the estimated noise that variance + kept is 1 - abar
        y = (
            denoised
            + (float(1 - alpha_bar_of(after)) ** 0.5 * residual) / alpha_bar_of(after) ** 0.5
        )
        assert variance >= 0
    deterministic = draw(Wiener(), Deterministic(levels(12)), 3).images
    torch.testing.assert_close(y, deterministic, rtol=0, atol=1e-7)
    assert (noisy - deterministic).abs().max() > 0.01


def test_denoiser_is_called_once_per_level():
    for sampler in (Ancestral(levels(7)), Deterministic(levels(7)), FlowODE(levels(7), 3)):
        denoiser = Wiener()
        found = draw(denoiser, sampler, 3)
        assert denoiser.levels == list(levels(7))
        assert found.calls.tolist() == [7, 7, 7]


# ---------------------------------------------------------------------------------------------
# Training images, and score ascent


@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_optimum_for_a_training_set_returns_its_images(name):
    training = torch.from_numpy(np.random.default_rng(0).random((6, 1, SIZE, SIZE), np.float32))
    found = draw(EmpiricalDenoiser(training), GAUSSIAN[name], 60, dtype=torch.float32).images
    assert nearest_distances(found, training)[:, 0].max() < 1e-5
    assert len(closest(found, training, "cosine")[1].unique()) == 6
    assert memorised(distance_ratio(nearest_distances(found, training))).all()


def test_presets_take_the_calls_in_print():
    calls = {}
    for name, preset in SCORE_ASCENT.items():
        sampler = ScoreAscent(**(vars(preset) | {"known_level": True}))
        calls[name] = draw(lambda y, sigma: y / 2, sampler, 1).calls
    assert calls["paper"] == pytest.approx(3000, rel=0.01)
    assert calls["official"] == pytest.approx(660, rel=0.05)


def test_each_image_of_score_ascent_stops_at_its_own_level():
    sampler = ScoreAscent(0.1, 0.2, 1.0, 0.1, growing=False)
    found = draw(BlindWiener(), sampler, 40, followed=40, levels=[0.5])
    assert len(set(found.calls.tolist())) > 3
    for way, calls in zip(found.trajectories.sigma, found.calls, strict=True):
        assert np.isfinite(way[:calls]).all()
        assert np.isnan(way[calls:]).all()
        assert (way[: calls - 2] >= 0.1).all()
        assert way[calls - 2] < 0.1  # one more step is taken, and one last denoising
    alone = draw_samples(BlindWiener(), sampler, [31], SIZE, seed=0, dtype=torch.float64)
    torch.testing.assert_close(alone.images[0], found.images[31], rtol=0, atol=1e-12)
    assert alone.calls[0] == found.calls[31]


def test_an_exact_denoiser_must_be_told_the_level():
    with pytest.raises(ValueError, match="needs the noise level"):
        draw(EmpiricalDenoiser(torch.rand(2, 1, SIZE, SIZE)), SCORE_ASCENT["paper"], 2)


def test_one_iteration_of_score_ascent():
    """y + h s + gamma z with sigma^2 = ||s||^2 / d, written out."""
    sampler = ScoreAscent(0.3, 0.4, 1.0, 0.9, growing=False)
    start = torch.rand(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).double()
    z = torch.from_numpy(sample_noise(0, 0, 1, SIZE)).double()[None]
    seen = []

    def halve(y, sigma):
        seen.append(y)
        return y / 2

    finished = sampler.run(halve, start, lambda step, rows: z, lambda *_: None)
    score = -start / 2
    sigma = score.norm() / SIZE
    gamma = ((1 - 0.4 * 0.3) ** 2 - (1 - 0.3) ** 2) ** 0.5 * sigma
    torch.testing.assert_close(seen[1], start + 0.3 * score + gamma * z)
    torch.testing.assert_close(finished.images, seen[1] / 2)
    assert finished.calls.tolist() == [2]


def test_score_ascent_that_never_rests_is_stopped():
    sampler = ScoreAscent(0.5, 0.5, 1.0, 0.1, growing=False, most_calls=9)
    found = draw(lambda y, _: y + 1, sampler, 3)
    assert found.calls.tolist() == [9, 9, 9]


# ---------------------------------------------------------------------------------------------
# Seeds, batches, trajectories


SAMPLERS = {
    "ancestral": Ancestral(levels(6)),
    "ode": FlowODE(levels(6), 2),
    "score ascent": ScoreAscent(0.2, 0.5, 1.0, 0.2, growing=True, most_calls=60),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_does_not_depend_on_its_batch(name, trained):
    denoiser, _ = load_denoiser(trained(4, "S1"))
    whole = draw_samples(denoiser, SAMPLERS[name], range(9), SIZE, seed=5)
    assert whole.images.dtype == torch.float32
    for numbers, batch in (((0, 3, 8), 32), ((8, 7, 3, 1), 3), ((4,), 1), ((2, 6), 1)):
        part = draw_samples(denoiser, SAMPLERS[name], numbers, SIZE, seed=5, batch=batch)
        expected = whole.images[list(numbers)]
        torch.testing.assert_close(part.images, expected, rtol=0, atol=1e-5)
        assert part.calls.tolist() == whole.calls[list(numbers)].tolist()


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_seed_decides_everything(name, trained):
    denoiser, _ = load_denoiser(trained(4, "S1"))
    one, two, other = (
        draw_samples(denoiser, SAMPLERS[name], range(4), SIZE, seed=seed).images
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert (one - other).flatten(1).norm(dim=1).min() > 0.1
    assert (one[0] - one[1]).norm() > 0.1


def test_noise_is_shared_between_networks_and_differs_between_steps():
    starts = []
    for factor in (0.5, 0.9):
        seen = []

        def shrink(y, sigma, factor=factor, seen=seen):
            seen.append(y)
            return factor * y

        draw(shrink, Ancestral(levels(3)), 4)
        starts.append(seen[0])
    assert torch.equal(*starts)
    draws = [sample_noise(*names, SIZE) for names in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))]
    correlations = np.corrcoef([z.ravel() for z in draws])
    assert np.abs(correlations - np.eye(4)).max() < 4.5 / SIZE
    many = np.stack([sample_noise(0, i, 3, SIZE) for i in range(500)])
    assert abs(many.mean()) < 4 / np.sqrt(many.size)
    assert abs(many.var() - 1) < 4 * np.sqrt(2 / many.size)


def test_trajectories_hold_what_the_denoiser_saw():
    kept = (1.0, 0.3, 0.02)
    found = draw(Wiener(), FlowODE(levels(10), 2), 5, followed=3, levels=kept, batch=2)
    ways = found.trajectories
    np.testing.assert_allclose(ways.sigma, np.tile(levels(10), (3, 1)))
    assert (ways.kept_sigma[:, 0] == 1).all()
    assert (ways.kept_sigma[:, 1] == max(sigma for sigma in levels(10) if sigma <= 0.3)).all()
    for sample in range(3):
        start = MEAN + sample_noise(0, sample, 0, SIZE)
        np.testing.assert_allclose(ways.noisy[sample, 0], start, rtol=1e-6)
        for level in range(3):
            noisy = torch.from_numpy(ways.noisy[sample, level])[None].double()
            expected = Wiener()(noisy, float(ways.kept_sigma[sample, level]))[0]
            np.testing.assert_allclose(ways.denoised[sample, level], expected, atol=1e-6)
        np.testing.assert_allclose(ways.denoised[sample, 2], found.images[sample], atol=1e-6)


def test_a_level_that_is_never_reached_is_missing():
    found = draw(Wiener(), Deterministic(levels(4)), 2, followed=2, levels=(0.5, 0.001))
    assert np.isnan(found.trajectories.kept_sigma[:, 1]).all()
    assert np.isnan(found.trajectories.noisy[:, 1]).all()
    assert np.isfinite(found.trajectories.noisy[:, 0]).all()


def test_a_denoiser_that_diverges_is_named():
    with pytest.raises(ArithmeticError, match=r"samples: .* is not finite"):
        draw(lambda y, _: y * torch.nan, SAMPLERS["score ascent"], 2)
    with pytest.raises(ArithmeticError, match=r"broken: .* level 0.14\d* is not finite"):
        draw(
            lambda y, sigma: y * (1 if sigma > 0.2 else torch.inf),
            FlowODE(levels(3)),
            2,
            label="broken",
        )


# ---------------------------------------------------------------------------------------------
# Building


def test_samplers_are_built_from_params():
    on_levels = {"schedule": "geometric", "steps": 5, "sigma_range": [0.02, 1]}
    assert build_sampler({"kind": "ancestral"} | on_levels) == Ancestral(levels(5))
    assert build_sampler({"kind": "deterministic"} | on_levels) == Deterministic(levels(5))
    assert build_sampler({"kind": "ode", "order": 3} | on_levels) == FlowODE(levels(5), 3)
    for preset in ("paper", "official"):
        built = build_sampler({"kind": "score_ascent", "preset": preset})
        assert built is SCORE_ASCENT[preset]
        assert sampler_options({"kind": "score_ascent", "preset": preset}).sigma_highest == 1
    assert sampler_options({"kind": "ancestral"} | on_levels).sigma_highest == 1
    with pytest.raises(ValueError, match="found 'magic', allowed is one of ancestral"):
        build_sampler({"kind": "magic"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ancestral((0.1, 1.0)), "falling levels"),
        (lambda: FlowODE((1.0, 0.0)), "falling levels"),
        (lambda: FlowODE((1.0, 0.5), 0), "order: found 0"),
        (lambda: ScoreAscent(0.0, 0.1, 1.0, 0.1, False), "step: found 0.0"),
        (lambda: ScoreAscent(0.1, 1.1, 1.0, 0.1, False), "beta: found 1.1"),
        (lambda: ScoreAscent(0.1, 0.1, 0.1, 0.2, False), "sigma_min"),
    ],
)
def test_impossible_samplers_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
