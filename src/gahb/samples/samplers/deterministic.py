"""The reverse process without noise (DDIM; Song et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gahb.samples.process import alpha_bar_of, deterministic_step
from gahb.samples.sampler import Denoiser, Finished, LevelOptions, Noise, Observer, OnLevels

if TYPE_CHECKING:
    from torch import Tensor


class DeterministicOptions(LevelOptions):
    """Options of :class:`Deterministic`."""

    def build(self) -> Deterministic:
        """The sampler."""
        return Deterministic(self.levels)


@dataclass(frozen=True)
class Deterministic(OnLevels):
    """Reverse process without noise: :func:`gahb.samples.process.deterministic_step` (DDIM)."""

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, C, H, W)."""
        import torch

        rows = torch.arange(len(y))
        for _, sigma, sigma_next in self.steps():
            denoised = denoiser(y, sigma)
            observe(rows, sigma, y, denoised)
            now, after = float(alpha_bar_of(sigma)), float(alpha_bar_of(sigma_next))
            y = deterministic_step(now**0.5 * y, denoised, now, after) / after**0.5
        return self.finished(y)
