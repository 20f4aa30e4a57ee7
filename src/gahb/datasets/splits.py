"""Disjoint index sets: two halves to train on, S1 and S2, and a held-out test set.

All three come from one seeded permutation and are stored with the images, so that nothing depends
on the order of files in a folder. Training sets are nested: the set of size N is the first N
entries of its half. More than two disjoint sets of N images follow in the halves: S3 is the second N
entries of S1's half, S4 of S2's, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gahb.randomness import generator

Indices = NDArray[np.int64]


def half_size(images: int, test_images: int) -> int:
    """The largest training set a class provides: half of what is not held out."""
    return (images - test_images) // 2


def half_and_turn(split: str) -> tuple[str, int]:
    """Which half a training set lies in, and how many of its size come before it there: S3 is (S1, 1)."""
    number = int(split[1:]) - 1
    return f"S{number % 2 + 1}", number // 2


def paired_split(split: str) -> str:
    """The split that one is compared with: S2 for S1 and the other way round, S4 for S3 ..."""
    half, turn = half_and_turn(split)
    return f"S{2 * turn + (2 if half == 'S1' else 1)}"


def split_indices(images: int, test_images: int, seed: int) -> dict[str, Indices]:
    """Cut a seeded permutation of ``images`` indices into ``test``, ``S1`` and ``S2``.

    The halves have ``(images - test_images) // 2`` entries each; an odd one out is left unused.

    Returns:
        ``{"S1": ..., "S2": ..., "test": ...}``, pairwise disjoint int64 arrays.

    Raises:
        ValueError: if fewer than two images remain for training.
    """
    half = half_size(images, test_images)
    if half < 1:
        raise ValueError(
            f"{images} images with {test_images} held out for testing leave nothing to train on"
        )
    order = generator(seed, "splits").permutation(images).astype(np.int64)
    test, first, second = np.split(
        order[: test_images + 2 * half], [test_images, test_images + half]
    )
    return {"S1": first, "S2": second, "test": test}
