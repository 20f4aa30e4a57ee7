"""Speed of the samplers, the calls each needs for equal quality, and what batches are worth.

    python benchmarks/samplers.py [--blocks 3] [--channels 16] [--size 40] [--samples 32] [--sigma-max 1]

*Quality* is measured on stationary Gaussian images with a power-law spectrum, with the exact denoiser:
the variance error sqrt(mean_k (V_k / P_k - 1)^2) over the Fourier coefficients, P_k being the
variance of one exact denoising at the last noise level, less what the finite number of samples adds;
and the energy distance
2 E|a - b| - E|a - a'| - E|b - b'| between samples and images of the class, with the distance that two sets
of images of the class have. *Speed* is that of a briefly trained UNet: samples per second of
processor time in one run of each sampler, against a loop that makes one image at a time in float32.
"""

import argparse
import time

import numpy as np
import torch

from gahb.datasets.calpha import CAlpha
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.training import Trainer
from gahb.samples.process import noise_levels
from gahb.samples.samplers import (
    SCORE_ASCENT,
    Ancestral,
    Denoiser,
    Deterministic,
    FlowODE,
    Sampler,
    ScoreAscent,
)
from gahb.samples.sampling import draw_samples, prepared, sample_noise

LOW = 0.02
TRAINING = {
    "seed": 0,
    "noise_law": "squared_uniform",
    "sigma_range": [0, 1],
    "weighting": "inverse_sigma",
    "optimiser": "adam",
    "learning_rate": 4e-3,
    "schedule": "cosine",
    "warmup": 5,
    "batch_size": 32,
    "precision": "float32",
    "compile": "never",
    "device": "cpu",
    "monitor_every": 10**6,
}


class Gaussian:
    """Stationary Gaussian images of spectrum P = variance (1 + |k|^2)^-1.5, and their denoiser."""

    def __init__(self, size: int, variance: float) -> None:
        self.size = size
        frequency = np.hypot.outer(*2 * [np.fft.fftfreq(size) * size])
        self.power = variance / (1 + frequency**2) ** 1.5

    def __call__(self, y: torch.Tensor, sigma: float) -> torch.Tensor:
        """The posterior mean."""
        gains = torch.from_numpy(self.power / (self.power + sigma**2)).to(y.dtype)
        return 0.5 + torch.fft.ifft2(torch.fft.fft2(y - 0.5) * gains).real

    def images(self, count: int, seed: int) -> torch.Tensor:
        """Draws of the class."""
        white = np.stack([sample_noise(seed, index, 0, self.size) for index in range(count)])
        waves = np.fft.fft2(white) * np.sqrt(self.power)
        return torch.from_numpy(0.5 + np.fft.ifft2(waves).real)

    def variance_error(self, images: torch.Tensor, denoised: bool = True) -> float:
        """Root mean square of V_k / P_k - 1, less the part of the finite number of images.

        Samples end with one denoising at level LOW, which takes P_k to P_k^2 / (P_k + LOW^2).
        """
        waves = torch.fft.fft2(images.double() - 0.5, norm="ortho")[:, 0].numpy()
        power = self.power * (self.power / (self.power + LOW**2) if denoised else 1)
        energies = np.abs(waves) ** 2 / power
        noise = energies.var(axis=0, ddof=1) / len(energies)
        return float(np.sqrt(max(((energies.mean(axis=0) - 1) ** 2 - noise).mean(), 0.0)))


def energy_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|, without the pairs of an image with itself."""
    a, b = first.flatten(1).double(), second.flatten(1).double()
    within = [torch.cdist(one, one).sum() / (len(one) * (len(one) - 1)) for one in (a, b)]
    return float(2 * torch.cdist(a, b).mean() - within[0] - within[1])


def quality(count: int, high: float) -> None:
    """Print, for every sampler and number of calls, both statistics on the Gaussian class."""
    gaussian = Gaussian(16, 0.5)
    truth = gaussian.images(count, seed=1)
    again = gaussian.images(count, seed=2)
    print(f"\nGaussian class, 16x16, {count} samples, sigma from {high:g} to {LOW:g}")
    print(f"{'sampler':28} calls  variance error  energy distance")
    print(
        f"{'(images of the class)':28} {0:5}  {gaussian.variance_error(again, denoised=False):14.3f}  "
        f"{energy_distance(truth, again):15.5f}"
    )
    samplers: list[tuple[str, Sampler]] = []
    for steps in (8, 16, 32, 64):
        levels = tuple(noise_levels("geometric", steps, (LOW, high)).tolist())
        more = tuple(noise_levels("geometric", 4 * steps, (LOW, high)).tolist())
        linear = tuple(noise_levels("linear", steps, (LOW, high)).tolist())
        samplers += [
            ("ancestral, geometric", Ancestral(more)),
            ("deterministic, geometric", Deterministic(levels)),
            ("ode 2, geometric", FlowODE(levels, 2)),
            ("ode 3, geometric", FlowODE(levels, 3)),
            ("ode 2, linear", FlowODE(linear, 2)),
        ]
    for name, preset in SCORE_ASCENT.items():
        changes = {"sigma_max": high, "sigma_min": LOW, "known_level": True}
        samplers.append((f"score ascent, {name}", ScoreAscent(**(vars(preset) | changes))))
    for name, sampler in sorted(samplers, key=lambda pair: pair[0]):
        numbers = range(count if not name.startswith("score") else count // 4)
        drawn = draw_samples(gaussian, sampler, numbers, 16, seed=0, batch=256)
        print(
            f"{name:28} {int(drawn.calls.max()):5}  "
            f"{gaussian.variance_error(drawn.images):14.3f}  "
            f"{energy_distance(truth, drawn.images):15.5f}",
            flush=True,
        )


def trained(architecture: dict, size: int, updates: int) -> NetworkDenoiser:
    """A network trained for a moment on C^2 images."""
    images = CAlpha(size, 0, 2.0, 2.0, "antialiased").render(0, 512)[:, None]
    images = torch.from_numpy(np.ascontiguousarray(images))
    training = TRAINING | {"updates": updates}
    trainer = Trainer(
        {"architecture": architecture, "training": training, "split": "S1"}, images, images[:1]
    )
    for _ in range(updates):
        trainer.step()
    return NetworkDenoiser(trainer.network).eval().requires_grad_(False)


def one_at_a_time(network: torch.nn.Module, sampler: Sampler, numbers: range, size: int) -> None:
    """The loop one writes first: for each image, for each step, in float32."""
    with torch.no_grad():
        for number in numbers:

            def noise(step: int, rows: torch.Tensor, number: int = number) -> torch.Tensor:
                return torch.from_numpy(sample_noise(0, number, step, size))[None]

            start = 0.5 + sampler.sigma_range[1] * noise(0, torch.arange(1))
            sampler.run(network, start, noise, lambda *_: None)


def rates(
    fast: Denoiser, plain: torch.nn.Module, sampler: Sampler, options: argparse.Namespace
) -> tuple[float, float]:
    """Samples per second of processor time: shipped, in batches, and one at a time; medians."""
    found: dict[str, list[float]] = {"fast": [], "plain": []}
    for _ in range(options.rounds):
        start = time.process_time()
        draw_samples(fast, sampler, range(options.samples), options.size, seed=0)
        found["fast"].append(options.samples / (time.process_time() - start))
        few = range(max(1, options.samples // 8))
        start = time.process_time()
        one_at_a_time(plain, sampler, few, options.size)
        found["plain"].append(len(few) / (time.process_time() - start))
    return float(np.median(found["fast"])), float(np.median(found["plain"]))


def speed(options: argparse.Namespace) -> None:
    """Print samples per second of every sampler, and the ratio to the loop."""
    size = options.size
    architecture = {"network": "unet", "blocks": options.blocks, "channels": options.channels}
    network = trained(architecture, size, options.updates)
    plain = NetworkDenoiser(build_network(architecture, 0)).eval()
    plain.load_state_dict(network.state_dict())
    fast = prepared(network, "float32", "cpu")
    levels = tuple(noise_levels("geometric", 32, (LOW, 1.0)).tolist())
    samplers = {
        "ancestral": Ancestral(levels),
        "deterministic": Deterministic(levels),
        "ode 2": FlowODE(levels, 2),
        "score ascent, official": SCORE_ASCENT["official"],
        "score ascent, paper": SCORE_ASCENT["paper"],
    }
    print(f"\nUNet {options.blocks} blocks, {options.channels} channels, {size}x{size}, float32")
    print(f"{'sampler':24} calls  samples/s  one at a time  ratio")
    draw_samples(fast, FlowODE(levels[:4], 2), range(32), size, seed=0)  # warm up
    for name, sampler in samplers.items():
        calls = share = 32
        if isinstance(
            sampler, ScoreAscent
        ):  # time the first calls; count all of them on two images
            calls = int(draw_samples(fast, sampler, range(2), size, seed=0).calls.mean())
            sampler = ScoreAscent(**(vars(sampler) | {"most_calls": share}))
        ours, loop = (rate * share / calls for rate in rates(fast, plain, sampler, options))
        print(f"{name:24} {calls:5}  {ours:9.3f}  {loop:13.3f}  {ours / loop:5.2f}", flush=True)

    sampler = FlowODE(levels, 2)
    whole = draw_samples(fast, sampler, range(32), size, seed=0).images
    for batch in (1, 2, 5):
        part = draw_samples(fast, sampler, range(10), size, seed=0, batch=batch).images
        print(f"batches of {batch}: largest difference {(part - whole[:10]).abs().max():.1e}")
    rounded = draw_samples(prepared(network, "bfloat16", "cpu"), sampler, range(4), size, seed=0)
    difference = (rounded.images - whole[:4]).square().mean().sqrt()
    print(
        f"bfloat16 network: samples differ by {difference:.4f} rms from float32; their standard "
        f"deviation is {whole.std():.4f}"
    )


def main() -> None:
    """Measure speed, then quality."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--updates", type=int, default=150, help="of the network's training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gaussian-samples", type=int, default=256)
    parser.add_argument("--sigma-max", type=float, default=5.0, help="on the Gaussian class")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=["speed", "quality"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only != "quality":
        speed(options)
    if options.only != "speed":
        quality(options.gaussian_samples, options.sigma_max)


if __name__ == "__main__":
    main()
