"""How far the outputs of two networks of disjoint training sets are from each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gahb.artifacts import Spec, provenance
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import in_float32
from gahb.denoisers.weights import load_denoiser
from gahb.devices import asked_of, choose_device
from gahb.evaluation.draws import write_measured
from gahb.evaluation.evaluate import with_images
from gahb.evaluation.measure import NoisySet, fastest, noisy_set, squared_differences
from gahb.evaluation.psnr import input_psnr, psnr_of_mean_mse


def compare_networks(
    spec: Spec, dataset: Dataset, networks: tuple[Path | str, Path | str], output: Path | str
) -> None:
    """PSNR between the outputs of two networks on the same noisy test images.

    Args:
        spec: ``first`` and ``second``, what the networks were trained with, and ``evaluation``.
        dataset: what both were trained on.
        networks: weights of the two.
        output: table to write, ``.csv``.
    """
    torch.set_num_threads(spec["evaluation"]["threads"])
    measured = spec["evaluation"]
    device = choose_device(asked_of(spec["first"]))
    inputs, compared = {"dataset": dataset.images_sha256}, []
    for role, path in zip(("first", "second"), networks, strict=True):
        denoiser, header = load_denoiser(path, spec[role], dataset.images_sha256)
        inputs[role] = header["tensors_sha256"]
        compared.append(fastest(denoiser, device))
    noisy = noisy_set(
        dataset, dataset.indices["test"], measured["images"], measured["minimum_draws"]
    )
    first, second = compared
    differences = squared_differences(first, second, noisy, measured["sigmas"], measured["seed"])
    table = agreement_table(differences, noisy, measured["sigmas"])
    draws = with_images({"test": differences}, {"test": noisy})
    write_measured(output, table, draws, provenance(spec, inputs, in_float32(device)))


def agreement_table(
    differences: NDArray[np.float64], noisy: NoisySet, sigmas: list[float]
) -> pd.DataFrame:
    """One row per noise level: PSNR between the outputs of two denoisers, in dB.

    Args:
        differences: (levels, draws) mean squared difference of the outputs.
        noisy: whose draws they are.
        sigmas: the levels.
    """
    between, between_se = psnr_of_mean_mse(differences, noisy.indices)
    return pd.DataFrame(
        {
            "sigma": sigmas,
            "input_psnr": list(map(input_psnr, sigmas)),
            "images": len(np.unique(noisy.indices)),
            "psnr_between": between,
            "psnr_between_se": between_se,
        }
    )
