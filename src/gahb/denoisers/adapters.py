"""Denoisers of other libraries as f(y, sigma), in one line each.

Here y = x + sigma z has intensities meant for the range from 0 to 1. Networks of other libraries are
made for images in another range, x' = a x + b, for which the noise level is a sigma; and some are told a
time instead of a level, or answer with the noise instead of the image.

A network that is given stays as it is, in its mode too: what is called here by oneself is answered in that
mode, what is measured in evaluation mode, by a copy where need be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

Range = tuple[float, float]


class _Adapted(nn.Module, ABC):
    """f(y, sigma) of a network that denoises a y + b at the level a sigma.

    Args:
        network: of another library.
        intensities: what it takes for black and white.
    """

    def __init__(self, network: Callable[..., Any], intensities: Range) -> None:
        super().__init__()
        if not intensities[0] < intensities[1]:
            raise ValueError(f"intensities: found {intensities}, allowed is a lower value first")
        self.network = network
        self.offset = float(intensities[0])
        self.scale = float(intensities[1] - intensities[0])
        self.training = False  # of this alone: the network that was given stays in its mode

    def forward(self, y: Tensor, sigma: float) -> Tensor:
        """Denoise (B, C, H, W) at noise level ``sigma``."""
        if sigma is None:
            raise ValueError("sigma: this denoiser must be told the noise level, found None")
        denoised = self.denoise(self.scale * y + self.offset, self.scale * float(sigma))
        return (denoised - self.offset) / self.scale

    @abstractmethod
    def denoise(self, y: Tensor, level: float) -> Tensor:
        """Denoise in the network's own range of intensities, in which the noise has this level."""


class DeepinvDenoiser(_Adapted):
    """From :func:`from_deepinv`."""

    def denoise(self, y: Tensor, level: float) -> Tensor:
        """D(y, sigma)."""
        denoised: Tensor = self.network(y, level)
        return denoised


class EDMDenoiser(_Adapted):
    """From :func:`from_edm`."""

    def __init__(
        self, network: Callable[..., Any], sigma_data: float | None, intensities: Range
    ) -> None:
        super().__init__(network, intensities)
        self.sigma_data = sigma_data

    def denoise(self, y: Tensor, level: float) -> Tensor:
        """D(y; sigma), of a raw network F by equation 7 of Karras et al. 2022."""
        levels = y.new_full((len(y),), level)
        if self.sigma_data is None:
            denoised: Tensor = self.network(y, levels.view(-1, 1, 1, 1))
            return denoised
        total = self.sigma_data**2 + level**2
        skip, out = self.sigma_data**2 / total, level * self.sigma_data / total**0.5
        answer: Tensor = self.network(y / total**0.5, levels.log() / 4)
        return skip * y + out * answer


class DiffusersDenoiser(_Adapted):
    """From :func:`from_diffusers`."""

    def __init__(self, unet: Callable[..., Any], scheduler: Any, intensities: Range) -> None:
        super().__init__(unet, intensities)
        self.prediction: str = scheduler.config.prediction_type
        if self.prediction not in ("epsilon", "sample", "v_prediction"):
            raise ValueError(
                f"prediction_type: found {self.prediction!r}, allowed is one of epsilon, sample, "
                "v_prediction"
            )
        shares = np.asarray(scheduler.alphas_cumprod, np.float64)
        shares = shares[shares > 0]  # a schedule may end in noise alone, at no finite level
        self._log_levels = np.log((1 - shares) / shares) / 2

    def denoise(self, y: Tensor, level: float) -> Tensor:
        """x_0 as the network predicts it from x_t = sqrt(abar) y, with abar = 1 / (1 + level^2)."""
        lowest, highest = np.exp(self._log_levels[[0, -1]]) / self.scale
        found = level / self.scale
        if not lowest * (1 - 1e-4) <= found <= highest * (1 + 1e-4):
            raise ValueError(
                f"sigma: found {found:g}; the scheduler's process has noise levels from {lowest:.4g} to "
                f"{highest:.4g} on the scale of intensities from 0 to 1"
            )
        times = np.arange(len(self._log_levels))
        time = float(np.interp(np.log(level), self._log_levels, times))
        share = 1 / (1 + level**2)
        x = share**0.5 * y
        answer = self.network(x, y.new_full((len(y),), time))
        answer = getattr(answer, "sample", answer)
        answer = answer[0] if isinstance(answer, tuple) else answer
        answer = answer[:, : y.shape[1]]  # some networks also predict a variance
        if self.prediction == "epsilon":
            return y - level * answer
        if self.prediction == "sample":
            return answer
        return share**0.5 * x - (1 - share) ** 0.5 * answer


def from_deepinv(model: Callable[..., Any], intensities: Range = (0, 1)) -> DeepinvDenoiser:
    """A deepinv denoiser, D(y, sigma).

    >>> import deepinv, gahb
    >>> denoiser = gahb.from_deepinv(deepinv.models.DRUNet(1, 1, pretrained="download"))  # doctest: +SKIP

    Args:
        model: a ``deepinv.models.Denoiser``.
        intensities: what it takes for black and white.
    """
    return DeepinvDenoiser(model, intensities)


def from_diffusers(
    unet: Callable[..., Any], scheduler: Any, intensities: Range = (-1, 1)
) -> DiffusersDenoiser:
    """A UNet of diffusers, with the scheduler that it was trained with.

    The scheduler gives its noise levels and says what is predicted: ``epsilon``, ``sample`` or
    ``v_prediction``. Between two of its times the time is interpolated in log sigma. Nothing is clipped,
    whatever the scheduler's ``clip_sample`` says: f is to be differentiable.

    >>> import diffusers, gahb
    >>> pipeline = diffusers.DDPMPipeline.from_pretrained("google/ddpm-celebahq-256")  # doctest: +SKIP
    >>> denoiser = gahb.from_diffusers(pipeline.unet, pipeline.scheduler)  # doctest: +SKIP

    Args:
        unet: of noisy images x_t and times, ``UNet2DModel``.
        scheduler: with ``alphas_cumprod`` and ``config.prediction_type``.
        intensities: what it takes for black and white.

    Raises:
        ValueError: the scheduler says another prediction; or, when called, a level outside its process.
    """
    return DiffusersDenoiser(unet, scheduler, intensities)


def from_edm(
    network: Callable[..., Any], sigma_data: float | None = None, intensities: Range = (-1, 1)
) -> EDMDenoiser:
    """A network with the preconditioning of Karras et al. 2022 (EDM).

    >>> denoiser = gahb.from_edm(pickle["ema"])  # doctest: +SKIP

    Args:
        network: the denoiser D(x, sigma), with levels (B, 1, 1, 1); or, if ``sigma_data`` is given, the raw
            network F(c_in x, c_noise), with c_noise = log(sigma) / 4 of shape (B,):
            D = c_skip x + c_out F.
        sigma_data: standard deviation of the images behind c_skip, c_out and c_in, 0.5 in the paper.
        intensities: what it takes for black and white.
    """
    return EDMDenoiser(network, sigma_data, intensities)
