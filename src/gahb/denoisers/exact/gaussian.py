"""The Wiener filter: the conditional mean of stationary Gaussian fields, diagonal in Fourier.

``f(y) = mean + F* diag(lambda_k) F (y - mean)`` with ``lambda_k = P_k / (P_k + sigma^2)``, and a mean
squared error, summed over pixels, of ``sum_k P_k sigma^2 / (P_k + sigma^2)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gahb.datasets.classes.gaussian import Gaussian
from gahb.denoisers.exact.base import ExactDenoiser


class WienerDenoiser(ExactDenoiser):
    """Exact posterior mean of a class of Gaussian fields: affine, up to rounding.

    Args:
        fields: the class; a mismatched one gives the linear estimate that would be optimal for it.
    """

    spectrum: Tensor

    def __init__(self, fields: Gaussian) -> None:
        super().__init__()
        self.mean = fields.mean
        self.register_buffer("spectrum", torch.from_numpy(fields.spectrum()))

    def eigenvalues(self, sigma: float) -> Tensor:
        """lambda_k of the Jacobian, the same at every image: (H, W) in the order of ``fft2``."""
        return self.spectrum / (self.spectrum + sigma**2)

    def mean_squared_error(self, sigma: float) -> float:
        """The least mean squared error at ``sigma``, averaged over pixels."""
        return float(sigma**2 * self.eigenvalues(sigma).mean())

    def _mean(self, y: Tensor, sigma: float) -> Tensor:
        return self.mean + self._filter(y - self.mean, sigma)

    def _product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        return self._filter(v, sigma)

    def _filter(self, images: Tensor, sigma: float) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(images) * self.eigenvalues(sigma)).real
