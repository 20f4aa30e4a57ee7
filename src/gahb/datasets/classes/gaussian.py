"""Stationary Gaussian fields on the torus: the class of which everything is known in closed form.

``x = mean + F* diag(sqrt(P_k)) F z`` with z white and F the orthonormal Fourier transform: the
covariance is diagonal in Fourier, with eigenvalues P_k proportional to |k|^-exponent. Images are not
clipped, for clipped ones would no longer be Gaussian: with the mean at 0.5 and a standard deviation of
0.15, one pixel in 1200 lies outside [0, 1].
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import Field

from gahb.datasets.image_class import DrawnClass
from gahb.datasets.power_law import power_law
from gahb.options import Number, Positive
from gahb.randomness import generator


class Gaussian(DrawnClass):
    """The class of stationary Gaussian fields with a power-law spectrum; P_0 is P of frequency 1.

    They are as regular as the backgrounds of C^alpha images for exponent = 2 alpha.
    """

    exact: ClassVar[str | None] = "gaussian"
    clipped: ClassVar[bool] = False

    exponent: Annotated[Number, Field(ge=0)]
    """the power spectrum P_k falls as |k|^-exponent"""
    mean: Number
    """of every pixel; intensities are not clipped"""
    standard_deviation: Positive
    """of every pixel; intensities are not clipped"""

    @property
    def words(self) -> str:
        """What its images are."""
        return "Gaussian fields"

    @property
    def optimal_slope(self) -> float:
        """Of fields with power |k|^-p: 1 - 2 / p."""
        return max(0.0, 1 - 2 / self.exponent) if self.exponent else 0.0

    def spectrum(self) -> NDArray[np.float64]:
        """P_k, the eigenvalues of the covariance: (size, size) in the order of ``fft2``.

        They add up to the number of pixels times the variance of one.
        """
        shape = power_law(self.size, self.exponent)
        return np.asarray(shape * (self.standard_deviation**2 / shape.mean()))

    def render(self, first: int, count: int) -> NDArray[np.float32]:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32, not clipped."""
        noise = np.stack(
            [
                generator(self.seed, "gaussian", index).standard_normal((self.size, self.size))
                for index in range(first, first + count)
            ]
        )
        fields = scipy.fft.ifft2(scipy.fft.fft2(noise) * np.sqrt(self.spectrum())).real
        return np.asarray(self.mean + fields, np.float32)
