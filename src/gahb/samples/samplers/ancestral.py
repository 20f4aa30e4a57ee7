"""The reverse process with x0-prediction, which injects noise at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gahb.samples.process import alpha_bar_of, ancestral_step
from gahb.samples.sampler import Denoiser, Finished, LevelOptions, Noise, Observer, OnLevels

if TYPE_CHECKING:
    from torch import Tensor


class AncestralOptions(LevelOptions):
    """Options of :class:`Ancestral`."""

    def build(self) -> Ancestral:
        """The sampler."""
        return Ancestral(self.levels)


@dataclass(frozen=True)
class Ancestral(OnLevels):
    """Reverse process with x0-prediction: :func:`gahb.samples.process.ancestral_step`."""

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, C, H, W)."""
        import torch

        rows = torch.arange(len(y))
        for step, sigma, sigma_next in self.steps():
            denoised = denoiser(y, sigma)
            observe(rows, sigma, y, denoised)
            now, after = float(alpha_bar_of(sigma)), float(alpha_bar_of(sigma_next))
            x = ancestral_step(now**0.5 * y, denoised, now, after, noise(step, rows))
            y = x / after**0.5
        return self.finished(y)
