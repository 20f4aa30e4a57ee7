"""Spectra of a trained network."""

from __future__ import annotations

from pathlib import Path

import torch

from gahb.artifacts import Spec
from gahb.datasets.store import Dataset
from gahb.denoisers.weights import load_denoiser
from gahb.devices import asked_of, choose_device
from gahb.spectra.run import spectra_on_test_images


def spectra_of_network(
    spec: Spec, dataset: Dataset, network: Path | str, output: Path | str
) -> None:
    """Write the spectra of a trained network at noisy test images.

    Args:
        spec: ``network``, what it was trained with, and ``spectra``.
        dataset: what it was trained on.
        network: weights.
        output: file to write, ``.h5``; see :data:`gahb.spectra.store.SCHEMA`.
    """
    torch.set_num_threads(spec["spectra"]["threads"])
    denoiser, header = load_denoiser(network, spec["network"], dataset.images_sha256)
    inputs = {"network": header["tensors_sha256"]}
    device = choose_device(asked_of(spec["network"]))
    spectra_on_test_images(denoiser, spec, dataset, output, inputs, device)
