"""The denoiser that is optimal for a training set, and memorises it, against noise level."""

from __future__ import annotations

from pathlib import Path

import torch

from gahb.artifacts import Spec
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import on_fastest_device
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.evaluation.evaluate import evaluate_on_sets


def evaluate_memorising(spec: Spec, dataset: Dataset, output: Path | str) -> None:
    """Measure the empirical-optimal denoiser of a training set on the draws that networks get."""
    torch.set_num_threads(spec["evaluation"]["threads"])
    chosen = spec["memorising"]
    images = dataset.images(dataset.training_set(chosen["split"], chosen["set_size"]))
    optimum = EmpiricalDenoiser(torch.from_numpy(images))
    denoiser = on_fastest_device(optimum, chosen.get("device", "auto"))
    evaluate_on_sets("memorising", denoiser, spec, dataset, {}, output)
