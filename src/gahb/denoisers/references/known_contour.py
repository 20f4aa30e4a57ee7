"""A bound on C^alpha images under the Gaussian surrogate: :mod:`gahb.denoisers.exact.known_contour`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gahb.datasets.image_class import ImageClass
from gahb.denoisers.reference import ErrorBound, Reference, background_slope, classes_where

if TYPE_CHECKING:
    from gahb.datasets.store import Dataset


class KnownContour(Reference):
    """The error of an oracle that is told the contour."""

    def build(self, images: ImageClass, dataset: Dataset | None) -> ErrorBound:
        """Its error, image by image."""
        from gahb.denoisers.exact.known_contour import known_contour_mse

        if not self.exists_for(images):
            raise ValueError(f"only C^alpha images have a known contour, not {images.words}")
        drawn: Any = images
        return ErrorBound(lambda indices, sigmas: known_contour_mse(drawn, indices, sigmas).T)

    def exists_for(self, images: ImageClass) -> bool:
        """Whether images of the class have a contour."""
        return images.has_contour

    @classmethod
    def known_for(cls) -> str:
        """The classes of images with a contour."""
        return classes_where(lambda found: found.has_contour)

    def slope(self, images: ImageClass) -> float:
        """(beta - 1) / beta, the rate of Gaussian fields with power |k|^(-2 beta)."""
        return background_slope(images) if self.exists_for(images) else float("nan")

    @property
    def no_jacobian(self) -> str | None:
        """It is no denoiser of the noisy image."""
        return "is a bound on the error (denoiser known_contour)"

    def modules(self, images: ImageClass) -> list[str]:
        """The oracle."""
        return ["gahb.denoisers.exact.known_contour"]
