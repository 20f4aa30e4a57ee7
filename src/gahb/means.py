"""Means of measured values and their standard errors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


def standard_error(values: Float64, images: NDArray[np.int64] | None = None) -> Float64:
    """Standard error of the mean of values, of which those of one image are not independent.

    Args:
        values: (..., draws).
        images: (draws,) which image each draw is of, each as often as any other. Draws of one
            image are averaged first; of a single image, all variation is that of the noise.

    Of a single draw it is not known: NaN.
    """
    if values.shape[-1] < 2:
        return np.full(values.shape[:-1], np.nan)
    if images is not None:
        unique, member = np.unique(images, return_inverse=True)
        if 1 < len(unique) < len(images):
            share = np.eye(len(unique))[member] * (len(unique) / len(images))
            values = values @ share
    return np.asarray(values.std(-1, ddof=1) / np.sqrt(values.shape[-1]))


def mean_and_error(values: ArrayLike) -> tuple[float, float]:
    """Mean and its standard error over independent values; NaN where there are too few.

    Of a fraction this is sqrt(p (1 - p) / (n - 1)), and 0 where all values agree: there, with 95 %
    confidence, the true fraction is within 3 / n.
    """
    found = np.asarray(values, np.float64)
    return float(found.mean()), float(standard_error(found)) if len(found) > 1 else math.nan
