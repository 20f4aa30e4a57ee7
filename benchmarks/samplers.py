"""Speed of the samplers, the calls each needs for equal quality, and what batches are worth.

    python benchmarks/samplers.py [--only speed | gaussian | disks] [--blocks 3] [--channels 16] [--size 40]

*Quality* is measured with exact denoisers, told the noise level, on two classes.

Stationary Gaussian images with a power-law spectrum:
the variance error sqrt(mean_k (V_k / P_k - 1)^2) over the Fourier coefficients, P_k being the
variance of one exact denoising at the last noise level, less what the finite number of samples adds;
and the energy distance 2 E|a - b| - E|a - a'| - E|b - b'| between samples and images of the class.

Disks, the five parameters of which are fitted to every sample: the energy distance of these from the
class's, in units of the class's standard deviations; the greatest of their five Kolmogorov-Smirnov
distances; and the residual of the fit.

Distances are those from one large set of the class, and have a noise floor: what as many images of the
class are away from that set. Samples are as good as the class where both statistics are below the floor's
95% quantile and, on disks, no residual is above the last noise level. A sampler is given more and more
calls until that is so twice in a row: it needs the first of the two. All start from the same noise.

*Speed* is that of a briefly trained UNet: samples per second of
processor time in one run of each sampler, against a loop that makes one image at a time in float32.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from disk_fits import fit_disks
from scipy.stats import ks_2samp

from gahb.datasets.classes.calpha import CAlpha
from gahb.datasets.classes.disks import Disks
from gahb.denoisers.computation import prepared
from gahb.denoisers.exact.disks import DiskPosterior
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.training import Trainer
from gahb.samples.draw import draw_samples
from gahb.samples.fresh import energy_distance
from gahb.samples.process import noise_levels
from gahb.samples.sampler import Denoiser, Sampler
from gahb.samples.samplers.ancestral import Ancestral
from gahb.samples.samplers.deterministic import Deterministic
from gahb.samples.samplers.ode import FlowODE
from gahb.samples.samplers.score_ascent import SCORE_ASCENT, ScoreAscent
from gahb.samples.start import sample_noise

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


def image_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Energy distance of two sets of images."""
    return energy_distance(first.flatten(1).double().numpy(), second.flatten(1).double().numpy())


CALLS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def gaussian_quality(count: int, high: float, most: int) -> None:
    """Print how many calls each sampler needs for samples as good as images of the Gaussian class."""
    gaussian = Gaussian(16, 0.5)
    reference = gaussian.images(2000, seed=1)

    def statistics(images: torch.Tensor) -> tuple[float, float]:
        return image_distance(reference, images), gaussian.variance_error(images)

    def denoised(seed: int) -> torch.Tensor:
        """Images of the class, noised at the last level and denoised, as samples are."""
        clean = gaussian.images(count, seed)
        noise = np.stack([sample_noise(seed + 1, index, 0, 16) for index in range(count)])
        return gaussian(clean + LOW * torch.from_numpy(noise), LOW)

    floor = np.array([statistics(denoised(100 + 2 * number)) for number in range(40)])
    limits = np.quantile(floor, 0.95, axis=0)
    print(
        f"\nGaussian class, 16x16, {count} samples against {len(reference)} of the class, sigma from "
        f"{high:g} to {LOW:g}\n"
        f"noise floor: energy distance {floor[:, 0].mean():.5f} +- {floor[:, 0].std():.5f}, 95% below "
        f"{limits[0]:.5f}; variance error 95% below {limits[1]:.3f}\n"
        f"{'sampler':26} calls  energy distance  variance error  as good"
    )
    for name, samplers in samplers_by_calls(high, most).items():

        def good(sampler: Sampler, name: str = name) -> bool:
            drawn = draw_samples(
                gaussian, sampler, range(count), 16, seed=0, batch=256, dtype=torch.float64
            )
            energy, error = statistics(drawn.images)
            passed = energy <= limits[0] and error <= limits[1]
            print(
                f"{name:26} {int(drawn.calls.max()):5}  {energy:15.5f}  {error:14.3f}  "
                f"{'yes' if passed else 'no'}",
                flush=True,
            )
            return passed

        until_good_twice(samplers, good)


def until_good_twice(samplers: list[Sampler], good: Callable[[Sampler], bool]) -> None:
    """Try samplers of more and more calls until two in a row make samples as good as the class."""
    passed = 0
    for sampler in samplers:
        passed = passed + 1 if good(sampler) else 0
        if passed == 2:
            break


def samplers_by_calls(high: float, most: int) -> dict[str, list[Sampler]]:
    """Each kind of sampler at growing numbers of calls, up to ``most``."""
    ladder = [calls for calls in CALLS if calls <= most]
    grids = [tuple(noise_levels("geometric", calls, (LOW, high)).tolist()) for calls in ladder]
    known = {"sigma_max": high, "sigma_min": LOW, "growing": False, "known_level": True}
    found: dict[str, list[Sampler]] = {
        "ode 3": [FlowODE(levels, 3) for levels in grids],
        "ode 2": [FlowODE(levels, 2) for levels in grids],
        "deterministic": [Deterministic(levels) for levels in grids],
        "ancestral": [Ancestral(levels) for levels in grids],
    }
    for beta in (0.5, 0.1):
        # (1 - beta h)^(calls - 2) takes the level just below LOW; one more step, one last denoising
        shrinkage = [1 - (0.999 * LOW / high) ** (1 / (calls - 2)) for calls in ladder]
        found[f"score ascent, beta {beta}"] = [
            ScoreAscent(share / beta, beta, **known) for share in shrinkage if share <= beta
        ]
    return found


def disk_quality(count: int, high: float, most: int, official: int) -> None:
    """Print how many calls each sampler needs for samples as good as disks of the class."""
    disks = Disks(size=12, seed=0, rendering="antialiased", parameters="continuous", radius=(2, 3))
    posterior = DiskPosterior(disks, step=2.5)
    reference = disks.draw(10**6, 2000)
    scale = reference.std(axis=0, ddof=1)

    def distances(parameters: np.ndarray) -> tuple[float, float]:
        smirnov = [
            ks_2samp(*pair).statistic for pair in zip(parameters.T, reference.T, strict=True)
        ]
        return energy_distance(parameters / scale, reference / scale), float(max(smirnov))

    def floors(size: int) -> np.ndarray:
        return np.array([distances(disks.draw(size * i, size)) for i in range(200)])

    floor = floors(count)
    limits = np.quantile(floor, 0.95, axis=0)
    print(
        f"\nDisks, 12x12, radius 2 to 3, {count} samples against {len(reference)} of the class, "
        f"sigma from {high:g} to {LOW:g}\n"
        f"noise floor: energy distance {floor[:, 0].mean():.4f} +- {floor[:, 0].std():.4f}, 95% below "
        f"{limits[0]:.4f}; Kolmogorov-Smirnov 95% below {limits[1]:.3f}"
    )
    clean = torch.from_numpy(disks.images(disks.draw(0, count)))[:, None]
    noise = np.stack([sample_noise(1, index, 0, 12) for index in range(count)])
    last = fit_disks(posterior(clean + LOW * torch.from_numpy(noise), LOW).numpy())
    print(
        f"{'sampler':26} calls  energy distance     KS  residual: median  largest  as good\n"
        f"{'(images, denoised at LOW)':26} {1:5}  {distances(last.parameters)[0]:15.4f}  "
        f"{distances(last.parameters)[1]:5.3f}  {np.median(last.residual):16.5f}  "
        f"{last.residual.max():7.5f}",
        flush=True,
    )
    known = {"sigma_max": high, "sigma_min": LOW, "known_level": True}
    published = ScoreAscent(**(vars(SCORE_ASCENT["official"]) | known))
    kinds = samplers_by_calls(high, most)
    if official:
        kinds |= {f"official, {official} samples": [published]}
    for name, samplers in kinds.items():
        size = official if samplers == [published] else count
        if size != count:
            limits = np.quantile(floors(size), 0.95, axis=0)
            print(f"noise floor of {size} samples: 95% below {limits[0]:.4f} and {limits[1]:.3f}")

        def good(
            sampler: Sampler, name: str = name, size: int = size, limits: np.ndarray = limits
        ) -> bool:
            drawn = draw_samples(posterior, sampler, range(size), 12, 0, dtype=torch.float64)
            fit = fit_disks(drawn.images.numpy())
            energy, smirnov = distances(fit.parameters)
            passed = energy <= limits[0] and smirnov <= limits[1] and fit.residual.max() <= LOW
            print(
                f"{name:26} {int(drawn.calls.max()):5}  {energy:15.4f}  {smirnov:5.3f}  "
                f"{np.median(fit.residual):16.5f}  {fit.residual.max():7.5f}  "
                f"{'yes' if passed else 'no'}",
                flush=True,
            )
            return bool(passed)

        until_good_twice(samplers, good)


def trained(architecture: dict, size: int, updates: int) -> NetworkDenoiser:
    """A network trained for a moment on C^2 images."""
    images = CAlpha(size=size, seed=0, alpha=2.0, rendering="antialiased").render(0, 512)[:, None]
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
    """Measure speed, then quality on either class."""
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
    parser.add_argument("--disk-samples", type=int, default=192)
    parser.add_argument("--disk-sigma-max", type=float, default=20.0, help="on the disks")
    parser.add_argument("--calls", type=int, default=128, help="at most, of each sampler")
    parser.add_argument(
        "--official-samples", type=int, default=48, help="of the official score ascent, on disks"
    )
    parser.add_argument("--only", choices=["speed", "gaussian", "disks"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only in (None, "speed"):
        speed(options)
    if options.only in (None, "gaussian"):
        gaussian_quality(options.gaussian_samples, options.sigma_max, options.calls)
    if options.only in (None, "disks"):
        disk_quality(
            options.disk_samples,
            options.disk_sigma_max,
            options.calls,
            options.official_samples,
        )


if __name__ == "__main__":
    main()
