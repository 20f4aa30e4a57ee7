"""Leading eigenpairs without the Jacobian, against the full Jacobian: agreement and speed.

    python benchmarks/spectra.py                                   # 40x40, 16 channels, k = 50
    python benchmarks/spectra.py --size 80 --blocks 3 --channels 64 --k 200 --columns 640

A network is first trained for a few updates with the shipped trainer, since only a denoiser has a
denoiser's spectrum. Both methods then analyse it at the same noisy image, in float32, on the same
threads. With ``--columns`` less than all pixels only so many columns of the Jacobian are timed and
their cost is scaled up to all of them; the decompositions that the full method makes are then
timed on a random matrix of the full size, and no agreement is printed.
"""

import argparse
import time

import numpy as np
import torch

from gahb.datasets.calpha import CAlpha
from gahb.denoisers.networks import NetworkDenoiser
from gahb.denoisers.training import Trainer
from gahb.spectra import LinearisedDenoiser, full_spectrum, leading_spectrum

TRAINING = {
    "seed": 0,
    "noise_law": "squared_uniform",
    "sigma_range": [0, 1],
    "weighting": "annealed",
    "optimiser": "adam",
    "learning_rate": 4e-3,
    "schedule": "cosine",
    "warmup": 20,
    "precision": "auto",
    "compile": "never",
    "device": "cpu",
    "monitor_every": 10**6,
}


def trained(options: argparse.Namespace) -> tuple[NetworkDenoiser, torch.Tensor]:
    """A denoiser trained for ``options.updates`` updates, and a held-out image (1, H, W)."""
    architecture = {"network": "unet", "blocks": options.blocks, "channels": options.channels}
    images = CAlpha(options.size, 0, 2.0, 2.0, "antialiased").render(0, 513)[:, None]
    images = torch.from_numpy(np.ascontiguousarray(images))
    run = {"updates": options.updates, "batch_size": 16, "threads": options.threads}
    spec = {"architecture": architecture, "training": TRAINING | run, "split": "S1"}
    trainer = Trainer(spec, images[1:], images[:1])
    while trainer.update < options.updates:
        trainer.step()
    trainer.check(0)
    return NetworkDenoiser(trainer.network).eval().requires_grad_(False), images[0]


def main() -> None:
    """Print seconds of both methods, their ratio, and the largest difference of eigenvalues."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--columns", type=int, help="columns of the Jacobian that are timed")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    denoiser, clean = trained(options)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = clean + options.sigma * noise
    error = float((denoiser(noisy[None])[0] - clean).square().mean())
    print(
        f"trained {options.updates} updates in {time.perf_counter() - start:.0f} s: "
        f"{-10 * np.log10(error):.1f} dB from {-20 * np.log10(options.sigma):.1f} dB"
    )

    start = time.perf_counter()
    leading = leading_spectrum(LinearisedDenoiser(denoiser, noisy), options.k)
    fast = time.perf_counter() - start
    values = leading.eigenvalues
    print(
        f"leading {options.k}: {fast:.1f} s; lambda_1 = {values[0]:.3f}, lambda_{options.k} = "
        f"{values[-1]:.3f}, largest residual {leading.residuals.max():.1e}, "
        f"asymmetry {leading.asymmetry:.3f}",
        flush=True,
    )

    linearised = LinearisedDenoiser(denoiser, noisy)
    pixels = linearised.pixels
    columns = options.columns or pixels
    if columns < pixels:
        basis = torch.eye(columns, pixels).view(columns, *noisy.shape)
        start = time.perf_counter()
        linearised.product(basis)
        forming = (time.perf_counter() - start) * pixels / columns
        matrix = np.random.default_rng(0).standard_normal((pixels, pixels)) / pixels**0.5
        start = time.perf_counter()
        np.linalg.eigh((matrix + matrix.T) / 2)
        np.linalg.eigvalsh(matrix.T @ matrix)
        slow = forming + time.perf_counter() - start
        agreement = f"of which {forming:.0f} s scaled up from {columns} columns"
    else:
        start = time.perf_counter()
        full = full_spectrum(linearised)
        slow = time.perf_counter() - start
        difference = np.abs(full.eigenvalues[: options.k] - values).max()
        agreement = f"eigenvalues differ by at most {difference:.1e}"
    print(
        f"full, {pixels} pixels: {slow:.1f} s, {agreement}; leading is {slow / fast:.1f} times faster"
    )


if __name__ == "__main__":
    main()
