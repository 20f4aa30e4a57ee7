"""sigma ~ U(low, high): "drawn from [0, 1]" in the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FROM_ZERO = True  # the lowest level may be 0


def sigma(u: Tensor, low: float, high: float) -> Tensor:
    """Noise levels of uniform draws u: of their shape."""
    return low + (high - low) * u
