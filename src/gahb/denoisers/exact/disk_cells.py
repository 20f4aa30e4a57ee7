"""The likelihood of disks on cells of (cx, cy, r), refined where it matters.

The range of the prior is cut into cells of equal size. At the centre of each cell the two greys are
integrated over the unit square; the rest is the midpoint rule, which converges faster than any power
of the step once it resolves a smooth posterior. Cells that do not resolve it are halved along all
three axes, level by level, until all that can matter do.

Which cells resolve: moving an antialiased disk of contrast f - b by delta along cx or cy changes
the image by ||x - x'||^2 = (f - b)^2 pi r delta^2, by delta in radius twice that. The posterior
then has the standard deviation s = sigma / (|f - b| sqrt(pi r)) along cx and cy, sqrt(2) less along
r, and cells of side ``step`` times s do. With hard edges 4 r delta pixels change, or 2 pi r delta.

Which cells can matter. Antialiased: cells of side h > step s see the posterior at the inverse
temperature (step s / h)^2, at which they would resolve it: those far below the maximum there are left
as they are. Hard-edged: at most, the pixels that some disk of the cell includes and another one
does not are all as they fit best, which bounds the likelihood in the cell.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gahb.datasets.classes.disks import Disks, chunk_length
from gahb.denoisers.exact.unit_square import mode

Float64 = NDArray[np.float64]
_COARSEST = 0.25  # least radius: largest cells along cx and cy; along r they are smaller by sqrt(2)
_NEGLIGIBLE = 6.0  # nats below the maximum that need not be resolved
_TEMPERED = 4.0  # the same, at the temperature of the cells
_HIDDEN = 3.0  # nats above the maximum that a cell with hard edges must not hide
_EFFECTIVE = 400  # cells, by weight, over which a posterior with hard edges is spread
_LEVELS = 40  # of halving, at most


@dataclass(frozen=True)
class Cells:
    """n cells, with what one noisy image says at their centres.

    Attributes:
        geometry: centres (cx, cy, r), (n, 3).
        level: how often the coarsest cells were halved, (n,).
        odd: checkerboard colour among the cells of a level, (n,).
        gram: inner products of 1 - m and m with themselves and each other, (n, 3).
        products: inner products of 1 - m and m with y, (n, 2).
        greys: the likeliest (b, f) in the unit square, given the geometry, (n, 2).
        peak: log likelihood at the greys, up to a constant, (n,).
        contrast: root mean square of f - b, roughly, given y and the geometry, (n,).
    """

    geometry: Float64
    level: NDArray[np.int64]
    odd: NDArray[np.bool_]
    gram: Float64
    products: Float64
    greys: Float64
    peak: Float64
    contrast: Float64

    def __len__(self) -> int:
        return len(self.geometry)

    def __getitem__(self, chosen: NDArray[np.bool_] | slice) -> Cells:
        return Cells(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def log_weight(self) -> Float64:
        """Log of likelihood times volume, roughly, up to a constant, (n,)."""
        return self.peak - self.level * np.log(8)

    def joined(self, other: Cells) -> Cells:
        """The cells of both."""
        names = [field.name for field in fields(self)]
        return Cells(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))


class DiskQuadrature:
    """Cells for the posterior of disks.

    Args:
        disks: the image class.
        step: side of a cell that resolves, in standard deviations.
        limit: number of cells beyond which none is halved.
    """

    def __init__(self, disks: Disks, step: float, limit: int) -> None:
        self.disks = disks
        self.step = step
        self.limit = limit
        self.exact = disks.parameters == "integer"  # a finite sum
        if self.exact:
            self._coarse = disks.geometries()
            self._sides = np.zeros(3)
            self._odd = np.arange(len(self._coarse)) % 2 == 1
        else:
            self._coarse, self._sides, self._odd = _partition(disks)

    def cells(self, images: Float64, sigma: float) -> list[tuple[Cells, bool]]:
        """Cells for each noisy image of (B, H, W), a partition of the prior's range each.

        Beside them: whether all that can matter resolve the posterior, or the limit came before.
        """
        level = np.zeros(len(self._coarse), np.int64)
        coarse = self._evaluate(self._coarse, level, self._odd, images, sigma)
        if self.exact:
            return [(cells, True) for cells in coarse]
        return [
            self._refined(cells, image, sigma) for cells, image in zip(coarse, images, strict=True)
        ]

    def _evaluate(
        self,
        geometry: Float64,
        level: NDArray[np.int64],
        odd: NDArray[np.bool_],
        images: Float64,
        sigma: float,
    ) -> list[Cells]:
        """All integrands at the centres, for each of the images."""
        gram, inside = _inner_products(self.disks, geometry, images)
        blurred = np.minimum(sigma**2 / np.maximum(gram[:, [0, 2]], 1e-9), 1 / 12).sum(1)
        cells = []
        for image, overlap in zip(images, inside.T, strict=True):
            products = np.stack([image.sum() - overlap, overlap], 1)
            peak, greys, _ = mode(gram, products, sigma**2)
            contrast = np.sqrt((greys[:, 1] - greys[:, 0]) ** 2 + blurred)
            cells.append(Cells(geometry, level, odd, gram, products, greys, peak, contrast))
        return cells

    def _refined(self, cells: Cells, image: Float64, sigma: float) -> tuple[Cells, bool]:
        """Halve cells until all that matter resolve the posterior, and whether they came to."""
        fresh, settled = cells, cells[np.zeros(len(cells), bool)]
        for level in range(_LEVELS):
            together = settled.joined(fresh)
            sides = self._sides / 2**level
            if self.disks.rendering == "antialiased":
                chosen = self._unresolved(together, fresh, sides, sigma)
            else:
                chosen = self._undecided(together, fresh, sides, image, sigma)
            if not chosen.any():
                return together, True
            if len(together) + 7 * chosen.sum() > self.limit:
                break
            settled = settled.joined(fresh[~chosen])
            parents = fresh[chosen]
            offsets = (np.stack(np.meshgrid(*[[-0.25, 0.25]] * 3), -1)).reshape(-1, 3)
            geometry = (parents.geometry[:, None] + offsets * sides).reshape(-1, 3)
            odd = np.tile((offsets > 0).sum(1) % 2 == 1, len(parents))
            levels = np.full(len(geometry), level + 1)
            (fresh,) = self._evaluate(geometry, levels, odd, image[None], sigma)
        return together, False

    def _unresolved(
        self, together: Cells, fresh: Cells, sides: Float64, sigma: float
    ) -> NDArray[np.bool_]:
        """Which of the fresh cells to halve, of antialiased disks."""

        def steps(cells: Cells) -> Float64:
            widths = sigma / (cells.contrast * np.sqrt(np.pi * cells.geometry[:, 2]))
            return np.maximum(sides[0], sides[2] * 2**0.5) / widths

        best = int(together.peak.argmax())
        temperature = max(1.0, float(steps(together[best : best + 1])[0] / self.step) ** 2)
        below = together.peak[best] - fresh.peak
        return (steps(fresh) > self.step) & (below < _TEMPERED * temperature + _NEGLIGIBLE)

    def _undecided(
        self, together: Cells, fresh: Cells, sides: Float64, image: Float64, sigma: float
    ) -> NDArray[np.bool_]:
        """Which of the fresh cells to halve, of hard-edged disks."""
        best = int(together.peak.argmax())
        gain, count = _possible_gain(
            self.disks, fresh.geometry, sides, image, together.greys[best], sigma
        )
        above = fresh.peak + gain - together.peak[best]
        flips = fresh.geometry[:, 2] * (2 * sides[0] + np.pi / 2 * sides[2])
        coarse = (count > 0) & (fresh.contrast**2 * flips > (self.step * sigma) ** 2)
        hiding = coarse & (above > _HIDDEN)
        if hiding.any() or _effective_number(together) < _EFFECTIVE:
            return coarse & (above > -_NEGLIGIBLE)
        return hiding


def _effective_number(cells: Cells) -> float:
    """Over how many cells the posterior is spread: 1 / sum of squared probabilities."""
    weights = np.exp(cells.log_weight - cells.log_weight.max())
    return float(weights.sum() ** 2 / (weights @ weights))


def _partition(disks: Disks) -> tuple[Float64, Float64, NDArray[np.bool_]]:
    """The coarsest cells: centres (n, 3), sides (3,), and checkerboard colours (n,)."""
    axes, sides = [], []
    largest = _COARSEST * disks.radius_range[0]
    for (low, high), side in (
        (disks.centre_range, largest),
        (disks.centre_range, largest),
        (disks.radius_range, largest / 2**0.5),
    ):
        count = int(np.ceil((high - low) / side))
        sides.append((high - low) / count)
        axes.append(low + sides[-1] * (np.arange(count) + 0.5))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    odd = np.indices(grid.shape[:3]).sum(0) % 2 == 1
    return grid.reshape(-1, 3), np.array(sides), odd.ravel()


def _inner_products(disks: Disks, geometry: Float64, images: Float64) -> tuple[Float64, Float64]:
    """Gram matrices of 1 - m and m, (n, 3), and m . y for each of (B, H, W) images y, (n, B)."""
    gram = np.empty((len(geometry), 3))
    inside = np.empty((len(geometry), len(images)))
    first = 0
    while first < len(geometry):
        top, bottom, left, right = disks.window(geometry[first : first + 16])
        chunk = chunk_length((bottom - top) * (right - left))
        part = geometry[first : first + chunk]
        top, bottom, left, right = disks.window(part)
        masks = disks.masks(part, (top, bottom, left, right)).reshape(len(part), -1)
        seen = images[:, top:bottom, left:right].reshape(len(images), -1)
        area, energy = masks.sum(1), np.einsum("np,np->n", masks, masks)
        now = slice(first, first + len(part))
        gram[now] = np.stack([disks.size**2 - 2 * area + energy, area - energy, energy], 1)
        inside[now] = masks @ seen.T
        first += len(part)
    return gram, inside


def _possible_gain(
    disks: Disks,
    geometry: Float64,
    sides: Float64,
    image: Float64,
    greys: Float64,
    sigma: float,
) -> tuple[Float64, NDArray[np.int64]]:
    """How much the log likelihood can rise within a cell of hard-edged disks, at given greys (b, f).

    Returns:
        The sum over the pixels whose side of the edge depends on the point of the cell of what it
        gains by changing sides, where it gains, (n,); and the number of those pixels, (n,).
    """
    b, f = greys
    reach = np.hypot(sides[0], sides[1]) / 2 + sides[2] / 2
    gain = np.empty(len(geometry))
    count = np.empty(len(geometry), np.int64)
    prefers_inside = (f - b) * (2 * image - b - f) / (2 * sigma**2)
    first = 0
    while first < len(geometry):
        top, bottom, left, right = disks.window(geometry[first : first + 16], reach)
        chunk = chunk_length((bottom - top) * (right - left))
        part = geometry[first : first + chunk]
        top, bottom, left, right = disks.window(part, reach)
        cx, cy, r = part.T[:, :, None]
        x, y = np.arange(left, right) - cx, np.arange(top, bottom) - cy
        beyond = np.sqrt((y * y)[:, :, None] + (x * x)[:, None, :]) - r[:, :, None]
        open_ = np.abs(beyond) <= reach
        gains = np.where(beyond > 0, 1.0, -1.0) * prefers_inside[top:bottom, left:right]
        now = slice(first, first + len(part))
        gain[now] = np.where(open_, gains.clip(min=0), 0).sum((1, 2))
        count[now] = open_.sum((1, 2))
        first += len(part)
    return gain, count
