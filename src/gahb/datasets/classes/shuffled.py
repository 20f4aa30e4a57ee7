"""Shuffled images: one fixed permutation of the pixels, applied to every image of another class.

A permutation is an isometry that leaves white noise white, so the optimal error is that of the class
underneath; a network, which relies on neighbourhoods, loses them (Kadkhodaie et al., figure 21).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.json_schema import SkipJsonSchema

from gahb.datasets.image_class import ImageClass
from gahb.options import Name, Seed
from gahb.randomness import generator


class Shuffled(ImageClass):
    """The images of another class, with their pixels in another order: image i is its image i."""

    beside: ClassVar[bool] = False  # a dataset is as large as that of the class underneath

    of: Name | SkipJsonSchema[ImageClass]
    """name of the image class underneath, whose size, numbers of images and seed it has"""
    permutation_seed: Seed
    """the same seed gives the same order of pixels"""

    @property
    def underneath(self) -> ImageClass:
        """The class whose images these are.

        Raises:
            ValueError: it is only known by its name in params.yaml.
        """
        if isinstance(self.of, str):
            raise ValueError(f"of: found the name {self.of!r}, expected an image class")
        return self.of

    @property
    def exact(self) -> str | None:  # type: ignore[override]  # where it is known underneath
        """The denoiser that puts pixels in order, denoises, and shuffles again."""
        return None if self.underneath.exact is None else "permuted"

    @property
    def clipped(self) -> bool:  # type: ignore[override]
        """Whether those of the class underneath are."""
        return self.underneath.clipped

    @property
    def words(self) -> str:
        """What its images are."""
        return f"{self.underneath.words}, their pixels shuffled"

    @property
    def dimension(self) -> int | None:
        """That of the class underneath: a permutation is an isometry."""
        return self.underneath.dimension

    @property
    def optimal_slope(self) -> float:
        """That of the class underneath."""
        return self.underneath.optimal_slope

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        size: int = self.underneath.size  # type: ignore[attr-defined]
        return size

    def permutation(self) -> NDArray[np.int64]:
        """Which pixel of the image underneath each pixel shows: (size * size,)."""
        draws = generator(self.permutation_seed, "shuffled")
        return draws.permutation(self.size**2).astype(np.int64)

    def render(self, first: int, count: int) -> NDArray[np.float32]:
        """Images ``first`` to ``first + count - 1``: (count, size, size) float32."""
        images = self.underneath.render(first, count).reshape(count, -1)
        return images[:, self.permutation()].reshape(count, self.size, self.size)
