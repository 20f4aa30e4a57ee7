"""Each noise level of a batch is drawn by itself: paper and published code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def draw(count: int, draws: torch.Generator) -> torch.Tensor:
    """Draws of U(0, 1) that noise levels are made of: (count,)."""
    import torch

    return torch.rand(count, generator=draws, device=draws.device)
