"""A torch module of one's own as a noise estimator, and what it is told where it is none."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gahb import own


class OwnEstimator(nn.Module):
    """The noise in (B, C, H, W), as a module of one's own finds it.

    A module that predicts the image computes in full precision, even under autocast. One that predicts
    the noise is given the image in float32, and its own first layer rounds that under autocast.

    Args:
        network: maps (B, C, H, W) to the same shape.
        predicts: ``noise``, or ``image``: the noise is then what the image leaves of the input.
        name: of its class, for messages.

    Raises:
        ValueError: its ``forward`` asks for more than the images.
    """

    def __init__(self, network: nn.Module, predicts: str, name: str) -> None:
        super().__init__()
        _takes(network.forward, f"{name} is given noisy images alone, but takes", (None,), {})
        self.network = network
        self.predicts, self.name = predicts, name

    def forward(self, y: Tensor) -> Tensor:
        """Map noisy images (B, C, H, W) to noise estimates of the same shape.

        Raises:
            ValueError: the module returns something else.
        """
        if self.predicts == "noise":
            output = self.network(y)
        else:  # rounded to bfloat16, an image is wrong by 10^-3, whatever the noise level
            with torch.autocast(y.device.type, enabled=False):
                output = self.network(y)
        if not isinstance(output, Tensor) or output.shape != y.shape:
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(
                f"{self.name} made {found} of noisy images {tuple(y.shape)}, expected the "
                f"{self.predicts} of the same shape"
            )
        return output if self.predicts == "noise" else y - output


def own_estimator(name: str, arguments: Mapping[str, Any], predicts: str) -> OwnEstimator:
    """A module of one's own, made with these arguments.

    Args:
        name: of its class (:mod:`gahb.own`).
        arguments: of the class.
        predicts: ``noise`` or ``image``.

    Raises:
        ValueError: there is no such class, it does not take these arguments, it is no torch module, or its
            ``forward`` asks for more than the images.
    """
    made = own.load(name)
    _takes(made, f"{name} takes", (), arguments)
    network = made(**arguments)
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name} made a {type(network).__name__}, expected a torch.nn.Module")
    return OwnEstimator(network, predicts, name)


def _takes(
    function: Any, told: str, positional: tuple[Any, ...], arguments: Mapping[str, Any]
) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # compiled code tells none
        return
    try:
        signature.bind(*positional, **arguments)
    except TypeError as error:
        raise ValueError(f"{told} {signature}: {error}") from error
