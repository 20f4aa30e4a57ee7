"""Does a network copy its training images? Fractions with standard errors.

A sample counts as memorised that is three times nearer to one training image than to any other (Gu et
al. 2023), in either of two distances. The plain one compares images as they are. A bias-free network,
f(ay) = a f(y), does not know the scale of its images and copies one up to a factor, which plain
distances do not see as a copy: the scaled distance is the least over that factor, and over nothing
else. Training images that are duplicates of each other count once, for a copy of one is near to all: those
that are equal by the plain distance, and those that are alike by the scaled one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MEMORISED_BELOW = 1 / 3  # Gu et al. 2023 (arXiv 2310.02664), after Yoon et al. 2023


def distance_ratio(distances: Tensor) -> NDArray[np.float64]:
    """Distance to the nearest training image over that to the second nearest: (n,) in [0, 1].

    Args:
        distances: (n, 2) from :func:`gahb.likeness.nearest_distances` or
            :func:`gahb.likeness.nearest_scaled`.

    NaN where there is no second image, for a training set of one.
    """
    nearest, second = distances.unbind(1)
    ratio = torch.where(second > 0, nearest / second, torch.ones_like(second))
    return torch.where(second.isnan(), second, ratio).numpy()


def memorised(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where the distance ratio is below a third, 0 elsewhere, NaN where it is undefined."""
    return np.where(np.isnan(ratio), np.nan, (ratio < MEMORISED_BELOW).astype(np.float64))
