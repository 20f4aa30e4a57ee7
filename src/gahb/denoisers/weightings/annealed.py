"""From no weight to 1 / sigma over the first half of the updates.

Coarse structure, where memorisation begins, is learned first, and small noise gets its due before the
learning rate is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gahb.denoisers.weighting import power

if TYPE_CHECKING:
    from torch import Tensor


def weight(sigma: Tensor, share: float) -> Tensor:
    """Weights of draws at levels sigma, when ``share`` of all updates is done."""
    return power(sigma, min(1.0, 2 * share))
