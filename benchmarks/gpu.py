"""What a GPU does per second, as JSON lines, in two minutes: the numbers of the table in docs/running.md.

    python benchmarks/gpu.py            # on the fastest device
    python benchmarks/gpu.py --dry      # every line of it on tiny shapes, in seconds on a processor

`training` is the shipped trainer as `auto` has it for a long training (`compiled`, `graphed`). Beside it is
the published loop: float32 as torch has it by default, a shuffling DataLoader, batch statistics by torch's
own operations, one wait for the loss per update. `start` is the time from the start of a process to the end
of the first update of a network whose shape the compiler's cache has. Spectra, evaluation and samples are
of a network of 64 channels; `evaluation` includes drawing the noise and going to and fro.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gahb.artifacts import processor
from gahb.denoisers.networks import BiasFreeNorm, NetworkDenoiser, build_network
from gahb.denoisers.options import Training
from gahb.denoisers.training import Trainer
from gahb.devices import choose_device
from gahb.evaluation.measure import NoisySet, fastest, squared_errors
from gahb.samples.draw import draw
from gahb.samples.start import Start
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.leading import leading_spectrum

#         size, blocks, channels, batch, compile
SHAPES = {
    "80x80": (80, 3, 64, 512, "always"),
    "40x40": (40, 2, 64, 512, "always"),
    "laptop": (32, 3, 16, 32, "auto"),
}
DRY = {"dry": (16, 1, 4, 8, "never")}
SAMPLING = {
    "seed": 0,
    "sampler": {
        "kind": "ancestral",
        "schedule": "geometric",
        "steps": 24,
        "sigma_range": [0.02, 1],
    },
    "samples": 256,
    "levels_kept": 8,
    "precision": "auto",
}


class PublishedNorm(nn.Module):
    """The published code's normalisation, in torch's own operations."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.register_buffer("running_sd", torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Divide (B, C, H, W) by the batch's deviation."""
        sd = torch.sqrt(x.var(dim=(0, 2, 3), keepdim=True, unbiased=False) + 1e-5)
        with torch.no_grad():
            self.running_sd.lerp_(sd, 0.1)
        return self.gain * (x / sd.expand_as(x))


def published_loop(shape: tuple[Any, ...], images: Tensor, device: str) -> Callable[[], None]:
    """One update of the published loop per call."""
    _, blocks, channels, batch, _ = shape
    network = build_network({"network": "unet", "blocks": blocks, "channels": channels}, 0)
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, BiasFreeNorm):
                setattr(part, name, PublishedNorm(child.gain.numel()))
    network = network.to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(images), batch_size=batch, shuffle=True)

    def batches() -> Iterator[Tensor]:
        while True:
            yield from (clean for (clean,) in loader)

    source = batches()

    def update() -> None:
        clean = next(source).to(device)
        sigma = torch.rand(len(clean), 1, 1, 1, device=device) ** 2
        noise = sigma * torch.randn_like(clean)
        loss = (network(clean + noise) - noise).square().sum(dim=(1, 2, 3)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()

    return update


def trainer(shape: tuple[Any, ...], images: Tensor) -> Trainer:
    """The shipped trainer by the default recipe, at the start of a long training."""
    _, blocks, channels, batch, choice = shape
    training = Training(updates=10**5, batch_size=batch, compile=choice, monitor_every=10**5)
    options = training.model_dump(exclude={"recipe"}) | {"sigma_range": [0.01, 1]}
    architecture = {"network": "unet", "blocks": blocks, "channels": channels}
    spec = {"architecture": architecture, "training": options, "split": "S1"}
    return Trainer(spec, images, images[:1])


def waited() -> float:
    """The time when the device has done all it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def rate(update: Callable[[], None], batch: int, seconds: float) -> float:
    """Images per second, after some updates that are not counted."""
    for _ in range(5):
        update()
    start, updates = waited(), 0
    while waited() - start < seconds:
        for _ in range(5):
            update()
        updates += 5
    return updates * batch / (waited() - start)


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes the second time."""
    work()
    start = waited()
    work()
    return waited() - start


def drawn(size: int, count: int) -> Tensor:
    """Smooth random images (count, 1, size, size)."""
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 1, 8, 8, generator=draws)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def rows(options: argparse.Namespace, device: str) -> Iterator[dict[str, Any]]:
    """The measurements, one by one."""
    shapes = DRY if options.dry else SHAPES
    trained = {}
    for name, shape in shapes.items():
        size, batch = shape[0], shape[3]
        images = drawn(size, 2048 if batch > 8 else 16)
        plain = rate(published_loop(shape, images, device), batch, options.seconds)
        start = waited()
        ours = trainer(shape, images)
        ours.step()
        first = waited() - start
        found = rate(ours.step, batch, options.seconds)
        ours.check(0)
        trained[name] = NetworkDenoiser(ours.network).eval().requires_grad_(False)
        yield {
            "what": f"training {name}",
            "images/s": found,
            "published": plain,
            "first update s": first,
            "compiled": ours.computation.compiled,
            "graphed": ours._graphed is not None,
            "precision": ours.computation.precision,
        }
    second = "dry" if options.dry else "40x40"
    begin = time.perf_counter()
    subprocess.run([sys.executable, __file__, "--start", second], check=True)
    yield {"what": f"start {second}", "s": time.perf_counter() - begin}

    size = 16 if options.dry else 80
    denoiser = trained["dry" if options.dry else "80x80"]
    noisy = (drawn(size, 1)[0] + 0.1 * torch.randn(1, size, size)).to(device)
    linearised = LinearisedDenoiser(denoiser, noisy, 0.1)
    matrix = seconds(linearised.matrix)
    yield {"what": f"full {size}x{size}", "s": seconds(lambda: full_spectrum(linearised))} | {
        "matrix s": matrix
    }
    few = 10 if options.dry else 200
    yield {"what": f"leading {few} {size}x{size}", "s": seconds(lambda: found_few(linearised, few))}
    if not options.dry:
        large = (drawn(160, 1)[0] + 0.1 * torch.randn(1, 160, 160)).to(device)
        linearised = LinearisedDenoiser(denoiser, large, 0.1)
        start = waited()
        found_few(linearised, few)
        yield {"what": f"leading {few} 160x160", "s": waited() - start}

    name = "dry" if options.dry else "40x40"
    size, network = shapes[name][0], trained[name]
    count = 8 if options.dry else 1024
    indices = np.arange(count)
    noisy_set = NoisySet(indices, np.zeros_like(indices), drawn(size, count))
    measured = fastest(network)
    spent = seconds(lambda: squared_errors(measured, noisy_set, [1.0, 0.1], 0))
    yield {"what": f"evaluation {name}", "images/s": 2 * count / spent}
    sampling = SAMPLING | ({"samples": 8} if options.dry else {})
    spent = seconds(lambda: draw(network, sampling, Start(), size, "samples"))
    yield {"what": f"samples {name}", "samples/s": sampling["samples"] / spent}


def found_few(linearised: LinearisedDenoiser, few: int) -> Any:
    """The leading pairs."""
    return leading_spectrum(linearised, few)


def main() -> None:
    """Print one JSON line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dry", action="store_true", help="tiny shapes, to try every line")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each rate, at least")
    parser.add_argument("--start", choices=[*SHAPES, *DRY], help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = choose_device()
    if options.start:
        shape = (SHAPES | DRY)[options.start]
        trainer(shape, drawn(shape[0], 16)).step()
        waited()
        return
    machine = torch.cuda.get_device_name() if device == "cuda" else processor()
    begin = time.perf_counter()
    for row in rows(options, device):
        rounded = {key: float(f"{v:.4g}") if type(v) is float else v for key, v in row.items()}
        print(json.dumps({"device": machine, "torch": torch.__version__} | rounded), flush=True)
    print(json.dumps({"what": "all of this", "s": round(time.perf_counter() - begin, 1)}))


if __name__ == "__main__":
    main()
