"""How a network starts: weights of convolutions, gains of normalisations.

The networks of a recipe start near f(y) = y: with gains that are small, or with a last convolution of zero.
With unit gains and another one a network would start by answering noise of its own making.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gahb.denoisers.choices import INITIALISATIONS
from gahb.options import module

if TYPE_CHECKING:
    from torch import nn

SMALL_GAIN = 2 / 9 / 64  # standard deviation, as in the published code


def fan_in(convolution: nn.Conv2d | nn.ConvTranspose2d) -> int:
    """Values that one output value depends on.

    The kernel of a transposed convolution is spread over its stride: every output pixel of a 2x2 one of
    stride 2 sees one input pixel.
    """
    strides = convolution.stride if convolution.transposed else (1,) * len(convolution.kernel_size)
    kernel = [
        max(1, size // int(stride))
        for size, stride in zip(convolution.kernel_size, strides, strict=True)
    ]
    return convolution.in_channels // convolution.groups * math.prod(kernel)


def initialise(network: nn.Module, name: str, seed: int) -> None:
    """Set all weights, reproducibly.

    Args:
        network: of convolutions and parameters named ``gain``.
        name: of a module in :mod:`gahb.denoisers.initialisations`.
        seed: the same seed gives the same weights.
    """
    import torch
    from torch import nn

    chosen = module(INITIALISATIONS, name)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                chosen.convolution(part, generator)
            elif isinstance(getattr(part, "gain", None), nn.Parameter):
                chosen.gain(part.gain, generator)
