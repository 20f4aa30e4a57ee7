"""A cheap approximation of a Jacobian whose entries fade with distance, and what follows from it.

A denoiser looks mostly at the surroundings of each pixel. One product with a comb of ones, every
s pixels in both directions, then shows one in s^2 of all large entries of J at once: each entry
of J c is attributed to the nearest tooth (probing, Tang & Saad, Numer. Linear Algebra Appl. 19, 2012).
The s^2 combs of each channel give a sparse A, close to J where J fades within s/2 pixels. Products
with A cost next to nothing, so that as many as it takes find the leading eigenpairs of (A + A^T)/2.
Their span is a starting basis for J that is wrong by little, which makes errors of second order in
the eigenvalues; and they say in which directions those errors lie (Davidson's method, J. Comput. Phys.
17, 1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
import torch
from numpy.typing import NDArray

from gahb.spectra.eigen import Array
from gahb.spectra.jacobian import LinearisedDenoiser

SPACINGS = 10, 14  # pixels between the teeth of a comb, at least and at most
_LARGEST_PART = 1 / 16  # of d, that the combs may be; else they cost more than they save
_FAR = 0.15  # ||A - J||_F / ||J||_F beyond which the approximation is of no use
_SAMPLES = 8  # products behind the estimate of that distance
_BLOCK = 8  # columns by which the Krylov basis of A grows
_COLUMNS = 4, 400  # of the Krylov basis of A: per eigenvector, and beyond
_CLOSEST = 3e-3  # gap, of the spread of the eigenvalues, that A can tell from none

Single = NDArray[np.float32]


@dataclass(frozen=True)
class LocalPairs:
    """Ritz pairs of (A + A^T)/2, those of the leading eigenvectors converged.

    Attributes:
        values: alpha, (n,) descending.
        vectors: u, (d, n) orthonormal to float32 precision.
        rest: mean eigenvalue of (A + A^T)/2 outside their span.
    """

    values: Array
    vectors: Single
    rest: float

    def span(self, count: int) -> Array:
        """Orthonormal columns (d, count) that nearly span as many leading eigenvectors of S."""
        return np.linalg.qr(self.vectors[:, :count].astype(np.float64))[0]

    def corrections(self, values: Array, remainders: Array) -> Array:
        """(theta - A')^-1 r for each Ritz value theta, (k,), of S and its remainder r, (d, k).

        A' has the pairs held here, and the eigenvalue ``rest`` elsewhere. Gaps theta - alpha are
        taken to be at least :data:`_CLOSEST` of the spread of alpha, so that each correction has a
        positive product with its remainder: adding it to the basis raises the Ritz value, however
        bad the approximation is.
        """
        closest = _CLOSEST * (self.values[0] - self.values[-1])
        beyond = 1 / np.maximum(values - self.rest, closest)
        within = 1 / np.maximum(values - self.values[:, None], closest)
        known = self.vectors.T @ remainders.astype(np.float32)
        return self.vectors @ (known * (within - beyond)).astype(np.float32) + remainders * beyond


def local_pairs(
    linearised: LinearisedDenoiser, count: int, random: np.random.Generator
) -> tuple[LocalPairs | None, int]:
    """Eigenpairs of a cheap approximation of (J + J^T)/2.

    Args:
        linearised: the denoiser around one noisy image of d pixels.
        count: number of leading eigenvectors to be found.
        random: of the test of the approximation, and of the starting vectors.

    Returns:
        The pairs, or None where the image is too small for combs to pay, or J is not local; and
        the number of products that were made.
    """
    d = linearised.pixels
    channels, *sides = linearised.noisy.shape
    spacing = min(SPACINGS[1], int((d // channels * _LARGEST_PART) ** 0.5))
    if spacing < SPACINGS[0] or min(sides) < 2 * spacing or 4 * count > d:
        return None, 0
    approximation = comb_approximation(linearised.draft() or linearised, spacing)
    samples = random.standard_normal((d, _SAMPLES)).astype(np.float32)
    exact = _product(linearised, torch.from_numpy(samples.T))
    distance = np.linalg.norm(approximation @ samples - exact)
    products = channels * spacing**2 + _SAMPLES
    if distance > _FAR * np.linalg.norm(exact):
        return None, products
    symmetric = ((approximation + approximation.T) / 2).tocsr()
    return _ritz_pairs(symmetric, count, random), products


def comb_approximation(linearised: LinearisedDenoiser, spacing: int) -> sparse.csr_matrix:
    """A, (d, d) float32, from as many products with J as it has entries a row: C ``spacing``^2.

    A comb has its teeth in one of the C channels.
    """
    channels, height, width = linearised.noisy.shape
    plane = height * width
    d = channels * plane
    y, x = np.divmod(np.arange(plane), width)
    count = channels * spacing**2
    columns = np.empty((count, d), np.int32)
    combs = torch.zeros(count, d)
    for comb in range(count):
        channel, phase = divmod(comb, spacing**2)
        down, across = divmod(phase, spacing)
        rows = _nearest(y, down, spacing, height)
        nearest = rows * width + _nearest(x, across, spacing, width)
        columns[comb] = np.tile(channel * plane + nearest, channels)
        teeth = (y % spacing == down) & (x % spacing == across)
        combs[comb, channel * plane + np.flatnonzero(teeth)] = 1
    entries = _product(linearised, combs)
    starts = np.arange(d + 1) * count
    return sparse.csr_matrix((entries.ravel(), columns.T.ravel(), starts), shape=(d, d))


def _nearest(
    coordinates: NDArray[np.int64], phase: int, spacing: int, length: int
) -> NDArray[np.int64]:
    """The nearest of the teeth phase, phase + spacing, ... below ``length``."""
    last = (length - 1 - phase) // spacing
    return phase + spacing * ((coordinates - phase + spacing // 2) // spacing).clip(0, last)


def _ritz_pairs(matrix: sparse.csr_matrix, count: int, random: np.random.Generator) -> LocalPairs:
    """Of a symmetric matrix, by block Krylov in single precision."""
    d = matrix.shape[0]
    blocks = min(_COLUMNS[0] * count + _COLUMNS[1], d // 2) // _BLOCK
    basis = np.empty((d, blocks * _BLOCK), np.float32, order="F")
    projection = np.zeros((basis.shape[1],) * 2, np.float32)
    block = np.zeros((d, _BLOCK), np.float32)
    scale = 0.0
    for first in range(0, basis.shape[1], _BLOCK):
        last = first + _BLOCK
        block = _continued(basis[:, :first], block, 1e-4 * scale, random)
        basis[:, first:last] = block
        block = matrix @ block
        scale = max(scale, float(np.linalg.norm(block, axis=0).max()))
        block, coupling = _less(basis[:, :last], block)
        projection[:last, first:last] = coupling
        projection[first:last, :last] = coupling.T
    ascending, coordinates = np.linalg.eigh(projection)
    values = ascending[::-1].astype(np.float64)
    rest = (float(matrix.diagonal().sum()) - values.sum()) / (d - len(values))
    return LocalPairs(values, basis @ np.ascontiguousarray(coordinates[:, ::-1]), rest)


def _continued(basis: Single, block: Single, noise: float, random: np.random.Generator) -> Single:
    """The block, orthogonal to the basis, made orthonormal; random columns for dependent ones."""
    columns, triangle = np.linalg.qr(block)
    dependent = np.abs(np.diag(triangle)) <= noise
    if dependent.any():
        columns[:, dependent] = random.standard_normal((len(block), int(dependent.sum())))
        for _ in range(2):
            columns = columns - basis @ (basis.T @ columns)
        columns = np.linalg.qr(columns)[0]
    return columns


def _less(basis: Single, block: Single) -> tuple[Single, Single]:
    """The block less its projection on the basis, and the coordinates of that projection.

    A symmetric map takes the latest block to itself, its neighbours and rounding errors: those
    two are taken off first, so that one pass over the whole basis leaves nothing.
    """
    near = max(0, basis.shape[1] - 2 * _BLOCK)
    neighbours = basis[:, near:]
    coupling = neighbours.T @ block
    block = block - neighbours @ coupling
    coordinates = basis.T @ block
    block = block - basis @ coordinates
    coordinates[near:] += coupling
    return block, coordinates


def _product(linearised: LinearisedDenoiser, vectors: torch.Tensor) -> Single:
    """J v for the rows of v, (N, d): (d, N) float32."""
    images = vectors.view(-1, *linearised.noisy.shape)
    return linearised.product(images).flatten(1).cpu().numpy().astype(np.float32).T
