"""Disks: one disk of one grey on a background of another, a manifold of five dimensions.

    x = b + (f - b) m(cx, cy, r),

with centre (cx, cy), radius r, foreground f and background b, all uniform and independent. Pixel
(i, j), in row i and column j, is the square of side 1 around the point cx = j, cy = i. m is the mask:
``antialiased``, the share of each pixel's area that the disk covers, once continuously
differentiable in (cx, cy, r); ``hard_edged``, 1 where the pixel's centre lies in the disk, piecewise
constant. What that does to the optimal denoiser is in :mod:`gahb.denoisers.exact.disks`.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gahb.datasets.image_class import DrawnClass
from gahb.options import Number, wrong
from gahb.randomness import uniform_rows

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Window = tuple[int, int, int, int]  # rows [top, bottom) and columns [left, right)
_ELEMENTS = 2**15  # of an array of masks made at once: they stay in the processor's caches
_DIFFERENCE = 1e-4  # pixels: step of the differences that approximate derivatives of a mask


class Disks(DrawnClass):
    """The class of disk images.

    Raises:
        ValueError: an option is unknown, or a range is empty.
    """

    exact: ClassVar[str | None] = "disks"

    rendering: Literal["antialiased", "hard_edged"]
    """antialiased is smooth in centre and radius, hard_edged piecewise constant"""
    parameters: Literal["continuous", "integer"]
    """continuous; or centres and radii in whole pixels, within the same ranges"""
    radius: tuple[Number, Number] | None = None
    """[lowest, highest] radius in pixels; by default a tenth and a quarter of size"""
    centre: tuple[Number, Number] | None = None
    """[lowest, highest] coordinates of the centre in pixels; by default all that keep the largest disk
    inside the image; the border cuts disks off where the range is wider"""

    @model_validator(mode="after")
    def _some_disk_exists(self) -> Disks:
        radius, centre = self.radius_range, self.centre_range
        if not 0 < radius[0] < radius[1]:
            raise wrong(_as_given(radius), "0 < lowest < highest", "radius")
        if self.centre is None and radius[1] >= self.size / 2:
            allowed = (
                f"a highest value below {self.size / 2:g}, half the size in pixels, unless centre is "
                "given: no place keeps the largest disk inside the image"
            )
            raise wrong(_as_given(radius), allowed, "radius")
        if centre[0] >= centre[1]:
            raise wrong(_as_given(centre), "a lower value first", "centre")
        if self.parameters == "integer":
            for option, (low, high) in (("radius", radius), ("centre", centre)):
                if math.ceil(low) > math.floor(high):
                    allowed = "a range that holds a whole number when parameters is integer"
                    raise wrong(_as_given((low, high)), allowed, option)
        return self

    @property
    def words(self) -> str:
        """What its images are."""
        return "disks"

    @property
    def dimension(self) -> int:
        """Centre, radius and two greys; only the greys where the others move an image in jumps."""
        jumps = self.rendering == "hard_edged" or self.parameters == "integer"
        return 2 if jumps else 5

    @property
    def radius_range(self) -> tuple[float, float]:
        """Lowest and highest radius in pixels."""
        low, high = self.radius or (self.size / 10, self.size / 4)
        return float(low), float(high)

    @property
    def centre_range(self) -> tuple[float, float]:
        """Lowest and highest cx and cy in pixels."""
        margin = self.radius_range[1] - 0.5
        low, high = self.centre or (margin, self.size - 1 - margin)
        return float(low), float(high)

    def _whole_numbers(self) -> tuple[Float64, Float64]:
        """The centres and the radii that ``integer`` parameters take."""
        centres, radii = (
            np.arange(np.ceil(low), np.floor(high) + 1)
            for low, high in (self.centre_range, self.radius_range)
        )
        return centres, radii

    def geometries(self) -> Float64:
        """All (cx, cy, r) of ``integer`` parameters, equally likely: (n, 3)."""
        if self.parameters != "integer":
            raise ValueError("continuous parameters cannot be listed")
        centres, radii = self._whole_numbers()
        grid = np.meshgrid(centres, centres, radii, indexing="ij")
        return np.stack(grid, -1).reshape(-1, 3)

    def draw(self, first: int, count: int) -> Float64:
        """Parameters (cx, cy, r, f, b) of images ``first`` to ``first + count - 1``: (count, 5)."""
        drawn = uniform_rows(self.seed, "disks", first, count, 5).astype(np.float64)
        ranges = (self.centre_range, self.centre_range, self.radius_range)
        if self.parameters == "integer":
            centres, radii = self._whole_numbers()
            for axis, points in enumerate((centres, centres, radii)):
                drawn[:, axis] = points[(drawn[:, axis] * len(points)).astype(np.int64)]
        else:
            for axis, (low, high) in enumerate(ranges):
                drawn[:, axis] = low + (high - low) * drawn[:, axis]
        return drawn

    def render(self, first: int, count: int) -> Float32:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32 in [0, 1]."""
        return self.images(self.draw(first, count)).astype(np.float32)

    def images(self, parameters: Float64) -> Float64:
        """The images of given parameters (cx, cy, r, f, b), (n, 5): (n, size, size) in [0, 1]."""
        images = np.empty((len(parameters), self.size, self.size))
        chunk = chunk_length(images[0].size)
        for first in range(0, len(parameters), chunk):
            part = parameters[first : first + chunk]
            foreground, background = part[:, 3:].T[:, :, None, None]
            masks = self.masks(part[:, :3])
            images[first : first + chunk] = background + (foreground - background) * masks
        return images.clip(0, 1)

    def masks(self, geometry: Float64, window: Window | None = None) -> Float64:
        """Masks m of disks (cx, cy, r), (n, 3): (n, size, size), or their part in a window.

        They are exact up to the rounding of float64, some 1e-13, hence may be as much below 0.
        """
        top, bottom, left, right = window or (0, self.size, 0, self.size)
        cx, cy, r = geometry.T[:, :, None]
        if self.rendering == "hard_edged":
            x, y = np.arange(left, right) - cx, np.arange(top, bottom) - cy
            return ((y * y)[:, :, None] + ((x * x) - r * r)[:, None, :] <= 0).astype(np.float64)
        x = ((np.arange(left, right + 1) - 0.5 - cx) / r).clip(-1, 1)
        y = ((np.arange(top, bottom + 1) - 0.5 - cy) / r).clip(-1, 1)
        corners = _area_below_left(x, y)
        corners = corners[:, 1:] - corners[:, :-1]
        covered = corners[:, :, 1:] - corners[:, :, :-1]
        covered *= (r * r)[:, :, None]
        return covered

    def window(self, geometry: Float64, margin: float = 0.0) -> Window:
        """The part of the image outside of which all these disks' masks are 0."""
        cx, cy, r = geometry.T
        reach = r + margin + 1
        bounds = []
        for c in (cy, cx):
            low, high = np.floor((c - reach).min()), np.ceil((c + reach).max()) + 1
            first = int(np.clip(low, 0, self.size - 1))
            bounds += [first, int(np.clip(high, first + 1, self.size))]
        return bounds[0], bounds[1], bounds[2], bounds[3]

    def tangents(self, parameters: Float64) -> Float64:
        """An orthonormal basis of the tangent space of the manifold at one image.

        The derivatives of x with respect to (cx, cy, r, f, b), orthonormalised in this order by
        Gram and Schmidt. With hard edges or integer parameters only the greys are continuous, and
        the tangent space is spanned by the derivatives with respect to (f, b).

        Args:
            parameters: (cx, cy, r, f, b), (5,).

        Returns:
            (5, size, size), or (2, size, size).

        Raises:
            ValueError: the image has no contrast, or no pixel of one of its greys.
        """
        geometry, (foreground, background) = parameters[:3], parameters[3:]
        mask = self.masks(geometry[None])[0]
        derivatives = [mask, 1 - mask]
        if self.rendering == "antialiased" and self.parameters == "continuous":
            steps = _DIFFERENCE * np.eye(3)
            ahead, behind = self.masks(geometry + steps), self.masks(geometry - steps)
            moved = (foreground - background) * (ahead - behind) / (2 * _DIFFERENCE)
            derivatives = [*moved, *derivatives]
        columns = np.stack([derivative.ravel() for derivative in derivatives], 1)
        basis, triangle = np.linalg.qr(columns)
        lengths = np.diag(triangle)
        if np.abs(lengths).min() < 1e-9:
            raise ValueError(
                f"the image with parameters {parameters.tolist()} has no tangent space"
            )
        return (basis * np.sign(lengths)).T.reshape(-1, self.size, self.size)


def _as_given(pair: tuple[float, float]) -> list[float]:
    return [int(value) if value == int(value) else value for value in pair]


def _area_below_left(x: Float64, y: Float64) -> Float64:
    """Area of the unit disk in {X < x, Y < y}, up to terms that depend on x or y alone.

    Column t of the disk has the part min(y + w, 2 w)+ below y, with w = sqrt(1 - t^2). Between
    t = -s and s, s = sqrt(1 - y^2), that is y + w; elsewhere 2 w if y > 0 and else 0. With P a
    primitive of w, the integral is elementary, and P(clip(x, -s, s)) is clip(P(x), -P(s), P(s)):
    only one-dimensional arrays meet a root or an arcsine.

    Args:
        x, y: (n, w) and (n, h), in [-1, 1].

    Returns:
        (n, h, w).
    """
    s = np.sqrt(1 - y * y)
    primitive_s = ((s * np.abs(y) + np.arccos(np.abs(y))) / 2)[:, :, None]
    primitive_x = ((x * np.sqrt(1 - x * x) + np.arcsin(x)) / 2)[:, None, :]
    upper = (y > 0).astype(np.float64)[:, :, None]
    s, y = s[:, :, None], y[:, :, None]
    area = np.minimum(np.maximum(x[:, None, :], -s), s)
    area *= y
    inner = np.minimum(np.maximum(primitive_x, -primitive_s), primitive_s)
    inner *= 1 - 2 * upper
    area += inner
    area += 2 * upper * primitive_x
    return area


def chunk_length(pixels: int) -> int:
    """How many masks of so many pixels to make at once."""
    return max(1, _ELEMENTS // pixels)
