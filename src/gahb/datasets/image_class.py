"""What an image class is, and the one that a dataset spec describes.

An image class is a model of options with :meth:`ImageClass.render`, in the module of its own name in
:mod:`gahb.datasets.classes`. What is known of it (its exact denoiser, its dimension, its words) are
attributes of it: nothing else lists the classes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from gahb.explaining import options_of
from gahb.options import Count, Options, Seed, model, names
from gahb.own import is_own

if TYPE_CHECKING:
    import h5py
    import numpy as np
    from numpy.typing import NDArray

    from gahb.artifacts import Spec

CLASSES = "gahb.datasets.classes"


class DatasetSize(Options):
    """How many images a dataset holds; keys beside those of its image class."""

    images: Annotated[Count, Field(ge=3)]
    """number of images, test images included"""
    test_images: Count
    """images held out from training"""


class ImageClass(Options, ABC):
    """A distribution of images, drawn by index.

    Attributes:
        beside: whether a dataset of the class says its own :class:`DatasetSize`.
        exact: module in :mod:`gahb.denoisers.exact` of its conditional mean, where that is known.
        has_contour: whether an oracle can be told the contours of its images.
        clipped: whether all intensities are in [0, 1].
        folders: options that name folders whose files the images are made from.
        files: options that name files that the images are read from.
    """

    beside: ClassVar[bool] = True
    exact: ClassVar[str | None] = None
    has_contour: ClassVar[bool] = False
    clipped: ClassVar[bool] = True
    folders: ClassVar[tuple[str, ...]] = ()
    files: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def render(self, first: int, count: int) -> NDArray[np.float32]:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32.

        Intensities are meant for the range from 0 to 1; a class that leaves it says so.
        """

    @property
    @abstractmethod
    def words(self) -> str:
        """What its images are, for a reader."""

    @property
    def dimension(self) -> int | None:
        """Free parameters n of its images, where they form a manifold: least MSE -> n sigma^2 / d."""
        return None

    @property
    def optimal_slope(self) -> float:
        """Slope of output against input PSNR of the conditional mean, for small noise; or nan."""
        return math.nan if self.dimension is None else 1.0

    @property
    def underneath(self) -> ImageClass:
        """The class whose images these are, in another order of pixels; itself, if none."""
        return self

    @classmethod
    def defaults(cls, given: Spec) -> Spec:
        """What a dataset spec says beyond what params.yaml says of such a class."""
        return {}


class StoredImages(Protocol):
    """Images that come from files, and what there is to know of these.

    A class whose images come from files has them as ``gathered``.
    """

    kind: ClassVar[str]
    """name of what is told of them in a dataset"""

    def digest(self) -> str:
        """SHA-256 over the files used."""

    def counts(self) -> dict[str, Any]:
        """What became of what is in the files."""

    def store(self, group: h5py.Group) -> None:
        """Write where each image comes from."""


class DrawnClass(ImageClass):
    """An image class that is drawn from a seed."""

    size: Annotated[Count, Field(ge=8)]
    """side in pixels"""
    seed: Seed
    """the same seed gives the same images"""


def image_class(spec: Spec) -> ImageClass:
    """The image class of a dataset spec, as in params.yaml with all defaults filled in.

    Raises:
        ValueError: there is no such class, or its parameters are not the ones given.
    """
    name, others = spec["class"], {"class"}
    if name in names(CLASSES) or is_own(name):
        others |= DatasetSize.keys() - model(CLASSES, name).keys()
    parameters: dict[str, Any] = {key: value for key, value in spec.items() if key not in others}
    if "of" in spec:  # made from the images of another class, with their size and seed
        base = spec["of"]
        parameters = {key: value for key, value in parameters.items() if key not in base}
        parameters["of"] = image_class(base)
    drawn: ImageClass = options_of(CLASSES, "image class", name, parameters)
    return drawn
