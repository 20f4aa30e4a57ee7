"""Noisy ascent along the denoiser's residual: the paper's Algorithm 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gahb.samples.sampler import Denoiser, Finished, Noise, Observer, SamplerOptions

if TYPE_CHECKING:
    from torch import Tensor


class ScoreAscentOptions(SamplerOptions):
    """Options of :class:`ScoreAscent`."""

    preset: Literal["paper", "official"]
    """paper: h = .01, beta = .1, sigma from 1 to .05; official, the published code's defaults: h_t growing
    from .01 to 1, beta = .01, sigma from 1 to .01"""

    @property
    def sigma_highest(self) -> float:
        """The noise level that it starts from."""
        return self.build().sigma_max

    def build(self) -> ScoreAscent:
        """The sampler."""
        return SCORE_ASCENT[self.preset]


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
        """Sample from the start images ``y`` (B, C, H, W)."""
        import torch

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
