"""The exact denoiser of a dataset's image class, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from gahb.artifacts import Spec
from gahb.datasets.classes import image_class
from gahb.datasets.shuffled import Shuffled
from gahb.denoisers.exact.disks import DiskPosterior
from gahb.denoisers.exact.gaussian import WienerDenoiser
from gahb.denoisers.exact.permuted import PermutedDenoiser
from gahb.denoisers.exact.rays import RayPosterior
from gahb.denoisers.exact.sines import SinePosterior

EXACT_DENOISERS: dict[str, Callable[[Any], Any]] = {  # of an image class, by its name
    "disks": DiskPosterior,
    "gaussian": WienerDenoiser,
    "rays": RayPosterior,
    "sines": SinePosterior,
}


def exact_denoiser(dataset_spec: Spec) -> nn.Module | None:
    """The conditional mean under the distribution of a dataset's images, or None if it is not known.

    Args:
        dataset_spec: image class and its parameters (:func:`gahb.params.dataset_spec`).
    """
    drawn = image_class(dataset_spec)
    if isinstance(drawn, Shuffled):
        underneath: Any = exact_denoiser(dataset_spec["of"])
        if underneath is None:
            return None
        return PermutedDenoiser(underneath, drawn.permutation())
    build = EXACT_DENOISERS.get(dataset_spec["class"])
    return None if build is None else build(drawn)
