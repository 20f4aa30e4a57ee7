"""Spectra of one denoiser on some images at some noise levels, to one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gahb.artifacts import Spec, provenance
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import in_float32
from gahb.randomness import image_noise
from gahb.spectra.analysis import Analysis, analyse
from gahb.spectra.jacobian import Denoiser
from gahb.spectra.store import write_spectra


def _print(line: str) -> None:
    print(line, flush=True)


def compute_spectra(
    denoiser: Denoiser,
    clean: NDArray[np.float32],
    image_index: Sequence[int] | NDArray[np.integer],
    spec: Spec,
    output: Path | str,
    inputs: Mapping[str, str],
    device: str = "cpu",
    report: Callable[[str], None] = _print,
) -> None:
    """Analyse a denoiser at every image and noise level, and write the spectra file.

    Args:
        denoiser: f, the common interface; see :func:`gahb.spectra.analysis.analyse`.
        clean: (I, C, H, W) float32 images.
        image_index: (I,) indices of the images in their dataset; they also name the noise draws.
        spec: what the file is made from. ``spec["spectra"]`` holds ``sigmas``, ``method`` (full or
            leading), ``eigenvectors`` (how many are kept) and ``seed``.
        output: file to write.
        inputs: SHA-256 digests of the files that the denoiser and the images come from.
        device: where the products are made.
        report: called with one line of progress per image and noise level.

    Raises:
        ValueError: there are not as many images as indices, or the method does not suit their size.
    """
    if clean.ndim != 4:
        raise ValueError(f"expected images (I, C, H, W), found {clean.shape}")
    if len(clean) != len(image_index):
        raise ValueError(f"found {len(clean)} images and {len(image_index)} indices")
    settings: dict[str, Any] = spec["spectra"]
    analyses: list[list[Analysis]] = []
    total = len(clean) * len(settings["sigmas"])
    for image, index in zip(clean, image_index, strict=True):
        of_image = []
        for level, sigma in enumerate(settings["sigmas"]):
            start = time.perf_counter()
            z = image_noise(settings["seed"], int(index), level, 0, image.shape)
            found = analyse(
                denoiser,
                torch.from_numpy(image),
                torch.from_numpy(image + np.float32(sigma) * z).to(device),
                sigma,
                method=settings["method"],
                eigenvectors=settings["eigenvectors"],
                seed=settings["seed"],
            )
            of_image.append(found)
            report(
                f"spectrum {len(analyses) * len(settings['sigmas']) + len(of_image)}/{total}: "
                f"image {index}, sigma {sigma:g}, {found.method}, {found.engine}: "
                f"trace {found.trace:.1f}, asymmetry {found.asymmetry:.3f}, "
                f"residual of homogeneity {found.homogeneity_residual:.1e} "
                f"({time.perf_counter() - start:.1f} s)"
            )
        analyses.append(of_image)
    made_from = provenance(spec, inputs, in_float32(device))
    write_spectra(output, analyses, image_index, settings["sigmas"], made_from)


def spectra_on_test_images(
    denoiser: nn.Module,
    spec: Spec,
    dataset: Dataset,
    output: Path | str,
    inputs: Mapping[str, str],
    device: str = "cpu",
) -> None:
    """:func:`compute_spectra` on the test images at the positions ``spec["spectra"]["test_images"]``."""
    indices = dataset.indices["test"][spec["spectra"]["test_images"]]
    inputs = {"dataset": dataset.images_sha256, **inputs}
    images = dataset.images(indices)
    compute_spectra(denoiser.to(device), images, indices, spec, output, inputs, device)
