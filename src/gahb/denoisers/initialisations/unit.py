"""Gains of one, a last convolution of zero, other convolutions uniform in +-1/sqrt(fan-in)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gahb.denoisers.initialisation import fan_in

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def convolution(layer: nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator) -> None:
    """Set the weights of a convolution."""
    bound = fan_in(layer) ** -0.5
    layer.weight.uniform_(-bound, bound, generator=generator)
    if layer.out_channels == 1:  # the image
        layer.weight.zero_()


def gain(gains: Tensor, generator: torch.Generator) -> None:
    """Set the gains of a normalisation."""
    gains.fill_(1.0)
