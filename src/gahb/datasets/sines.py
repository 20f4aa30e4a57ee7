"""Sine waves of random phase and intensity (Kadkhodaie et al., ICLR 2024, figure 20).

``x = a (1 + cos(2 pi k.r / size + phase)) / 2``, with one frequency k, intensities a ~ U(0, 1) and
uniform phases, is a cone of dimension 2 in the space spanned by the constant, the cosine and the sine.
For small noise the optimal MSE is 2 sigma^2 / d: a PSNR of slope 1, 10 log10(d / 2) above the input's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gahb.randomness import uniform_rows


@dataclass(frozen=True)
class Sines:
    """The class of sine waves of one frequency, with random phase and intensity.

    Args:
        size: side of the image in pixels.
        seed: the same seed gives the same images.
        frequency: whole cycles down and across the image; not a multiple of half the size in both,
            where cosine and sine would no longer be two independent waves.

    Raises:
        ValueError: the frequency is such a multiple.
    """

    size: int
    seed: int
    frequency: tuple[int, int]

    def __post_init__(self) -> None:
        if not any(2 * cycles % self.size for cycles in self.frequency):
            raise ValueError(
                f"frequency: found {list(self.frequency)}, allowed are two numbers of cycles that "
                f"are not both multiples of {self.size / 2:g}, half the size in pixels"
            )

    def waves(self) -> NDArray[np.float64]:
        """The cosine and the sine, orthogonal and of energy d / 2: (2, size, size)."""
        down, across = self.frequency
        row, column = np.indices((self.size, self.size))
        cycles = (down * row + across * column) % self.size / self.size
        return np.stack([np.cos(2 * np.pi * cycles), np.sin(2 * np.pi * cycles)])

    def render(self, first: int, count: int) -> NDArray[np.float32]:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32 in [0, 1]."""
        uniform = uniform_rows(self.seed, "sines", first, count, 2).astype(np.float64)
        intensity, phase = uniform[:, 0], 2 * np.pi * uniform[:, 1]
        cosine, sine = self.waves()
        phase = phase[:, None, None]
        waves = np.cos(phase) * cosine - np.sin(phase) * sine
        images = intensity[:, None, None] * (1 + waves) / 2
        return np.clip(images, 0, 1).astype(np.float32)  # 1 + cos may round to below 0
