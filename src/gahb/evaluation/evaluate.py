"""Evaluate one denoiser, and write the tidy table with the errors of single draws beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gahb.artifacts import Spec, provenance
from gahb.datasets.splits import half_and_turn, paired_split
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import in_float32
from gahb.devices import device_in_use
from gahb.evaluation.draws import write_measured
from gahb.evaluation.measure import Denoiser, NoisySet, noisy_set, squared_errors
from gahb.evaluation.psnr import input_psnr, mean_psnr, psnr_of_mean_mse

Errors = dict[str, NDArray[np.float64]]


def evaluation_sets(dataset: Dataset, spec: Spec, measured: Spec) -> dict[str, NoisySet]:
    """The three sets a denoiser is measured on.

    ``own`` is its training set, ``other`` the training set of the same size of the paired split,
    ``test`` was held out from both. Of an imported network, ``own`` and ``other`` are images in the place
    of sets that are not known: as many as there are, where those had more.

    Args:
        dataset: where they are from.
        spec: ``split`` and ``set_size`` of the training set.
        measured: ``images``, at most, and ``minimum_draws`` of each.
    """
    size = spec["set_size"]
    if "imported" in spec:
        size = min(size, len(dataset.indices["S1"]) // (half_and_turn(spec["split"])[1] + 1))
    indices = {
        "own": dataset.training_set(spec["split"], size),
        "other": dataset.training_set(paired_split(spec["split"]), size),
        "test": dataset.indices["test"],
    }
    return {
        name: noisy_set(dataset, index, measured["images"], measured["minimum_draws"])
        for name, index in indices.items()
    }


def evaluate_on_sets(
    name: str,
    denoiser: Denoiser,
    spec: Spec,
    dataset: Dataset,
    inputs: Mapping[str, str],
    output: Path | str,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Measure a denoiser on its own training set, the other split's, and the test set.

    Args:
        name: of the denoiser in the table, and of its part of the spec.
        denoiser: f(y, sigma), on the device in use.
        spec: what the table is made from, with ``evaluation``.
        dataset: where the images are from.
        inputs: digests of what the denoiser was made from, beside the dataset.
        output: table to write, ``.csv``.
        more: what its provenance says beside that.
    """
    measured = spec["evaluation"]
    sets = evaluation_sets(dataset, spec[name], measured)
    errors = {
        where: squared_errors(denoiser, noisy, measured["sigmas"], measured["seed"])
        for where, noisy in sets.items()
    }
    inputs = {"dataset": dataset.images_sha256, **inputs}
    made_from = provenance(spec, inputs, in_float32(device_in_use())) | dict(more or {})
    table = psnr_table(name, errors, sets, measured["sigmas"])
    write_measured(output, table, with_images(errors, sets), made_from)


def psnr_table(
    name: str, errors: Errors, sets: Mapping[str, NoisySet], sigmas: list[float]
) -> pd.DataFrame:
    """One row per set and noise level, with both aggregations of PSNR in dB."""
    tables = []
    for where, noisy in sets.items():
        of_mean, of_mean_se = psnr_of_mean_mse(errors[where], noisy.indices)
        mean, mean_se = mean_psnr(errors[where], noisy.indices)
        columns = {
            "denoiser": name,
            "evaluated_on": where,
            "sigma": sigmas,
            "input_psnr": list(map(input_psnr, sigmas)),
            "images": len(np.unique(noisy.indices)),
            "draws": len(noisy.indices),
            "psnr_of_mean_mse": of_mean,
            "psnr_of_mean_mse_se": of_mean_se,
            "mean_psnr": mean,
            "mean_psnr_se": mean_se,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def with_images(
    errors: Errors, sets: Mapping[str, NoisySet]
) -> dict[str, tuple[NDArray[np.generic], str]]:
    """The draws of some sets for :func:`gahb.evaluation.draws.write_measured`: errors and images."""
    draws: dict[str, tuple[NDArray[np.generic], str]] = {}
    for name, values in errors.items():
        stored = values.astype(np.float32)
        draws[f"{name}/mse"] = stored, "squared intensity per pixel; (noise level, draw)"
        draws[f"{name}/image"] = sets[name].indices, "index in the dataset"
    return draws
