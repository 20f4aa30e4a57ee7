"""Are samples disks, and those of the class? Their five parameters, and two-sample tests of these.

:func:`fit_disks` finds the disk nearest to an image, whatever the class from which it is said to
come: any centre, radius and greys. :func:`compare_parameters` asks whether two sets of parameters can
be of one distribution: each of the five alone, and all of them jointly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import ks_2samp

from gahb.datasets.classes.disks import Disks
from gahb.samples.fresh import energy_test

Float64 = NDArray[np.float64]
_CENTRES = 16  # of the grid of starts, along either axis
_RADII = 12  # of the grid of starts: evenly spaced, up to half the size
_STARTS = 3  # of the nearest grid points, how many are refined
_RADIUS = (0.01, 1.5)  # in units of the size: the fit keeps within
_VISIBLE = 1e-12  # squares of a mask less its mean, summed over the pixels: below, it is constant


@dataclass(frozen=True)
class DiskFit:
    """The antialiased disks nearest to n images.

    Attributes:
        parameters: (cx, cy, r, f, b) as in :class:`~gahb.datasets.classes.disks.Disks`, (n, 5). Without
            contrast, f = b, any centre and radius fits as well as any other.
        residual: root mean square over the pixels of image minus disk, (n,): 0 for a disk.
    """

    parameters: Float64
    residual: Float64


def fit_disks(images: Float64) -> DiskFit:
    """Least squares over (cx, cy, r, f, b), by variable projection.

    At given centre and radius the greys that fit best are those of a linear regression on the mask.
    What is left, a function of (cx, cy, log r), is minimised by the Levenberg-Marquardt method from
    the best points of a grid. Radii are between 0.01 and 1.5 of the size.

    Args:
        images: (n, H, H) or (n, 1, H, H), H at least 8.

    Raises:
        ValueError: the images are not square, too small, or not finite.
    """
    images = np.asarray(images, np.float64)
    size = images.shape[-1]
    if images.shape[1:] not in ((size, size), (1, size, size)) or size < 8:
        raise ValueError(
            f"images: found {images.shape}, allowed is (n, H, H) or (n, 1, H, H), H at least 8"
        )
    if not np.isfinite(images).all():
        raise ValueError("images: found infinite or undefined values, allowed are finite ones")
    disks = Disks(size=size, seed=0, rendering="antialiased", parameters="continuous")
    flat = images.reshape(len(images), size**2)
    points, patterns = _grid(disks)
    parameters, residual = np.empty((len(flat), 5)), np.empty(len(flat))
    for index, image in enumerate(flat):

        def misfit(point: Float64, image: Float64 = image) -> Float64:
            return image - _nearest(disks, point, image)[0]

        chosen = np.argsort(-np.square(patterns @ image))[:_STARTS]
        found = [least_squares(misfit, start, method="lm").x for start in points[chosen]]
        sums = [np.square(misfit(point)).sum() for point in found]
        best = found[int(np.argmin(sums))]
        greys = _nearest(disks, best, image)[1]
        parameters[index] = *best[:2], _radius(disks, best), *greys
        residual[index] = (min(sums) / size**2) ** 0.5
    return DiskFit(parameters, residual)


def _grid(disks: Disks) -> tuple[Float64, Float64]:
    """Points (cx, cy, log r), (n, 3), and their masks without mean and of norm 1, (n, d)."""
    centre = (np.arange(_CENTRES) + 0.5) * disks.size / _CENTRES - 0.5
    radius = (np.arange(_RADII) + 1) * disks.size / 2 / _RADII
    points = np.stack(np.meshgrid(centre, centre, radius, indexing="ij"), -1).reshape(-1, 3)
    white_on_black = np.tile([1.0, 0.0], (len(points), 1))
    masks = disks.images(np.hstack([points, white_on_black])).reshape(len(points), -1)
    masks -= masks.mean(1, keepdims=True)
    masks /= np.linalg.norm(masks, axis=1, keepdims=True)
    points[:, 2] = np.log(points[:, 2])
    return points, masks


def _nearest(disks: Disks, point: Float64, image: Float64) -> tuple[Float64, tuple[float, float]]:
    """The disk at (cx, cy, log r) nearest to an image (d,), and its greys (f, b)."""
    mask = disks.masks(np.array([[*point[:2], _radius(disks, point)]])).ravel()
    inside = mask - mask.mean()
    energy = inside @ inside
    contrast = inside @ image / energy if energy > _VISIBLE else 0.0
    background = image.mean() - contrast * mask.mean()
    return background + contrast * mask, (background + contrast, background)


def _radius(disks: Disks, point: Float64) -> float:
    low, high = (share * disks.size for share in _RADIUS)
    return math.exp(min(max(float(point[2]), math.log(low)), math.log(high)))


@dataclass(frozen=True)
class Comparison:
    """Two sets of k parameters each, as samples of two distributions.

    Attributes:
        ks: greatest distance of the two empirical distribution functions, for each parameter, (k,).
        ks_p: p values of those (Kolmogorov and Smirnov), times k: Bonferroni's correction, (k,).
        energy: the unbiased energy distance, see :func:`gahb.samples.fresh.energy_test`.
        energy_p: p value of the energy distance, among relabellings of the pooled sets.
    """

    ks: Float64
    ks_p: Float64
    energy: float
    energy_p: float


def compare_parameters(
    found: Float64, reference: Float64, seed: int, resamples: int = 999
) -> Comparison:
    """Test that two sets of parameters have one distribution.

    Distances are those of parameters in units of the reference's standard deviations. The energy
    distance sees shifts and changes of spread well, and dependence between parameters less well.

    Args:
        found: (n, k).
        reference: (m, k).
        seed: of the relabellings.
        resamples: number of relabellings; no p value is below 1 / (resamples + 1).
    """
    tests = [ks_2samp(*pair) for pair in zip(found.T, reference.T, strict=True)]
    scale = reference.std(axis=0, ddof=1)
    energy, energy_p = energy_test(found / scale, reference / scale, seed, resamples)
    return Comparison(
        np.array([test.statistic for test in tests]),
        np.minimum(1.0, len(tests) * np.array([test.pvalue for test in tests])),
        energy,
        energy_p,
    )
