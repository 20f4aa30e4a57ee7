"""The exact denoiser of an image class, where there is one."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from gahb.artifacts import Spec
from gahb.datasets.image_class import ImageClass, image_class
from gahb.denoisers.exact.base import ExactDenoiser


def exact_denoiser(images: ImageClass | Spec) -> nn.Module | None:
    """The conditional mean under the distribution of a class's images, or None if it is not known.

    Args:
        images: an image class, which names the module in :mod:`gahb.denoisers.exact`; or the spec of a
            dataset (:func:`gahb.params.dataset_spec`).
    """
    drawn = images if isinstance(images, ImageClass) else image_class(images)
    if drawn.exact is None:
        return None
    home = import_module(f"gahb.denoisers.exact.{drawn.exact}")
    (denoiser,) = (
        item
        for item in vars(home).values()
        if isinstance(item, type)
        and issubclass(item, ExactDenoiser)
        and item.__module__ == home.__name__
    )
    found: nn.Module = denoiser.of(drawn).eval()
    return found
