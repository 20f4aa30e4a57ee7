"""Speed of the shipped trainer against a plain float32 DataLoader loop on the same network.

    python benchmarks/training.py [--channels 16] [--size 40] [--blocks 2] [--updates 20]

All train the same architecture on the same images with the same batch size, in one process and on
the same threads: ours with whatever `auto` chooses here (bfloat16 autocast, channels-last), compiled
and not, the plain loop in float32 with a shuffling DataLoader and no compilation. The first
updates, with compilation, are timed apart and printed as start-up. Rounds alternate, so that a
drifting machine slows all; the median round is printed. What compiling saves is printed as in
gahb.denoisers.computation: ns per image of an update, pixel and first-block channel.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from gahb.datasets.classes.calpha import CAlpha
from gahb.denoisers.networks import build_network
from gahb.denoisers.options import Training
from gahb.denoisers.training import Trainer

TRAINING = Training(
    updates=10**6,
    weighting="inverse_sigma",
    learning_rate=1e-3,
    schedule="constant",
    warmup=0,
    monitor_every=10**6,
).model_dump()


class PlainLoop:
    """The loop one writes first: float32, a DataLoader, Adam."""

    def __init__(self, architecture: dict, images: torch.Tensor, batch: int, device: str) -> None:
        self.device = device
        self.network = build_network(architecture, 0).to(device).train()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.loader = DataLoader(TensorDataset(images), batch_size=batch, shuffle=True)

    def run(self, updates: int) -> None:
        """Train for so many batches."""
        done = 0
        while done < updates:
            for (clean,) in self.loader:
                clean = clean.to(self.device)
                sigma = torch.rand(len(clean), 1, 1, 1, device=self.device) ** 2
                noise = sigma * torch.randn_like(clean)
                loss = (self.network(clean + noise) - noise).square().mean()
                self.optimiser.zero_grad()
                loss.backward()
                self.optimiser.step()
                done += 1
                if done == updates:
                    break


def ours(trainer: Trainer, updates: int) -> None:
    """Train for so many updates, to the end of the last."""
    for _ in range(updates):
        trainer.step()
    if trainer.computation.device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print images per second of all three, and what they say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--updates", type=int, default=10, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    architecture = {"network": "unet", "blocks": options.blocks, "channels": options.channels}
    images = CAlpha(
        size=options.size, seed=0, alpha=2.0, background_alpha=2.0, rendering="antialiased"
    ).render(0, 2048)[:, None]
    images = torch.from_numpy(np.ascontiguousarray(images))
    training = TRAINING | {"batch_size": options.batch, "threads": options.threads}
    spec = {"architecture": architecture, "split": "S1"}
    runs: dict[str, Callable[[int], None]] = {}
    for name, choice in (("compiled", "always"), ("eager", "never")):
        start = time.perf_counter()
        trainer = Trainer(spec | {"training": training | {"compile": choice}}, images, images[:1])
        runs[name] = partial(ours, trainer)
        runs[name](3)
        print(f"{name}: {trainer.computation}, start-up {time.perf_counter() - start:.0f} s")
    runs["plain"] = PlainLoop(architecture, images, options.batch, trainer.computation.device).run
    runs["plain"](2)
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run(options.updates)
            elapsed = time.perf_counter() - start
            rates[name].append(options.updates * options.batch / elapsed)
    compiled, eager, plain = (statistics.median(rates[name]) for name in runs)
    saved = (1 / eager - 1 / compiled) / options.size**2 / options.channels
    print(
        f"{options.channels} channels, {options.size}x{options.size}, {options.threads} threads: "
        f"{compiled:.0f} images/s compiled, {eager:.0f} eager, {plain:.0f} in the plain loop: "
        f"{max(compiled, eager) / plain:.1f} times faster; compiling saves {1e9 * saved:.0f} ns"
    )


if __name__ == "__main__":
    main()
