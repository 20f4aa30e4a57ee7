"""A ray: one fixed image times a random intensity (Kadkhodaie et al., ICLR 2024, figure 19).

The images fill a segment of a line through 0. The optimal denoiser keeps the component along it,
lambda = 1, and nothing else: MSE = sigma^2 / d, a PSNR of slope 1 that lies 10 log10 d above the
input's.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import Field

from gahb.datasets.image_class import DrawnClass
from gahb.datasets.power_law import power_law
from gahb.options import Number
from gahb.randomness import generator, uniform_rows


class Rays(DrawnClass):
    """The class ``x = a u`` of one image u in [0, 1] with intensities a ~ U(0, 1)."""

    exact: ClassVar[str | None] = "rays"

    exponent: Annotated[Number, Field(ge=0)]
    """the power spectrum of the image u falls as |k|^-exponent"""

    @property
    def words(self) -> str:
        """What its images are."""
        return "rays"

    @property
    def dimension(self) -> int:
        """The intensity."""
        return 1

    def image(self) -> NDArray[np.float32]:
        """u: filtered white noise, stretched to fill [0, 1]: (size, size)."""
        noise = generator(self.seed, "rays", "image").standard_normal((self.size, self.size))
        gain = power_law(self.size, self.exponent / 2)
        field = scipy.fft.ifft2(scipy.fft.fft2(noise) * gain).real
        return ((field - field.min()) / (field.max() - field.min())).astype(np.float32)

    def render(self, first: int, count: int) -> NDArray[np.float32]:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32 in [0, 1]."""
        intensity = uniform_rows(self.seed, "rays", first, count, 1)
        return intensity[:, :, None] * self.image()
