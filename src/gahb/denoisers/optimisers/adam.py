"""Adam (Kingma & Ba 2015), as in the published code with rate 1e-3; no weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def build(network: torch.nn.Module, rate: float, images: torch.Tensor) -> torch.optim.Optimizer:
    """The optimiser of all parameters of a network."""
    import torch

    return torch.optim.Adam(list(network.parameters()), lr=rate, fused=True)
