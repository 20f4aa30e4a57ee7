"""The forward process, and the map between its times and noise levels.

Times t = 1 ... T add a little noise each, with a_t = 1 - beta_t and abar_t = a_1 ... a_t:

    q(x_t | x_{t-1}) = N(sqrt(a_t) x_{t-1}, beta_t I),
    q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I).

A blind denoiser that is given y = x_t / sqrt(abar_t) sees the noise level
sigma_t = sqrt((1 - abar_t) / abar_t), on the scale of intensities in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gahb.asked import must_be_whole

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
TIMES = 1000  # of the schedules that samplers walk through


SCHEDULES = ("linear", "cosine", "geometric")


def beta_schedule(kind: str, times: int = TIMES) -> Floats:
    """Variances beta_1 ... beta_T of the noise added at each time: (T,) in (0, 1).

    Args:
        kind: ``linear``, from 1e-4 to 0.02 at 1000 times and in inverse proportion to another
            number of them (Ho, Jain & Abbeel 2020); ``cosine``, for which abar_t is a squared
            cosine (Nichol & Dhariwal 2021), with beta at most 0.999.
        times: T.

    Raises:
        ValueError: there is no such schedule, or T is too small for it.
    """
    if kind == "linear":
        if times <= 20:  # the last beta would reach 1
            raise ValueError(f"times: found {times}, allowed for a linear schedule is at least 21")
        return np.linspace(1e-4, 0.02, times) * (1000 / times)
    if kind == "cosine":
        offset = 0.008
        angles = (np.arange(times + 1) / times + offset) / (1 + offset) * np.pi / 2
        squares = np.cos(angles) ** 2
        betas: Floats = np.clip(1 - squares[1:] / squares[:-1], None, 0.999)
        return betas
    raise ValueError(f"schedule: found {kind!r}, allowed is one of linear, cosine")


def alpha_bars(betas: Floats) -> Floats:
    """abar_1 ... abar_T: the share of the image's energy that is left at each time, (T,)."""
    return np.cumprod(1 - betas, dtype=np.float64)


def sigma_of(alpha_bar: Floats | float) -> Floats:
    """Noise level sigma = sqrt((1 - abar) / abar) that a denoiser sees at y = x_t / sqrt(abar)."""
    share = np.asarray(alpha_bar, np.float64)
    return np.asarray(np.sqrt((1 - share) / share), np.float64)


def alpha_bar_of(sigma: Floats | float) -> Floats:
    """abar = 1 / (1 + sigma^2), the inverse of :func:`sigma_of`; 1 where sigma is 0."""
    return 1 / (1 + np.square(sigma, dtype=np.float64))


def time_of(sigma: Floats | float, alpha_bar: Floats) -> Floats:
    """The time at which a process reaches noise levels: fractional, 1 to T, linear in log sigma between.

    Args:
        sigma: noise levels.
        alpha_bar: abar_1 ... abar_T of the process.

    Raises:
        ValueError: a level is outside the process's range.
    """
    reached = sigma_of(alpha_bar)
    asked = np.asarray(sigma, np.float64)
    slack = 1e-9
    if np.any(asked < reached[0] * (1 - slack)) or np.any(asked > reached[-1] * (1 + slack)):
        raise ValueError(
            f"sigma: found {asked.min():g} to {asked.max():g}, "
            f"allowed is {reached[0]:g} to {reached[-1]:g}, the levels of this process"
        )
    times = np.arange(1, len(reached) + 1, dtype=np.float64)
    return np.interp(np.log(asked), np.log(reached), times)


def noise_levels(schedule: str, steps: int, sigma_range: tuple[float, float]) -> Floats:
    """The noise levels at which a sampler calls the denoiser: (steps,), from highest to lowest.

    Args:
        schedule: ``linear`` or ``cosine``, at evenly spaced times of the process of that name;
            ``geometric``, at evenly spaced log sigma.
        steps: number of levels.
        sigma_range: (lowest, highest) level; both are among the levels.
    """
    if np.shape(sigma_range) != (2,) or not 0 < sigma_range[0] < sigma_range[1]:
        raise ValueError(f"sigma_range: found {sigma_range}, allowed is 0 < lowest < highest")
    must_be_whole(2, steps=steps)
    low, high = sigma_range
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule: found {schedule!r}, allowed is one of {', '.join(SCHEDULES)}")
    if schedule == "geometric":
        return np.geomspace(high, low, steps)
    process = alpha_bars(beta_schedule(schedule))
    first, last = time_of(np.array([high, low]), process)
    times = np.arange(1, len(process) + 1)
    logs = np.interp(np.linspace(first, last, steps), times, np.log(sigma_of(process)))
    levels = np.exp(logs)
    levels[0], levels[-1] = high, low  # exactly
    return levels


def forward_step(x: Tensor, beta: float, z: Tensor) -> Tensor:
    """A draw of q(x_t | x_{t-1}) for a standard normal ``z`` of the shape of ``x``."""
    return (1 - beta) ** 0.5 * x + beta**0.5 * z


def forward(x: Tensor, alpha_bar: float, z: Tensor) -> Tensor:
    """A draw of q(x_t | x_0) for a standard normal ``z`` of the shape of ``x``."""
    return alpha_bar**0.5 * x + (1 - alpha_bar) ** 0.5 * z


def ancestral_step(
    x: Tensor, denoised: Tensor, alpha_bar: float, alpha_bar_next: float, z: Tensor
) -> Tensor:
    """A draw of q(x_s | x_t, x_0 = ``denoised``), s < t: the reverse step with x0-prediction.

    With a = abar_t / abar_s, which is a_t when s = t - 1,

        x_s = [(1 - abar_s) sqrt(a) x_t + (1 - a) sqrt(abar_s) x_0] / (1 - abar_t) + sigma_q z,
        sigma_q^2 = (1 - a) (1 - abar_s) / (1 - abar_t).

    Args:
        x: x_t.
        denoised: the prediction of x_0 from x_t.
        alpha_bar: abar_t.
        alpha_bar_next: abar_s, larger; at 1 the prediction itself is returned.
        z: standard normal, of the shape of ``x``.
    """
    a = alpha_bar / alpha_bar_next
    kept = (1 - alpha_bar_next) * a**0.5 / (1 - alpha_bar)
    predicted = (1 - a) * alpha_bar_next**0.5 / (1 - alpha_bar)
    sd = ((1 - a) * (1 - alpha_bar_next) / (1 - alpha_bar)) ** 0.5
    return kept * x + predicted * denoised + sd * z


def deterministic_step(
    x: Tensor, denoised: Tensor, alpha_bar: float, alpha_bar_next: float
) -> Tensor:
    """The reverse step that adds no noise and has the same marginals (DDIM; Song et al. 2021).

    The noise that is estimated at t is kept and scaled:
    x_s = sqrt(abar_s) x_0 + sqrt(1 - abar_s) (x_t - sqrt(abar_t) x_0) / sqrt(1 - abar_t).
    Arguments as for :func:`ancestral_step`.
    """
    kept = ((1 - alpha_bar_next) / (1 - alpha_bar)) ** 0.5
    return kept * x + (alpha_bar_next**0.5 - kept * alpha_bar**0.5) * denoised
