"""What lies in a folder of photographs, without opening any of it: names and sizes.

A file counts if its name ends as that of a PNG or JPEG file does. What a system leaves beside the
photographs (hidden files and folders, previews, a README) never counts: it comes and goes unasked.

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

ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
UNASKED = {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN"}  # folders that systems make


def list_files(folder: Path | str) -> list[tuple[str, int]]:
    """All PNG and JPEG files under a folder, by name, at any depth, and their sizes in bytes.

    Links to files are followed, links to folders inside it are not. Hidden files, and what is in hidden
    folders, are left out.

    Sorted by path relative to the folder, as bytes, so that the order is that of the names on any
    system. What is no regular file (a broken link, a pipe) and folders that cannot be listed have
    the size -1.

    Raises:
        ValueError: it is not a folder, or there is no such file in it.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"found {str(folder)!r}, which is not a folder")
    unlisted: list[str] = []
    found = []
    others = 0
    for parent, inner, names in os.walk(
        folder, onerror=lambda error: unlisted.append(error.filename)
    ):
        inner[:] = [name for name in inner if name[0] != "." and name not in UNASKED]
        pictures = [os.path.join(parent, name) for name in names if _is_picture(name)]
        others += len(names) - len(pictures)
        found += [(path, _size(path)) for path in pictures]
    found += [(path, -1) for path in unlisted]
    if not found:
        raise ValueError(
            f"found {str(folder)!r}, in which no name ends in {', '.join(ENDINGS)} "
            f"({others} other files)"
        )
    relative = [(Path(os.path.relpath(path, folder)).as_posix(), size) for path, size in found]
    return sorted(relative, key=lambda entry: os.fsencode(entry[0]))


def _is_picture(name: str) -> bool:
    return name[0] != "." and name.lower().endswith(ENDINGS)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else -1


def listing_digest(folder: Path | str) -> str:
    """SHA-256 over the names and sizes of all PNG and JPEG files under a folder."""
    digest = hashlib.sha256()
    for name, size in list_files(folder):
        digest.update(os.fsencode(name) + b"\0%d\n" % size)
    return digest.hexdigest()


def draws(seed: int, name: str) -> tuple[int, int]:
    """Two 64-bit numbers of a file, drawn from a seed and its path alone, whatever else is in the folder.

    The order of files by them, and what else they decide, stays when files are added or removed.
    """
    digest = hashlib.sha256(b"%d\0%b" % (seed, os.fsencode(name))).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


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
