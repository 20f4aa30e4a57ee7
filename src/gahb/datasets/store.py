"""Synthesise a dataset into one HDF5 file, and read it back with every byte verified.

The file holds ``images`` (n, 1, H, W) float32, the index arrays ``S1``, ``S2`` and
``test``, and its provenance, with a checksum (fletcher32) on every chunk. Images are streamed: memory
does not grow with their number.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gahb.artifacts import (
    ArtifactError,
    Spec,
    create_hdf5,
    open_hdf5,
    provenance,
    read_attribute,
    write_attribute,
)
from gahb.datasets.image_class import ImageClass, StoredImages, image_class
from gahb.datasets.splits import Indices, half_and_turn, split_indices

BLOCK = 32  # images rendered together: always whole blocks, so that no image depends on its chunk


def render_blocks(spec: Spec, threads: int = 1) -> Iterator[NDArray[np.float32]]:
    """All images of a dataset spec, in order, in blocks of (up to BLOCK, 1, size, size) float32."""
    return _blocks(image_class(spec), spec["images"], threads)


def _blocks(drawn: ImageClass, images: int, threads: int) -> Iterator[NDArray[np.float32]]:

    def block(first: int) -> NDArray[np.float32]:
        return drawn.render(first, BLOCK)[: images - first, None]

    ahead: deque[Future[NDArray[np.float32]]] = deque()  # rendered while others are written
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, images, BLOCK):
            ahead.append(pool.submit(block, first))
            if len(ahead) > 4 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def write_dataset(spec: Spec, output: Path | str, threads: int = 1) -> None:
    """Synthesise the dataset of ``spec`` into ``output``, atomically.

    Args:
        spec: image class, its parameters, ``images``, ``test_images`` and ``seed``.
        threads: rendering threads; the bytes do not depend on it.
    """
    size = spec["size"]
    digest = hashlib.sha256()
    drawn = image_class(spec)
    stored_images = files_behind(drawn)
    inputs = {} if stored_images is None else {stored_images.kind: stored_images.digest()}
    with create_hdf5(output, provenance(spec, inputs)) as file:
        stored = file.create_dataset(
            "images",
            (spec["images"], 1, size, size),
            "float32",
            chunks=(min(BLOCK, spec["images"]), 1, size, size),
            fletcher32=True,
        )
        stored.attrs["units"] = "intensity, 0 to 1"
        first = 0
        for block in _blocks(drawn, spec["images"], threads):
            stored[first : first + len(block)] = block
            digest.update(np.ascontiguousarray(block).data)
            first += len(block)
        write_attribute(file, "images_sha256", digest.hexdigest())
        indices = split_indices(spec["images"], spec["test_images"], spec["seed"])
        for name, index in indices.items():
            file.create_dataset(name, data=index, chunks=index.shape, fletcher32=True)
            file[name].attrs["units"] = "index into images"
        if stored_images is not None:
            write_attribute(file, stored_images.kind, stored_images.counts())
            stored_images.store(file.create_group(stored_images.kind))


def files_behind(drawn: ImageClass) -> StoredImages | None:
    """The files that images come from, directly or through other classes, if they do."""
    return getattr(drawn.underneath, "gathered", None)


@dataclass(frozen=True)
class Dataset:
    """An open-handed view of a dataset file: index sets in memory, images read when asked for."""

    path: Path
    spec: Spec
    images_sha256: str
    indices: dict[str, Indices]

    def training_set(self, split: str, set_size: int) -> Indices:
        """Indices of the training set of ``set_size`` images (:mod:`gahb.datasets.splits`).

        Args:
            split: S1 or S2, the first images of either half; S3, S4 ... those that follow.
            set_size: number of images.
        """
        half, turn = half_and_turn(split)
        available = self.indices[half]
        if (turn + 1) * set_size > len(available):
            raise ValueError(
                f"{self.path}: {split} has {len(available) // (turn + 1)} images, {set_size} were "
                "asked for"
            )
        return available[turn * set_size : (turn + 1) * set_size]

    def images(self, indices: Indices) -> NDArray[np.float32]:
        """Read images by index, in the order given, into (n, 1, H, W) float32."""
        with open_hdf5(self.path) as file:
            stored = file["images"]
            read = np.empty((len(indices), *stored.shape[1:]), np.float32)
            blocks = indices // BLOCK
            for block in np.unique(blocks):
                wanted = np.flatnonzero(blocks == block)
                images = stored[block * BLOCK : (block + 1) * BLOCK]
                read[wanted] = images[indices[wanted] - block * BLOCK]
        return read


def open_dataset(path: Path | str, expected: Spec | None = None) -> Dataset:
    """Open a dataset, checking its spec and its shape.

    Raises:
        ArtifactError: if the file is missing, damaged, or made from another spec.
    """
    with open_hdf5(path, expected) as file:
        spec = read_attribute(file, "spec")
        missing = {"images", "S1", "S2", "test"} - set(file)
        if missing:
            raise ArtifactError(f"{path} lacks the datasets {', '.join(sorted(missing))}")
        asked = (spec["images"], 1, spec["size"], spec["size"])
        if file["images"].shape != asked:
            raise ArtifactError(
                f"{path}: images have shape {file['images'].shape}, its spec says {asked}"
            )
        return Dataset(
            path=Path(path),
            spec=spec,
            images_sha256=read_attribute(file, "images_sha256"),
            indices={name: file[name][:] for name in ("S1", "S2", "test")},
        )
