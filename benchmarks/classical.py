"""Errors of the classical denoisers on C^alpha images: how far from the optimum each one stays.

    python benchmarks/classical.py                         # 16 images of each alpha: 1 minute of one core
    python benchmarks/classical.py --images 64 --shifts 8  # all shifts: 16 minutes
    python benchmarks/classical.py --known-contour --alphas 2 3 4 --size 32 --images 32  # 1 minute

Each row is a denoiser: output PSNR of the mean error, in dB, at each noise level; the slope of output
against input PSNR, fitted over the window, to be compared with the minimax alpha / (alpha + 1); and the
processor time for one image at one noise level. "spun" is with cycle spinning. An oracle's threshold
looks at the clean image, so that its error bounds nothing.

With --search, wavelets of several filters and thresholds instead, with and without cycle spinning over all
shifts, by PSNR averaged over noise levels and at last over alpha: which of them are best on the class.

With --known-contour, the filter that knows each image's contour instead: the error of its formula (the
bound under the Gaussian surrogate), and on draws of noise as it is and clipped to [0, 1]; by how much
each is above the formula, on the same images. As far as it is, the formula is no bound on these images.
"""

import argparse
import itertools
import time

import numpy as np
import torch
from torch import nn

from gahb.datasets.classes.calpha import CAlpha
from gahb.denoisers.classical.bandlets import BandletDenoiser
from gahb.denoisers.classical.wavelets import WaveletDenoiser
from gahb.denoisers.exact.known_contour import KnownContourDenoiser
from gahb.evaluation.psnr import DB, input_psnr, psnr_of_mean_mse
from gahb.means import standard_error
from gahb.randomness import image_noise

FILTERS = ("haar", "db2", "db3", "db4", "sym4", "sym6", "coif1", "coif2", "coif3")
RULES: tuple[float | str, ...] = (2.5, 2.75, 3.0, 3.25, 3.5, "universal")


class Identity(nn.Module):
    """Does nothing."""

    needs_clean = False

    def forward(self, y: torch.Tensor, sigma: float) -> torch.Tensor:
        """The noisy image."""
        return y


class KnownContours(nn.Module):
    """To each image of a batch, in their order, the filter that knows its contour."""

    needs_clean = False

    def __init__(self, calpha: CAlpha, images: int) -> None:
        super().__init__()
        self.filters = [KnownContourDenoiser(calpha, index) for index in range(images)]

    def forward(self, y: torch.Tensor, sigma: float) -> torch.Tensor:
        """Each image filtered on its own."""
        pairs = zip(self.filters, y, strict=True)
        return torch.cat([known(noisy[None], sigma) for known, noisy in pairs])

    def formula(self, sigmas: list[float]) -> np.ndarray:
        """What the error of each would be if the backgrounds were Gaussian: (levels, images)."""
        return np.array(
            [[known.mean_squared_error(sigma) for known in self.filters] for sigma in sigmas]
        )


class Clipped(nn.Module):
    """A denoiser whose images are clipped to [0, 1], the range of all clean ones."""

    needs_clean = False

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, y: torch.Tensor, sigma: float) -> torch.Tensor:
        """The denoised image, clipped."""
        return self.denoiser(y, sigma).clamp(0, 1)


def denoisers(shifts: int) -> dict[str, nn.Module]:
    """The rows of the table."""
    rows: dict[str, nn.Module] = {"identity": Identity()}
    for name, spins in (("", 1), (", spun", shifts)):
        rows[f"wavelets, universal{name}"] = WaveletDenoiser(shifts=spins)
        rows[f"wavelets, oracle{name}"] = WaveletDenoiser(rule="oracle", shifts=spins)
        rows[f"bandlets{name}"] = BandletDenoiser(shifts=spins)
    return rows


def search(alphas: list[float], size: int, images: int, seed: int, sigmas: list[float]) -> None:
    """Print the best wavelets of each alpha, and of all of them together."""
    noise = torch.from_numpy(
        np.array(
            [
                [image_noise(seed, image, level, 0, size) for image in range(images)]
                for level in range(len(sigmas))
            ]
        )
    )
    found: dict[tuple[str, str], list[float]] = {}
    for alpha in alphas:
        clean = torch.from_numpy(calpha(size, seed, alpha).render(0, images))[:, None]
        for shifts, wavelet, rule in itertools.product((1, "all"), FILTERS, RULES):
            denoiser = WaveletDenoiser(wavelet, rule, shifts=shifts)
            errors = [
                (denoiser(clean + sigma * z, sigma) - clean).square().mean(dim=(1, 2, 3)).numpy()
                for sigma, z in zip(sigmas, noise, strict=True)
            ]
            key = ("spun" if shifts == "all" else "one shift", f"{wavelet}, {rule}")
            found.setdefault(key, []).append(float(psnr_of_mean_mse(np.stack(errors))[0].mean()))
    for spun in ("one shift", "spun"):
        print(f"\n{spun}; mean PSNR for alpha = {', '.join(f'{a:g}' for a in alphas)}, and of all")
        of = {name: values for (kind, name), values in found.items() if kind == spun}
        for name in sorted(of, key=lambda name: -np.mean(of[name]))[:8]:
            print(cells(name, np.array([*of[name], np.mean(of[name])])), flush=True)


def calpha(size: int, seed: int, alpha: float) -> CAlpha:
    """Antialiased C^alpha images."""
    rendering = "antialiased"
    return CAlpha(size=size, seed=seed, alpha=alpha, background_alpha=alpha, rendering=rendering)


def row(name: str, psnr: np.ndarray, inputs: np.ndarray, fitted: list[bool]) -> str:
    """Output PSNR at each noise level, and the slope of those that are fitted."""
    slope = np.polyfit(inputs[fitted], psnr[fitted], 1)[0]
    return f"{cells(name, psnr)}  {slope:12.2f}"


def cells(name: str, values: np.ndarray) -> str:
    """A name and one number for each noise level."""
    return f"{name:26s}{''.join(f'{value:7.2f}' for value in values)}"


def main() -> None:
    """Print one table for each alpha."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--alphas", type=float, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--shifts", type=int, default=4, help="along each axis, when spun")
    parser.add_argument("--seed", type=int, default=1, help="of the images and of the noise")
    parser.add_argument("--window", type=float, nargs=2, default=[0.02, 0.4], help="of the slope")
    parser.add_argument(
        "--sigmas", type=float, nargs="+", default=[1, 0.398, 0.158, 0.1, 0.0631, 0.0251, 0.02]
    )
    parser.add_argument("--known-contour", action="store_true", help="that filter instead")
    parser.add_argument("--search", action="store_true", help="filters and thresholds instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.search:
        search(options.alphas, options.size, options.images, options.seed, options.sigmas)
        return
    inputs = np.array([input_psnr(sigma) for sigma in options.sigmas])
    fitted = [options.window[0] <= sigma <= options.window[1] for sigma in options.sigmas]
    draws = [
        [
            image_noise(options.seed, image, level, 0, options.size)
            for image in range(options.images)
        ]
        for level in range(len(options.sigmas))
    ]
    noise = torch.from_numpy(np.array(draws))
    for alpha in options.alphas:
        rendered = calpha(options.size, options.seed, alpha)
        clean = torch.from_numpy(rendered.render(0, options.images))[:, None]
        print(f"\nalpha = {alpha:g}, {options.images} images of {options.size} pixels")
        header = "".join(f"{psnr:7.1f}" for psnr in inputs)
        print(f"{'input PSNR':26s}{header}  slope ({alpha / (alpha + 1):.2f})  s / image")
        rows, formula = denoisers(options.shifts), None
        if options.known_contour:
            filters = KnownContours(rendered, options.images)
            formula = filters.formula(options.sigmas)
            psnr = psnr_of_mean_mse(formula)[0]
            print(row("known contour, formula", psnr, inputs, fitted), flush=True)
            rows = {"known contour": filters, "known contour, clipped": Clipped(filters)}
        for name, denoiser in rows.items():
            start = time.process_time()
            errors = []
            for level, sigma in enumerate(options.sigmas):
                given = [clean] if denoiser.needs_clean else []
                denoised = denoiser(clean + sigma * noise[level], sigma, *given)
                errors.append((denoised - clean).double().square().mean(dim=(1, 2, 3)).numpy())
            seconds = (time.process_time() - start) / (options.images * len(options.sigmas))
            psnr = psnr_of_mean_mse(np.stack(errors))[0]
            print(f"{row(name, psnr, inputs, fitted)}  {seconds:9.4f}", flush=True)
            if formula is not None:
                found = np.stack(errors)
                relative = found / found.mean(1, keepdims=True)
                relative -= formula / formula.mean(1, keepdims=True)
                above = psnr - psnr_of_mean_mse(formula)[0]
                print(cells("  above the formula", above))
                print(cells("  its standard error", DB * standard_error(relative)), flush=True)


if __name__ == "__main__":
    main()
