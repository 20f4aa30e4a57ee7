"""What weightings of noise levels share.

The loss at noise level sigma is the mean squared error of the estimated noise; any positive weight that
depends on sigma alone leaves its minimiser, the conditional mean, unchanged. (A logarithm of each image's
own error does not.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SIGMA = 1e-3  # below it weights stop growing: there the error is that of rounding


def power(sigma: Tensor, exponent: float) -> Tensor:
    """sigma^-exponent, of the shape of sigma."""
    return sigma.clamp_min(LEAST_SIGMA) ** -exponent
