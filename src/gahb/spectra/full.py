"""The whole spectrum, from the whole Jacobian."""

from __future__ import annotations

import numpy as np
import torch

from gahb.spectra.eigen import Matrix, Spectrum, fourier_quotients, oriented, ratio
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.krylov import array_functions
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
    functions = array_functions(linearised)
    jacobian: Matrix = matrix.double() if functions is torch else matrix.double().numpy()
    eigh = functions.linalg.eigh
    symmetric = (jacobian + jacobian.T) / 2
    antisymmetric_energy, energy = (
        float((part**2).sum()) for part in (jacobian - symmetric, symmetric)
    )
    eigenvalues, eigenvectors = map(torch.as_tensor, eigh(symmetric))
    squares, right = map(torch.as_tensor, eigh(jacobian.T @ jacobian))
    within = jacobian.reshape(channels, height * width, channels, height * width)
    fourier = [fourier_quotients(within[c, :, c], height, width) for c in range(channels)]
    return Spectrum(
        method="full",
        eigenvalues=eigenvalues.flip(0).cpu().numpy(),
        eigenvectors=oriented(eigenvectors.T.flip(0)),
        residuals=np.zeros(d),
        errors=np.zeros(d),
        singular_values=squares.flip(0).clamp_min(0).sqrt().cpu().numpy(),
        trace=float(jacobian.trace()),
        trace_se=0.0,
        asymmetry=ratio(antisymmetric_energy**0.5, energy**0.5),
        asymmetry_se=0.0,
        effective_rank=antisymmetric_energy + energy,
        products=d,
        right_vectors=right.T.flip(0).cpu().numpy(),
        fourier=fourier[0] if channels == 1 else np.stack(fourier),
    )
