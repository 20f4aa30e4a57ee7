"""Wavelet thresholding: :class:`gahb.denoisers.classical.wavelets.WaveletDenoiser`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from gahb.datasets.image_class import ImageClass
from gahb.denoisers.thresholding import Thresholding
from gahb.options import Positive

if TYPE_CHECKING:
    from torch import nn

    from gahb.datasets.store import Dataset


class Wavelet(Thresholding):
    """Keeps the wavelet coefficients above a threshold."""

    rule: Positive | Literal["universal", "oracle"] = "universal"
    """of the threshold: universal, sigma sqrt(2 log d); oracle, of least error for each image; or a
    multiple of sigma"""

    def build(self, images: ImageClass, dataset: Dataset | None) -> nn.Module:
        """The denoiser."""
        from gahb.denoisers.classical.wavelets import WaveletDenoiser

        return WaveletDenoiser(**self.given())

    def slope(self, images: ImageClass) -> float:
        """1/2 on C^alpha images, for the contour, up to logarithms; less where backgrounds allow less."""
        return min(0.5, self.background_slope(images)) if images.has_contour else math.nan

    @property
    def no_jacobian(self) -> str | None:
        """The oracle needs more than the noisy image."""
        return "looks at the clean image (rule oracle)" if self.rule == "oracle" else None

    def modules(self, images: ImageClass) -> list[str]:
        """The denoiser."""
        return ["gahb.denoisers.classical.wavelets"]
