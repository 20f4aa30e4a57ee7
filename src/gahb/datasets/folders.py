"""What lies in a folder of photographs, without opening any of it: names and sizes.

Snakemake compares :func:`listing_digest` to notice that a folder has changed: one pass over its
entries, a second or two for 200,000 files. An edit that keeps a file's size goes unnoticed; the dataset
itself records the SHA-256 of every file that it was made from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gahb.datasets.image_class import CLASSES
from gahb.options import model


def list_files(folder: Path | str) -> list[tuple[str, int]]:
    """All files under a folder, at any depth, and their sizes in bytes.

    Links to files are followed, links to folders inside it are not.

    Sorted by path relative to the folder, as bytes, so that the order is that of the names on any
    system. What is no regular file (a broken link, a pipe) and folders that cannot be listed have
    the size -1.

    Raises:
        ValueError: it is not a folder, or there is nothing in it.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"found {str(folder)!r}, which is not a folder")
    unlisted: list[str] = []
    found = []
    for parent, _, names in os.walk(folder, onerror=lambda error: unlisted.append(error.filename)):
        found += [(os.path.join(parent, name), _size(os.path.join(parent, name))) for name in names]
    found += [(path, -1) for path in unlisted]
    if not found:
        raise ValueError(f"found {str(folder)!r}, which is an empty folder")
    relative = [(Path(os.path.relpath(path, folder)).as_posix(), size) for path, size in found]
    return sorted(relative, key=lambda entry: os.fsencode(entry[0]))


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else -1


def listing_digest(folder: Path | str) -> str:
    """SHA-256 over the names and sizes of all files under a folder."""
    digest = hashlib.sha256()
    for name, size in list_files(folder):
        digest.update(os.fsencode(name) + b"\0%d\n" % size)
    return digest.hexdigest()


def folders_behind(key: str, spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and folders of the files that a dataset is made from, and the one underneath."""
    for option in model(CLASSES, spec["class"]).folders:
        yield f"{key}.{option}", spec[option]
    if "of" in spec:
        yield from folders_behind(f"{key}.of", spec["of"])


def listings(image_class: str, spec: dict[str, Any]) -> str:
    """Digests of all folders that a dataset is made from; empty if it is made from none.

    Raises:
        ValueError: a folder is missing or empty; names the key in params.yaml.
    """
    digests = []
    for key, folder in folders_behind(f"image_classes.{image_class}", spec):
        try:
            digests.append(listing_digest(folder))
        except ValueError as error:
            raise ValueError(
                f"params.yaml: {key}: {error}; allowed is a folder of PNG or JPEG files"
            ) from error
    return " ".join(digests)
