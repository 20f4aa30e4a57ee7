"""Does a network copy its training images? Fractions with standard errors.

A bias-free network, f(ay) = a f(y), does not know the scale of its images: it copies an image up to a
factor, and plain distances do not see that as a copy. The same criterion is therefore also applied to
images less their mean and of unit norm, whose distance is sqrt(2 - 2 correlation), correlation being the
similarity of the paper. It is more lenient than that of Gu et al.: the mean is free too.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gahb.likeness import nearest_distances

MEMORISED_BELOW = 1 / 3  # Gu et al. 2023 (arXiv 2310.02664), after Yoon et al. 2023


def distance_ratio(distances: Tensor) -> NDArray[np.float64]:
    """Distance to the nearest training image over that to the second nearest: (n,) in [0, 1].

    Args:
        distances: (n, 2) from :func:`gahb.likeness.nearest_distances`.

    NaN where there is no second image, for a training set of one. A copy of an image that is in the
    training set twice has the ratio 1, so that it is not called memorised.
    """
    nearest, second = distances.unbind(1)
    ratio = torch.where(second > 0, nearest / second, torch.ones_like(second))
    return torch.where(second.isnan(), second, ratio).numpy()


def is_memorised(samples: Tensor, training_images: Tensor) -> NDArray[np.float64]:
    """1 for each sample whose nearest training image is three times closer than the next, else 0.

    Args:
        samples: (n, 1, H, W).
        training_images: (N, 1, H, W).

    Returns:
        (n,) of 0 and 1; NaN where N is 1.
    """
    return memorised(distance_ratio(nearest_distances(samples, training_images)))


def memorised(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where the distance ratio is below a third, 0 elsewhere, NaN where it is undefined."""
    return np.where(np.isnan(ratio), np.nan, (ratio < MEMORISED_BELOW).astype(np.float64))
