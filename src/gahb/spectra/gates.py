"""ReLU gates: recorded at one image, then imposed on others, which makes a ReLU network linear.

A rectifier multiplies its input a by 1 where a > 0 and by its negative slope (0 for a ReLU)
elsewhere. Recording these factors at an image y, and multiplying by them whatever the input, turns
the network into the affine map that it is around y. The factors are found by intercepting calls of
the rectifying functions: it makes no difference whether the network uses ``nn.ReLU`` (in place or
not), ``torch.nn.functional.relu`` or a tensor's method, and the network itself is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_LEAKY = {functional.leaky_relu, functional.leaky_relu_}
_IN_PLACE = {torch.relu_, Tensor.relu_, functional.leaky_relu_}
_RECTIFIERS = {functional.relu, torch.relu, Tensor.relu} | _LEAKY | _IN_PLACE


class GateMismatch(RuntimeError):
    """The rectifiers called are not those that were recorded, or not image by image."""


class RecordGates(TorchFunctionMode):
    """Within this context, note the factor of every rectifier, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RECTIFIERS:
            inputs: Tensor = _argument(args, kwargs, 0, "input")
            slope = _argument(args, kwargs, 1, "negative_slope", 0.01) if func in _LEAKY else 0.0
            one, other = inputs.new_tensor(1.0), inputs.new_tensor(slope)
            # before the call, which may overwrite its input
            self.factors.append(torch.where(inputs.detach() > 0, one, other))
        return func(*args, **kwargs)


class ImposeGates(TorchFunctionMode):
    """Within this context, rectifiers multiply by recorded factors whatever their input.

    The caller compares ``calls`` with the number of factors afterwards.

    Args:
        factors: those of :class:`RecordGates`, each of shape (1, ...), recorded on one image.

    Raises:
        GateMismatch: at a call that has no recorded factor, or one of another shape.
    """

    def __init__(self, factors: Sequence[Tensor]) -> None:
        super().__init__()
        self.factors = factors
        self.calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _RECTIFIERS:
            return func(*args, **kwargs)
        inputs: Tensor = _argument(args, kwargs, 0, "input")
        if self.calls == len(self.factors):
            raise GateMismatch(f"only {self.calls} rectifiers were recorded")
        factor = self.factors[self.calls]
        self.calls += 1
        if factor.shape[0] != 1 or factor.shape[1:] != inputs.shape[1:]:
            raise GateMismatch(
                f"rectifier {self.calls} was recorded on {tuple(factor.shape)} and is called on "
                f"{tuple(inputs.shape)}"
            )
        place = 2 if func in _LEAKY else 1
        in_place = func in _IN_PLACE or _argument(args, kwargs, place, "inplace", False)
        return inputs.mul_(factor) if in_place else inputs * factor


_REQUIRED = object()


def _argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any = _REQUIRED
) -> Any:
    """An argument of an intercepted call, given by position or by name."""
    if len(args) > place:
        return args[place]
    if default is _REQUIRED:
        return kwargs[name]
    return kwargs.get(name, default)
