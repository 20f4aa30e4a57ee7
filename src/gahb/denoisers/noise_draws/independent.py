"""Each noise level of a batch is drawn by itself: paper and published code."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(count: int, draws: torch.Generator) -> Tensor:
    """Draws of U(0, 1) that noise levels are made of: (count,)."""
    return torch.rand(count, generator=draws, device=draws.device)
