"""What an architecture is: the options of a network, and how it is built from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from gahb.options import Count, Options

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = "gahb.denoisers.architectures"
OWN_REMARK = (  # where what is measured on a network of one's own is shown
    "a network of one's own: what follows from f(ay) = a f(y), such as f(y) = J y and distances over a "
    "factor of an image, holds as far as it has no additive constants"
)


class Architecture(Options, ABC):
    """A network that estimates noise, in the module of its name in ``architectures``.

    Attributes:
        starts_itself: whether its class sets its weights, and not what training.initialisation names.
    """

    starts_itself: ClassVar[bool] = False

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of this."""
        return 1

    @abstractmethod
    def build(self) -> nn.Module:
        """The network, with weights that are yet to be drawn, or drawn by its class."""


class BiasFree(Architecture):
    """A network without additive constants: f(ay) = a f(y) for a > 0."""

    channels: Count
    """channels of the first block (unet) or of every layer (bf_cnn)"""
