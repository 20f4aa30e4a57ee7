"""Evaluate one denoiser, or compare two, and write the tidy tables.

Beside each table ``X.csv`` lies ``X.h5`` with the error of every single draw, so that standard errors of
averages over noise levels and of fitted slopes can account for the draws that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gahb.artifacts import (
    ArtifactError,
    Spec,
    check_input,
    create_hdf5,
    open_hdf5,
    provenance,
    read_attribute,
    write_table,
)
from gahb.datasets.store import Dataset
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.reference import ErrorBound, build_reference
from gahb.denoisers.weights import load_denoiser
from gahb.evaluation.measure import (
    Denoiser,
    NoisySet,
    evaluation_sets,
    noisy_set,
    on_fastest_device,
    squared_differences,
    squared_errors,
)
from gahb.evaluation.psnr import input_psnr, mean_psnr, psnr_of_mean_mse

Errors = dict[str, NDArray[np.float64]]


def evaluate_network(spec: Spec, dataset: Dataset, network: Path | str, output: Path | str) -> None:
    """Measure a trained network on its own training set, the other split's, and the test set."""
    torch.set_num_threads(spec["evaluation"]["threads"])
    denoiser, header = load_denoiser(network, spec["network"])
    check_input(network, header["inputs"], "dataset", dataset.images_sha256)
    inputs = {"dataset": dataset.images_sha256, "network": header["tensors_sha256"]}
    _evaluate("network", on_fastest_device(denoiser), spec, dataset, inputs, output)


def evaluate_memorising(spec: Spec, dataset: Dataset, output: Path | str) -> None:
    """Measure the empirical-optimal denoiser of a training set on the same draws."""
    torch.set_num_threads(spec["evaluation"]["threads"])
    chosen = spec["memorising"]
    images = dataset.images(dataset.training_set(chosen["split"], chosen["set_size"]))
    denoiser = on_fastest_device(EmpiricalDenoiser(torch.from_numpy(images)))
    _evaluate("memorising", denoiser, spec, dataset, {"dataset": dataset.images_sha256}, output)


def evaluate_reference(spec: Spec, dataset: Dataset, output: Path | str) -> None:
    """Measure an exact or classical denoiser on test images, on the draws that networks get."""
    torch.set_num_threads(spec["evaluation"]["threads"])
    reference, measured = spec["reference"], spec["evaluation"]
    indices = dataset.indices["test"]
    noisy = noisy_set(dataset, indices, reference["images"], minimum_draws=1)
    built = build_reference(reference, spec["dataset"], dataset)
    if isinstance(built, ErrorBound):
        errors = built(noisy.indices, measured["sigmas"])
    else:
        errors = squared_errors(built, noisy, measured["sigmas"], measured["seed"])
    made_from = provenance(spec, {"dataset": dataset.images_sha256})
    _write_draws(output, {"test": errors}, {"test": noisy}, made_from)
    table = psnr_table(reference["name"], {"test": errors}, {"test": noisy}, measured["sigmas"])
    write_table(output, table, made_from)


def _evaluate(
    name: str,
    denoiser: Denoiser,
    spec: Spec,
    dataset: Dataset,
    inputs: Mapping[str, str],
    output: Path | str,
) -> None:
    measured = spec["evaluation"]
    sets = evaluation_sets(dataset, spec[name] | {"evaluation": measured})
    errors = {
        where: squared_errors(denoiser, noisy, measured["sigmas"], measured["seed"])
        for where, noisy in sets.items()
    }
    made_from = provenance(spec, inputs)
    _write_draws(output, errors, sets, made_from)
    write_table(output, psnr_table(name, errors, sets, measured["sigmas"]), made_from)


def psnr_table(
    name: str, errors: Errors, sets: Mapping[str, NoisySet], sigmas: list[float]
) -> pd.DataFrame:
    """One row per set and noise level, with both aggregations of PSNR in dB."""
    rows = []
    for where, noisy in sets.items():
        of_mean, of_mean_se = psnr_of_mean_mse(errors[where], noisy.indices)
        mean, mean_se = mean_psnr(errors[where], noisy.indices)
        for level, sigma in enumerate(sigmas):
            rows.append(
                {
                    "denoiser": name,
                    "evaluated_on": where,
                    "sigma": sigma,
                    "input_psnr": input_psnr(sigma),
                    "images": len(np.unique(noisy.indices)),
                    "draws": len(noisy.indices),
                    "psnr_of_mean_mse": of_mean[level],
                    "psnr_of_mean_mse_se": of_mean_se[level],
                    "mean_psnr": mean[level],
                    "mean_psnr_se": mean_se[level],
                }
            )
    return pd.DataFrame(rows)


def compare_networks(
    spec: Spec,
    dataset: Dataset,
    networks: tuple[Path | str, Path | str],
    output: Path | str,
) -> None:
    """PSNR between the outputs of two networks on the same noisy test images."""
    torch.set_num_threads(spec["evaluation"]["threads"])
    measured = spec["evaluation"]
    inputs = {"dataset": dataset.images_sha256}

    def load(role: str, path: Path | str) -> Denoiser:
        denoiser, header = load_denoiser(path, spec[role])
        check_input(path, header["inputs"], "dataset", dataset.images_sha256)
        inputs[role] = header["tensors_sha256"]
        return on_fastest_device(denoiser)

    first, second = load("first", networks[0]), load("second", networks[1])
    noisy = noisy_set(
        dataset, dataset.indices["test"], measured["images"], measured["minimum_draws"]
    )
    differences = squared_differences(first, second, noisy, measured["sigmas"], measured["seed"])
    between, between_se = psnr_of_mean_mse(differences, noisy.indices)
    table = pd.DataFrame(
        {
            "sigma": measured["sigmas"],
            "input_psnr": [input_psnr(sigma) for sigma in measured["sigmas"]],
            "images": len(np.unique(noisy.indices)),
            "psnr_between": between,
            "psnr_between_se": between_se,
        }
    )
    made_from = provenance(spec, inputs)
    _write_draws(output, {"test": differences}, {"test": noisy}, made_from)
    write_table(output, table, made_from)


def _write_draws(
    output: Path | str, errors: Errors, sets: Mapping[str, NoisySet], made_from: Spec
) -> None:
    with create_hdf5(draws_of(output), made_from) as file:
        for name, values in errors.items():
            group = file.create_group(name)
            _store(group, "mse", values.astype(np.float32))
            group["mse"].attrs["units"] = "squared intensity per pixel; (noise level, draw)"
            _store(group, "image", sets[name].indices)
            group["image"].attrs["units"] = "index in the dataset"


def _store(group: h5py.Group, name: str, values: NDArray[np.generic]) -> None:
    group.create_dataset(name, data=values, chunks=values.shape, fletcher32=True)


def draws_of(table: Path | str) -> Path:
    """Where the per-draw errors of a table are kept."""
    return Path(table).with_suffix(".h5")


def read_draws(
    table: Path | str, expected: Mapping[str, Spec] | None = None
) -> tuple[Errors, dict[str, NDArray[np.int64]]]:
    """Per-draw errors of a table, and which image each draw is of.

    Args:
        table: the ``.csv`` beside the draws.
        expected: the table's own provenance; draws of another spec or other inputs are refused.

    Returns:
        For each set, errors (levels, draws) and indices in the dataset (draws,).
    """
    path = draws_of(table)
    with open_hdf5(path, None if expected is None else expected["spec"]) as file:
        if expected is not None:
            found = read_attribute(file, "inputs")
            for name, digest in expected["inputs"].items():
                check_input(path, found, name, digest)
        try:
            errors = {name: file[name]["mse"][:].astype(np.float64) for name in file}
            return errors, {name: file[name]["image"][:] for name in file}
        except KeyError as error:
            raise ArtifactError(f"{path} lacks {error}") from error
