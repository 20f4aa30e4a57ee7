"""Leading eigenpairs without the Jacobian, against the full Jacobian: agreement and speed.

    python benchmarks/spectra.py                                   # 40x40, 16 channels, k = 50
    python benchmarks/spectra.py --size 80 --blocks 3 --channels 64 --k 200 --columns 640
    python benchmarks/spectra.py --size 64 --layers 21 --channels 64 --k 20 --columns 64   # a BF-CNN

A network is first trained for a few updates with the shipped trainer, since only a denoiser has a
denoiser's spectrum. Both methods then analyse it at the same noisy image, in float32, on the same
threads; their ratio is printed by the clock and by processor time, which other work on the machine
disturbs less. A network is convolutional: ``--training-size`` trains it on smaller images than the
one that is analysed, which is cheaper. With ``--columns`` less than all pixels only so many columns
of the Jacobian are timed and their cost is scaled up to all of them; the decompositions that the
full method makes are then timed on a random matrix of the full size, and no agreement is printed.
"""

import argparse
import time

import numpy as np
import torch

from gahb.datasets.classes.calpha import CAlpha
from gahb.denoisers.networks import NetworkDenoiser
from gahb.denoisers.options import Training
from gahb.denoisers.training import Trainer
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.leading import leading_spectrum

TRAINING = Training(
    initialisation="published",
    noise_draws="independent",
    noise_law="squared_uniform",
    sigma_range=(0, 1),
    optimiser="adam",
    learning_rate=4e-3,
    warmup=20,
    compile="never",
    device="cpu",
    monitor_every=10**6,
).model_dump()


def rendered(size: int, count: int) -> torch.Tensor:
    """The first images of a class of smooth regions, (count, 1, size, size)."""
    smooth = CAlpha(size=size, seed=0, alpha=2.0, rendering="antialiased")
    return torch.from_numpy(np.ascontiguousarray(smooth.render(0, count)[:, None]))


def trained(options: argparse.Namespace) -> NetworkDenoiser:
    """A denoiser trained for ``options.updates`` updates on all but the first of 513 images."""
    depth = {"network": "unet", "blocks": options.blocks}
    if options.layers:
        depth = {"network": "bf_cnn", "layers": options.layers}
    architecture = depth | {"channels": options.channels}
    images = rendered(options.training_size or options.size, 513)
    run = {"updates": options.updates, "batch_size": 16, "threads": options.threads}
    spec = {"architecture": architecture, "training": TRAINING | run, "split": "S1"}
    trainer = Trainer(spec, images[1:], images[:1])
    while trainer.update < options.updates:
        trainer.step()
    trainer.check(0)
    return NetworkDenoiser(trainer.network).eval().requires_grad_(False)


class Clock:
    """Seconds of the clock on the wall and of the processor since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def read(self) -> np.ndarray:
        """Both, (2,)."""
        return np.array([time.perf_counter() - self.wall, time.process_time() - self.processor])


def seconds(times: np.ndarray) -> str:
    """Both times of a clock, in words."""
    return f"{times[0]:.1f} s ({times[1]:.1f} s of processor)"


def main() -> None:
    """Print seconds of both methods, their ratio, and how far their results are apart."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--training-size", type=int, help="train on images of this size instead")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--layers", type=int, help="of a BF-CNN in place of a UNet")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--columns", type=int, help="columns of the Jacobian that are timed")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = Clock()
    denoiser = trained(options)
    clean = rendered(options.size, 1)[0]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = clean + options.sigma * noise
    error = float((denoiser(noisy[None])[0] - clean).square().mean())
    print(
        f"trained {options.updates} updates in {seconds(clock.read())}: "
        f"{-10 * np.log10(error):.1f} dB from {-20 * np.log10(options.sigma):.1f} dB",
        flush=True,
    )

    linearised = LinearisedDenoiser(denoiser, noisy)
    clock = Clock()
    leading = leading_spectrum(linearised, options.k)
    fast = clock.read()
    values = leading.eigenvalues
    print(
        f"leading {options.k}: {seconds(fast)}, {leading.products} products; "
        f"lambda_1 = {values[0]:.3f}, lambda_{options.k} = {values[-1]:.3f}, "
        f"largest estimated error {leading.errors.max():.1e}, largest residual "
        f"{leading.residuals.max():.1e}, asymmetry {leading.asymmetry:.3f}",
        flush=True,
    )

    pixels = linearised.pixels
    columns = options.columns or pixels
    clock = Clock()
    if columns < pixels:
        basis = torch.eye(columns, pixels).view(columns, *noisy.shape)
        linearised.product(basis)
        forming = clock.read() * pixels / columns
        matrix = np.random.default_rng(0).standard_normal((pixels, pixels)) / pixels**0.5
        clock = Clock()
        np.linalg.eigh((matrix + matrix.T) / 2)
        np.linalg.eigvalsh(matrix.T @ matrix)
        slow = forming + clock.read()
        agreement = f"of which {seconds(forming)} scaled up from {columns} columns"
    else:
        full = full_spectrum(linearised)
        slow = clock.read()
        difference = np.abs(full.eigenvalues[: options.k] - values).max()
        cosines = np.linalg.norm(leading.eigenvectors @ full.eigenvectors[: options.k].T, axis=1)
        agreement = (
            f"eigenvalues differ by at most {difference:.1e}, eigenvectors lie within "
            f"{np.degrees(np.arccos(cosines.clip(max=1))).max():.1f} degrees of the leading span"
        )
    wall, processor = slow / fast
    print(
        f"full, {pixels} pixels: {seconds(slow)}, {agreement}; leading is {wall:.1f} times faster, "
        f"{processor:.1f} times by processor time"
    )


if __name__ == "__main__":
    main()
