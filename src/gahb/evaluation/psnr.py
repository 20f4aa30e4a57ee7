"""Peak signal-to-noise ratios, in dB with peak 1, in both aggregations and with standard errors.

Neither images nor outputs are clipped to [0, 1] or rounded to 8 bits first.
An error of exactly 0, which the optimum for a training set reaches on it, is an infinite PSNR with an
undefined (nan) standard error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gahb.means import standard_error

Float64 = NDArray[np.float64]
DB = 10 / np.log(10)  # derivative of 10 log10 with respect to the natural logarithm


def input_psnr(sigma: float) -> float:
    """PSNR of the noisy image: -20 log10(sigma)."""
    return float(-20 * np.log10(sigma)) + 0.0  # no -0 at sigma = 1


def psnr_of_mean_mse(
    errors: Float64, images: NDArray[np.int64] | None = None
) -> tuple[Float64, Float64]:
    """-10 log10 of the mean error, and its standard error by the delta method.

    The aggregation of the theory: slopes and bounds are statements about the mean squared error.

    Args:
        errors: (..., draws) mean squared error of each draw.
        images: see :func:`gahb.means.standard_error`.
    """
    mean = errors.mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -10 * np.log10(mean), DB * standard_error(errors, images) / mean


def mean_psnr(errors: Float64, images: NDArray[np.int64] | None = None) -> tuple[Float64, Float64]:
    """Mean over draws of each one's PSNR, and its standard error: what the published code plots."""
    with np.errstate(divide="ignore", invalid="ignore"):
        psnr = -10 * np.log10(errors)
        return psnr.mean(-1), standard_error(psnr, images)
