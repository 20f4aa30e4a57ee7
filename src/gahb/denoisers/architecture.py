"""What an architecture is: the options of a network, and how it is built from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from gahb.options import Count, Options

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = "gahb.denoisers.architectures"


class Architecture(Options, ABC):
    """A bias-free network that estimates noise, in the module of its name in ``architectures``."""

    channels: Count
    """channels of the first block (unet) or of every layer (bf_cnn)"""

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of this."""
        return 1

    @abstractmethod
    def build(self) -> nn.Module:
        """The network, with weights that are yet to be drawn."""
