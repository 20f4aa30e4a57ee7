"""The paper's UNet: :class:`gahb.denoisers.networks.UNet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gahb.denoisers.architecture import BiasFree
from gahb.options import Count

if TYPE_CHECKING:
    from torch import nn


class UNetOptions(BiasFree):
    """A UNet whose channels double per block."""

    blocks: Count
    """number of poolings"""

    @property
    def multiple(self) -> int:
        """Each block halves the image."""
        return 2**self.blocks

    def build(self) -> nn.Module:
        """A :class:`~gahb.denoisers.networks.UNet`."""
        from gahb.denoisers.networks import UNet

        return UNet(self.blocks, self.channels)
