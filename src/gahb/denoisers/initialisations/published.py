"""The published code's: Kaiming-normal convolutions, gains normal and small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gahb.denoisers.initialisation import SMALL_GAIN, fan_in

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def convolution(layer: nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator) -> None:
    """Set the weights of a convolution."""
    layer.weight.normal_(0.0, (2 / fan_in(layer)) ** 0.5, generator=generator)


def gain(gains: Tensor, generator: torch.Generator) -> None:
    """Set the gains of a normalisation."""
    gains.normal_(0.0, SMALL_GAIN, generator=generator)
