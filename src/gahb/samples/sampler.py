"""Samplers: how an image is made from noise by calling a denoiser again and again.

Each works with any denoiser f(y, sigma) of (B, C, H, W) images: learned and blind, exact, classical. All
start from N(mean, sigma_max^2 I), which stands for the noisy images of that level: the variance of the
images themselves is missing from it. A direction in which it is P comes out of the deterministic samplers
with P sigma_max^2 / (P + sigma_max^2); those that inject noise make up for part of the loss.

Noise is asked for by step and image, so that an image does not depend on which others are made with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import Field, model_validator

from gahb.options import LOWER_FIRST, Count, Options, Positive, model, names, wrong
from gahb.samples.process import alpha_bars, beta_schedule, noise_levels, sigma_of

if TYPE_CHECKING:
    from torch import Tensor

SAMPLERS = "gahb.samples.samplers"
Denoiser = Callable[["Tensor", "float | None"], "Tensor"]
Noise = Callable[[int, "Tensor"], "Tensor"]  # (step, rows of the batch) -> standard normal draws
# (rows of the batch, their noise level: one or one each, noisy, denoised), told at every call
Observer = Callable[["Tensor", "float | Tensor", "Tensor", "Tensor"], None]


@dataclass(frozen=True)
class Finished:
    """Samples of one batch.

    Attributes:
        images: (B, C, H, W).
        calls: (B,) int64, how often the denoiser saw each image.
    """

    images: Tensor
    calls: Tensor


class Sampler(Protocol):
    """Turns start images of noise level ``sigma_range[1]`` into samples."""

    @property
    def sigma_range(self) -> tuple[float, float]:
        """(lowest, highest) noise level at which the denoiser is meant to be called."""
        ...

    def run(self, denoiser: Denoiser, y: Tensor, noise: Noise, observe: Observer) -> Finished:
        """Sample from the start images ``y`` (B, C, H, W)."""
        ...


@dataclass(frozen=True)
class OnLevels:
    """A sampler that calls the denoiser once at each noise level of a fixed list.

    Args:
        levels: (steps,) from highest to lowest, above 0; the last step goes from the lowest to 0.
    """

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        found = np.asarray(self.levels)
        if found.ndim != 1 or not len(found) or np.any(found <= 0) or np.any(np.diff(found) >= 0):
            raise ValueError(f"levels: found {self.levels}, allowed are falling levels above 0")

    @property
    def sigma_range(self) -> tuple[float, float]:
        """(lowest, highest) noise level."""
        return self.levels[-1], self.levels[0]

    def steps(self) -> list[tuple[int, float, float]]:
        """(step counted from 1, level, next level) of every step."""
        return [
            (step, *pair)
            for step, pair in enumerate(
                zip(self.levels, (*self.levels[1:], 0.0), strict=True), start=1
            )
        ]

    def finished(self, images: Tensor) -> Finished:
        """The samples, each after one call per level."""
        import torch

        return Finished(images, torch.full((len(images),), len(self.levels)))


class SamplerOptions(Options, ABC):
    """Options of a sampler, in the module of its name in :mod:`gahb.samples.samplers`."""

    @property
    @abstractmethod
    def sigma_highest(self) -> float:
        """The noise level that it starts from."""

    @abstractmethod
    def build(self) -> Sampler:
        """The sampler."""


class LevelOptions(SamplerOptions):
    """The noise levels at which a sampler calls the network."""

    schedule: Literal["linear", "cosine", "geometric"]
    """how the noise levels are spaced"""
    steps: Annotated[Count, Field(ge=2)]
    """calls of the network per sample"""
    sigma_range: Annotated[tuple[Positive, Positive], LOWER_FIRST]
    """[lowest, highest] noise level: any for geometric; linear begins at .01, cosine at .0064"""

    @model_validator(mode="after")
    def _process_reaches_levels(self) -> LevelOptions:
        if self.schedule != "geometric":
            reached = sigma_of(alpha_bars(beta_schedule(self.schedule)))
            low, high = self.sigma_range
            if low < reached[0] or high > reached[-1]:
                allowed = f"{reached[0]:.6g} to {reached[-1]:.6g} for a {self.schedule} schedule"
                raise wrong(list(self.sigma_range), allowed, "sigma_range")
        return self

    @property
    def sigma_highest(self) -> float:
        """The noise level that it starts from."""
        return self.sigma_range[1]

    @property
    def levels(self) -> tuple[float, ...]:
        """The noise levels, from the highest on: (steps,)."""
        return tuple(noise_levels(self.schedule, self.steps, self.sigma_range).tolist())


def build_sampler(spec: dict[str, Any]) -> Sampler:
    """The sampler of ``sampling.sampler`` in params.yaml.

    Args:
        spec: ``kind``, which names the sampler, and its options.

    Raises:
        ValueError: there is no such sampler, or its options are not the ones given.
    """
    return sampler_options(spec).build()


def sampler_options(spec: dict[str, Any]) -> SamplerOptions:
    """The options of ``sampling.sampler``; see :func:`build_sampler`."""
    kind = spec["kind"]
    if kind not in names(SAMPLERS):
        raise ValueError(f"kind: found {kind!r}, allowed is one of {', '.join(names(SAMPLERS))}")
    options = {key: value for key, value in spec.items() if key != "kind"}
    found: SamplerOptions = model(SAMPLERS, kind)(**options)
    return found
