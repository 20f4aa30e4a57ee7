"""Samplers: how an image is made from noise by calling a denoiser again and again.

Each works with any denoiser f(y, sigma) of (B, 1, H, W) images: learned and blind, exact, classical. All
start from N(mean, sigma_max^2 I), which stands for the noisy images of that level: the variance of the
images themselves is missing from it. A direction in which it is P comes out of the deterministic samplers
with P sigma_max^2 / (P + sigma_max^2); those that inject noise make up for part of the loss.

Noise is asked for by step and image, so that an image does not depend on which others are made with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from gahb.samples.process import alpha_bar_of, ancestral_step, deterministic_step, noise_levels

Denoiser = Callable[[Tensor, float | None], Tensor]
Noise = Callable[[int, Tensor], Tensor]  # (step, rows of the batch) -> standard normal draws
# (rows of the batch, their noise level: one or one each, noisy, denoised), told at every call
Observer = Callable[[Tensor, float | Tensor, Tensor, Tensor], None]


@dataclass(frozen=True)
class Finished:
    """Samples of one batch.

    Attributes:
        images: (B, 1, H, W).
        calls: (B,) int64, how often the denoiser saw each image.
    """

    images: Tensor
    calls: Tensor


class Sampler(Protocol):
    """Turns start images of noise level ``sigma_range[1]`` into samples."""

    @property
    def sigma_range(self) -> tuple[float, float]:
        """(lowest, highest) noise level at which the denoiser is meant to be called."""
        ...

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, 1, H, W)."""
        ...


@dataclass(frozen=True)
class _OnLevels:
    """A sampler that calls the denoiser once at each noise level of a fixed list.

    Args:
        levels: (steps,) from highest to lowest, above 0; the last step goes from the lowest to 0.
    """

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        found = np.asarray(self.levels)
        if not len(found) or np.any(found <= 0) or np.any(np.diff(found) >= 0):
            raise ValueError(f"levels: found {self.levels}, allowed are falling levels above 0")

    @property
    def sigma_range(self) -> tuple[float, float]:
        """(lowest, highest) noise level."""
        return self.levels[-1], self.levels[0]

    def _steps(self) -> list[tuple[int, float, float]]:
        """(step counted from 1, level, next level) of every step."""
        return [
            (step, *pair)
            for step, pair in enumerate(
                zip(self.levels, (*self.levels[1:], 0.0), strict=True), start=1
            )
        ]

    def _finished(self, images: Tensor) -> Finished:
        return Finished(images, torch.full((len(images),), len(self.levels)))


@dataclass(frozen=True)
class Ancestral(_OnLevels):
    """Reverse process with x0-prediction: :func:`gahb.samples.process.ancestral_step`."""

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, 1, H, W)."""
        rows = torch.arange(len(y))
        for step, sigma, sigma_next in self._steps():
            denoised = denoiser(y, sigma)
            observe(rows, sigma, y, denoised)
            now, after = float(alpha_bar_of(sigma)), float(alpha_bar_of(sigma_next))
            x = ancestral_step(now**0.5 * y, denoised, now, after, noise(step, rows))
            y = x / after**0.5
        return self._finished(y)


@dataclass(frozen=True)
class Deterministic(_OnLevels):
    """Reverse process without noise: :func:`gahb.samples.process.deterministic_step` (DDIM)."""

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, 1, H, W)."""
        rows = torch.arange(len(y))
        for _, sigma, sigma_next in self._steps():
            denoised = denoiser(y, sigma)
            observe(rows, sigma, y, denoised)
            now, after = float(alpha_bar_of(sigma)), float(alpha_bar_of(sigma_next))
            y = deterministic_step(now**0.5 * y, denoised, now, after) / after**0.5
        return self._finished(y)


@dataclass(frozen=True)
class FlowODE(_OnLevels):
    """Probability-flow ODE by an exponential multistep method: one call per step at any order.

    In lambda = -log sigma the flow is dy/dlambda = f(y, sigma) - y, of which the linear part is solved
    exactly and f replaced by the polynomial through its last ``order`` values:

        y(lambda + h) = e^-h y + int_0^h e^-(h-u) f(lambda + u) du.

    Order 1 is the deterministic reverse process; order 2 is the multistep DPM-Solver++ of
    Lu et al. 2022. The first steps use the values there are: order 3 converges, in the end, as the
    square of the steps too, but from an error several times smaller.

    Args:
        order: number of values of f used.
    """

    order: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order < 1:
            raise ValueError(f"order: found {self.order}, allowed is at least 1")

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, 1, H, W)."""
        rows = torch.arange(len(y))
        past: deque[tuple[float, Tensor]] = deque(maxlen=self.order)  # newest first
        for _, sigma, sigma_next in self._steps():
            denoised = denoiser(y, sigma)
            observe(rows, sigma, y, denoised)
            past.appendleft((-float(np.log(sigma)), denoised))
            if (
                sigma_next == 0
            ):  # h is infinite: the image is what is left when the noise is removed
                y = denoised
                continue
            y = sigma_next / sigma * y
            weights = _weights([at for at, _ in past], -float(np.log(sigma_next)))
            for weight, (_, value) in zip(weights, past, strict=True):
                y = y + weight * value
        return self._finished(y)


def _weights(nodes: list[float], end: float) -> list[float]:
    """Weights of the values at ``nodes`` (newest first) in int_0^h e^-(h-u) f du, h = end - newest.

    They integrate polynomials through the nodes exactly: sum_j w_j u_j^k = m_k with the moments
    m_0 = 1 - e^-h and m_k = h^k - k m_{k-1}.
    """
    h = end - nodes[0]
    moments = [-np.expm1(-h)]
    for power in range(1, len(nodes)):
        moments.append(h**power - power * moments[-1])
    powers = np.vander(np.array(nodes) - nodes[0], increasing=True).T
    return [float(weight) for weight in np.linalg.solve(powers, np.array(moments))]


@dataclass(frozen=True)
class ScoreAscent:
    """Noisy ascent along the denoiser's residual (Kadkhodaie et al. 2024, Algorithm 1).

    At step t with s = f(y) - y, the noise level of each image is read off its residual,
    sigma^2 = ||s||^2 / d, and

        y <- y + h_t s + gamma z,    gamma^2 = ((1 - beta h_t)^2 - (1 - h_t)^2) sigma^2,

    until sigma < sigma_min; then y is denoised once more.

    Args:
        step: h_1, in (0, 1].
        beta: 0 adds as much noise as keeps its level, 1 adds none; in (0, 1].
        sigma_max: noise level of the start.
        sigma_min: noise level at which to stop.
        growing: h_t = h t / (1 + h (t - 1)), which tends to 1, instead of h_t = h.
        known_level: for denoisers that are not blind: instead of reading the level off the
            residual, tell them the one that the iteration is made to follow,
            sigma_t = (1 - beta h_t) sigma_{t-1}, and use it for gamma and for stopping.
        most_calls: an image that still has not come to rest is denoised and left as it is.
    """

    step: float
    beta: float
    sigma_max: float
    sigma_min: float
    growing: bool
    known_level: bool = False
    most_calls: int = 20_000

    def __post_init__(self) -> None:
        for name in ("step", "beta"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ValueError(f"{name}: found {value}, allowed is above 0 and at most 1")
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(
                f"sigma_min, sigma_max: found {self.sigma_min}, {self.sigma_max}, "
                "allowed is 0 < sigma_min < sigma_max"
            )

    @property
    def sigma_range(self) -> tuple[float, float]:
        """(lowest, highest) noise level."""
        return self.sigma_min, self.sigma_max

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, 1, H, W)."""
        images, calls = torch.empty_like(y), torch.zeros(len(y), dtype=torch.int64)
        rows = torch.arange(len(y))  # of the images still under way
        resting = torch.zeros(len(y), dtype=torch.bool)
        known = self.sigma_max
        call = 0
        while True:
            call += 1
            denoised = denoiser(y, known if self.known_level else None)
            score = denoised - y
            sigma = score.flatten(1).double().square().mean(1).sqrt().cpu()
            if self.known_level:
                sigma = torch.full_like(sigma, known)
            observe(rows, sigma, y, denoised)
            done = resting | (call >= self.most_calls)
            if done.any():
                images[rows[done].to(y.device)] = denoised[done.to(y.device)]
                calls[rows[done]] = call
                on, left = ~done, (~done).to(y.device)
                rows, sigma, y, score = rows[on], sigma[on], y[left], score[left]
            if not len(rows):
                return Finished(images, calls)
            resting = sigma < self.sigma_min
            h = self.step
            if self.growing:
                h = h * call / (1 + h * (call - 1))
            gamma = ((1 - self.beta * h) ** 2 - (1 - h) ** 2) ** 0.5 * sigma
            z = noise(call, rows)
            y = y + h * score + gamma.to(y)[:, None, None, None] * z
            known *= 1 - self.beta * h


SCORE_ASCENT: dict[str, ScoreAscent] = {
    # as printed: about 3000 calls
    "paper": ScoreAscent(step=0.01, beta=0.1, sigma_max=1.0, sigma_min=0.05, growing=False),
    # defaults of the published code: about 660 calls; with h near 1 it loses about half the variance of
    # Gaussian images (tests/test_samples_samplers.py)
    "official": ScoreAscent(step=0.01, beta=0.01, sigma_max=1.0, sigma_min=0.01, growing=True),
}


def build_sampler(spec: dict[str, Any]) -> Sampler:
    """The sampler of ``sampling.sampler`` in params.yaml.

    Args:
        spec: ``{"kind": "score_ascent", "preset": "paper" | "official"}``, or ``kind``
            ``ancestral``, ``deterministic`` or ``ode`` with ``schedule``, ``steps``, ``sigma_range`` and,
            for ``ode``, ``order``.

    Raises:
        ValueError: there is no such sampler.
    """
    kind = spec["kind"]
    if kind == "score_ascent":
        return SCORE_ASCENT[spec["preset"]]
    if kind not in ("ancestral", "deterministic", "ode"):
        raise ValueError(
            f"kind: found {kind!r}, allowed is one of ancestral, deterministic, ode, score_ascent"
        )
    low, high = spec["sigma_range"]
    levels = tuple(noise_levels(spec["schedule"], spec["steps"], (low, high)).tolist())
    if kind == "ode":
        return FlowODE(levels, spec["order"])
    return Ancestral(levels) if kind == "ancestral" else Deterministic(levels)
