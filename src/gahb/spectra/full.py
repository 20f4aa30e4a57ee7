"""The whole spectrum, from the whole Jacobian."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gahb.spectra.eigen import Array, Spectrum, fourier_quotients, oriented, ratio
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.options import LARGEST_FULL


def full_spectrum(linearised: LinearisedDenoiser) -> Spectrum:
    """All d eigenvalues and eigenvectors of the symmetric part, all d singular values and vectors.

    The matrix is formed in the type of the noisy image and decomposed in float64. Singular values
    are square roots of eigenvalues of J^T J, hence exact to about 1e-8 of the largest one; its
    eigenvectors are the right singular vectors, at less than half the cost of those from J.

    Raises:
        ValueError: the image has more than 6,400 pixels.
    """
    d = linearised.pixels
    channels, height, width = linearised.noisy.shape
    if d > LARGEST_FULL:
        raise ValueError(
            f"the full spectrum is limited to {LARGEST_FULL:,} pixels, found {d:,} "
            f"({f'{channels}x' * (channels > 1)}{height}x{width}): ask for leading eigenvectors "
            "instead (method='leading')"
        )
    matrix = linearised.matrix()
    decomposed = _on_processor if matrix.device.type == "cpu" else _on_device
    jacobian, asymmetry, eigenvalues, eigenvectors, squares, right = decomposed(matrix)
    within = jacobian.reshape(channels, height * width, channels, height * width)
    fourier = [fourier_quotients(within[c, :, c], height, width) for c in range(channels)]
    return Spectrum(
        method="full",
        eigenvalues=eigenvalues[::-1].copy(),
        eigenvectors=oriented(eigenvectors.T[::-1]),
        residuals=np.zeros(d),
        errors=np.zeros(d),
        singular_values=np.sqrt(squares[::-1].clip(min=0)),
        trace=float(np.trace(jacobian)),
        trace_se=0.0,
        asymmetry=asymmetry,
        asymmetry_se=0.0,
        effective_rank=float(np.sum(jacobian**2)),
        products=d,
        right_vectors=right.T[::-1],
        fourier=fourier[0] if channels == 1 else np.stack(fourier),
    )


class _Decomposed(NamedTuple):
    """J, its asymmetry, and the eigenpairs, ascending, of its symmetric part and of J^T J."""

    jacobian: Array
    asymmetry: float
    eigenvalues: Array
    eigenvectors: Array
    squares: Array
    right: Array


def _on_processor(matrix: Tensor) -> _Decomposed:
    jacobian = matrix.numpy().astype(np.float64)
    symmetric = (jacobian + jacobian.T) / 2
    asymmetry = ratio(np.linalg.norm(jacobian - symmetric), np.linalg.norm(symmetric))
    return _Decomposed(
        jacobian, asymmetry, *np.linalg.eigh(symmetric), *np.linalg.eigh(jacobian.T @ jacobian)
    )


def _on_device(matrix: Tensor) -> _Decomposed:
    """The same, where the matrix is."""
    jacobian = matrix.double()
    symmetric = (jacobian + jacobian.T) / 2
    asymmetry = ratio(float((jacobian - symmetric).norm()), float(symmetric.norm()))
    eigen = [found.cpu().numpy() for found in torch.linalg.eigh(symmetric)]
    singular = [found.cpu().numpy() for found in torch.linalg.eigh(jacobian.T @ jacobian)]
    return _Decomposed(jacobian.cpu().numpy(), asymmetry, *eigen, *singular)
