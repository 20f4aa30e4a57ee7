"""The files that datasets are read from, for the rule that makes these: content decides what is stale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gahb.datasets.image_class import CLASSES
from gahb.options import model


def files_of(image_class: str, spec: dict[str, Any]) -> list[str]:
    """The files that a dataset is read from, and the one underneath; none if it is drawn.

    Raises:
        ValueError: one does not exist; names the key in params.yaml.
    """
    found = list(_files(f"image_classes.{image_class}", spec))
    for key, file in found:
        if not Path(file).is_file():
            raise ValueError(f"params.yaml: {key}: found {file!r}, which is no file")
    return [file for _, file in found]


def _files(key: str, spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for option in model(CLASSES, spec["class"]).files:
        yield f"{key}.{option}", spec[option]
    if "of" in spec:
        yield from _files(f"{key}.of", spec["of"])
