"""Where and how a network computes: device, precision, compilation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gahb.artifacts import Spec, processor
from gahb.denoisers.compilation import can_compile

# Compiling costs some 30 s; on two cores it saved 58 ns per update, pixel and first-block channel
# (benchmarks/training.py). Above this product the run is long enough to repay it twice.
COMPILE_ABOVE = 1.0e9


@dataclasses.dataclass(frozen=True)
class Computation:
    """What ``auto`` came to on this machine: recorded with the weights, and with what they compute."""

    device: str
    precision: str
    compiled: bool

    def recorded(self) -> dict[str, Any]:
        """What :func:`gahb.artifacts.provenance` takes: this, and the processor's name."""
        found = torch.cuda.get_device_name() if self.device == "cuda" else processor()
        return {"processor": found, **dataclasses.asdict(self)}


def fastest_device() -> str:
    """``cuda`` where present, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def resolve_computation(training: Spec, architecture: Spec, size: int) -> Computation:
    """Choose device, precision and compilation where params.yaml says ``auto``.

    CUDA when present; bfloat16 autocast where the processor multiplies bfloat16 matrices in hardware
    (AMX or AVX512-BF16, or a CUDA device that has it); torch.compile where a C++ compiler and
    Python's headers are found and the run is long enough to repay it.
    """
    device = training["device"]
    if device == "auto":
        device = fastest_device()
    precision = training["precision"]
    if precision == "auto":
        gains = (
            torch.cuda.is_bf16_supported(False) if device == "cuda" else _cpu_multiplies_bfloat16()
        )
        precision = "bfloat16" if gains else "float32"
    compiled = training["compile"] == "always"
    if training["compile"] == "auto":
        work = training["updates"] * training["batch_size"] * size**2 * architecture["channels"]
        compiled = work > COMPILE_ABOVE and can_compile()
    return Computation(device, precision, compiled)


def _cpu_multiplies_bfloat16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # absent from older torch
        return False
    capabilities: dict[str, Any] = dict(torch.cpu.get_capabilities())
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def in_float32(device: str) -> dict[str, Any]:
    """What :func:`gahb.artifacts.provenance` takes where networks are not trained but looked at."""
    return Computation(device, "float32", compiled=False).recorded()


def on_fastest_device(denoiser: nn.Module) -> Callable[[Tensor, float], Tensor]:
    """The denoiser on CUDA where present, in full float32; images come from and go to the CPU."""
    device = fastest_device()
    if device == "cpu":
        return denoiser
    exact = _full_products(denoiser.to(device))
    return lambda y, sigma: exact(y.to(device), sigma).cpu()


def prepared(network: nn.Module, precision: str, device: str) -> Callable[..., Tensor]:
    """A trained denoiser laid out for speed: channels last, and bfloat16 products where asked for.

    Under ``bfloat16`` only the noise estimate is rounded; images stay in float32. Products of
    float32 are never shortened (TF32).
    """
    moved = network.to(device).eval()
    torch.nn.utils.convert_conv2d_weight_memory_format(moved, torch.channels_last)
    exact = _full_products(moved)

    def denoise(y: Tensor, sigma: float | None) -> Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            return exact(y, sigma)

    return denoise


def _full_products(denoiser: nn.Module) -> Callable[..., Tensor]:
    def denoise(y: Tensor, sigma: float | None) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            denoised: Tensor = denoiser(y, sigma)
        return denoised

    return denoise
