"""1 / sigma: between counting errors and counting errors relative to the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gahb.denoisers.weighting import power

if TYPE_CHECKING:
    from torch import Tensor


def weight(sigma: Tensor, share: float) -> Tensor:
    """Weights of draws at levels sigma, when ``share`` of all updates is done."""
    return power(sigma, 1.0)
