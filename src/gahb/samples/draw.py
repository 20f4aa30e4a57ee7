"""Draw samples in batches, each from its own noise, whatever else is drawn and by whatever denoiser.

The start and the injected noise of sample i are functions of (seed, i, step) alone: two networks, two batch
sizes or two machines work on the same draws. Batches never hold a single image: on a CPU the
convolutions of one image are rounded otherwise than those of two or more, which all agree bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gahb.artifacts import Spec
from gahb.asked import must_be_whole, noise_levels
from gahb.denoisers.computation import ON_CUDA, Computation, prepared, resolve_computation
from gahb.denoisers.contract import as_denoiser
from gahb.denoisers.memory import InParts
from gahb.devices import must_be_present
from gahb.progress import Progress
from gahb.randomness import Size, image_shape
from gahb.samples.sampler import Denoiser, Sampler, build_sampler
from gahb.samples.start import Start, sample_noise
from gahb.samples.trajectories import Recorder, Trajectories

WHITE = Start()
BATCH = 32  # as in training and evaluation: the activations stay in a processor's caches


@dataclass(frozen=True)
class Samples:
    """Images drawn with one denoiser.

    Attributes:
        images: (n, C, H, W) float32 (or the type asked for), on the CPU.
        calls: (n,) int64, how often the denoiser was called for each.
        trajectories: of the first samples, if asked for.
    """

    images: Tensor
    calls: NDArray[np.int64]
    trajectories: Trajectories


@torch.no_grad()
def draw_samples(
    denoiser: Callable[..., Tensor],
    sampler: Sampler,
    numbers: Sequence[int],
    size: Size,
    seed: int,
    *,
    start: Start = WHITE,
    followed: int = 0,
    levels: float | Sequence[float] = (),
    batch: int = BATCH,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    label: str = "samples",
) -> Samples:
    """Draw the samples of the given numbers.

    Args:
        denoiser: f(y) or f(y, sigma) of images (B, C, H, W); see
            :func:`gahb.denoisers.contract.as_denoiser`.
        sampler: how.
        numbers: names the samples: number i is the same image in any list, up to rounding.
        size: side of square images of one channel in pixels, or the shape (C, H, W) of images.
        seed: of all noise.
        start: law of the images that sampling starts from; white noise about 0.5, unless said.
        followed: of how many of the first samples to keep the trajectory.
        levels: noise levels at which their images are kept, or one.
        batch: images denoised together, half as many whenever memory does not suffice.
        device: where the denoiser computes.
        dtype: type of the images between the calls.
        label: shown with the progress.

    Raises:
        ArithmeticError: an image became infinite or undefined.
        ValueError: the device is not there, or the denoiser does not fit the images.
    """
    if np.ndim(numbers) != 1 or not len(numbers):
        found = f"numbers: found {numbers!r}"
        raise ValueError(f"{found}, expected those of the samples to draw, such as range(8)")
    must_be_whole(0, followed=followed)
    must_be_whole(batch=batch)
    kept = noise_levels(levels, "levels") if np.size(levels) else []
    must_be_present(device, "device")
    shape = image_shape(size)
    recorder = Recorder(min(followed, len(numbers)), kept, shape)
    progress = Progress(label, len(numbers), "sample")
    known = as_denoiser(denoiser, torch.empty(0, *shape, device=device, dtype=dtype))
    denoise = InParts(_never_alone(known), batch)
    finished = []
    for first in range(0, len(numbers), batch):
        part = numbers[first : first + batch]

        def noise(step: int, rows: Tensor, part: Sequence[int] = part) -> Tensor:
            drawn = [sample_noise(seed, part[row], step, size) for row in rows.tolist()]
            return torch.from_numpy(np.stack(drawn)).to(device, dtype)

        def observe(
            rows: Tensor, sigma: float | Tensor, y: Tensor, denoised: Tensor, first: int = first
        ) -> None:
            level = float(np.mean(np.asarray(sigma)))
            if not torch.isfinite(denoised).all():
                raise ArithmeticError(
                    f"{label}: the denoiser's answer at noise level {level:g} is not finite"
                )
            recorder.observe([first + row for row in rows.tolist()], sigma, y, denoised)
            progress.update(first, sigma=level)

        level = sampler.sigma_range[1]
        images = np.stack([start.image(seed, number, level, size) for number in part])
        y = torch.from_numpy(images).to(device, dtype)
        finished.append(sampler.run(denoise, y, noise, observe))
    progress.update(len(numbers))
    progress.close()
    return Samples(
        torch.cat([done.images.cpu() for done in finished]),
        torch.cat([done.calls for done in finished]).numpy(),
        recorder.trajectories(),
    )


def _never_alone(denoiser: Denoiser) -> Denoiser:
    def denoise(y: Tensor, sigma: float | None) -> Tensor:
        if len(y) > 1:
            return denoiser(y, sigma)
        return denoiser(y.expand(2, -1, -1, -1).contiguous(), sigma)[:1]

    return denoise


def computation_of(settings: Spec, device: str) -> Computation:
    """Where and how ``settings``, the section ``sampling`` of params.yaml, has networks computed.

    Args:
        settings: the section.
        device: that which the networks were to be trained on: auto, cpu or cuda.
    """
    asked = {"device": device, "precision": settings["precision"], "compile": "never"}
    return resolve_computation(asked, {}, 0)


def draw(
    network: nn.Module,
    settings: Spec,
    start: Start,
    size: Size,
    label: str,
    *,
    device: str = "auto",
    followed: int = 0,
) -> Samples:
    """The samples of a trained denoiser that ``settings``, the section ``sampling``, ask for.

    Args:
        network: the denoiser.
        settings: how many samples, by which sampler, from which noise.
        start: law of the images that sampling starts from, see :func:`gahb.samples.start.start_of`.
        size: side, or shape, of the images; see :func:`draw_samples`.
        label: shown with the progress.
        device: as for :func:`computation_of`.
        followed: of how many of the samples to keep the trajectory.
    """
    computation = computation_of(settings, device)
    sampler = build_sampler(settings["sampler"])
    low, high = sampler.sigma_range
    return draw_samples(
        prepared(network, computation.precision, computation.device),
        sampler,
        range(settings["samples"]),
        size,
        settings["seed"],
        start=start,
        followed=followed,
        levels=np.geomspace(high, low, settings["levels_kept"]).tolist(),
        batch=BATCH if computation.device == "cpu" else ON_CUDA,
        device=computation.device,
        label=label,
    )
