"""Exact and classical denoisers by name, as params.yaml lists them under ``references``.

They share the interface of the learned ones, f(y, sigma), so that what measures a network measures
them unchanged. An :class:`ErrorBound` knows its expected error without being run on any draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gahb.artifacts import Spec

if TYPE_CHECKING:
    from gahb.datasets.store import Dataset


@dataclass(frozen=True)
class ErrorBound:
    """A bound on the mean squared error that is computed, image by image, not drawn.

    Attributes:
        errors: (images,) indices in the dataset and (levels,) sigmas to (levels, images).
    """

    errors: Callable[[NDArray[np.int64], Sequence[float]], NDArray[np.float64]]

    def __call__(self, indices: NDArray[np.int64], sigmas: Sequence[float]) -> NDArray[np.float64]:
        """Expected squared error per pixel of each image: (levels, images)."""
        return self.errors(indices, sigmas)


def _exact(dataset: Spec, opened: Dataset | None) -> nn.Module:
    from gahb.denoisers.exact.registry import exact_denoiser

    denoiser = exact_denoiser(dataset)
    if denoiser is None:
        raise ValueError(f"no exact denoiser is known for images of class {dataset['class']!r}")
    return denoiser


def _known_contour(dataset: Spec, opened: Dataset | None) -> ErrorBound:
    from gahb.datasets.classes import image_class
    from gahb.denoisers.exact.calpha import known_contour_mse

    if dataset["class"] != "calpha":
        raise ValueError(f"only C^alpha images have a known contour, not {dataset['class']!r}")
    images: Any = image_class(dataset)
    return ErrorBound(lambda indices, sigmas: known_contour_mse(images, indices, sigmas).T)


def _memorising(dataset: Spec, opened: Dataset | None, set_size: int, split: str) -> nn.Module:
    import torch

    from gahb.denoisers.empirical import EmpiricalDenoiser

    if opened is None:
        raise ValueError(
            "the memorising denoiser is made from a training set: it needs the dataset"
        )
    return EmpiricalDenoiser(torch.from_numpy(opened.images(opened.training_set(split, set_size))))


def _wavelet(dataset: Spec, opened: Dataset | None, **options: Any) -> nn.Module:
    from gahb.denoisers.classical.wavelets import WaveletDenoiser

    return WaveletDenoiser(**options)


def _bandlet(dataset: Spec, opened: Dataset | None, **options: Any) -> nn.Module:
    from gahb.denoisers.classical.bandlets import BandletDenoiser

    return BandletDenoiser(**options)


BUILDERS: dict[str, Callable[..., nn.Module | ErrorBound]] = {
    "exact": _exact,
    "known_contour": _known_contour,
    "memorising": _memorising,
    "wavelet": _wavelet,
    "bandlet": _bandlet,
}


def build_reference(
    reference: Spec, dataset_spec: Spec, dataset: Dataset | None = None
) -> nn.Module | ErrorBound:
    """The denoiser that an entry of ``references`` names, for images of a dataset spec.

    Args:
        reference: ``denoiser``, its own options, and ``name`` and ``images``, which are not its.
        dataset_spec: resolved spec of the image class.
        dataset: the images themselves, which the memorising denoiser is made from.

    Raises:
        ValueError: there is no such denoiser, it does not exist for this image class, or it needs the
            dataset and none is given.
    """
    kind = reference["denoiser"]
    if kind not in BUILDERS:
        raise ValueError(f"there is no denoiser {kind!r}; there are {', '.join(BUILDERS)}")
    options = {k: v for k, v in reference.items() if k not in ("name", "denoiser", "images")}
    return BUILDERS[kind](dataset_spec, dataset, **options)


def theoretical_slope(reference: Spec, dataset: Spec) -> float:
    """Slope of output against input PSNR that theory gives a reference denoiser, for small noise.

    C^alpha, up to logarithms: (beta - 1) / beta for the known contour, the rate of Gaussian fields with
    power |k|^(-2 beta), beta being the regularity of the backgrounds; 1/2 for wavelets, whatever the
    regularity; a / (a + 1) for bandlets, a being that of the contour, but at most the number of
    vanishing moments along the flow. Fields with power |k|^-p: 1 - 2 / p. Disks, rays and sines are
    manifolds of fixed dimension: 1. Otherwise nan, as for the memorising denoiser on test images.
    """
    kind, images = reference["denoiser"], dataset["class"]
    if kind == "memorising":
        return math.nan
    if images == "shuffled":
        return theoretical_slope(reference, dataset["of"]) if kind == "exact" else math.nan
    if kind == "exact":
        fields = max(0.0, 1 - 2 / dataset["exponent"]) if images == "gaussian" else 1.0
        return fields if images in ("disks", "gaussian", "rays", "sines") else math.nan
    if images != "calpha":
        return math.nan
    if kind == "known_contour":
        return max(0.0, 1 - 1 / float(dataset["background_alpha"]))
    if kind == "wavelet":
        return 0.5
    from gahb.denoisers.classical.bandlets import DEFAULT_MOMENTS

    regularity = min(float(dataset["alpha"]), float(reference.get("moments", DEFAULT_MOMENTS)))
    return regularity / (regularity + 1)
