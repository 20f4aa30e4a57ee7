"""A growing orthonormal basis on which a Jacobian is known in both directions.

On a processor its matrices are numpy's; on a GPU they are torch's, in float64 too, and stay there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gahb.spectra.eigen import Array, Matrix
from gahb.spectra.jacobian import LinearisedDenoiser

_SAFETY = 2.0  # what is left of a remainder may have a smaller gap than what was taken up
_SHRUNK = 0.1  # part of a squared residual that must be taken up before it says anything


@dataclass(frozen=True)
class Ritz:
    """Leading eigenpairs of S on a basis.

    Attributes:
        values: theta, (k,) descending.
        vectors: v, (d, k).
        remainders: S v - theta v, (d, k), orthogonal to the basis.
        width: how far the eigenvalues of S on the whole basis spread.
    """

    values: Array
    vectors: Matrix
    remainders: Matrix
    width: float

    @property
    def residuals(self) -> Array:
        """||S v - theta v||, (k,)."""
        return _column_norms(self.remainders)

    def errors(self, before: Ritz | None) -> Array:
        """Estimated errors of the values, (k,), from what growing the basis has changed.

        To second order a value is too small by r^T (theta - C)^-1 r = ||r||^2 / gap, where r is
        its remainder and C is S beyond the basis. The part of r that a larger basis takes up gives
        the gap: ||r||^2 has shrunk by so much, and the value has grown by so much. A pair whose
        remainder has hardly shrunk is given the smallest gap of the others. No error is estimated
        larger than the residual ||r||, within which there is an eigenvalue.

        Args:
            before: the same pairs on a part of this basis, if that is known.
        """
        residuals = self.residuals
        if before is None:
            return residuals
        shrunk = before.residuals**2 - residuals**2
        grown = np.maximum(self.values - before.values, shrunk / max(self.width, 1e-300))
        seen = shrunk > _SHRUNK * before.residuals**2
        if not seen.any():
            return residuals
        inverse_gaps = grown / np.where(seen, shrunk, 1.0)
        inverse_gaps = np.where(seen, inverse_gaps, inverse_gaps[seen].max())
        return np.minimum(_SAFETY * residuals**2 * inverse_gaps, residuals)


class KrylovBasis:
    """Orthonormal columns Q with J Q, J^T Q and the projection H = Q^T S Q, S = (J + J^T)/2.

    Args:
        linearised: gives the products; they are made in its type, all else is float64.
        random: where fresh directions come from.

    Attributes:
        projection: H, (m, m) for m columns.
        products: products with J or J^T made so far.
        functions: of its matrices: numpy, or torch.
    """

    def __init__(self, linearised: LinearisedDenoiser, random: np.random.Generator) -> None:
        self.linearised = linearised
        self.random = random
        self.size = 0
        self.products = 0
        self.functions: Any = array_functions(linearised)
        self.projection: Matrix = self.placed(np.empty((0, 0)))
        self._columns, self._images, self._pulled = (self._empty(256) for _ in range(3))
        self._scale = 0.0  # largest norm of a column of S X so far, at most that of S

    @property
    def columns(self) -> Matrix:
        """Q, (d, m)."""
        return self._columns[:, : self.size]

    @property
    def images(self) -> Matrix:
        """J Q, (d, m)."""
        return self._images[:, : self.size]

    @property
    def pulled(self) -> Matrix:
        """J^T Q, (d, m)."""
        return self._pulled[:, : self.size]

    @property
    def room(self) -> int:
        """How many columns are missing to a basis of the whole space."""
        return self.linearised.pixels - self.size

    @property
    def on_device(self) -> bool:
        """Whether its matrices are on a GPU."""
        return self.functions is torch

    def placed(self, matrix: Array) -> Matrix:
        """A matrix of numpy's, where those of the basis are."""
        if not self.on_device:
            return matrix
        return torch.from_numpy(matrix).to(self.linearised.noisy.device, torch.float64)

    def fresh(self, columns: int) -> Matrix:
        """Standard normal draws, (d, columns)."""
        return self.placed(self.random.standard_normal((self.linearised.pixels, columns)))

    def apply(self, block: Matrix) -> tuple[Matrix, Matrix]:
        """J X and J^T X for the columns of X, (d, b)."""
        noisy = self.linearised.noisy
        rows = block.T if self.on_device else torch.from_numpy(np.ascontiguousarray(block.T))
        images = rows.reshape(-1, *noisy.shape).to(noisy)
        self.products += 2 * block.shape[1]
        forward = self.linearised.product(images).flatten(1)
        backward = self.linearised.transposed_product(images).flatten(1)
        if self.on_device:
            return forward.double().T, backward.double().T
        return _columns(forward), _columns(backward)

    def append(self, block: Matrix, products: tuple[Matrix, Matrix] | None = None) -> Matrix:
        """Add orthonormal columns X, orthogonal to Q; return S X.

        Args:
            block: X, (d, b).
            products: J X and J^T X, where they are known already.
        """
        forward, backward = self.apply(block) if products is None else products
        first, last = self.size, self.size + block.shape[1]
        while last > self._columns.shape[1]:
            self._grow()
        self._columns[:, first:last] = block
        self._images[:, first:last] = forward
        self._pulled[:, first:last] = backward
        self.size = last
        symmetric = (forward + backward) / 2
        self._scale = max(self._scale, float(_column_norms(symmetric).max()))
        new = self.columns.T @ symmetric
        corner = (new[first:] + new[first:].T) / 2
        self.projection = self._block(self.projection, new[:first], new[:first].T, corner)
        return symmetric

    def _block(self, *quarters: Matrix) -> Matrix:
        rows = [self.functions.hstack(quarters[:2]), self.functions.hstack(quarters[2:])]
        return self.functions.vstack(rows)

    def orthogonalised(self, block: Matrix) -> Matrix:
        """The columns less their projection on Q, twice, since once leaves rounding errors."""
        for _ in range(2):
            block = block - self.columns @ (self.columns.T @ block)
        return block

    def continuation(self, block: Matrix) -> Matrix:
        """The directions of X, (d, b), that are new to the basis, made up to b by random ones.

        Returns:
            Orthonormal columns orthogonal to Q, (d, b), or fewer where the space is exhausted.
        """
        width = min(block.shape[1], self.room)
        if not width:
            return self.placed(np.empty((len(block), 0)))
        linalg = self.functions.linalg
        directions, sizes, _ = linalg.svd(self.orthogonalised(block), full_matrices=False)
        noise = 100 * torch.finfo(self.linearised.noisy.dtype).eps * self._scale
        kept = directions[:, sizes > noise][:, :width]
        mixed = self.functions.hstack([kept, self.fresh(width - kept.shape[1])])
        return linalg.qr(self.orthogonalised(mixed))[0]

    def ritz(self, count: int) -> Ritz:
        """The leading eigenpairs of S as the basis sees it."""
        ascending, coordinates = self.functions.linalg.eigh(self.projection)
        width = float(ascending[-1] - ascending[0])
        values = on_processor(ascending)[::-1][:count].copy()
        coordinates = last_columns(coordinates, count)
        vectors = self.columns @ coordinates
        applied = (self.images @ coordinates + self.pulled @ coordinates) / 2
        return Ritz(values, vectors, applied - vectors * self.placed(values), width)

    def singular_values(self, count: int) -> Array:
        """Estimates of the leading singular values of J, from J Q and J^T Q together.

        With J Q = Q A + U R and J^T Q = Q A^T + V T, where U and V are orthogonal to Q, J taken
        from span(Q, V) to span(Q, U) is [[A, T^T], [R, U^T J V]]. Only the block U^T J V is not
        known; zero in its place makes an error of second order in R and T.
        """
        inner = self.columns.T @ self.images
        linalg = self.functions.linalg
        lower = linalg.qr(self.orthogonalised(self.images))[1]
        right = linalg.qr(self.orthogonalised(self.pulled))[1].T
        corner = self.placed(np.zeros((lower.shape[0], right.shape[1])))
        compressed = self._block(inner, right, lower, corner)
        if self.on_device:
            return on_processor(torch.linalg.svdvals(compressed))[:count]
        return np.linalg.svd(compressed, compute_uv=False)[:count]

    def _empty(self, capacity: int) -> Matrix:
        if self.on_device:  # its columns one after another in memory
            return self.placed(np.empty((0, 0))).new_empty(capacity, self.linearised.pixels).T
        return np.empty((self.linearised.pixels, capacity), order="F")

    def _grow(self) -> None:
        for name in ("_columns", "_images", "_pulled"):
            old = getattr(self, name)
            new = self._empty(2 * old.shape[1])
            new[:, : old.shape[1]] = old
            setattr(self, name, new)


def array_functions(linearised: LinearisedDenoiser) -> Any:
    """Whose matrices are used for a Jacobian: torch's on a GPU, else numpy's."""
    return np if linearised.noisy.device.type == "cpu" else torch


def on_processor(matrix: Matrix) -> Array:
    """A matrix as one of numpy's."""
    found: Array = matrix.cpu().numpy() if isinstance(matrix, torch.Tensor) else matrix
    return found


def last_columns(matrix: Matrix, count: int) -> Matrix:
    """The last ``count`` columns, from the last on."""
    if isinstance(matrix, torch.Tensor):
        return matrix.flip(1)[:, :count]
    return matrix[:, ::-1][:, :count].copy()


def _column_norms(matrix: Matrix) -> Array:
    if isinstance(matrix, torch.Tensor):
        return on_processor(matrix.norm(dim=0))
    norms: Array = np.linalg.norm(matrix, axis=0)
    return norms


def _columns(images: torch.Tensor) -> Array:
    return images.cpu().numpy().astype(np.float64).T
