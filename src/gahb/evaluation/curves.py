"""PSNR against noise level of anybody's denoiser, and between two of them, on anybody's images.

The noise of image i at level k depends on (seed, i, k, repeat) alone, as in the workflow, whose functions
these are: two denoisers see the same noisy images.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gahb.asked import must_be_whole, noise_levels
from gahb.datasets.gathering import by_shape, named
from gahb.evaluation.agreement import agreement_table
from gahb.evaluation.evaluate import psnr_table
from gahb.evaluation.measure import NoisySet, squared_differences, squared_errors

if TYPE_CHECKING:
    from gahb.datasets.gathering import Images

Denoiser = Callable[..., Any]
SIGMAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def psnr_curve(
    denoiser: Denoiser,
    images: Images,
    sigmas: float | Sequence[float] = SIGMAS,
    *,
    repeats: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """PSNR of a denoiser on images, at every noise level.

    Args:
        denoiser: f(y) or f(y, sigma), of images (B, C, H, W); see
            :func:`gahb.denoisers.contract.as_denoiser`. An oracle is given the clean images too.
        images: clean images of any sizes, or a folder of them; see
            :func:`gahb.datasets.gathering.gathered`.
        sigmas: noise levels, or one, on the scale of intensities from 0 to 1.
        repeats: draws of noise for each image and level.
        seed: of the noise.

    Returns:
        One row per noise level: ``sigma``, ``input_psnr``, the numbers of ``images`` and ``draws``, and
        with standard errors over images (``_se``) ``psnr_of_mean_mse``, the PSNR of the mean squared
        error, and ``mean_psnr``, the mean of each image's PSNR; in dB with peak 1.

    Raises:
        ValueError: a level is not above 0, there is no image, or the denoiser does not fit one, which is
            told before any is measured.
    """
    levels = noise_levels(sigmas)
    errors, drawn = _measured(partial(squared_errors, denoiser), images, levels, repeats, seed)
    table = psnr_table("", {"": errors}, {"": drawn}, levels)
    return table.drop(columns=["denoiser", "evaluated_on"])


def agreement(
    first: Denoiser,
    second: Denoiser,
    images: Images,
    sigmas: float | Sequence[float] = SIGMAS,
    *,
    repeats: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """PSNR between the outputs of two denoisers on the same noisy images, at every noise level.

    Args:
        first, second: the denoisers, f(y) or f(y, sigma).
        images, sigmas, repeats, seed: as for :func:`psnr_curve`.

    Returns:
        One row per noise level: ``sigma``, ``input_psnr``, the number of ``images``, and ``psnr_between``
        in dB with its standard error ``psnr_between_se``. High is alike, whatever the clean images are.
    """
    levels = noise_levels(sigmas)
    measure = partial(squared_differences, first, second)
    return agreement_table(*_measured(measure, images, levels, repeats, seed), levels)


def _measured(
    measure: Callable[[NoisySet, list[float], int], NDArray[np.float64]],
    images: Images,
    levels: list[float],
    repeats: int,
    seed: int,
) -> tuple[NDArray[np.float64], NoisySet]:
    """Errors (levels, draws) of images of any sizes, each size by itself, and whose draws they are."""
    must_be_whole(repeats=repeats)
    names, clean = zip(*named(images), strict=True)
    parts = []
    for positions in by_shape(clean).values():
        alike = torch.stack([clean[position] for position in positions])
        parts.append(
            NoisySet(
                indices=np.tile(np.array(positions, np.int64), repeats),
                repeats=np.repeat(np.arange(repeats), len(positions)),
                images=alike.repeat(repeats, 1, 1, 1),
            )
        )
    if len(parts) > 1:
        for part in parts:
            _must_fit(measure, part, levels[0], names[part.indices[0]])
    errors = np.concatenate([measure(part, levels, seed) for part in parts], axis=1)
    drawn = NoisySet(
        indices=np.concatenate([part.indices for part in parts]),
        repeats=np.concatenate([part.repeats for part in parts]),
        images=torch.empty(len(clean), 0),  # of several sizes
    )
    return errors, drawn


def _must_fit(
    measure: Callable[[NoisySet, list[float], int], NDArray[np.float64]],
    part: NoisySet,
    level: float,
    name: str,
) -> None:
    """Refuse images of a size that cannot be measured on, by the name of the first."""
    one = NoisySet(part.indices[:1], part.repeats[:1], part.images[:1])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is doubted is told when it is measured
            measure(one, [level], 0)
    except ValueError as error:
        raise ValueError(f"{name}, {tuple(one.images.shape[1:])}: {error}") from error
