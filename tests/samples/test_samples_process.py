"""The forward process: schedules, its two forms against each other, times and noise levels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from gahb.samples.process import (
    alpha_bar_of,
    alpha_bars,
    ancestral_step,
    beta_schedule,
    deterministic_step,
    forward,
    forward_step,
    noise_levels,
    sigma_of,
    time_of,
)


def normal(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("times", [50, 1000])
def test_schedules_end_in_noise(kind, times):
    betas = beta_schedule(kind, times)
    assert betas.shape == (times,)
    assert ((betas > 0) & (betas < 1)).all()
    shares = alpha_bars(betas)
    assert (np.diff(shares) < 0).all()
    assert shares[-1] < 1e-4
    assert shares[0] > 0.99


def test_published_values():
    linear = beta_schedule("linear")
    assert (linear[0], linear[-1]) == pytest.approx((1e-4, 0.02))
    cosine = alpha_bars(beta_schedule("cosine"))
    expected = math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2
    expected /= math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert cosine[499] == pytest.approx(expected)
    assert beta_schedule("cosine")[-1] == 0.999


def test_unknown_schedules_are_named():
    with pytest.raises(ValueError, match="found 'square', allowed is one of linear, cosine"):
        beta_schedule("square")
    with pytest.raises(ValueError, match="allowed is one of linear, cosine, geometric"):
        noise_levels("geom", 8, (0.02, 1))
    with pytest.raises(ValueError, match="at least 21"):
        beta_schedule("linear", 20)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("time", [1, 7, 30])
def test_many_small_steps_are_one_large_step(kind, time):
    """q(x_t | x_{t-1}) applied t times has the mean, variance and law of q(x_t | x_0)."""
    betas, draws = beta_schedule(kind, 50), 20_000
    start = torch.full((draws,), 0.8, dtype=torch.float64)
    x = start
    for step in range(time):
        x = forward_step(x, betas[step], normal(step, draws))
    share = float(alpha_bars(betas)[time - 1])
    direct = forward(start, share, normal(1000, draws))
    for found in (x, direct):
        error = math.sqrt((1 - share) / draws)
        assert abs(found.mean().item() - 0.8 * math.sqrt(share)) < 4 * error
        assert found.var().item() == pytest.approx(1 - share, rel=4 * math.sqrt(2 / draws))
    assert stats.ks_2samp(x.numpy(), direct.numpy()).pvalue > 1e-3
    wrong = forward(start, float(alpha_bars(betas)[time + 9]), normal(1000, draws))
    assert stats.ks_2samp(x.numpy(), wrong.numpy()).pvalue < 1e-3


def test_noise_level_is_that_of_the_rescaled_image():
    share = float(alpha_bars(beta_schedule("linear"))[300])
    z = normal(0, 50_000)
    y = forward(torch.full_like(z, 0.3), share, z) / share**0.5
    assert y.std().item() == pytest.approx(float(sigma_of(share)), rel=0.02)
    torch.testing.assert_close(y, 0.3 + float(sigma_of(share)) * z)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_time_and_level_are_inverses(kind):
    shares = alpha_bars(beta_schedule(kind, 200))
    np.testing.assert_allclose(alpha_bar_of(sigma_of(shares)), shares, rtol=1e-9)
    np.testing.assert_allclose(time_of(sigma_of(shares), shares), np.arange(1, 201))
    assert 100 < time_of(float(np.sqrt(np.prod(sigma_of(shares[99:101])))), shares) < 101
    assert alpha_bar_of(0.0) == 1
    with pytest.raises(ValueError, match="the levels of this process"):
        time_of(1e-5, shares)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "geometric"])
def test_levels_fall_from_highest_to_lowest(schedule):
    levels = noise_levels(schedule, 17, (0.02, 1.5))
    assert levels.shape == (17,)
    assert (levels[0], levels[-1]) == (1.5, 0.02)
    assert (np.diff(levels) < 0).all()
    if schedule != "geometric":  # evenly spaced in time
        times = time_of(levels, alpha_bars(beta_schedule(schedule)))
        np.testing.assert_allclose(np.diff(times, 2), 0, atol=1e-6)


def test_every_time_of_the_process_can_be_walked():
    process = sigma_of(alpha_bars(beta_schedule("linear")))
    levels = noise_levels("linear", 400, (float(process[0]), float(process[399])))
    np.testing.assert_allclose(levels[::-1], process[:400])


@pytest.mark.parametrize(
    ("steps", "sigma_range", "message"),
    [(1, (0.1, 1.0), "steps: found 1"), (4, (1.0, 0.1), "sigma_range"), (4, (0, 1.0), "sigma_r")],
)
def test_impossible_levels_are_named(steps, sigma_range, message):
    with pytest.raises(ValueError, match=message):
        noise_levels("geometric", steps, sigma_range)


def test_ancestral_step_is_the_posterior():
    """x_s drawn by the step from x_t and the true x_0 has the joint law of the forward process."""
    now, after = 0.3, 0.7
    x0 = torch.full((40_000,), 0.9, dtype=torch.float64)
    earlier = forward(x0, after, normal(0, 40_000))
    a = now / after
    later = a**0.5 * earlier + (1 - a) ** 0.5 * normal(1, 40_000)
    again = ancestral_step(later, x0, now, after, normal(2, 40_000))
    for power in (1, 2):
        difference = again**power - earlier**power
        assert abs(difference.mean()) < 4 * difference.std() / 200
    products = (again - earlier) * later
    assert abs(products.mean()) < 4 * products.std() / 200
    assert abs((again - earlier).std()) > 0.1  # another draw, not the same


def test_ancestral_step_in_terms_of_noise_levels():
    """On y = x / sqrt(abar): y <- f + (s/t)^2 (y - f) + s sqrt(1 - (s/t)^2) z."""
    t, s = 0.8, 0.3
    now, after = float(alpha_bar_of(t)), float(alpha_bar_of(s))
    y, f, z = normal(0, 9), normal(1, 9), normal(2, 9)
    found = ancestral_step(now**0.5 * y, f, now, after, z) / after**0.5
    torch.testing.assert_close(
        found, f + (s / t) ** 2 * (y - f) + s * (1 - (s / t) ** 2) ** 0.5 * z
    )
    torch.testing.assert_close(ancestral_step(now**0.5 * y, f, now, 1.0, z), f)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_deterministic_and_ancestral_steps_are_one_family(share):
    """Of the estimated noise a part is kept and a part drawn anew: nothing, or sigma_q^2 of it."""
    now, after = 0.4, 0.75
    x, f, z = normal(0, 9), normal(1, 9), normal(2, 9)
    estimated = (x - now**0.5 * f) / (1 - now) ** 0.5
    variance = share * (1 - now / after) * (1 - after) / (1 - now)
    family = after**0.5 * f + (1 - after - variance) ** 0.5 * estimated + variance**0.5 * z
    if share == 0:
        torch.testing.assert_close(family, deterministic_step(x, f, now, after))
    elif share == 1:
        torch.testing.assert_close(family, ancestral_step(x, f, now, after, z))
    else:
        assert not torch.allclose(family, ancestral_step(x, f, now, after, z))
