"""A denoiser where it is: images come from the processor and go back there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from gahb.denoisers.computation import ON_CUDA
from gahb.denoisers.contract import as_denoiser
from gahb.denoisers.memory import InParts


def at_home(denoiser: Callable[..., Any], like: Tensor) -> Callable[[Tensor, float | None], Tensor]:
    """f(y, sigma) of a denoiser that computes on the device that its parameters are on.

    Args:
        denoiser: f(y) or f(y, sigma); see :func:`gahb.denoisers.contract.as_denoiser`.
        like: images of the type of those that it will get.
    """
    first = next(denoiser.parameters(), None) if isinstance(denoiser, nn.Module) else None
    device = like.device if first is None else first.device
    checked = as_denoiser(denoiser, like.to(device))
    if device == like.device:
        return checked
    in_parts = InParts(checked, ON_CUDA)
    return lambda y, sigma: in_parts(y.to(device), sigma).to(y.device)
