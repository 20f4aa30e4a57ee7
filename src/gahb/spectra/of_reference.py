"""Spectra of an exact or classical denoiser."""

from __future__ import annotations

from pathlib import Path

import torch

from gahb.artifacts import Spec
from gahb.datasets.store import Dataset
from gahb.denoisers.reference import ErrorBound, build_reference
from gahb.spectra.run import spectra_on_test_images


def spectra_of_reference(spec: Spec, dataset: Dataset, output: Path | str) -> None:
    """Write the spectra of a reference denoiser at noisy test images.

    Args:
        spec: ``reference``, ``dataset`` and ``spectra``.
        dataset: where the images are from.
        output: file to write, ``.h5``; see :data:`gahb.spectra.store.SCHEMA`.

    Raises:
        ValueError: the reference is a bound on the error.
    """
    torch.set_num_threads(spec["spectra"]["threads"])
    denoiser = build_reference(spec["reference"], spec["dataset"], dataset)
    if isinstance(denoiser, ErrorBound):
        name = spec["reference"]["name"]
        raise ValueError(f"{name} is a bound on the error, no denoiser with a Jacobian")
    spectra_on_test_images(denoiser, spec, dataset, output, {})
