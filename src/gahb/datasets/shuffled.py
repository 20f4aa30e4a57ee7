"""Shuffled images: one fixed permutation of the pixels, applied to every image of another class.

A permutation is an isometry that leaves white noise white, so the optimal error is that of the class
underneath; a network, which relies on neighbourhoods, loses them (Kadkhodaie et al., figure 21).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gahb.datasets.classes import ImageClass
from gahb.randomness import generator


@dataclass(frozen=True)
class Shuffled:
    """The images of another class, with their pixels in another order.

    Args:
        of: the class underneath; image i is its image i, shuffled.
        permutation_seed: the same seed gives the same order of pixels.
    """

    of: ImageClass
    permutation_seed: int

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.of.size

    def permutation(self) -> NDArray[np.int64]:
        """Which pixel of the image underneath each pixel shows: (size * size,)."""
        draws = generator(self.permutation_seed, "shuffled")
        return draws.permutation(self.size**2).astype(np.int64)

    def render(self, first: int, count: int) -> NDArray[np.float32]:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32."""
        images = self.of.render(first, count).reshape(count, -1)
        return images[:, self.permutation()].reshape(count, self.size, self.size)
