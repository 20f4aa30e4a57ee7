"""What is kept of the way from noise to image, for the first few samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Trajectories:
    """The way of m samples; NaN where there is nothing: a level never reached, a call not made.

    Attributes:
        sigma: (m, T) float64 noise level at every call of the denoiser, T calls at most.
        kept_sigma: (m, K) float64 noise level at the calls that were kept: for each of the K levels
            asked for, the first call at or below it.
        noisy: (m, K, C, H, W) float32 what the denoiser was given at those calls.
        denoised: (m, K, C, H, W) float32 what it returned.
    """

    sigma: NDArray[np.float64]
    kept_sigma: NDArray[np.float64]
    noisy: NDArray[np.float32]
    denoised: NDArray[np.float32]


class Recorder:
    """Keeps the trajectories of the samples at positions 0 to ``count`` - 1.

    Args:
        count: m, how many samples are followed.
        levels: (K,) noise levels at which images are kept.
        image: shape (C, H, W) of the images.
    """

    def __init__(self, count: int, levels: Sequence[float], image: Sequence[int]) -> None:
        self._levels = np.asarray(levels, np.float64) * (1 + 1e-6)  # reached but for rounding
        self._sigma: list[list[float]] = [[] for _ in range(count)]
        self._kept_sigma = np.full((count, len(levels)), np.nan)
        shape = (count, len(levels), *image)
        self._noisy = np.full(shape, np.nan, np.float32)
        self._denoised = np.full(shape, np.nan, np.float32)

    def observe(
        self, positions: Sequence[int], sigma: float | Tensor, noisy: Tensor, denoised: Tensor
    ) -> None:
        """Take note of one call for samples at ``positions``, one per image of the batch."""
        if not positions or min(positions) >= len(self._sigma):
            return
        sigmas = np.broadcast_to(np.asarray(sigma, np.float64), (len(positions),))
        images: list[NDArray[np.float32]] = []  # fetched from the device once, if any is kept
        for row, position in enumerate(positions):
            if position >= len(self._sigma):
                continue
            level = float(sigmas[row])
            self._sigma[position].append(level)
            new = np.isnan(self._kept_sigma[position]) & (level <= self._levels)
            if new.any():
                self._kept_sigma[position, new] = level
                images = images or [one.float().cpu().numpy() for one in (noisy, denoised)]
                self._noisy[position, new] = images[0][row]
                self._denoised[position, new] = images[1][row]

    def trajectories(self) -> Trajectories:
        """What was kept."""
        calls = max(map(len, self._sigma), default=0)
        sigma = np.full((len(self._sigma), calls), np.nan)
        for position, levels in enumerate(self._sigma):
            sigma[position, : len(levels)] = levels
        return Trajectories(sigma, self._kept_sigma, self._noisy, self._denoised)
