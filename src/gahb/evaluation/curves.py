"""PSNR against noise level of anybody's denoiser, and between two of them, on anybody's images.

The noise of image i at level k depends on (seed, i, k, repeat) alone, as in the workflow, whose functions
these are: two denoisers see the same noisy images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gahb.datasets.gathering import by_shape, gathered
from gahb.denoisers.placing import at_home
from gahb.evaluation.agreement import agreement_table
from gahb.evaluation.evaluate import psnr_table
from gahb.evaluation.measure import BATCH, NoisySet, mean_squares, squared_errors

if TYPE_CHECKING:
    from gahb.datasets.gathering import Images

Denoiser = Callable[..., Any]
SIGMAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
PIXELS = 2**16  # of the images denoised at once, unless one alone has more


def psnr_curve(
    denoiser: Denoiser,
    images: Images,
    sigmas: Sequence[float] = SIGMAS,
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
        sigmas: noise levels, on the scale of intensities from 0 to 1.
        repeats: draws of noise for each image and level.
        seed: of the noise.

    Returns:
        One row per noise level: ``sigma``, ``input_psnr``, the numbers of ``images`` and ``draws``, and
        with standard errors over images (``_se``) ``psnr_of_mean_mse``, the PSNR of the mean squared
        error, and ``mean_psnr``, the mean of each image's PSNR; in dB with peak 1.

    Raises:
        ValueError: a level is not above 0, there is no image, or the denoiser does not fit them.
    """
    errors, drawn = _measured(
        lambda part, levels: _errors(denoiser, part, levels, seed), images, sigmas, repeats
    )
    table = psnr_table("", {"": errors}, {"": drawn}, list(map(float, sigmas)))
    return table.drop(columns=["denoiser", "evaluated_on"])


def agreement(
    first: Denoiser,
    second: Denoiser,
    images: Images,
    sigmas: Sequence[float] = SIGMAS,
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
    differences, drawn = _measured(
        lambda part, levels: _differences((first, second), part, levels, seed),
        images,
        sigmas,
        repeats,
    )
    return agreement_table(differences, drawn, list(map(float, sigmas)))


def _measured(
    measure: Callable[[NoisySet, list[float]], NDArray[np.float64]],
    images: Images,
    sigmas: Sequence[float],
    repeats: int,
) -> tuple[NDArray[np.float64], NoisySet]:
    """Errors (levels, draws) of images of any sizes, each size by itself, and whose draws they are."""
    levels = list(map(float, sigmas))
    if not levels or not all(0 < level < np.inf for level in levels):
        raise ValueError(f"sigmas: found {levels}; expected noise levels above 0")
    if repeats < 1:
        raise ValueError(f"repeats: found {repeats}; expected at least 1")
    clean = gathered(images)
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
    errors = np.concatenate([measure(part, levels) for part in parts], axis=1)
    drawn = NoisySet(
        indices=np.concatenate([part.indices for part in parts]),
        repeats=np.concatenate([part.repeats for part in parts]),
        images=torch.empty(len(clean), 0),  # of several sizes
    )
    return errors, drawn


def _errors(
    denoiser: Denoiser, part: NoisySet, levels: list[float], seed: int
) -> NDArray[np.float64]:
    """Mean squared errors (levels, draws) on images of one size."""
    if getattr(denoiser, "needs_clean", False):
        return squared_errors(denoiser, part, levels, seed)
    placed = at_home(denoiser, part.images)
    return mean_squares(lambda x, y, sigma: placed(y, sigma) - x, part, levels, seed, _few(part))


def _differences(
    pair: tuple[Denoiser, Denoiser], part: NoisySet, levels: list[float], seed: int
) -> NDArray[np.float64]:
    """Mean squared differences (levels, draws) of two denoisers' outputs on images of one size."""
    one, other = (at_home(denoiser, part.images) for denoiser in pair)
    return mean_squares(
        lambda x, y, sigma: one(y, sigma) - other(y, sigma), part, levels, seed, _few(part)
    )


def _few(part: NoisySet) -> int:
    """How many images are denoised at once, wherever the denoiser computes."""
    return min(BATCH, max(1, PIXELS // part.images[0].numel()))
