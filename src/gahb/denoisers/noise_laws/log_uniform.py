"""log(sigma) ~ U: the same number of draws in each decibel of input PSNR."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FROM_ZERO = False  # the lowest level must be above 0


def sigma(u: Tensor, low: float, high: float) -> Tensor:
    """Noise levels of uniform draws u: of their shape."""
    return low * (high / low) ** u
