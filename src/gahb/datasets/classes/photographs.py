"""Photographs: images cut from the PNG and JPEG files of any folder.

Every file is turned to grey, cropped and downsampled (:mod:`gahb.datasets.pictures`) and cut into
images side by side. The files are taken in an order drawn from the seed and each path until there are
enough images; near-duplicates of an earlier one are left out (:mod:`gahb.datasets.duplicates`).

All images of one photograph go to the same of S1, S2 and test: otherwise a test image would continue
a training image beside it. Which of the three is drawn from the seed and the path as well, so that a
photograph stays where it is when others are added; once that one is full, the emptiest takes it. Within
each of the three their order is drawn anew, so that the first ten of S1 come from ten photographs and not
from one. The dataset's own split of indices is kept: images are put in the rows where it looks for them.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gahb.artifacts import Spec
from gahb.datasets.duplicates import NearDuplicates
from gahb.datasets.folders import draws, list_files
from gahb.datasets.image_class import ImageClass
from gahb.datasets.pictures import RefusedError, prepare, read_picture, tiles
from gahb.datasets.splits import split_indices
from gahb.datasets.temporary import on_disk
from gahb.options import Count, Number, Seed
from gahb.randomness import generator

Float32 = NDArray[np.float32]
BATCH = 512  # images compared with the kept ones together


class Photographs(ImageClass):
    """The images of a folder of photographs."""

    folders: ClassVar[tuple[str, ...]] = ("folder",)

    size: Annotated[Count, Field(ge=8)]
    """side in pixels"""
    seed: Seed
    """of the order of the photographs and of everything drawn below"""
    folder: Annotated[str, Field(min_length=1)]
    """searched at any depth for PNG and JPEG files; relative to the project"""
    crop: Annotated[Count, Field(ge=8)] | Literal["square", "whole"] = "whole"
    """side of the central square kept of each photograph; square, the largest there is; whole"""
    downsample: Annotated[Number, Field(ge=1)] | Literal["fit"] = 1
    """factor after the crop; fit, so that the shorter side becomes size"""
    patches: Count = 1
    """images per photograph, at most, drawn from the centred grid of those side by side"""
    duplicates: Annotated[Number, Field(gt=0, le=1)] = 0.95
    """images that correlate above this with an earlier one, mean removed, are left out; 1, none"""
    images: Annotated[Count, Field(ge=3)]
    """number of images, test images included"""
    test_images: Count
    """images held out from training"""

    @property
    def words(self) -> str:
        """What its images are."""
        return "photographs"

    @classmethod
    def defaults(cls, given: Spec) -> Spec:
        """Every default of a folder of photographs is part of the spec of its dataset."""
        fields = cls.model_fields.items()
        return {name: field.default for name, field in fields if not field.is_required()}

    @cached_property
    def gathered(self) -> Gathered:
        """All images of the dataset and where they come from; reads the folder.

        Raises:
            ValueError: the folder does not yield enough images; says what became of its files.
        """
        return _gather(self)

    def render(self, first: int, count: int) -> Float32:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32 in [0, 1].

        Where there are no more, the last one is repeated.
        """
        rows = np.minimum(np.arange(first, first + count), self.images - 1)
        return np.asarray(self.gathered.images[rows])


@dataclass
class Gathered:
    """What was found in a folder of photographs.

    Args:
        images: (n, size, size) float32, in a temporary file.
        of_image: (n,) position in ``used`` of the photograph that each image is from.
        files: how many files there are in the folder.
        used: path and SHA-256 of each photograph that gave an image, in the order taken.
        refused: path and reason of each file that could not be used.
        cut: images cut from photographs.
        duplicates: how many of them were left out as near-duplicates.
    """

    kind: ClassVar[str] = "photographs"

    images: Float32
    of_image: NDArray[np.int64]
    files: int
    read: int = 0
    used: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, RefusedError]] = field(default_factory=list)
    cut: int = 0
    duplicates: int = 0

    def counts(self) -> dict[str, Any]:
        """What became of the files and of the images cut from them."""
        return {
            "files": self.files,
            "files_tried": self.read + len(self.refused),
            "photographs_read": self.read,
            "photographs_used": len(self.used),
            "files_refused": dict(sorted(Counter(e.reason for _, e in self.refused).items())),
            "images_cut": self.cut,
            "near_duplicates": self.duplicates,
        }

    def digest(self) -> str:
        """SHA-256 over paths and contents of the photographs used."""
        lines = [f"{digest} {os.fsencode(name).hex()}\n" for name, digest in self.used]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def store(self, group: h5py.Group) -> None:
        """Write where the images come from: paths as UTF-8, digests, and refused files with reasons."""
        columns = {
            "path": np.array([os.fsencode(name) for name, _ in self.used]),
            "sha256": np.array([digest.encode() for _, digest in self.used]),
            "of_image": self.of_image,
            "refused": np.array([_told(name, error).encode() for name, error in self.refused]),
        }
        for name, values in columns.items():
            if len(values):
                group.create_dataset(name, data=values, chunks=values.shape, fletcher32=True)
        group["of_image"].attrs["units"] = "index into path and sha256, one per image"


def _told(name: str, error: RefusedError) -> str:
    return f"{os.fsencode(name).decode('utf-8', 'backslashreplace')}: {error}"


def _gather(drawn: Photographs) -> Gathered:
    """Take photographs in a seeded order until there are enough images that are no near-duplicates."""
    try:
        files = list_files(drawn.folder)
    except ValueError as error:
        raise ValueError(f"folder: {error}") from error
    shape = (drawn.images, drawn.size, drawn.size)
    images = on_disk(shape)
    gathered = Gathered(images, np.empty(drawn.images, np.int64), len(files))
    shelves = _shelves(drawn)
    known = NearDuplicates(drawn.duplicates, images)
    order = sorted(files, key=lambda file: draws(drawn.seed, file[0]))
    for batch in _batches(drawn, order, gathered):
        cut = np.concatenate([patches for _, _, patches in batch])
        fresh = known.fresh(cut)
        gathered.cut += len(cut)
        gathered.duplicates += int((~fresh).sum())
        first = 0
        rows_of_batch, kept_of_batch = [], []
        for name, digest, patches in batch:
            kept = first + np.flatnonzero(fresh[first : first + len(patches)])
            first += len(patches)
            rows = _shelf_of(name, drawn.seed, shelves).take(len(kept))
            if not len(rows):
                continue
            gathered.of_image[rows] = len(gathered.used)
            gathered.used.append((name, digest))
            rows_of_batch.append(rows)
            kept_of_batch.append(kept[: len(rows)])
        if rows_of_batch:
            rows, kept = np.concatenate(rows_of_batch), np.concatenate(kept_of_batch)
            images[rows] = cut[kept]
            known.keep(cut[kept], rows)
        if all(shelf.filled == len(shelf.rows) for shelf in shelves):
            break
    _report(drawn, gathered, shelves)
    return gathered


def _batches(
    drawn: Photographs, order: list[tuple[str, int]], gathered: Gathered
) -> Iterator[list[tuple[str, str, Float32]]]:
    """Path, SHA-256 and images of photographs, enough of them for BATCH images at a time."""
    batch: list[tuple[str, str, Float32]] = []
    for name, size in order:
        try:
            if size < 0:
                raise RefusedError("unreadable", "not a regular file or folder that can be listed")
            batch.append((name, *_cut(drawn, name)))
            gathered.read += 1
        except RefusedError as error:
            gathered.refused.append((name, error))
            print(f"refused {_told(name, error)}", flush=True)
        if sum(len(patches) for _, _, patches in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _cut(drawn: Photographs, name: str) -> tuple[str, Float32]:
    """SHA-256 of a file, and the images cut from it: (up to ``patches``, size, size)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of decoders, about what is refused or converted here
        picture, digest = read_picture(Path(drawn.folder, name))
    picture = prepare(picture, drawn.size, drawn.crop, drawn.downsample)
    grid = tiles(picture, drawn.size)
    draws = generator(drawn.seed, "patches", os.fsencode(name).hex())
    return digest, grid[np.sort(draws.permutation(len(grid))[: drawn.patches])]


@dataclass
class _Shelf:
    """The rows of the dataset that one of S1, S2 and test fills, in a drawn order."""

    name: str
    rows: NDArray[np.int64]
    filled: int = 0

    def take(self, count: int) -> NDArray[np.int64]:
        """The next rows, up to ``count`` of them."""
        taken = self.rows[self.filled : self.filled + count]
        self.filled += len(taken)
        return taken


def _shelves(drawn: Photographs) -> list[_Shelf]:
    indices = split_indices(drawn.images, drawn.test_images, drawn.seed)
    shelves = [
        _Shelf(name, rows[generator(drawn.seed, "order", name).permutation(len(rows))])
        for name, rows in sorted(indices.items())
    ]
    used = np.concatenate(list(indices.values()))
    unused = np.setdiff1d(np.arange(drawn.images), used)  # the odd one out, which no split holds
    shelves[0].rows = np.concatenate([shelves[0].rows, unused])
    return shelves


def _shelf_of(name: str, seed: int, shelves: list[_Shelf]) -> _Shelf:
    """The shelf that a photograph is drawn for, by their sizes, or the emptiest once that is full."""
    ends = np.cumsum([len(shelf.rows) for shelf in shelves])
    place = draws(seed, name)[1] * int(ends[-1]) >> 64
    drawn = shelves[int(np.searchsorted(ends, place, side="right"))]
    if drawn.filled < len(drawn.rows):
        return drawn
    return min(shelves, key=lambda shelf: shelf.filled / len(shelf.rows))


def _report(drawn: Photographs, gathered: Gathered, shelves: list[_Shelf]) -> None:
    """Print the counts, or refuse a folder that does not hold enough."""
    counts = gathered.counts()
    refused = ", ".join(f"{n} {reason}" for reason, n in counts["files_refused"].items()) or "none"
    told = (
        f"{drawn.folder}: of {counts['files']} files {counts['photographs_read']} were read, "
        f"refused: {refused}; {counts['images_cut']} images of {drawn.size}x{drawn.size} were cut, "
        f"{counts['near_duplicates']} of them near-duplicates (correlation above {drawn.duplicates:g})"
    )
    if any(shelf.filled < len(shelf.rows) for shelf in shelves):
        found = ", ".join(f"{shelf.name} {shelf.filled} of {len(shelf.rows)}" for shelf in shelves)
        raise ValueError(
            f"{told}. Too few remain for images: {drawn.images} (test_images: {drawn.test_images}), "
            f"with no photograph in two of them: {found}. Ask for fewer images, more patches per "
            "photograph, a smaller crop, or less downsampling"
        )
    print(
        f"{told}; {counts['photographs_used']} photographs give {drawn.images} images", flush=True
    )
