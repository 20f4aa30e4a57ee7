"""sqrt(sigma) ~ U: from 0 to 1 the square of a uniform, as in the published code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FROM_ZERO = True  # the lowest level may be 0


def sigma(u: Tensor, low: float, high: float) -> Tensor:
    """Noise levels of uniform draws u: of their shape."""
    return (low**0.5 + (high**0.5 - low**0.5) * u) ** 2
