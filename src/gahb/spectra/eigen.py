"""What is reported of a Jacobian's spectrum, whichever method found it.

A denoiser's Jacobian J is nearly but not exactly symmetric, so that it shrinks its input in the
orthonormal eigenbasis of its symmetric part, up to an error that the asymmetry measures:

    (J + J^T)/2 = sum_k lambda_k e_k e_k^T,    lambda_1 >= lambda_2 >= ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Matrix = Any  # float64, numpy's or torch's: both have +, @, .T, slices, and the same functions in `linalg`
PERTURBATION = 0.1  # norm of those of a noisy image, in units of its noise's own, sigma sqrt(d)
DRAWS = 8  # perturbations in each subspace


@dataclass(frozen=True)
class Spectrum:
    """Spectrum of a (d, d) Jacobian J: all of it (K = d) or its leading part.

    Attributes:
        method: ``full`` or ``leading``.
        eigenvalues: (K,) of the symmetric part, descending.
        eigenvectors: (K, d) orthonormal rows; the entry of largest magnitude is positive.
        residuals: (K,) ||S e_k - lambda_k e_k|| of the symmetric part S, within which of
            lambda_k there is an eigenvalue; 0 for the full method, exact up to rounding.
        errors: (K,) estimated errors of the eigenvalues, of second order in the residuals and at
            most as large; 0 for the full method.
        singular_values: (K,) of J, descending.
        trace, trace_se: tr J, and the standard error of its estimate (0 when exact).
        asymmetry, asymmetry_se: ||J - J^T||_F / ||J + J^T||_F, between 0 (symmetric) and infinity,
            and the standard error of its estimate (0 when exact).
        effective_rank: ||J||_F^2, the sum of the squared singular values: how many dimensions'
            worth of white noise pass, E ||J z||^2 for z ~ N(0, I); the rank, for an orthogonal
            projector. It is the effective dimensionality of Mohan et al., ICLR 2020.
        products: how many products with J or its transpose it took.
        right_vectors: (d, d) right singular vectors of J, orthonormal rows in the order of the
            singular values; None for the leading method.
        fourier: (H, W) Rayleigh quotients of the symmetric part, see :func:`fourier_quotients`, or
            (C, H, W), those of the modes of each of several channels; None for the leading method.
    """

    method: str
    eigenvalues: Array
    eigenvectors: Array
    residuals: Array
    errors: Array
    singular_values: Array
    trace: float
    trace_se: float
    asymmetry: float
    asymmetry_se: float
    effective_rank: float
    products: int
    right_vectors: Array | None = None
    fourier: Array | None = None

    @property
    def complete(self) -> bool:
        """Whether all eigenvalues are known."""
        return len(self.eigenvalues) == self.eigenvectors.shape[1]

    @property
    def least_eigenvalue(self) -> float:
        """The least eigenvalue of the symmetric part; NaN where only the leading ones are known."""
        return float(self.eigenvalues[-1]) if self.complete else float("nan")

    @property
    def negative_mass(self) -> float:
        """Sum of |lambda_k| over negative lambda_k, over that of all; NaN where not all are known.

        It is 0 for J = 0, and for the Jacobian of every exact denoiser: a posterior covariance.
        """
        if not self.complete:
            return float("nan")
        negative = float(-self.eigenvalues[self.eigenvalues < 0].sum())
        return negative / (float(np.abs(self.eigenvalues).sum()) or 1.0)


def ratio(antisymmetric: float | np.floating, symmetric: float | np.floating) -> float:
    """The asymmetry, from the norms of the two parts; 0 for J = 0."""
    if not symmetric:
        return float("inf") if antisymmetric else 0.0
    return float(antisymmetric / symmetric)


def oriented(eigenvectors: Matrix) -> Array:
    """The (k, d) rows with their signs fixed: the entry of largest magnitude is positive."""
    import torch

    rows = torch.as_tensor(eigenvectors)
    peaks = rows.abs().argmax(dim=1, keepdim=True)
    signed: Array = (rows * rows.gather(1, peaks).sign()).cpu().numpy()
    return signed


def fourier_quotients(jacobian: Matrix, height: int, width: int) -> Array:
    """Rayleigh quotients e_k* S e_k of the Fourier modes, S being the symmetric part of J.

    They are linear in S, so that errors of S average out of them, where they spread its sorted
    eigenvalues. With e_k the unit vector exp(i <k, p>) / sqrt(d) they are the Fourier transform of
    the mean over pixels p of J[p, p + r], taken around the edges; real, as S is symmetric.

    Args:
        jacobian: J, (d, d) with d = height * width.
        height, width: of the images.

    Returns:
        (height, width), in the order of ``fft2``.
    """
    import torch

    known = torch.as_tensor(jacobian).view(height, width, height, width)
    columns = torch.arange(width, device=known.device)
    around = (columns[:, None] + columns) % width  # p + r, along a line of pixels p
    mean = known.new_zeros(height, width)
    for line, rows in enumerate(known):
        mean += rows.take_along_dim(around[:, None], 2).sum(0).roll(-line, 0)
    quotients: Array = np.fft.fft2(mean.cpu().numpy() / (height * width)).real
    return quotients
