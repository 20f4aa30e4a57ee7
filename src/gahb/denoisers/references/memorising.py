"""The conditional mean of a training set: :class:`gahb.denoisers.empirical.EmpiricalDenoiser`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gahb.datasets.image_class import ImageClass
from gahb.denoisers.reference import Reference
from gahb.options import Count, Split

if TYPE_CHECKING:
    from torch import nn

    from gahb.datasets.store import Dataset


class Memorising(Reference):
    """The denoiser that is optimal for the images of a training set, and for no others."""

    set_size: Count
    """images of the training set, the first ones of its split"""
    split: Split
    """whose first images they are"""

    def build(self, images: ImageClass, dataset: Dataset | None) -> nn.Module:
        """The denoiser, from the images of the dataset."""
        import torch

        from gahb.denoisers.empirical import EmpiricalDenoiser

        if dataset is None:
            raise ValueError(
                "the memorising denoiser is made from a training set: it needs the dataset"
            )
        chosen = dataset.training_set(self.split, self.set_size)
        return EmpiricalDenoiser(torch.from_numpy(dataset.images(chosen)))

    def modules(self, images: ImageClass) -> list[str]:
        """The denoiser."""
        return ["gahb.denoisers.empirical"]
