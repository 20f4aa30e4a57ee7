"""The bias-free DnCNN: :class:`gahb.denoisers.networks.BFCNN`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gahb.denoisers.architecture import BiasFree
from gahb.options import Count, Flag

if TYPE_CHECKING:
    from torch import nn


class BFCNNOptions(BiasFree):
    """A chain of convolutions at full resolution."""

    layers: Annotated[Count, Field(ge=3)]
    """number of convolutions"""
    rectify_first: Flag = False
    """a ReLU after the first convolution too (some published weights)"""

    def build(self) -> nn.Module:
        """A :class:`~gahb.denoisers.networks.BFCNN`."""
        from gahb.denoisers.networks import BFCNN

        return BFCNN(self.layers, self.channels, self.rectify_first)
