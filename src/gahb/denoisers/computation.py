"""Where and how a network computes: device, precision, compilation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from gahb.artifacts import Spec, processor
from gahb.denoisers.compilation import can_compile
from gahb.denoisers.memory import InParts
from gahb.devices import choose_device

# Seconds that compiling takes, with a UNet of 3 blocks and 16 channels on one core of an AMD EPYC Zen 4:
# the first network of a shape (43 of them), and each one whose shape the cache has (2.4 to 3.8). On an
# H100 beside 16 cores 23 and 3, with 2 blocks and 64 channels.
FIRST_START, START = 40.0, 3.0
# Nanoseconds that it saves per image of an update, pixel and first-block channel. On the Zen 4: 19 in
# bfloat16, 23 in float32 limited to AVX2; on an H100 0.15 (48,000 images/s against 27,700, 40x40, batches
# of 256). On a processor with AMX 129 (771 images/s against 293), before a norm's gradient was written
# out: what is left of that is estimated.
SAVED = {"cuda": 0.15, "amx": 80.0, "bfloat16": 19.0, "float32": 23.0}

ON_CUDA = 512  # images denoised at once on a GPU, while its memory suffices


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


def resolve_computation(
    training: Spec, architecture: Spec, size: int, planned: int = 0
) -> Computation:
    """Choose device, precision and compilation where params.yaml says ``auto``.

    CUDA when present; bfloat16 autocast where the processor multiplies bfloat16 matrices in hardware
    (AMX or AVX512-BF16, or a CUDA device that has it) unless the network predicts the image;
    torch.compile where a C++ compiler and Python's headers are found and the plan repays it
    (:func:`repaid`).

    Args:
        training: the section of a network's spec.
        architecture: likewise.
        size: height and width of the images.
        planned: images in all updates of all networks of this shape that are being trained; at least this
            network's own are counted.
    """
    device = choose_device(training["device"])
    precision = training["precision"]
    if architecture.get("predicts") == "image":  # which is not to be rounded, whatever is asked for
        precision = "float32"
    elif precision == "auto":
        gains = (
            torch.cuda.is_bf16_supported(False) if device == "cuda" else _cpu_multiplies_bfloat16()
        )
        precision = "bfloat16" if gains else "float32"
    compiled = training["compile"] == "always"
    if training["compile"] == "auto":
        own = training["updates"] * training["batch_size"]
        saved = _saved(device, precision) * size**2 * architecture.get("channels", 0)
        compiled = repaid(saved * 1e-9, own, max(own, planned)) and can_compile()
    return Computation(device, precision, compiled)


def repaid(saved: float, own: int, planned: int) -> bool:
    """Whether compiling saves time over a plan.

    Args:
        saved: seconds per image.
        own: images in all updates of a network.
        planned: the same of all networks that share what is compiled.
    """
    return planned * (saved - START / own) > FIRST_START


def _saved(device: str, precision: str) -> float:
    if device == "cuda":
        return SAVED["cuda"]
    if precision == "float32":
        return SAVED["float32"]
    return SAVED["amx" if _cpu_capabilities().get("amx_bf16") else "bfloat16"]


def _cpu_capabilities() -> dict[str, Any]:
    if not hasattr(torch.cpu, "get_capabilities"):  # absent from older torch
        return {}
    return dict(torch.cpu.get_capabilities())


def _cpu_multiplies_bfloat16() -> bool:
    capabilities = _cpu_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def in_float32(device: str) -> dict[str, Any]:
    """What :func:`gahb.artifacts.provenance` takes where networks are not trained but looked at."""
    return Computation(device, "float32", compiled=False).recorded()


def on_fastest_device(denoiser: nn.Module, asked: str = "auto") -> Callable[..., Tensor]:
    """The denoiser on CUDA where present, in full float32; images come from and go to the CPU.

    Args:
        denoiser: f(y, sigma).
        asked: of :func:`gahb.devices.choose_device`.
    """
    device = choose_device(asked)
    return denoiser if device == "cpu" else _Moving(denoiser, device)


class _Moving:
    """A denoiser on another device than the images."""

    def __init__(self, denoiser: nn.Module, device: str) -> None:
        exact = _full_products(denoiser.to(device))
        self._in_parts = InParts(exact, getattr(denoiser, "batch", ON_CUDA))
        self._device = device

    @property
    def batch(self) -> int:
        """Images that are best denoised at once: as many as it says itself, or as fit the device."""
        return self._in_parts.batch

    def __call__(self, y: Tensor, sigma: float | None = None) -> Tensor:
        """Denoise (B, 1, H, W)."""
        return self._in_parts(y.to(self._device), sigma).cpu()


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


def full_products(benchmark: bool = False) -> AbstractContextManager[None]:
    """Products of float32 are not shortened (TF32) here.

    Args:
        benchmark: try the kernels for each new shape, and take the fastest.
    """
    return torch.backends.cudnn.flags(enabled=True, benchmark=benchmark, allow_tf32=False)


def _full_products(denoiser: nn.Module) -> Callable[..., Tensor]:
    def denoise(y: Tensor, sigma: float | None) -> Tensor:
        with full_products():
            denoised: Tensor = denoiser(y, sigma)
        return denoised

    return denoise
