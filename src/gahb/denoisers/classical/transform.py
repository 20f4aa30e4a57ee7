"""Orthogonal wavelet transforms of images of any even sides, periodised, as products with matrices.

PyWavelets gives one step of the transform in one dimension, an orthogonal (n, n) matrix; images in
any number are then transformed by matrix products, differentiably and on any device.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pywt
import torch
from torch import Tensor

from gahb.asked import is_whole

LEAST_SIDE = 4  # of the approximation, in pixels, when the number of levels is chosen here


@lru_cache(maxsize=64)
def step_matrix(wavelet: str, side: int) -> Tensor:
    """One step in one dimension: (side, side), averages in the upper half, details in the lower.

    Raises:
        ValueError: no wavelet has this name, or it is not orthogonal.
    """
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise ValueError(f"wavelet: expected a discrete one of PyWavelets, found {wavelet!r}")
    matrix = np.concatenate(pywt.dwt(np.eye(side), wavelet, mode="periodization", axis=0))
    if not np.allclose(matrix @ matrix.T, np.eye(side), atol=1e-9):
        raise ValueError(f"wavelet: expected an orthogonal one, found {wavelet!r}")
    return torch.from_numpy(matrix)


class WaveletTransform:
    """Orthogonal transform of (..., H, W) float64 images.

    Args:
        wavelet: name of an orthogonal wavelet in PyWavelets, such as ``haar``, ``db2`` or ``sym4``.
        levels: number of steps; by default as many as leave an approximation of at least 4 pixels
            a side (3 at 32 and at 40 pixels, 4 at 80).
    """

    def __init__(self, wavelet: str, levels: int | None = None) -> None:
        step_matrix(wavelet, 2 * LEAST_SIDE)  # a wrong name is noticed here
        if levels is not None and not is_whole(levels):
            raise ValueError(f"levels: expected a positive integer, found {levels}")
        self.wavelet = wavelet
        self.levels = levels

    def levels_of(self, height: int, width: int) -> int:
        """Steps made on images of these sides.

        Raises:
            ValueError: the sides cannot be halved so often, or not once.
        """
        levels = self.levels
        if levels is None:
            levels, side = 0, min(height, width)
            while not (height | width) & 2**levels and side >= 2 * LEAST_SIDE:
                levels, side = levels + 1, side // 2
        if levels == 0 or height % 2**levels or width % 2**levels:
            wanted = f"multiples of {2 ** max(levels, 1)}, at least {2 * LEAST_SIDE}"
            raise ValueError(f"image sides: expected {wanted}, found {height} x {width}")
        return levels

    def analyse(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Coefficients of (..., H, W) images.

        Returns:
            The approximation (..., H / 2^L, W / 2^L), and for each level, finest first, its three
            subbands (..., 3, h, w): details along columns, along rows, along both.
        """
        details = []
        for _ in range(self.levels_of(*images.shape[-2:])):
            h, w = images.shape[-2] // 2, images.shape[-1] // 2
            rows, columns = self._matrices(images)
            c = rows @ images @ columns.T
            images = c[..., :h, :w]
            subbands = [c[..., :h, w:], c[..., h:, :w], c[..., h:, w:]]
            details.append(torch.stack(subbands, dim=-3))
        return images, details

    def synthesise(self, approximation: Tensor, details: list[Tensor]) -> Tensor:
        """Images (..., H, W) of these coefficients: the inverse, and transpose, of :meth:`analyse`."""
        images = approximation
        for subbands in reversed(details):
            along_columns, along_rows, both = subbands.unbind(-3)
            top = torch.cat([images, along_columns], dim=-1)
            bottom = torch.cat([along_rows, both], dim=-1)
            images = torch.cat([top, bottom], dim=-2)
            rows, columns = self._matrices(images)
            images = rows.T @ images @ columns
        return images

    def _matrices(self, images: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[-2:]
        rows = step_matrix(self.wavelet, height).to(images.device)
        return rows, step_matrix(self.wavelet, width).to(images.device)
