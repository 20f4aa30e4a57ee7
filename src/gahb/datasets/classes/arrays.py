"""Images of an array in a file: NumPy's, HDF5, or a torch tensor.

Images that are equal count once: a network would be tested on what it was trained on. Their order is
that of their digests under the seed, and the test set, S1 and S2 are filled in it one after another. It
does not depend on the order of the file, which often goes by label, and hardly on how many images there
are: one more shifts others by one place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from gahb.artifacts import digest_file
from gahb.datasets.arrays import ENDINGS, open_images
from gahb.datasets.image_class import DrawnClass
from gahb.datasets.splits import split_indices
from gahb.datasets.temporary import on_disk
from gahb.options import Count, wrong

Float32 = NDArray[np.float32]


class Arrays(DrawnClass):
    """The images of an array in a file."""

    files: ClassVar[tuple[str, ...]] = ("file",)

    file: str
    """.npy, .npz, .h5, .hdf5, .pt or .pth, relative to the project; uint8, or floats from 0 to 1"""
    key: Annotated[str, Field(min_length=1)] | None = None
    """name of the array, where the file holds several"""
    images: Annotated[Count, Field(ge=3)]
    """number of images, test images included"""
    test_images: Count
    """images held out from training"""

    @field_validator("file")
    @classmethod
    def _is_of_a_known_kind(cls, value: str) -> str:
        if Path(value).suffix.lower() not in ENDINGS:
            raise wrong(value, f"a file that ends in one of {', '.join(ENDINGS)}")
        return value

    @property
    def words(self) -> str:
        """What its images are."""
        return f"images of {Path(self.file).name}"

    @cached_property
    def gathered(self) -> GatheredArray:
        """All images of the dataset; reads the file.

        Raises:
            ValueError: it has no such images, or not enough of them.
        """
        return _gather(self)

    def render(self, first: int, count: int) -> Float32:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32 in [0, 1].

        Where there are no more, the last one is repeated.
        """
        rows = np.minimum(np.arange(first, first + count), self.images - 1)
        return np.asarray(self.gathered.images[rows])


@dataclass(frozen=True)
class GatheredArray:
    """What was found in a file.

    Attributes:
        images: (n, size, size) float32, in a temporary file.
        positions: (n,) where each of them is in the array.
        sha256: digest of the file.
        found: images in the array.
        distinct: how many of them differ.
    """

    kind: ClassVar[str] = "array"

    images: Float32
    positions: NDArray[np.int64]
    sha256: str
    found: int
    distinct: int

    def counts(self) -> dict[str, Any]:
        """How many images there are, and how many are equal to another."""
        return {"images_found": self.found, "images_equal": self.found - self.distinct}

    def digest(self) -> str:
        """SHA-256 of the file."""
        return self.sha256

    def store(self, group: h5py.Group) -> None:
        """Write where each image is in the array."""
        place = group.create_dataset(
            "position", data=self.positions, chunks=self.positions.shape, fletcher32=True
        )
        place.attrs["units"] = "index into the array, one per image"


def _gather(drawn: Arrays) -> GatheredArray:
    path = Path(drawn.file)
    with open_images(path, drawn.key, drawn.size) as stored:
        first_of: dict[bytes, int] = {}
        for first, block in stored.blocks():
            for place, image in enumerate(block, start=first):
                first_of.setdefault(_digest(drawn.seed, image), place)
        if len(first_of) < drawn.images:
            raise ValueError(
                f"{stored.told}: found {len(stored)} images, {len(first_of)} of them different; "
                f"images: {drawn.images} were asked for"
            )
        taken = np.array([first_of[key] for key in sorted(first_of)[: drawn.images]], np.int64)
        positions = np.empty_like(taken)
        positions[_filled_in_turn(drawn)] = taken
        images = on_disk((drawn.images, drawn.size, drawn.size))
        rows = np.full(len(stored), -1, np.int64)
        rows[positions] = np.arange(drawn.images)
        for first, block in stored.blocks():
            row = rows[first : first + len(block)]
            images[row[row >= 0]] = block[row >= 0]
        print(
            f"{stored.told}: {len(stored)} images, {len(first_of)} of them different, of which "
            f"{drawn.images} are taken",
            flush=True,
        )
        return GatheredArray(images, positions, digest_file(path), len(stored), len(first_of))


def _digest(seed: int, image: Float32) -> bytes:
    return hashlib.sha256(f"{seed}/".encode() + image.tobytes()).digest()


def _filled_in_turn(drawn: Arrays) -> NDArray[np.int64]:
    """The rows of the dataset in the order of its test set, S1, S2, and what no split holds."""
    parts = split_indices(drawn.images, drawn.test_images, drawn.seed)
    rows = np.concatenate([parts["test"], parts["S1"], parts["S2"]])
    return np.concatenate([rows, np.setdiff1d(np.arange(drawn.images), rows)])
