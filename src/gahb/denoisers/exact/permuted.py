"""The exact denoiser of shuffled images: put the pixels in order, denoise, shuffle again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gahb.datasets.classes.shuffled import Shuffled
from gahb.datasets.image_class import ImageClass
from gahb.denoisers.exact.base import Exact, ExactDenoiser
from gahb.denoisers.optimal import exact_denoiser


class PermutedDenoiser(ExactDenoiser):
    """``f(y) = P g(P^T y)``: exact for images P x if g is for images x, with the same error.

    Args:
        inner: the exact denoiser g of the images underneath.
        permutation: which pixel of the image underneath each pixel shows: (H * W,) integers.
    """

    permutation: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, images: ImageClass) -> PermutedDenoiser:
        """The exact denoiser of shuffled images."""
        if not isinstance(images, Shuffled):
            raise ValueError(f"found {images.words}, expected shuffled images")
        inner: Any = exact_denoiser(images.underneath)
        return cls(inner, images.permutation())

    def __init__(self, inner: Exact, permutation: NDArray[np.int64]) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("permutation", torch.from_numpy(permutation))
        self.register_buffer("inverse", torch.argsort(self.permutation))

    def _mean(self, y: Tensor, sigma: float) -> Tensor:
        ordered = _reorder(y, self.inverse)
        return _reorder(self.inner(ordered[:, None], sigma)[:, 0], self.permutation)

    def _product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        y, v = _reorder(y, self.inverse), _reorder(v, self.inverse)
        product = self.inner.jacobian_product(y, v[:, None], sigma)
        return _reorder(product[:, 0], self.permutation)


def _reorder(images: Tensor, order: Tensor) -> Tensor:
    return images.flatten(1)[:, order].view(images.shape)
