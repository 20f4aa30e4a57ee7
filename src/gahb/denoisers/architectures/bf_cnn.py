"""The bias-free DnCNN: :class:`gahb.denoisers.networks.BFCNN`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from gahb.denoisers.architecture import BiasFree
from gahb.options import ALL_DIFFER, Count, Flag, wrong

if TYPE_CHECKING:
    from torch import nn


class BFCNNOptions(BiasFree):
    """A chain of convolutions at full resolution."""

    layers: Annotated[Count, Field(ge=3)]
    """number of convolutions"""
    rectify_first: Flag = False
    """a ReLU after the first convolution too (some published weights)"""
    pointwise: Annotated[list[Count], *ALL_DIFFER] = Field([])
    """layers between the first, which is 0, and the last with 1x1 kernels: a smaller receptive field"""

    @model_validator(mode="after")
    def _pointwise_are_between(self) -> BFCNNOptions:
        for place, layer in enumerate(self.pointwise):
            if layer > self.layers - 2:
                raise wrong(
                    layer, f"at most {self.layers - 2}, the last layer but one", "pointwise", place
                )
        return self

    def build(self) -> nn.Module:
        """A :class:`~gahb.denoisers.networks.BFCNN`."""
        from gahb.denoisers.networks import BFCNN

        return BFCNN(self.layers, self.channels, self.rectify_first, self.pointwise)
