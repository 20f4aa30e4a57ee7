"""What exact denoisers share: they are told the noise level, and compute in float64."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Exact(Protocol):
    """What every exact denoiser offers."""

    def __call__(self, y: Tensor, sigma: float | None = None) -> Tensor:
        """E[x | y] of noisy images (B, 1, H, W) at noise level ``sigma``."""
        ...

    def jacobian_product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        """J(y) v for one noisy image y (1, H, W) and v (B, 1, H, W)."""
        ...


class ExactDenoiser(nn.Module, ABC):
    """The conditional mean f(y) = E[x | y] of y = x + sigma z, and products with its Jacobian.

    The Jacobian is the posterior covariance: J(y) = Cov(x | y) / sigma^2, symmetric and positive
    semidefinite, so that the least mean squared error is sigma^2 E tr J(y), summed over pixels.
    """

    @classmethod
    def of(cls, images: Any) -> ExactDenoiser:
        """The exact denoiser of an image class."""
        return cls(images)

    def forward(self, y: Tensor, sigma: float | None = None) -> Tensor:
        """Denoise (B, 1, H, W) at noise level ``sigma``; returns the type of ``y``.

        Raises:
            ValueError: the noise level is not given or not positive.
        """
        mean = self._mean(y[:, 0].to(torch.float64), _known(sigma))
        return mean[:, None].to(y.dtype)

    def jacobian_product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        """J(y) v for one noisy image y (1, H, W) and v (B, 1, H, W); returns the type of ``v``."""
        product = self._product(y.to(torch.float64), v[:, 0].to(torch.float64), _known(sigma))
        return product[:, None].to(v.dtype)

    @abstractmethod
    def _mean(self, y: Tensor, sigma: float) -> Tensor:
        """E[x | y] of (B, H, W) float64."""

    @abstractmethod
    def _product(self, y: Tensor, v: Tensor, sigma: float) -> Tensor:
        """J(y) v of y (1, H, W) and v (B, H, W) float64."""


def _known(sigma: float | None) -> float:
    if sigma is None or not sigma > 0:
        raise ValueError(f"an exact denoiser needs the noise level: sigma > 0, found {sigma}")
    return sigma
