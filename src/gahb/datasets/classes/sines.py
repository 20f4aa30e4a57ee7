"""Sine waves of random phase and intensity (Kadkhodaie et al., ICLR 2024, figure 20).

``x = a (1 + cos(2 pi k.r / size + phase)) / 2``, with one frequency k, intensities a ~ U(0, 1) and
uniform phases, is a cone of dimension 2 in the space spanned by the constant, the cosine and the sine.
For small noise the optimal MSE is 2 sigma^2 / d: a PSNR of slope 1, 10 log10(d / 2) above the input's.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gahb.datasets.image_class import DrawnClass
from gahb.options import Integer, wrong
from gahb.randomness import uniform_rows


class Sines(DrawnClass):
    """The class of sine waves of one frequency, with random phase and intensity.

    Raises:
        ValueError: the frequency is a multiple of half the size in both directions, where cosine and
            sine are no longer two independent waves.
    """

    exact: ClassVar[str | None] = "sines"

    frequency: tuple[Integer, Integer]
    """[down, across], whole cycles per image"""

    @model_validator(mode="after")
    def _two_waves(self) -> Sines:
        if not any(2 * cycles % self.size for cycles in self.frequency):
            raise wrong(
                list(self.frequency),
                "two numbers of cycles that are not both multiples of "
                f"{self.size / 2:g}, half the size in pixels",
                "frequency",
            )
        return self

    @property
    def words(self) -> str:
        """What its images are."""
        return "sine waves"

    @property
    def dimension(self) -> int:
        """Intensity and phase."""
        return 2

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
