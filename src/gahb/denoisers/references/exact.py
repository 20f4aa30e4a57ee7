"""The conditional mean of an image class, where it is known: :mod:`gahb.denoisers.exact`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gahb.datasets.image_class import ImageClass
from gahb.denoisers.reference import Reference, classes_where

if TYPE_CHECKING:
    from torch import nn

    from gahb.datasets.store import Dataset


class ExactReference(Reference):
    """The optimal denoiser."""

    def build(self, images: ImageClass, dataset: Dataset | None) -> nn.Module:
        """The exact denoiser that the class names."""
        from gahb.denoisers.optimal import exact_denoiser

        denoiser = exact_denoiser(images)
        if denoiser is None:
            raise ValueError(f"no exact denoiser is known for {images.words}")
        return denoiser

    def exists_for(self, images: ImageClass) -> bool:
        """Whether the class names one."""
        return images.exact is not None

    @classmethod
    def known_for(cls) -> str:
        """The classes that name one, shuffled or not."""
        return classes_where(lambda found: isinstance(found.exact, str)) + ", and these shuffled"

    def slope(self, images: ImageClass) -> float:
        """That of the class's optimum."""
        return images.optimal_slope if self.exists_for(images) else float("nan")

    def modules(self, images: ImageClass) -> list[str]:
        """The denoiser, of the class and of the one underneath."""
        named = dict.fromkeys([images.exact, images.underneath.exact])
        return [f"gahb.denoisers.exact.{name}" for name in named if name is not None]
