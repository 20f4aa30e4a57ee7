"""A whole update as one CUDA graph: one launch for the several hundred that short updates consist of."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gahb.denoisers.trials import Before, tensors_of

WARM_UPS = 3  # updates before the capture, in which kernels are chosen and compiled
Update = Callable[..., tuple[Tensor, ...]]


class GraphedUpdate:
    """``update``, recorded once and then replayed on other inputs of the same shapes.

    Args:
        update: maps tensors on a CUDA device to tensors, and changes network and optimiser in place; it
            draws nothing at random and waits for nothing. What Python decides in it is decided for good.
        inputs: as those that it will be called with.
        network: is left as it was by the recording.
        optimiser: likewise; its learning rates are tensors.

    Raises:
        RuntimeError: it cannot be recorded, or the network keeps more tensors or numbers than before,
            or others: a graph would go on with the old ones.
    """

    def __init__(
        self, update: Update, inputs: tuple[Tensor, ...], network: nn.Module, optimiser: Any
    ) -> None:
        self._inputs = tuple(given.clone() for given in inputs)
        before = _kept(network)
        with unchanged(network, optimiser):
            self._replay, self._outputs = capture(lambda: update(*self._inputs))
            if _kept(network) != before:
                raise RuntimeError(
                    "layers add to what they keep, or replace it, instead of changing it in place"
                )

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What ``update`` returns; the next call overwrites it."""
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._replay()
        return self._outputs


def capture(update: Update) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """Run ``update`` a few times, then record it: how to replay it, and where its results will be.

    Raises:
        RuntimeError: ``update`` draws at random, which a graph would repeat, or does what none can hold.
    """
    current, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(current)
    before = _generators()
    try:
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                update()
    finally:  # also where one fails: what is brought back then is not to be overtaken
        current.wait_stream(stream)
    if _generators() != before:
        raise RuntimeError("layers draw random numbers, which a graph would not draw anew")
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            outputs = update()
    except BaseException:
        torch.cuda.set_stream(current)  # a recording that fails stays on its own
        raise
    return graph.replay, outputs


def _kept(network: nn.Module) -> tuple[list[int], list[tuple[str, Any]]]:
    """Where the tensors of a network are in memory, and the numbers that its layers keep."""
    places = [one.data_ptr() for one in tensors_of(network).values()]
    parts = [vars(part).items() for part in network.modules()]
    numbers = [pair for part in parts for pair in part if isinstance(pair[1], (int, float))]
    return places, numbers


def _generators() -> tuple[Any, ...]:
    """The state of every generator of random numbers that layers draw from."""
    ours = torch.get_rng_state(), torch.cuda.get_rng_state()
    known = np.random.get_state(legacy=False)  # noqa: NPY002
    return (random.getstate(), str(known), *(state.numpy().tobytes() for state in ours))


def repays(device: torch.device, optimiser: Any, updates: int) -> bool:
    """Whether recording takes less than it saves, and all parts of an optimiser allow it."""
    capturable = all("capturable" in group for group in optimiser.param_groups)
    return device.type == "cuda" and capturable and updates > 10 * WARM_UPS


def make_capturable(optimiser: Any, device: torch.device) -> None:
    """Let an optimiser read its learning rates, and count its updates, on the device."""
    for group in optimiser.param_groups:
        group["capturable"] = True
        group["lr"] = torch.tensor(float(group["lr"]), device=device)


@contextlib.contextmanager
def unchanged(network: nn.Module, optimiser: Any) -> Iterator[None]:
    """Bring weights, running values and the optimiser's state back, in place, to what they were.

    Of an optimiser, state that did not exist before becomes zero, as every one that can be captured starts
    with. Where something fails within, all else that layers keep is brought back too; where nothing does, a
    graph may read it.
    """
    before = Before(network)
    known = {
        parameter: {key: value.clone() for key, value in state.items()}
        for parameter, state in optimiser.state.items()
    }
    try:
        yield
        before.bring_back_values()
    except BaseException:
        before.bring_back()
        raise
    finally:
        with torch.no_grad():
            for parameter, state in optimiser.state.items():
                for key, value in state.items():
                    earlier = known.get(parameter, {}).get(key)
                    value.zero_() if earlier is None else value.copy_(earlier)
