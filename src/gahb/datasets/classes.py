"""The image classes by name, and the one that a dataset spec describes.

A class is a frozen dataclass in the module of its own name, loaded when first asked for: its
fields are its parameters in params.yaml. Adding one takes a line here and an entry in the schema.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the workflow reads the names without numpy
    import numpy as np
    from numpy.typing import NDArray

    from gahb.artifacts import Spec

IMAGE_CLASSES = {  # module in gahb.datasets, and the class in it
    "calpha": "CAlpha",
    "disks": "Disks",
    "gaussian": "Gaussian",
    "photographs": "Photographs",
    "rays": "Rays",
    "shuffled": "Shuffled",
    "sines": "Sines",
}
# Parameters of the dataset: of the image class too only where it has fields of these names.
OF_PHOTOGRAPHS = ("duplicates", "folders", "pictures")  # modules that serve that class alone
_OF_THE_DATASET = {"class", "images", "test_images"}


class ImageClass(Protocol):
    """A distribution of images, drawn by index."""

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        ...

    def render(self, first: int, count: int) -> NDArray[np.float32]:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32.

        Intensities are meant for the range from 0 to 1; a class that leaves it says so.
        """
        ...


def image_class(spec: Spec) -> ImageClass:
    """The image class of a dataset spec, as in params.yaml with all defaults filled in.

    Raises:
        ValueError: there is no such class, or its parameters are not the ones given.
    """
    kind = spec["class"]
    if kind not in IMAGE_CLASSES:
        raise ValueError(f"there is no image class {kind!r}; there are {', '.join(IMAGE_CLASSES)}")
    constructor = getattr(import_module(f"gahb.datasets.{kind}"), IMAGE_CLASSES[kind])
    others = _OF_THE_DATASET - set(constructor.__dataclass_fields__)
    parameters: dict[str, Any] = {key: value for key, value in spec.items() if key not in others}
    if "of" in spec:  # made from the images of another class, with their size and seed
        base = spec["of"]
        parameters = {key: value for key, value in parameters.items() if key not in base}
        parameters["of"] = image_class(base)
    try:
        drawn: ImageClass = constructor(**parameters)
    except TypeError as error:
        raise ValueError(f"image class {kind!r}: {error}") from error
    return drawn
