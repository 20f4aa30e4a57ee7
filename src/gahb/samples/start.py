"""The images of pure noise, or nearly so, that sampling starts from.

Noisy images of level S have the mean m of the images and the covariance C + S^2 I. A *white* start is
N(m, S^2 I): it lacks C, of which even the exact denoiser returns only a part unless S is large. A
*covariance* start is N(m, C + S^2 I), with the mean and covariance of some training images, which is all
that a Gaussian can know of the class. It lets sampling start at the level up to which networks are trained.

That law is a function of the dataset alone, the same for both networks of a pair and for every N: it leaks
second-order statistics of the class to them, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gahb.artifacts import Spec
from gahb.datasets.store import Dataset
from gahb.randomness import Size, generator, image_shape

LARGEST = 2048  # images whose mean and covariance are taken, at most


def sample_noise(seed: int, sample: int, step: int, size: Size) -> NDArray[np.float32]:
    """Standard normal draws of one sample at one step; step 0 is the start image's.

    Args:
        seed, sample, step: name the draw.
        size: side of a square image of one channel, or the shape (C, H, W) of any.

    Returns:
        (C, H, W) float32.
    """
    draws = generator(seed, "sample", sample, step)
    return draws.standard_normal(image_shape(size), dtype=np.float32)


@dataclass(frozen=True)
class Start:
    """The law of start images, N(mean, covariance + sigma^2 I).

    Attributes:
        mean: m, a number or an image (C, H, W).
        deviations: (k, C, H, W) images less their mean, whose covariance is the mean of their outer
            products. None for no covariance.
    """

    mean: float | NDArray[np.float64] = 0.5
    deviations: NDArray[np.float64] | None = None

    def image(self, seed: int, sample: int, sigma: float, size: Size) -> NDArray[np.float64]:
        """The start of one sample: m + k^-1/2 sum_i g_i (x_i - m) + sigma z, with normal g and z.

        Returns:
            (C, H, W).
        """
        drawn = self.mean + sigma * sample_noise(seed, sample, 0, size).astype(np.float64)
        if self.deviations is not None:
            count = len(self.deviations)
            weights = generator(seed, "start", sample).standard_normal(count) / count**0.5
            drawn = drawn + np.tensordot(weights, self.deviations, 1)
        return drawn


def known_images(dataset: Dataset, images: int = LARGEST) -> NDArray[np.float64]:
    """The first training images of both halves, half of ``images`` of each at most: (k, C, H, W)."""
    halves = [dataset.indices[half][: images // 2] for half in ("S1", "S2")]
    return dataset.images(np.concatenate(halves)).astype(np.float64)


def start_of(settings: Spec, dataset: Dataset) -> Start:
    """The start that ``settings``, the section ``sampling``, ask for: the same for every network."""
    if settings["start"] == "white":
        return Start(settings["start_mean"])
    return start_around(known_images(dataset))


def start_around(images: NDArray[np.floating]) -> Start:
    """The start of the mean and covariance of images (k, C, H, W)."""
    known = images.astype(np.float64)
    mean = known.mean(axis=0)
    return Start(mean, known - mean)
