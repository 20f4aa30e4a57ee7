"""What the verbs for people do: plain options in, tables, pictures and arrays out.

They call the library as a script would. Torch is loaded by the verb that needs it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gahb.denoisers.networks import NetworkDenoiser

_FIGURES = (".png", ".pdf")


def spectra(options: argparse.Namespace) -> None:
    """Eigenvalues and eigenvectors of a denoiser's Jacobian at one noisy image."""
    import torch

    from gahb.artifacts import check_output, digest_file, provenance
    from gahb.datasets.gathering import gathered
    from gahb.denoisers.computation import in_float32
    from gahb.randomness import image_noise
    from gahb.spectra.analysis import analyse
    from gahb.spectra.store import write_spectra

    if not options.image.is_file():
        what = "the folder" if options.image.is_dir() else "no file"
        raise ValueError(f"--image: found {what} {options.image}, expected one PNG or JPEG file")
    if options.output is not None:
        check_output(options.output, ".h5")
    if options.plot is not None:
        check_output(options.plot, *_FIGURES)
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
    asked: dict[str, Any] = {"sigmas": [options.sigma], "seed": options.seed}
    asked |= {"method": found.method, "eigenvectors": len(found.eigenvectors)}
    inputs = {"weights": digest, "image": digest_file(options.image)}
    made_from = provenance({"spectra": asked}, inputs, in_float32("cpu"))
    if options.output is not None:
        write_spectra(options.output, [[found]], [0], [options.sigma], made_from)
    if options.plot is not None:
        from gahb.figures.parts.quick import plot_basis
        from gahb.figures.parts.save import save

        save(plot_basis(found), options.plot, "Eigenbasis of a denoiser", made_from)


def psnr(options: argparse.Namespace) -> None:
    """PSNR of denoisers on the images of a folder, of any sizes, at every noise level."""
    import pandas as pd

    from gahb.artifacts import check_output, provenance, write_table
    from gahb.evaluation.curves import SIGMAS, psnr_curve

    if options.output is not None:
        check_output(options.output, ".csv")
    if options.plot is not None:
        check_output(options.plot, *_FIGURES)
    sigmas = options.sigmas or list(SIGMAS)
    files = {name: _file(name).resolve() for name in options.weights}
    if len(set(files.values())) < len(options.weights):
        raise ValueError(f"--weights: found {' '.join(options.weights)}, expected each once")
    loaded = {name: _loaded(name) for name in options.weights}
    inputs = {name: digest for name, (_, digest) in loaded.items()}
    curves = {
        name: psnr_curve(
            denoiser, options.images, sigmas, repeats=options.repeats, seed=options.seed
        )
        for name, (denoiser, _) in loaded.items()
    }
    table = pd.concat(curves, names=["denoiser"]).reset_index("denoiser")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    asked = {"sigmas": sigmas, "repeats": options.repeats, "seed": options.seed}
    made_from = provenance({"psnr": asked | {"images": str(options.images)}}, inputs)
    if options.output is not None:
        write_table(options.output, table, made_from)
    if options.plot is not None:
        from gahb.figures.parts.quick import plot_psnr
        from gahb.figures.parts.save import save

        save(plot_psnr(curves), options.plot, "PSNR of denoisers", made_from)


def sample(options: argparse.Namespace) -> None:
    """Images drawn with a denoiser, each from its own noise."""
    from gahb.artifacts import atomic, check_output, provenance
    from gahb.samples.quick import sample

    check_output(options.output, *_FIGURES, ".npy")
    size = options.size
    if size is None and options.around is None:
        size = 32
    denoiser, digest = _loaded(options.weights)
    images = sample(
        denoiser,
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

        with atomic(options.output) as partial, open(partial, "wb") as file:
            np.save(file, images.numpy())
        return
    from gahb.figures.parts.quick import plot_images
    from gahb.figures.parts.save import save

    asked = ("count", "sampler", "steps", "sigma_range", "seed")
    spec = {"sample": {name: getattr(options, name) for name in asked}}
    spec["sample"]["around"] = None if options.around is None else str(options.around)
    spec["sample"]["shape"] = list(images.shape[1:])
    made_from = provenance(spec, {"weights": digest})
    save(plot_images(images), options.output, "Samples of a denoiser", made_from)


def pretrained(options: argparse.Namespace) -> None:
    """List the trained networks that come with the package, or renew them."""
    from gahb.denoisers.pretrained import NAMES, pack, pretrained_file

    paths = [pretrained_file(name) for name in NAMES]
    if options.results is not None:
        paths = pack(options.results)
    for name, path in zip(NAMES, paths, strict=True):
        print(name, path)


def _file(weights: str) -> Path:
    """The file of weights that is named by its path, or by the name of a network that comes with gahb."""
    from gahb.denoisers.pretrained import NAMES, pretrained_file

    if Path(weights).exists() or weights.endswith(".safetensors"):
        return Path(weights)
    if weights not in NAMES:
        raise ValueError(
            f"--weights: there is no file {weights!r}; with gahb come {', '.join(NAMES)}"
        )
    return pretrained_file(weights)


def _loaded(weights: str) -> tuple[NetworkDenoiser, str]:
    """The denoiser in a file, or of a name, and the digest of its weights."""
    from gahb.denoisers.weights import load_denoiser

    denoiser, header = load_denoiser(_file(weights))
    return denoiser, header["tensors_sha256"]
