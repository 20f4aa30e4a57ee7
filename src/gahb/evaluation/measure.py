"""Run denoisers on noisy images whose noise is fixed per image and noise level.

Every denoiser sees the same draws: the noise of image i at level k is a function of
(seed, i, k, repeat), whatever network is measured and in whatever batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gahb.datasets.store import Dataset
from gahb.denoisers.computation import on_fastest_device
from gahb.denoisers.placing import at_home
from gahb.randomness import image_noise

Denoiser = Callable[..., Tensor]
BATCH = 32  # twice the speed of 64 on a CPU: the activations stay in its caches
PIXELS = 2**16  # of the images denoised at once, unless one alone has more


@dataclass(frozen=True)
class NoisySet:
    """Images to be measured on, with the noise they get.

    Args:
        indices: index in the dataset of each draw's image (M,); an image drawn twice is there twice.
        repeats: 0 for the first draw of an image, 1 for its second ... (M,).
        images: (M, C, H, W) clean images.
    """

    indices: NDArray[np.int64]
    repeats: NDArray[np.int64]
    images: Tensor

    def batches(
        self, seed: int, level: int, sigma: float, count: int = BATCH
    ) -> list[tuple[Tensor, Tensor]]:
        """(clean, noisy) batches of ``count`` images at one noise level."""
        size = tuple(self.images.shape[1:])
        batches = []
        for first in range(0, len(self.indices), count):
            clean = self.images[first : first + count]
            noise = np.stack(
                [
                    image_noise(seed, int(index), level, int(repeat), size)
                    for index, repeat in zip(
                        self.indices[first : first + count],
                        self.repeats[first : first + count],
                        strict=True,
                    )
                ]
            )
            batches.append((clean, clean + sigma * torch.from_numpy(noise)))
        return batches


def noisy_set(
    dataset: Dataset, indices: NDArray[np.int64], images: int, minimum_draws: int
) -> NoisySet:
    """The first ``images`` of ``indices``, each repeated until there are ``minimum_draws`` draws."""
    chosen = indices[:images]
    repeats = -(-minimum_draws // len(chosen))
    clean = torch.from_numpy(dataset.images(chosen))
    return NoisySet(
        indices=np.tile(chosen, repeats),
        repeats=np.repeat(np.arange(repeats), len(chosen)),
        images=clean.repeat(repeats, 1, 1, 1),
    )


def squared_errors(
    denoiser: Denoiser, noisy: NoisySet, sigmas: list[float], seed: int
) -> NDArray[np.float64]:
    """Mean squared error of each draw: (levels, M), averaged over pixels and channels.

    The denoiser is f(y) or f(y, sigma); see :func:`gahb.denoisers.contract.as_denoiser`. One that
    says ``needs_clean`` (an oracle) is given the clean images as well; one that says its ``batch``
    gets so many images at once. A module computes where its parameters are.
    """
    count = _at_once(denoiser, noisy)
    if getattr(denoiser, "needs_clean", False):
        oracle: Callable[..., Tensor] = denoiser
        return mean_squares(lambda x, y, sigma: oracle(y, sigma, x) - x, noisy, sigmas, seed, count)
    known = at_home(denoiser, noisy.images)
    return mean_squares(lambda x, y, sigma: known(y, sigma) - x, noisy, sigmas, seed, count)


def fastest(network: nn.Module, asked: str = "auto") -> Denoiser:
    """A network on the fastest device, its weights laid out with channels last, in full float32.

    Args:
        network: the denoiser.
        asked: the device, as ``training.device`` says it.
    """
    torch.nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    return on_fastest_device(network, asked)


def squared_differences(
    first: Denoiser, second: Denoiser, noisy: NoisySet, sigmas: list[float], seed: int
) -> NDArray[np.float64]:
    """Mean squared difference of two denoisers' outputs on each draw: (levels, M)."""
    one, other = (at_home(denoiser, noisy.images) for denoiser in (first, second))
    return mean_squares(
        lambda x, y, sigma: one(y, sigma) - other(y, sigma),
        noisy,
        sigmas,
        seed,
        _at_once(first, noisy),
    )


def _at_once(denoiser: Denoiser, noisy: NoisySet) -> int:
    """How many images a denoiser is best given: as many as it says, or a few, and fewer large ones."""
    batch = getattr(denoiser, "batch", None)  # of anybody's module it may be something else
    return (
        batch if isinstance(batch, int) else min(BATCH, max(1, PIXELS // noisy.images[0].numel()))
    )


@torch.no_grad()
def mean_squares(
    difference: Callable[[Tensor, Tensor, float], Tensor],
    noisy: NoisySet,
    sigmas: list[float],
    seed: int,
    count: int = BATCH,
) -> NDArray[np.float64]:
    """Mean square over pixels and channels, for each draw: (levels, M).

    Args:
        difference: of clean and noisy images (B, C, H, W) and their level.
        noisy: the images.
        sigmas: the levels.
        seed: of the noise.
        count: images at once.
    """
    rows = []
    for level, sigma in enumerate(sigmas):
        squares = [
            difference(x, y, sigma).double().square().mean(dim=(1, 2, 3))
            for x, y in noisy.batches(seed, level, sigma, count)
        ]
        rows.append(torch.cat(squares).numpy())
    return np.stack(rows)
