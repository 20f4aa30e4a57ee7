"""Learning-rate schedules, batch order, and where and how a training computes."""

from __future__ import annotations

import math
import shutil
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gahb.artifacts import Spec
from gahb.randomness import generator

# Compiling costs some 30 s; on two cores it saved 58 ns per update, pixel and first-block channel
# (benchmarks/training.py). Above this product the run is long enough to repay it twice.
COMPILE_ABOVE = 1.0e9


def learning_rate(training: Spec, update: int) -> float:
    """Learning rate at ``update`` (0-based) of ``training["updates"]``.

    ``constant``; ``cosine`` to zero; ``halving``, halved after each tenth of the run (the published
    code's schedule). Each rises linearly over the first ``warmup`` updates.
    """
    share = update / training["updates"]
    decay = {
        "constant": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * share)),
        "halving": 0.5 ** math.floor(10 * share),
    }[training["schedule"]]
    warmup = min(1.0, (update + 1) / (training["warmup"] + 1))
    return float(training["learning_rate"] * decay * warmup)


def build_optimiser(training: Spec, network: torch.nn.Module) -> torch.optim.Optimizer:
    """``adam`` (paper's code: 1e-3) or ``sgd`` with momentum 0.9; no weight decay."""
    parameters = list(network.parameters())
    if training["optimiser"] == "sgd":
        return torch.optim.SGD(parameters, lr=training["learning_rate"], momentum=0.9)
    return torch.optim.Adam(parameters, lr=training["learning_rate"], fused=True)


class BatchOrder:
    """Which training images make up batch u: a function of (seed, u) alone.

    The set is gone through again and again, each time in a new seeded order, and cut into batches
    without regard to where one pass ends, so that every N gets the same number of updates.
    """

    def __init__(self, seed: int, split: str, set_size: int, batch_size: int) -> None:
        self._names = (seed, "order", split)
        self._set_size = set_size
        self._batch_size = batch_size
        self._pass = lru_cache(maxsize=4)(self._draw)

    def _draw(self, number: int) -> Tensor:
        seed, *keys = self._names
        order = generator(int(seed), *keys, number).permutation(self._set_size)
        return torch.from_numpy(order)

    def __call__(self, update: int) -> Tensor:
        """Positions (batch_size,) in the training set."""
        first = update * self._batch_size
        passes = range(
            first // self._set_size, (first + self._batch_size - 1) // self._set_size + 1
        )
        positions = torch.cat([self._pass(number) for number in passes])
        return positions[first - passes[0] * self._set_size :][: self._batch_size]


@dataclass(frozen=True)
class Computation:
    """What ``auto`` came to on this machine: recorded with the weights."""

    device: str
    precision: str
    compiled: bool


def resolve_computation(training: Spec, architecture: Spec, size: int) -> Computation:
    """Choose device, precision and compilation where params.yaml says ``auto``.

    CUDA when present; bfloat16 autocast where the processor multiplies bfloat16 matrices in hardware
    (AMX or AVX512-BF16, or a CUDA device that has it); torch.compile where a C++ compiler and
    Python's headers are found and the run is long enough to repay it.
    """
    device = training["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = training["precision"]
    if precision == "auto":
        gains = (
            torch.cuda.is_bf16_supported(False) if device == "cuda" else _cpu_multiplies_bfloat16()
        )
        precision = "bfloat16" if gains else "float32"
    compiled = training["compile"] == "always"
    if training["compile"] == "auto":
        work = training["updates"] * training["batch_size"] * size**2 * architecture["channels"]
        compiled = work > COMPILE_ABOVE and _can_compile()
    return Computation(device, precision, compiled)


def _can_compile() -> bool:
    """Whether torch.compile finds what it needs on any device: a compiler and Python's headers."""
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    return headers and any(map(shutil.which, ("g++", "clang++", "c++")))


def _cpu_multiplies_bfloat16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # absent from older torch
        return False
    capabilities: dict[str, Any] = dict(torch.cpu.get_capabilities())
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
