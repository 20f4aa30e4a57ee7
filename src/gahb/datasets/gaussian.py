"""Stationary Gaussian fields on the torus: the class of which everything is known in closed form.

``x = mean + F* diag(sqrt(P_k)) F z`` with z white and F the orthonormal Fourier transform: the
covariance is diagonal in Fourier, with eigenvalues P_k proportional to |k|^-exponent. Images are not
clipped, for clipped ones would no longer be Gaussian: with the mean at 0.5 and a standard deviation of
0.15, one pixel in 1200 lies outside [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gahb.datasets.power_law import power_law
from gahb.randomness import generator


@dataclass(frozen=True)
class Gaussian:
    """The class of stationary Gaussian fields with a power-law spectrum.

    Args:
        size: side of the image in pixels.
        seed: the same seed gives the same images.
        exponent: P_k falls as |k|^-exponent; P_0 is that of frequency 1. As regular as the
            backgrounds of C^alpha images for exponent = 2 alpha.
        mean: of every pixel.
        standard_deviation: of every pixel.
    """

    size: int
    seed: int
    exponent: float
    mean: float
    standard_deviation: float

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
