"""Denoising in the best orthogonal bandlet basis: wavelet coefficients, sorted along a geometric flow.

Each subband of an orthogonal wavelet transform is cut into dyadic squares, and in each square the
coefficients are either kept as they are or transformed by an Alpert basis that follows one of a set
of flows (Peyré & Mallat, CPAM 2008). Among all these orthonormal bases the one is taken that minimises

    ||c - c_T||^2 + T^2 (number of coefficients above T + cost of the geometry),    T = a sigma,

where c are the noisy coefficients and c_T those above T (Le Pennec & Mallat 2005; Dossal, Le Pennec
& Mallat, 2011, with the estimator's risk). The cost is a sum over squares, so that the best
segmentation comes from comparing each square to its four quarters, from small to large (CART).

Squares are dyadic fractions of the subband: of 8 and 4 coefficients a side in images of 32 or 64
pixels, of 10 and 5 in images of 40 or 80. A subband whose sides have no such common fraction keeps
its wavelet coefficients. The defaults were chosen on C^2 images of 40 pixels, for the least error with
cycle spinning at input PSNRs from 0 to 40 dB (``benchmarks/classical.py`` prints such errors).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gahb.asked import is_whole
from gahb.denoisers.classical.alpert import bandlet_bases
from gahb.denoisers.classical.projection import ProjectionDenoiser

DEFAULT_MOMENTS = 2  # vanishing moments along the flow
LEAST_SQUARE = 4  # side, in coefficients
LARGEST_SQUARE = 10


class BandletDenoiser(ProjectionDenoiser):
    """Keeps the coefficients above a threshold in the bandlet basis that fits the noisy image best.

    Args:
        wavelet: orthogonal wavelet, by its PyWavelets name.
        rule: of the threshold: a multiple of sigma, or ``universal``.
        moments: vanishing moments of the Alpert bases along the flow.
        flow_cost: of a square with a flow, in kept coefficients.
        split_cost: of cutting a square into four, in kept coefficients.
        levels: see :class:`ProjectionDenoiser`.
        shifts: see :class:`ProjectionDenoiser`.
    """

    pixels_at_once = 2**15

    def __init__(
        self,
        wavelet: str = "haar",
        rule: str | float = 3.4,
        moments: int = DEFAULT_MOMENTS,
        flow_cost: float = 1.5,
        split_cost: float = 0.25,
        levels: int | None = None,
        shifts: int | str = 1,
    ) -> None:
        super().__init__(wavelet, rule, levels, shifts)
        if not is_whole(moments, most=LEAST_SQUARE):
            raise ValueError(f"moments: expected 1 to {LEAST_SQUARE}, found {moments}")
        for name, value in (("flow_cost", flow_cost), ("split_cost", split_cost)):
            if not value >= 0:
                raise ValueError(f"{name}: expected at least 0, found {value}")
        self.moments = moments
        self.flow_cost = flow_cost
        self.split_cost = split_cost

    def _project(self, y: Tensor, v: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        approximation, details = self.transform.analyse(y.detach())
        pushed, pushed_details = self.transform.analyse(v)
        kept = torch.full_like(thresholds, approximation[0].numel())
        projected = []
        for deciding, vectors in zip(details, pushed_details, strict=True):
            each = thresholds.repeat_interleave(3)
            estimate, counts = self._segmented(deciding.flatten(0, 1), vectors.flatten(1, 2), each)
            projected.append(estimate.view(vectors.shape))
            kept = kept + counts.view(-1, 3).sum(1)
        return self.transform.synthesise(pushed, projected), kept

    def _segmented(self, c: Tensor, v: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`_project` for subbands c (N, h, w), v (V, N, h, w) instead of images."""
        sides = square_sides(*c.shape[-2:])
        if not sides:
            kept = c.abs() > thresholds[:, None, None]
            return v * kept, kept.sum((1, 2))
        estimate, cost, count = self._in_squares(c, v, thresholds, sides[0])
        for side in sides[1:]:
            own_estimate, own_cost, own_count = self._in_squares(c, v, thresholds, side)
            split = _sum_of_four(cost) + self.split_cost * thresholds.square()[:, None, None]
            whole = own_cost <= split
            cost = torch.where(whole, own_cost, split)
            count = torch.where(whole, own_count, _sum_of_four(count))
            pixels = whole.repeat_interleave(side, 1).repeat_interleave(side, 2)
            estimate = torch.where(pixels, own_estimate, estimate)
        return estimate, count.sum((1, 2))

    def _in_squares(
        self, c: Tensor, v: Tensor, thresholds: Tensor, side: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best basis of every square of one size.

        Returns:
            The projections (V, N, h, w); the penalised cost of each square (N, h / side, w / side); and
            the number of coefficients kept in it, of the same shape.
        """
        bases = bandlet_bases(side, self.moments).to(c.device)
        squares = _squares(c, side)  # (Q, side^2)
        number = squares.shape[0] // len(c)
        limits = thresholds.square().repeat_interleave(number)[:, None]
        coefficients = (squares @ bases.flatten(0, 1).T).view(len(squares), *bases.shape[:2])
        costs = torch.minimum(coefficients.square(), limits[..., None]).sum(-1)
        costs[:, 1:] += self.flow_cost * limits
        cost, best = costs.min(1)
        chosen = coefficients[torch.arange(len(best), device=best.device), best]
        kept = chosen.square() > limits
        vectors = _squares(v, side).view(len(v), *squares.shape)
        projected = vectors * kept  # of the squares without a flow
        for flow in best.unique().tolist():
            if flow:
                members = torch.nonzero(best == flow)[:, 0]
                basis = bases[flow]
                moved = (vectors[:, members] @ basis.T * kept[members]) @ basis
                projected = projected.index_copy(1, members, moved)
        grid = (len(c), c.shape[1] // side, c.shape[2] // side)
        return _from_squares(projected, v.shape, side), cost.view(grid), kept.sum(1).view(grid)


def square_sides(height: int, width: int) -> list[int]:
    """Sides of the squares that tile a subband, each twice the one before; none if there is none."""
    side = math.gcd(height, width)
    sides = []
    while side >= LEAST_SQUARE:
        if side <= LARGEST_SQUARE:
            sides.append(side)
        if side % 2:
            break
        side //= 2
    return sides[::-1]


def _sum_of_four(values: Tensor) -> Tensor:
    """Sums over blocks of 2 x 2: (N, h, w) to (N, h / 2, w / 2)."""
    n, h, w = values.shape
    return values.view(n, h // 2, 2, w // 2, 2).sum((2, 4))


def _squares(images: Tensor, side: int) -> Tensor:
    """Cut (..., h, w) images into squares: (Q, side^2)."""
    h, w = images.shape[-2:]
    blocks = images.reshape(-1, h // side, side, w // side, side)
    return blocks.transpose(2, 3).reshape(-1, side**2)


def _from_squares(squares: Tensor, shape: torch.Size, side: int) -> Tensor:
    """The inverse of :func:`_squares`, to images of this shape."""
    h, w = shape[-2:]
    blocks = squares.reshape(-1, h // side, w // side, side, side)
    return blocks.transpose(2, 3).reshape(shape)
