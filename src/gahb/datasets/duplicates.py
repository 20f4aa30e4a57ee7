"""Near-duplicates among many images, by correlation, in blocks: never an N x N matrix.

The correlation of two images is the inner product <u, v> of their pixels with the mean removed and
the norm set to 1. Most pairs are told apart without it: with P the projection on the lowest frequencies
of an orthonormal cosine basis,

    <u, v>  <=  <Pu, Pv> + ||u - Pu|| ||v - Pv||,

an inner product of SKETCH^2 + 1 numbers. Only images whose bound is above the threshold are compared
in full, so that the answer is exact.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
SKETCH = 12  # lowest frequencies along each side
CHUNK = 2048  # images compared with at once
MARGIN = 1e-4  # of the bound, for float32


def unit_vectors(images: Float32) -> Float32:
    """Pixels with each image's mean removed and norm 1: (n, size, size) -> (n, d).

    A flat image has no direction left: it gets that of the constant images, so that it correlates
    with every flat image and with no other.
    """
    flat = images.reshape(len(images), images.shape[1] * images.shape[2])
    centred = flat - flat.mean(axis=1, dtype=np.float64, keepdims=True)
    norms = np.sqrt(np.square(centred).sum(axis=1, keepdims=True))
    pixels = flat.shape[1]
    without = norms < 1e-6 * np.sqrt(pixels)
    units = np.where(without, pixels**-0.5, centred / np.where(without, 1, norms))
    return units.astype(np.float32)


def sketches(units: Float32, size: int) -> Float32:
    """Vectors whose inner products bound those of ``units``: (n, d) -> (n, SKETCH^2 + 1)."""
    basis = scipy.fft.dct(np.eye(size), axis=0, norm="ortho")[:SKETCH]
    low = basis @ units.reshape(len(units), size, size) @ basis.T
    low = low.reshape(len(units), len(basis) ** 2)
    rest = np.sqrt(np.clip(1 - np.square(low).sum(axis=1, keepdims=True), 0, None))
    return np.concatenate([low, rest], axis=1).astype(np.float32)


class NearDuplicates:
    """Tells which images correlate above a threshold with one that is kept.

    Args:
        threshold: images whose correlation is above it are near-duplicates; from 1 on, none are.
        stored: (capacity, size, size) float32, where the kept images lie: on disk, when they are many.
    """

    def __init__(self, threshold: float, stored: Float32) -> None:
        self.threshold = threshold
        self._stored = stored
        self._size = stored.shape[1]
        self._rows = np.empty(len(stored), np.int64)
        self._sketches = np.empty((len(stored), min(SKETCH, self._size) ** 2 + 1), np.float32)
        self._kept = 0

    def fresh(self, images: Float32) -> NDArray[np.bool_]:
        """Which of (n, size, size) are near-duplicates of none kept and of none before them: (n,)."""
        if self.threshold >= 1:
            return np.ones(len(images), np.bool_)
        units = unit_vectors(images)
        sketched = sketches(units, self._size)
        fresh = np.ones(len(images), np.bool_)
        for first in range(0, self._kept, CHUNK):
            chunk = slice(first, min(first + CHUNK, self._kept))
            close = sketched @ self._sketches[chunk].T > self.threshold - MARGIN
            rows, columns = np.flatnonzero(close.any(axis=1)), np.flatnonzero(close.any(axis=0))
            if len(rows):
                others = unit_vectors(self._stored[self._rows[chunk][columns]])
                fresh[rows] &= ~(units[rows] @ others.T > self.threshold).any(axis=1)
        alike = units @ units.T > self.threshold
        for image in np.flatnonzero(fresh):
            fresh[image] = not (alike[image, :image] & fresh[:image]).any()
        return fresh

    def keep(self, images: Float32, rows: NDArray[np.int64]) -> None:
        """Images (n, size, size) are kept: they lie in these rows of ``stored``."""
        place = slice(self._kept, self._kept + len(rows))
        self._rows[place] = rows
        self._sketches[place] = sketches(unit_vectors(images), self._size)
        self._kept += len(rows)
