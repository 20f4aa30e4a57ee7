"""What a reference is: an exact or classical denoiser that networks are measured beside.

They share the interface of the learned ones, f(y, sigma), so that what measures a network measures
them unchanged. An :class:`ErrorBound` knows its expected error without being run on any draw. Each kind is
a model of options in the module of its name in :mod:`gahb.denoisers.references`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gahb.datasets.image_class import CLASSES, ImageClass, image_class
from gahb.explaining import options_of
from gahb.options import Options, model, names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from gahb.artifacts import Spec
    from gahb.datasets.store import Dataset

REFERENCES = "gahb.denoisers.references"


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


class Reference(Options, ABC):
    """Options of a reference denoiser."""

    @abstractmethod
    def build(self, images: ImageClass, dataset: Dataset | None) -> nn.Module | ErrorBound:
        """The denoiser, for images of a class.

        Args:
            images: the class.
            dataset: the images themselves, if there are any.

        Raises:
            ValueError: it does not exist for this class, or needs the dataset and none is given.
        """

    def exists_for(self, images: ImageClass) -> bool:
        """Whether there is such a denoiser for images of a class."""
        return True

    @classmethod
    def known_for(cls) -> str:
        """The image classes that it exists for, in words, where it does not exist for all."""
        return "all"

    def slope(self, images: ImageClass) -> float:
        """Slope of output against input PSNR that theory gives it for small noise; nan, if none."""
        return math.nan

    @property
    def no_jacobian(self) -> str | None:
        """Why it has no Jacobian at a noisy image, in words; None where it has one."""
        return None

    def modules(self, images: ImageClass) -> list[str]:
        """Dotted names of the modules that decide its answers, beside its own."""
        return []


def classes_where(says: Callable[[type[ImageClass]], bool]) -> str:
    """Names of the image classes of which something holds, in words."""
    return ", ".join(name for name in names(CLASSES) if says(model(CLASSES, name)))


def reference_options(reference: Spec) -> Reference:
    """The options of an entry of ``references``.

    Args:
        reference: ``denoiser``, its own options, and ``name`` and ``images``, which are not its.

    Raises:
        ValueError: there is no such denoiser, or its options are not the ones given.
    """
    options = {k: v for k, v in reference.items() if k not in ("name", "denoiser", "images")}
    found: Reference = options_of(REFERENCES, "denoiser", reference["denoiser"], options)
    return found


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
    built = reference_options(reference).build(image_class(dataset_spec), dataset)
    return built if isinstance(built, ErrorBound) else built.eval()


def theoretical_slope(reference: Spec, dataset: Spec) -> float:
    """Slope of output against input PSNR that theory gives a reference denoiser, for small noise.

    See :meth:`Reference.slope` of each kind; nan where theory says nothing.
    """
    return reference_options(reference).slope(image_class(dataset))


def drawn_slope(dataset: Spec) -> float:
    """Slope, for small noise, that an estimator of minimax rate has on the C^alpha images drawn.

    alpha / (alpha + 1) of the contour, but at most the (beta - 1) / beta of the backgrounds
    (:func:`background_slope`): of two parts of an error the one that falls more slowly decides. NaN for
    other classes of images.
    """
    images: Any = image_class(dataset)
    if not images.has_contour:
        return math.nan
    return min(float(images.alpha / (images.alpha + 1)), background_slope(images))


def background_slope(images: ImageClass, moments: int | None = None) -> float:
    """Slope that the backgrounds of C^alpha images allow: fields of power abs(k)^(-2 beta).

    Their optimal linear filter has (beta - 1) / beta. The coefficients of a wavelet with p vanishing
    moments fall with the scale no faster than those of backgrounds with beta = p + 1.

    Args:
        images: of a class with contours.
        moments: p; None for an estimator that is not limited by them.
    """
    beta = float(images.beta)  # type: ignore[attr-defined]
    regularity = beta if moments is None else min(beta, moments + 1)
    return max(0.0, 1 - 1 / regularity)
