"""What the verbs for people do: plain options in, tables, pictures and arrays out.

They call the library as a script would. Torch is loaded by the verb that needs it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gahb.denoisers.networks import NetworkDenoiser


def spectra(options: argparse.Namespace) -> None:
    """Eigenvalues and eigenvectors of a denoiser's Jacobian at one noisy image."""
    import torch

    from gahb.artifacts import digest_file, provenance
    from gahb.datasets.gathering import gathered
    from gahb.denoisers.computation import in_float32
    from gahb.randomness import image_noise
    from gahb.spectra.analysis import analyse
    from gahb.spectra.store import write_spectra

    if options.image.is_dir():
        raise ValueError(
            f"--image: found the folder {options.image}, expected one PNG or JPEG file"
        )
    (clean,) = gathered(options.image)
    denoiser, digest = _loaded(options.weights)
    noise = torch.from_numpy(image_noise(options.seed, 0, 0, 0, tuple(clean.shape)))
    noisy = clean + options.sigma * noise
    found = analyse(denoiser, clean, noisy, options.sigma, eigenvectors=options.k)
    leading = " ".join(f"{value:.3f}" for value in found.eigenvalues[:10])
    print(
        f"eigenvalues {leading} ...\ntrace {found.trace:.1f}, effective rank "
        f"{found.effective_rank:.1f}, asymmetry {found.asymmetry:.3f} ({found.method} method)"
    )
    if options.output is not None:
        asked: dict[str, Any] = {"sigmas": [options.sigma], "seed": options.seed}
        asked |= {"method": found.method, "eigenvectors": len(found.eigenvectors)}
        inputs = {"weights": digest, "image": digest_file(options.image)}
        made_from = provenance({"spectra": asked}, inputs, in_float32("cpu"))
        write_spectra(options.output, [[found]], [0], [options.sigma], made_from)
    if options.plot is not None:
        from gahb.figures.parts.quick import plot_basis

        _save(plot_basis(found), options.plot)


def psnr(options: argparse.Namespace) -> None:
    """PSNR of denoisers on the images of a folder, of any sizes, at every noise level."""
    import pandas as pd

    from gahb.artifacts import provenance, write_table
    from gahb.evaluation.curves import SIGMAS, psnr_curve

    sigmas = options.sigmas or list(SIGMAS)
    curves, inputs = {}, {}
    for name in options.weights:
        denoiser, inputs[name] = _loaded(name)
        curves[name] = psnr_curve(
            denoiser, options.images, sigmas, repeats=options.repeats, seed=options.seed
        )
    table = pd.concat(curves, names=["denoiser"]).reset_index("denoiser")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    if options.output is not None:
        asked = {"sigmas": sigmas, "repeats": options.repeats, "seed": options.seed}
        spec = {"psnr": asked | {"images": str(options.images)}}
        write_table(options.output, table, provenance(spec, inputs))
    if options.plot is not None:
        from gahb.figures.parts.quick import plot_psnr

        _save(plot_psnr(curves), options.plot)


def sample(options: argparse.Namespace) -> None:
    """Images drawn with a denoiser, each from its own noise."""
    from gahb.samples.quick import sample

    if options.output.suffix not in (".png", ".pdf", ".npy"):
        raise ValueError(f"--output: found {options.output}, expected .png, .pdf or .npy")
    size = options.size
    if size is None and options.around is None:
        size = 32
    images = sample(
        _loaded(options.weights)[0],
        options.count,
        size,
        around=options.around,
        sampler=options.sampler,
        steps=options.steps,
        sigma_range=None if options.sigma_range is None else tuple(options.sigma_range),
        seed=options.seed,
    )
    if options.output.suffix == ".npy":
        import numpy as np

        np.save(options.output, images.numpy())
        return
    from gahb.figures.parts.quick import plot_images

    _save(plot_images(images), options.output)


def pretrained(options: argparse.Namespace) -> None:
    """List the trained networks that come with the package, or renew them."""
    from gahb.denoisers.pretrained import NAMES, pack, pretrained_file

    paths = [pretrained_file(name) for name in NAMES]
    if options.results is not None:
        paths = pack(options.results)
    for name, path in zip(NAMES, paths, strict=True):
        print(name, path)


def _loaded(weights: str) -> tuple[NetworkDenoiser, str]:
    """The denoiser in a file, or of a name, and the digest of its weights."""
    from gahb.denoisers.pretrained import NAMES, pretrained_file
    from gahb.denoisers.weights import load_denoiser

    if not Path(weights).exists() and not weights.endswith(".safetensors"):
        if weights not in NAMES:
            raise ValueError(
                f"--weights: there is no file {weights!r}; with gahb come {', '.join(NAMES)}"
            )
        weights = str(pretrained_file(weights))
    denoiser, header = load_denoiser(weights)
    return denoiser, header["tensors_sha256"]


def _save(figure: Figure, path: Path) -> None:
    from gahb.figures.parts.style import figure_style

    if path.suffix not in (".png", ".pdf"):
        raise ValueError(f"found {path}, expected a figure .png or .pdf")
    with figure_style():
        figure.savefig(path)
