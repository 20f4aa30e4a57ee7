"""An image class of one's own: ``class: my_images.py:Mine`` or ``class: package.module:Mine``."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import ConfigDict

from gahb import own
from gahb.datasets.image_class import DrawnClass, ImageClass


class OwnClass(DrawnClass):
    """An image class of your own: a model of options with ``render`` (docs/extending.md).

    All other keys are its fields.
    """

    model_config = ConfigDict(extra="allow")


OWN = OwnClass


def model(name: str) -> type[ImageClass]:
    """The image class of that name.

    Raises:
        ValueError: there is none, or it is no complete image class; says what it lacks.
    """
    found: Any = own.load(name)
    if not isinstance(found, type) or not issubclass(found, ImageClass):
        raise ValueError(f"{name} is not derived from gahb.datasets.image_class.DrawnClass")
    lacking = {"size", "seed"} - found.model_fields.keys()
    lacking |= set(getattr(found, "__abstractmethods__", ()))
    if lacking or inspect.isabstract(found):
        raise ValueError(f"{name} lacks {', '.join(sorted(lacking))}")
    return found
