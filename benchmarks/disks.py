"""The exact denoiser of disks: seconds, numerical error, an independent check, MSE against sigma.

    python benchmarks/disks.py                                     # 100 images of 40x40 per level
    python benchmarks/disks.py --images 20 --samples 0 --rendering hard_edged

Per noise level: processor seconds for 100 images on one thread; MSE / sigma^2, the squared error
summed over pixels, and the posterior variance, which has the same mean; the estimated excess of the
MSE over the least one, on average and in the worst image; and, on every tenth image, the same with
cells of half the side.

The check is importance sampling over all five parameters, greys included, from a mixture of the
prior and of a Student distribution around the true parameters with the covariance of the linearised
image. Printed: the squared distance between the two means in units of the one that samples of this
effective number should have, about 1 where both are right; and relative to the posterior variance.
"""

import argparse
import time
from typing import get_args

import numpy as np
import torch

from gahb.datasets.classes.disks import Disks
from gahb.denoisers.exact.disks import DiskPosterior
from gahb.randomness import generator, image_noise

RENDERINGS, PARAMETERS = (
    get_args(Disks.model_fields[option].annotation) for option in ("rendering", "parameters")
)
SIGMAS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FREEDOM = 4  # of the Student distribution: tails heavier than those of any posterior


def importance_sampling(
    disks: Disks, y: np.ndarray, sigma: float, truth: np.ndarray, samples: int
) -> tuple[np.ndarray, float]:
    """The posterior mean (d,) of one antialiased image y (H, W), and the effective sample number."""
    random = generator(0, "importance sampling")
    low, high = np.array([disks.centre_range] * 2 + [disks.radius_range] + [(0.0, 1.0)] * 2).T
    steps = 1e-4 * np.eye(5)
    slopes = disks.images(truth + steps) - disks.images(truth - steps)
    slopes = slopes.reshape(5, -1) / 2e-4
    spread = np.linalg.inv(slopes @ slopes.T / sigma**2 + np.diag(4 / (high - low) ** 2))
    centre = truth + spread @ slopes @ (y - disks.images(truth[None])[0]).ravel() / sigma**2
    centre = centre.clip(low, high)
    factor = np.linalg.cholesky(spread)
    drawn = random.uniform(low, high, (samples, 5))
    local = random.random(samples) < 0.5
    scale = np.sqrt(FREEDOM / random.chisquare(FREEDOM, (samples, 1)))
    student = centre + scale * random.standard_normal((samples, 5)) @ factor.T
    drawn = np.where(local[:, None], student, drawn)
    drawn = drawn[((drawn >= low) & (drawn <= high)).all(1)]

    # densities in units of the prior's; Gamma((4 + 5) / 2) / Gamma(4 / 2) = 11.6317
    whitened = np.linalg.solve(factor, (drawn - centre).T)
    peak = 11.6317 / ((FREEDOM * np.pi) ** 2.5 * np.diag(factor).prod())
    density = peak * (1 + (whitened**2).sum(0) / FREEDOM) ** (-(FREEDOM + 5) / 2)
    log_weights = -np.log(0.5 + 0.5 * density * (high - low).prod())
    for first in range(0, len(drawn), 4096):
        part = slice(first, first + 4096)
        misfit = ((disks.images(drawn[part]) - y) ** 2).sum((1, 2))
        log_weights[part] -= misfit / (2 * sigma**2)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    kept = weights > 1e-12
    mean = np.zeros(disks.size**2)
    for part, share in zip(
        np.array_split(drawn[kept], 1 + kept.sum() // 4096),
        np.array_split(weights[kept], 1 + kept.sum() // 4096),
        strict=True,
    ):
        mean += share @ disks.images(part).reshape(len(part), -1)
    return mean, 1 / (weights @ weights)


def main() -> None:
    """Print one line per noise level, then one per image and level that is checked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rendering", choices=RENDERINGS, default="antialiased")
    parser.add_argument("--parameters", choices=PARAMETERS, default="continuous")
    parser.add_argument("--sigmas", type=float, nargs="+", default=SIGMAS)
    parser.add_argument("--samples", type=int, default=200_000, help="of the check; 0: none")
    parser.add_argument("--checked", type=int, default=4, help="images that are checked")
    options = parser.parse_args()
    torch.set_num_threads(1)
    disks = Disks(
        size=options.size, seed=0, rendering=options.rendering, parameters=options.parameters
    )
    denoiser = DiskPosterior(disks)
    finer = DiskPosterior(disks, step=denoiser.quadrature.step / 2, limit=10**6)
    images = torch.from_numpy(disks.render(0, options.images)[:, None]).double()
    checks = []
    print(" sigma  s/100  MSE/s2 +- se   variance/s2  excess: mean    worst   at half the step")
    for level, sigma in enumerate(options.sigmas):
        noise = [image_noise(0, i, level, 0, options.size) for i in range(options.images)]
        noisy = images + sigma * torch.from_numpy(np.stack(noise))
        start = time.process_time()
        found = denoiser.estimate(noisy, sigma)
        seconds = (time.process_time() - start) * 100 / options.images
        errors = (found.mean - images).square().sum((1, 2, 3)) / sigma**2
        half = finer.estimate(noisy[::10], sigma)
        apart = (half.mean - found.mean[::10]).square().sum() / half.variance.sum()
        print(
            f"{sigma:6.3f} {seconds:6.1f} {errors.mean():7.3f} "
            f"+- {errors.std() / len(errors) ** 0.5:.3f} {found.variance.mean() / sigma**2:10.3f} "
            f"{found.error.sum() / found.variance.sum():14.1e} "
            f"{(found.error / found.variance).max():9.1e} {apart:12.1e}",
            flush=True,
        )
        if options.samples and (options.rendering, options.parameters) == (
            "antialiased",
            "continuous",
        ):
            for index in range(min(options.checked, options.images)):
                y = noisy[index, 0].numpy()
                truth = disks.draw(index, 1)[0]
                mean, effective = importance_sampling(disks, y, sigma, truth, options.samples)
                squared = float(
                    (found.mean[index].flatten() - torch.from_numpy(mean)).square().sum()
                )
                relative = squared / float(found.variance[index])
                checks.append(
                    f"{sigma:6.3f} image {index}, contrast {truth[3] - truth[4]:+.2f}: effective "
                    f"samples {effective:8.0f}, distance {relative * effective:5.2f} of that "
                    f"expected, {relative:.1e} of the variance"
                )
    print("importance sampling" if checks else "", *checks, sep="\n")


if __name__ == "__main__":
    main()
