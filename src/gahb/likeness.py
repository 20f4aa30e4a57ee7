"""How alike images are, and which of a set is closest: exact search, by blocks of matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from gahb.devices import device_in_use

if TYPE_CHECKING:
    from torch import Tensor

MEASURES = ("cosine", "correlation")  # correlation: cosine of images less their means
BLOCK = 2048  # images compared at once


def directions(images: Tensor, measure: str) -> Tensor:
    """Images as unit vectors whose products are their similarities: (n, d), of the type of ``images``.

    Args:
        images: (n, C, H, W).
        measure: ``cosine``, or ``correlation``, which removes each image's mean first.

    A constant image has no direction for ``correlation`` and becomes zero: similar to nothing.
    """
    import torch

    if measure not in MEASURES:
        raise ValueError(f"measure: found {measure!r}, allowed is one of {', '.join(MEASURES)}")
    flat = images.flatten(1)
    scale = flat.norm(dim=1, keepdim=True)
    if measure == "correlation":
        flat = flat - flat.mean(dim=1, keepdim=True)
    norms = flat.norm(dim=1, keepdim=True)
    rounding = 4 * torch.finfo(flat.dtype).eps * scale
    return torch.where(norms > rounding, flat / norms.clamp_min(1e-30), 0.0)


def similarity(first: Tensor, second: Tensor, measure: str) -> Tensor:
    """Similarity of image i of the one set with image i of the other: (n,) in [-1, 1]."""
    import torch

    return torch.linalg.vecdot(directions(first, measure), directions(second, measure))


def closest(queries: Tensor, images: Tensor, measure: str) -> tuple[Tensor, Tensor]:
    """The most similar of ``images`` for each of ``queries``; of equals, one of them.

    Args:
        queries: (n, C, H, W).
        images: (N, C, H, W).
        measure: one of :data:`MEASURES`.

    Returns:
        (similarity (n,), position in ``images`` (n,)).
    """
    import torch

    device = device_in_use()
    best = torch.full((len(queries),), -torch.inf, dtype=queries.dtype, device=device)
    where = torch.zeros(len(queries), dtype=torch.int64, device=device)
    sought = directions(queries.to(device), measure)
    for first, block in _blocks(images):
        known = directions(block.to(device), measure)
        for start in range(0, len(queries), BLOCK):
            rows = slice(start, start + BLOCK)
            value, position = (sought[rows] @ known.T).max(dim=1)
            better = value > best[rows]
            best[rows] = torch.where(better, value, best[rows])
            where[rows] = torch.where(better, position + first, where[rows])
    return best.to(queries.device), where.to(queries.device)


def nearest_distances(queries: Tensor, images: Tensor) -> Tensor:
    """Euclidean distances to the nearest and second nearest of ``images``: (n, 2) float64.

    Images that are equal count once: a copy of one would be as near to the next. Candidates are found from
    matrix products in float64, whose rounding would spoil distances much smaller than the images, and
    measured again by subtraction. With a single image the second is NaN.
    """
    import torch

    images = _distinct(images)
    sought = queries.flatten(1).double()
    squares = torch.empty(len(sought), 0, dtype=torch.float64)
    where = torch.empty(len(sought), 0, dtype=torch.int64)
    for first, block in _blocks(images):
        known = block.flatten(1).double()
        energies = torch.linalg.vecdot(known, known)
        found = energies - 2 * sought @ known.T  # less ||query||^2, the same for all
        squares = torch.cat([squares, found], dim=1)
        positions = torch.arange(first, first + len(known)).expand(len(sought), -1)
        where = torch.cat([where, positions], dim=1)
        squares, order = squares.topk(min(4, squares.shape[1]), dim=1, largest=False)
        where = where.gather(1, order)
    distances = torch.full((len(sought), 2), torch.nan, dtype=torch.float64)
    for row, candidates in enumerate(where):
        measured = (images[candidates].flatten(1).double() - sought[row]).norm(dim=1)
        kept = measured.sort().values[:2]
        distances[row, : len(kept)] = kept
    return distances


def nearest_scaled(queries: Tensor, images: Tensor, duplicates_above: float) -> Tensor:
    """Distances, least over a factor, to the nearest image and to the next: (n, 2) float64.

    They are min over a >= 0 of ||query - a image||, since a bias-free network, f(ay) = a f(y), copies an
    image up to a factor. *Next* is the nearest of the images that are no duplicates of the nearest:
    duplicates are alike by more than ``duplicates_above`` by both :data:`MEASURES`. Where there is no such
    image the second is NaN.

    Args:
        queries: (n, C, H, W).
        images: (N, C, H, W).
        duplicates_above: similarity above which two images count as one.
    """
    import torch

    sought = queries.double()
    _, nearest = closest(queries.to(images), images, "cosine")
    unique, which = nearest.unique(return_inverse=True)
    best = torch.full((len(sought),), -torch.inf, dtype=torch.float64)
    second = torch.zeros(len(sought), dtype=torch.int64)
    for first, block in _blocks(images):
        known = block.double()
        alike = torch.stack(
            [
                directions(images[unique].double(), measure) @ directions(known, measure).T
                for measure in MEASURES
            ]
        ).amin(0)
        alike[unique[:, None] == torch.arange(first, first + len(known))] = torch.inf  # itself
        cosines = directions(sought, "cosine") @ directions(known, "cosine").T
        cosines[(alike > duplicates_above)[which]] = -torch.inf
        value, position = cosines.max(dim=1)
        better = value > best
        best = torch.where(better, value, best)
        second = torch.where(better, position + first, second)
    distances = torch.stack([_scaled_distance(sought, images[at]) for at in (nearest, second)], 1)
    distances[best.isinf(), 1] = torch.nan
    return distances


def _distinct(images: Tensor) -> Tensor:
    """The first of images that are equal, in the order given."""
    first: dict[bytes, int] = {}
    for at, image in enumerate(images):
        first.setdefault(sha256(image.contiguous().numpy(force=True)).digest(), at)
    return images if len(first) == len(images) else images[list(first.values())]


def _scaled_distance(queries: Tensor, images: Tensor) -> Tensor:
    """Least distance of query i and a multiple, not negative, of image i: (n,) float64."""
    import torch

    sought, known = queries.flatten(1).double(), images.flatten(1).double()
    energy = torch.linalg.vecdot(known, known).clamp_min(1e-30)
    factor = (torch.linalg.vecdot(sought, known) / energy).clamp_min(0)
    return (sought - factor[:, None] * known).norm(dim=1)


def _blocks(images: Tensor) -> Iterator[tuple[int, Tensor]]:
    for first in range(0, len(images), BLOCK):
        yield first, images[first : first + BLOCK]
