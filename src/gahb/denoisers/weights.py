"""Networks on disk: safetensors with the resolved spec inside, and a digest over all weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gahb.artifacts import (
    ArtifactError,
    Spec,
    check_input,
    provenance,
    read_tensors,
    write_tensors,
)
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.weight_files import in_words, is_ours


def save_denoiser(
    path: Path | str,
    network: nn.Module,
    spec: Spec,
    inputs: Mapping[str, str],
    computation: Mapping[str, Any],
) -> None:
    """Write a trained network.

    Args:
        path: ends in ``.safetensors``.
        network: the noise estimator, of architecture ``spec["architecture"]``.
        spec: architecture, dataset, training, set_size and split it was trained with.
        inputs: digests of what it was trained from.
        computation: processor, device, precision and compilation that were used.
    """
    write_tensors(path, network.state_dict(), provenance(spec, inputs, computation))


def load_denoiser(
    path: Path | str, expected: Spec | None = None, images_sha256: str | None = None
) -> tuple[NetworkDenoiser, dict[str, Any]]:
    """Read a network, in evaluation mode, and its provenance: a pair.

    Args:
        path: weights.
        expected: spec of the network; by default any.
        images_sha256: digest of the dataset that it must have been trained on; by default any.

    Raises:
        ArtifactError: if the file is missing, damaged, made from another spec or dataset, or if its
            weights do not fit its architecture; a file that gahb has not written is named for what it is.
    """
    if Path(path).is_file() and not is_ours(path):
        raise ArtifactError(
            f"{path} is {in_words(path)}. `gahb import {path} --output weights.safetensors` makes of "
            "published weights what is read here; gahb.import_published(path) reads them as they are"
        )
    tensors, header = read_tensors(path, expected)
    if images_sha256 is not None:
        check_input(path, header["inputs"], "dataset", images_sha256)
    architecture = header["spec"]["architecture"]
    network = build_network(architecture)
    load_state(path, network, tensors)
    denoiser = NetworkDenoiser(network, architecture).eval()
    denoiser.requires_grad_(False)
    return denoiser, header


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, by the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def load_state(path: Path | str, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy named tensors into a network, or say which are missing, unexpected or misshapen."""
    wanted = network.state_dict()
    problems = [f"missing {name}" for name in sorted(wanted.keys() - tensors.keys())]
    problems += [f"unexpected {name}" for name in sorted(tensors.keys() - wanted.keys())]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & tensors.keys())
        if tensors[name].shape != wanted[name].shape
    ]
    if problems:
        raise ArtifactError(f"{path} does not fit the network: " + "; ".join(problems))
    network.load_state_dict(tensors)
