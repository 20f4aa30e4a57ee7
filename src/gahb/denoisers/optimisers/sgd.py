"""Stochastic gradient descent with momentum 0.9; no weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def build(network: torch.nn.Module, rate: float, images: torch.Tensor) -> torch.optim.Optimizer:
    """The optimiser of all parameters of a network."""
    import torch

    return torch.optim.SGD(list(network.parameters()), lr=rate, momentum=0.9)
