"""A CUDA graph without CUDA: it holds operations and their memory, and nothing of what Python decided."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# what waits for the device, and so cannot be recorded
WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero"}


class Tape(TorchDispatchMode):
    """Operations as they are made within it, to be made again on the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        return True  # else compiled code would not be used within

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if func._schema.name in WAITING:
            raise RuntimeError("operation not permitted when stream is capturing")
        answer = func(*args, **(kwargs or {}))
        self.made.append((func, args, kwargs or {}, answer))
        return answer

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, answer in self.made:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(answer), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def pretend_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let updates be recorded on the processor."""
    stream = SimpleNamespace(wait_stream=lambda other: None)
    pretended = {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda chosen: contextlib.nullcontext(),
        "set_stream": lambda chosen: None,
        "get_rng_state": torch.get_rng_state,
        "CUDAGraph": Tape,
        "graph": lambda tape: tape,
    }
    for name, stand_in in pretended.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
