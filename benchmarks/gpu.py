"""What a GPU does per second, as JSON lines, in two minutes: the numbers of the table in docs/running.md.

    python benchmarks/gpu.py            # on the fastest device
    python benchmarks/gpu.py --dry      # every line of it on tiny shapes, in seconds on a processor

`training` is the shipped trainer as `auto` has it for a long training (`compiled`, `graphed`). Beside it is
the published loop: float32 as torch has it by default, a shuffling DataLoader, batch statistics by torch's
own operations, one wait for the loss per update. `start` is the time from the start of a process to the end
of the first update of a network whose shape the compiler's cache has. Spectra, evaluation and samples are
of a network of 64 channels; `evaluation` includes drawing the noise and going to and fro, `memorising` is
the optimum for a training set, in float64, `closest` the search for training images.

Each row is printed when it is there. One that fails says so in its line (`error`), one whose turn comes
after `--limit` seconds is left out, and the others are measured all the same.
"""

import argparse
import functools
import gc
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
from gahb.denoisers.computation import on_fastest_device
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.networks import BiasFreeNorm, NetworkDenoiser, build_network
from gahb.denoisers.options import Training
from gahb.denoisers.training import Trainer
from gahb.devices import choose_device
from gahb.evaluation.measure import NoisySet, fastest, squared_errors
from gahb.likeness import closest
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
DRY = {
    "80x80": (16, 1, 4, 8, "never"),
    "40x40": (8, 1, 4, 8, "never"),
    "laptop": (8, 1, 2, 4, "never"),
}
SAMPLING = {
    "seed": 0,
    "sampler": {
        "kind": "ancestral",
        "schedule": "geometric",
        "steps": 24,
        "sigma_range": [0.02, 1],
    },
    "levels_kept": 8,
    "precision": "auto",
}
Row = dict[str, Any]


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
    network = built(shape)
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, BiasFreeNorm):
                setattr(part, name, PublishedNorm(child.gain.numel()))
    network = network.to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(images), batch_size=shape[3], shuffle=True)

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


def built(shape: tuple[Any, ...]) -> nn.Module:
    """The network of a shape, untrained."""
    _, blocks, channels, _, _ = shape
    return build_network({"network": "unet", "blocks": blocks, "channels": channels}, 0)


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
    start, updates, spent = waited(), 0, 0.0
    while not updates or spent < seconds:
        for _ in range(5):
            update()
        updates += 5
        spent = waited() - start
    return updates * batch / spent


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes the second time; the first, where that is more than five seconds."""
    start = waited()
    work()
    spent = waited() - start
    if spent > 5:
        return spent
    start = waited()
    work()
    return waited() - start


def drawn(size: int, count: int) -> Tensor:
    """Smooth random images (count, 1, size, size)."""
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 1, 8, 8, generator=draws)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


class Rows:
    """The measurements, each a row of the table."""

    def __init__(self, dry: bool, seconds: float, device: str) -> None:
        self.dry, self.seconds, self.device = dry, seconds, device
        self.shapes = DRY if dry else SHAPES
        self.trained: dict[str, nn.Module] = {}

    def __iter__(self) -> Iterator[tuple[str, Callable[[], Row]]]:
        """What is measured, and how."""
        for name in self.shapes:
            yield f"training {name}", functools.partial(self.training, name)
        yield "start 40x40", self.start
        yield "full 80x80", self.full
        for name in ("80x80", "160x160"):
            yield f"leading 200 {name}", functools.partial(self.leading, int(name.split("x")[0]))
        yield "evaluation 40x40", self.evaluation
        yield "samples 40x40", self.samples
        yield "memorising 40x40", self.memorising
        yield "closest 40x40", self.closest

    def training(self, name: str) -> Row:
        """A trainer, and beside it the published loop."""
        shape = self.shapes[name]
        size, batch = shape[0], shape[3]
        images = drawn(size, 4 * batch)
        plain = rate(published_loop(shape, images, self.device), batch, self.seconds)
        start = waited()
        ours = trainer(shape, images)
        ours.step()
        first = waited() - start
        found = rate(ours.step, batch, self.seconds)
        ours.check(0)
        self.trained[name] = NetworkDenoiser(ours.network).eval().requires_grad_(False)
        return {
            "images/s": found,
            "published": plain,
            "first update s": first,
            "compiled": ours.computation.compiled,
            "graphed": ours._graphed is not None,
            "precision": ours.computation.precision,
        }

    def start(self) -> Row:
        """A second process that trains a network of a shape that was compiled."""
        begin = time.perf_counter()
        command = [sys.executable, __file__, "--start", "40x40", *["--dry"] * self.dry]
        subprocess.run(command, check=True, timeout=60, stdout=sys.stderr)
        return {"s": time.perf_counter() - begin}

    def denoiser(self, name: str) -> nn.Module:
        """The network that was trained, or one that was not, where that failed."""
        if name not in self.trained:
            untrained = NetworkDenoiser(built(self.shapes[name])).to(self.device)
            self.trained[name] = untrained.eval().requires_grad_(False)
        return self.trained[name]

    def linearised(self, size: int) -> LinearisedDenoiser:
        """Around one noisy image, here of a fifth of the size if all is dry."""
        size = size // 5 if self.dry else size
        noisy = drawn(size, 1)[0] + 0.1 * torch.randn(1, size, size)
        return LinearisedDenoiser(self.denoiser("80x80"), noisy.to(self.device), 0.1)

    def full(self) -> Row:
        """The whole spectrum, and the matrix alone."""
        linearised = self.linearised(80)
        spent = seconds(lambda: full_spectrum(linearised))
        return {"s": spent, "matrix s": seconds(linearised.matrix)}

    def leading(self, size: int) -> Row:
        """The leading pairs, once for large images."""
        linearised = self.linearised(size)
        count = 10 if self.dry else 200
        return {"s": seconds(lambda: leading_spectrum(linearised, count))}

    def evaluation(self) -> Row:
        """A network on noisy images of two levels."""
        return {"images/s": self._measured(fastest(self.denoiser("40x40")))}

    def memorising(self) -> Row:
        """The optimum for 10^5 images."""
        images = drawn(self.shapes["40x40"][0], 100 if self.dry else 10**5)
        return {"images/s": self._measured(on_fastest_device(EmpiricalDenoiser(images)))}

    def _measured(self, denoiser: Callable[..., Tensor]) -> float:
        count = 8 if self.dry else 1024
        indices = np.arange(count)
        noisy = NoisySet(indices, np.zeros_like(indices), drawn(self.shapes["40x40"][0], count))
        return 2 * count / seconds(lambda: squared_errors(denoiser, noisy, [1.0, 0.1], 0))

    def samples(self) -> Row:
        """Samples of a network, all of which are followed."""
        count = 8 if self.dry else 256
        network, size = self.denoiser("40x40"), self.shapes["40x40"][0]
        work = functools.partial(
            draw, network, SAMPLING | {"samples": count}, Start(), size, "samples", followed=count
        )
        return {"samples/s": count / seconds(work)}

    def closest(self) -> Row:
        """The most similar of 10^5 images, for each of some."""
        size, count = self.shapes["40x40"][0], 8 if self.dry else 256
        known = drawn(size, 100 if self.dry else 10**5)
        return {"images/s": count / seconds(lambda: closest(known[:count], known, "cosine"))}


def main(arguments: list[str] | None = None) -> None:
    """Print one JSON line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dry", action="store_true", help="tiny shapes, to try every line")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each rate, at least")
    parser.add_argument("--limit", type=float, default=105, help="seconds after which none begins")
    parser.add_argument("--start", choices=SHAPES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    device = choose_device()
    if options.start:
        shape = (DRY if options.dry else SHAPES)[options.start]
        trainer(shape, drawn(shape[0], 4 * shape[3])).step()
        waited()
        return
    machine = torch.cuda.get_device_name() if device == "cuda" else processor()
    about = {"device": machine, "torch": torch.__version__} | ({"dry": True} if options.dry else {})
    begin = time.perf_counter()
    for what, measure in Rows(options.dry, 0.0 if options.dry else options.seconds, device):
        started = time.perf_counter() - begin
        if started > options.limit:
            row: Row = {"left out": f"{started:.0f} s were over"}
        else:
            try:
                row = measure()
            except Exception as error:
                row = {"error": f"{type(error).__name__}: {error}".split("\n")[0]}
            row["took s"] = time.perf_counter() - begin - started
        gc.collect()  # what a failed row held
        torch.cuda.empty_cache()
        rounded = {key: float(f"{v:.4g}") if type(v) is float else v for key, v in row.items()}
        print(json.dumps({"what": what} | rounded | about), flush=True)
    print(json.dumps({"what": "all of this", "s": round(time.perf_counter() - begin, 1)}))


if __name__ == "__main__":
    main()
