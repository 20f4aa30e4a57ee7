"""A trained network against noise level."""

from __future__ import annotations

from pathlib import Path

import torch

from gahb.artifacts import Spec
from gahb.datasets.store import Dataset
from gahb.denoisers.weights import load_denoiser
from gahb.devices import asked_of
from gahb.evaluation.evaluate import evaluate_on_sets
from gahb.evaluation.measure import fastest


def evaluate_network(spec: Spec, dataset: Dataset, network: Path | str, output: Path | str) -> None:
    """Measure a trained network on its own training set, the other split's, and the test set."""
    torch.set_num_threads(spec["evaluation"]["threads"])
    denoiser, header = load_denoiser(network, spec["network"], dataset.images_sha256)
    inputs = {"network": header["tensors_sha256"]}
    trained = {"trained_by": header["computation"]}
    network_on_device = fastest(denoiser, asked_of(spec["network"]))
    evaluate_on_sets("network", network_on_device, spec, dataset, inputs, output, trained)
