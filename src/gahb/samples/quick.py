"""Images drawn with anybody's denoiser, in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from gahb.asked import must_be_whole
from gahb.datasets.gathering import stacked
from gahb.denoisers.placing import at_home
from gahb.explaining import options_of
from gahb.randomness import image_shape
from gahb.samples.draw import WHITE, draw_samples
from gahb.samples.sampler import SAMPLERS, Sampler
from gahb.samples.start import start_around

if TYPE_CHECKING:
    from torch import Tensor

    from gahb.datasets.gathering import Images

NEAR, FAR = (0.02, 1.0), (0.02, 10.0)  # (lowest, highest) noise level around images, and without


def sample(
    denoiser: Callable[..., Any],
    count: int = 8,
    shape: int | tuple[int, int, int] | None = None,
    *,
    around: Images | None = None,
    sampler: str | Sampler = "ancestral",
    steps: int = 32,
    sigma_range: tuple[float, float] | None = None,
    seed: int = 0,
) -> Tensor:
    """Draw images with a denoiser.

    Args:
        denoiser: f(y) or f(y, sigma); see :func:`gahb.denoisers.contract.as_denoiser`.
        count: number of images.
        shape: of one, (C, H, W), or the side of a square grey one; by default that of ``around``.
        around: some images of the class. Sampling then starts from Gaussian images of their mean and
            covariance with noise of the highest level, and from white noise without.
        sampler: ``ancestral``, ``deterministic`` or ``ode``, or a sampler that was built.
        steps: noise levels at which the denoiser is called, evenly spaced in dB.
        sigma_range: (lowest, highest) level; by default 0.02 to 1, or to 10 without ``around``.
        seed: of all noise. Image i depends on it and on i alone, whatever the denoiser and ``count`` are.

    Returns:
        (count, C, H, W) float32, on the CPU.

    Raises:
        ValueError: there is no such sampler or level, or no shape is said.
        ArithmeticError: an image became infinite or undefined.
    """
    must_be_whole(count=count)
    known = None if around is None else stacked(around)
    if shape is None:
        if known is None:
            raise ValueError(
                "shape: found none; expected (C, H, W), or images of the class, around="
            )
        found = tuple(known.shape[1:])
    else:
        found = image_shape(shape)
    if known is not None and found != tuple(known.shape[1:]):
        raise ValueError(f"shape: found {found}; the images around= have {tuple(known.shape[1:])}")
    start = WHITE if known is None else start_around(known.numpy())
    if isinstance(sampler, str):
        levels = sigma_range or (FAR if known is None else NEAR)
        options: dict[str, Any] = {"schedule": "geometric", "steps": steps, "sigma_range": levels}
        options |= {"order": 2} if sampler == "ode" else {}
        chosen: Sampler = options_of(SAMPLERS, "sampler", sampler, options).build()
    else:
        chosen = sampler
    placed = at_home(denoiser, torch.empty(1, *found))
    return draw_samples(placed, chosen, range(count), found, seed, start=start).images
