"""Orthonormal bases of a square of pixels that follow a geometric flow (Peyré & Mallat, CPAM 2008).

A flow is a family of parallel curves across the square, x2 = g(x1) + constant or the same with the
axes exchanged, with g a polynomial of degree 2. The warped coordinates of a pixel are its position
along its curve, x1, and across the curves, x2 - g(x1). The pixels, sorted by the second, are cut
into strips of as many pixels as the square has rows, which follow the curves, and the strips merged
in a binary tree. On strips and on their unions live functions that are polynomials, of degree less
than p, of the position along the flow; the Alpert multiwavelets are orthonormal bases of what each
union of two loses when it becomes such a function. They have p vanishing moments along the flow, so
that what varies regularly along it, and in any way across, has few large coefficients.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Float64 = NDArray[np.float64]


def flows(side: int) -> list[tuple[bool, float, float]]:
    """The flows tried in a square, each as (axes exchanged, slope, curvature), all distinct.

    Slope and curvature are displacements in pixels, of a curve's end and of its ends against its
    middle. Slopes cover all directions in steps that move the ends by half a pixel.
    """
    half = (side - 1) / 2
    return [
        (exchanged, slope, curvature)
        for curvature in (0.0, -side / 8, side / 8)
        for exchanged in (False, True)
        for slope in np.linspace(-half, half, 2 * side - 1).tolist()
        # both diagonals are those of the first order of the axes
        if not (exchanged and curvature == 0 and abs(slope) == half)
    ]


def warped(side: int, flow: tuple[bool, float, float]) -> tuple[Float64, Float64]:
    """Coordinates of the pixels, row by row, along the flow in [-1, 1] and across it in pixels."""
    exchanged, slope, curvature = flow
    half = (side - 1) / 2
    first, second = np.meshgrid(*2 * [np.arange(side) - half], indexing="xy")
    if exchanged:
        first, second = second, first
    along = first.ravel() / half
    return along, second.ravel() - slope * along - curvature * along**2


def alpert_basis(along: Float64, across: Float64, strips: int, moments: int) -> Float64:
    """The Alpert basis of n points: (n, n), one vector in each row.

    Args:
        along: coordinate of each point along the flow, in [-1, 1].
        across: coordinate across the flow.
        strips: number of strips.
        moments: p, number of vanishing moments along the flow.
    """
    order = np.lexsort((along, np.round(across, 9)))  # rounded, for equal ones to be equal
    pieces = np.array_split(order, strips)
    details = []

    def merged(first: int, last: int) -> Float64:
        """The polynomials on strips first to last - 1, orthonormal rows; details are set aside."""
        if last - first == 1:
            piece = pieces[first]
            spanning = np.eye(len(along))[piece]
            functions = np.polynomial.legendre.legvander(along[piece], len(piece) - 1)
        else:
            middle = (first + last) // 2
            spanning = np.concatenate([merged(first, middle), merged(middle, last)])
            functions = spanning @ np.polynomial.legendre.legvander(along, moments - 1)
        rotation = np.linalg.qr(functions, mode="complete")[0].T
        vectors = rotation @ spanning
        details.append(vectors[moments:])
        return vectors[:moments]

    return np.concatenate([merged(0, strips), *details])


@lru_cache(maxsize=32)
def bandlet_bases(side: int, moments: int) -> Tensor:
    """The bases of a square for no flow (the pixels) and each flow: (1 + F, side^2, side^2) float64."""
    bases = [np.eye(side**2)]
    bases += [alpert_basis(*warped(side, flow), side, moments) for flow in flows(side)]
    return torch.from_numpy(np.stack(bases))
