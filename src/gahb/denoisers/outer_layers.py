"""Which layers of a network take the images or give its output, found by looking at two calls of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

_LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.Bilinear, nn.MultiheadAttention)


def outer_layers(network: nn.Module, images: Tensor) -> set[nn.Module]:
    """Layers that the images reach past all others, and those whose output reaches the network's so.

    Layers are convolutions and linear ones. What lies between, such as a norm, a nonlinearity or a
    rearrangement of pixels, is none. Those that are never called count as both.

    Args:
        network: maps (B, C, H, W) to the same shape; it is left as it is.
        images: (B, C, H, W) as it takes.
    """
    layers: list[nn.Module] = [m for m in network.modules() if isinstance(m, _LAYERS)]
    training = [module for module in network.modules() if module.training]
    trained = [one for one in network.parameters() if one.requires_grad]
    try:
        network.eval().requires_grad_(False)
        with torch.enable_grad():
            inner = _reached_by_others(network, layers, images) & _reaching_others(
                network, layers, images
            )
    finally:
        for module in training:
            module.training = True
        for parameter in trained:
            parameter.requires_grad = True
    return set(layers) - inner


def _reached_by_others(
    network: nn.Module, layers: list[nn.Module], images: Tensor
) -> set[nn.Module]:
    """Layers that are called, and images reach them past no other: what layers return has no gradient."""
    called, taking = set(), set()

    def look(layer: nn.Module, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        called.add(layer)
        if any(isinstance(one, Tensor) and one.requires_grad for one in (*inputs, *named.values())):
            taking.add(layer)

    def cut(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        return _each(output, Tensor.detach)

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(look, with_kwargs=True).remove)
            hooks.callback(layer.register_forward_hook(cut).remove)
        network(images.detach().clone().requires_grad_().clone())  # which may be changed in place
    return called - taking


def _reaching_others(network: nn.Module, layers: list[nn.Module], images: Tensor) -> set[nn.Module]:
    """Layers whose output reaches the network's past no other: each output is a leaf with a gradient."""
    leaves: list[tuple[nn.Module, Tensor]] = []

    def mark(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        def marked(one: Tensor) -> Tensor:
            leaf = one.detach().requires_grad_()
            leaves.append((layer, leaf))
            return leaf.clone()

        return _each(output, marked)

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(mark).remove)
        output: Tensor = network(images.detach().clone())
    reached: tuple[Tensor | None, ...] = (None,) * len(leaves)
    if output.requires_grad:
        tensors = [leaf for _, leaf in leaves]
        reached = torch.autograd.grad(output.sum(), tensors, allow_unused=True)
    giving = {layer for (layer, _), found in zip(leaves, reached, strict=True) if found is not None}
    return set(layers) - giving


def _each(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The output of a layer, changed; of several, as attention returns, each."""
    if isinstance(output, tuple):
        return tuple(_each(one, change) for one in output)
    return change(output) if isinstance(output, Tensor) else output
