"""Thresholding along the best geometric flow: :mod:`gahb.denoisers.classical.bandlets`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gahb.datasets.image_class import ImageClass
from gahb.denoisers.thresholding import Thresholding
from gahb.options import Count, Number, Positive

if TYPE_CHECKING:
    from torch import nn

    from gahb.datasets.store import Dataset


class Bandlet(Thresholding):
    """Keeps the coefficients above a threshold in the bandlet basis that fits the image best."""

    rule: Positive | Literal["universal"] = 3.4
    """of the threshold, universal or a multiple of sigma"""
    moments: Annotated[Count, Field(le=4)] = 2
    """vanishing moments along the flow"""
    flow_cost: Annotated[Number, Field(ge=0)] = 1.5
    """of a square with a flow, in kept coefficients"""
    split_cost: Annotated[Number, Field(ge=0)] = 0.25
    """of cutting a square into four, in kept coefficients"""

    def build(self, images: ImageClass, dataset: Dataset | None) -> nn.Module:
        """The denoiser."""
        from gahb.denoisers.classical.bandlets import BandletDenoiser

        return BandletDenoiser(**self.given())

    def slope(self, images: ImageClass) -> float:
        """a / (a + 1) on C^alpha images, up to logarithms; less where backgrounds allow less.

        a is the regularity of the contour, but at most the number of vanishing moments along the flow, and
        of the wavelet: coefficients along a contour are as regular as the wavelet is.
        """
        if not images.has_contour:
            return math.nan
        contour = float(images.alpha)  # type: ignore[attr-defined]
        regularity = min(contour, self.moments, self.wavelet_moments)
        return min(regularity / (regularity + 1), self.background_slope(images))

    def modules(self, images: ImageClass) -> list[str]:
        """The denoiser."""
        return ["gahb.denoisers.classical.bandlets"]
