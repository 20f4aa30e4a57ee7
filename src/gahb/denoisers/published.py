"""Published weights: PyTorch state dicts of the two architectures, read without unpickling code.

The names in such a file (a ``module.`` in front of each is dropped):

- UNet: ``encoder.{b}.{i}``, ``mid_block.{i}``, ``upsample.{b}`` and ``decoder.{b}.{i}``, with i counting
  convolutions, normalisations and ReLUs;
- BF-CNN: ``conv_layers.{l}``, and the normalisation of layer l in ``BN_layers.{l-1}`` (the paper's code) or
  in the flat lists ``running_sd.{l-1}`` and ``gammas.{l-1}`` (the code before it). The flat form has a ReLU
  after the first convolution, the other has none: weights alone do not say so, the layout does.

Convolutions hold ``weight``; normalisations ``gammas`` (our ``gain``) and ``running_sd``: (1, C, 1, 1).
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from gahb.artifacts import ArtifactError, Spec, digest_file, provenance, write_table
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.training import LOG_COLUMNS
from gahb.denoisers.weights import save_denoiser

Architecture = dict[str, Any]
IMPORTED = {"imported": True}  # in the place of how a training was computed


def import_published(path: Path | str, architecture: Architecture | None = None) -> NetworkDenoiser:
    """The denoiser of a published state dict, in evaluation mode.

    Args:
        path: file written by ``torch.save(network.state_dict(), path)``.
        architecture: as in params.yaml; read off the file when not given.

    Raises:
        ArtifactError: the file is no state dict, would run code, is of a colour network, or does not fit
            the architecture; all keys that are missing, unexpected or misshapen are listed.
    """
    denoiser = NetworkDenoiser(_read(path, architecture)[1]).eval()
    denoiser.requires_grad_(False)
    return denoiser


def convert_published(
    path: Path | str,
    output: Path | str,
    spec: Spec | None = None,
    dataset_sha256: str | None = None,
    table: Path | str | None = None,
) -> Architecture:
    """Write a published state dict as weights that everything here reads as if trained here.

    Args:
        path: the published file.
        output: weights to write, ``.safetensors``.
        spec: resolved network spec of the experiment it stands for (:func:`gahb.params.network_spec`);
            without one, the weights carry their architecture alone.
        dataset_sha256: digest of that experiment's images.
        table: training log to write, without rows: nothing was trained here.

    Returns:
        The architecture.
    """
    architecture, network = _read(path, None if spec is None else spec["architecture"])
    inputs = {"published": digest_file(path)}
    if dataset_sha256 is not None:
        inputs["dataset"] = dataset_sha256
    spec = spec or {"architecture": architecture}
    if table is not None:
        log = pd.DataFrame(columns=["update", "images_seen", *LOG_COLUMNS])
        write_table(table, log, provenance(spec, inputs, IMPORTED))
    save_denoiser(output, network, spec, inputs, IMPORTED)
    return architecture


def _read(path: Path | str, asked: Architecture | None) -> tuple[Architecture, nn.Module]:
    state = read_state(path)
    found = architecture_of(path, state)
    architecture = found if asked is None else asked
    if architecture["network"] != found["network"]:
        raise ArtifactError(
            f"{path} holds the weights of a {found['network']}, "
            f"asked for is a {architecture['network']}"
        )
    rectified = found.get("rectify_first", False)
    if rectified and "rectify_first" not in architecture:
        raise ArtifactError(
            f"{path} has its normalisations in flat lists: in that layout a ReLU follows the first "
            "convolution; the architecture must say `rectify_first: true` (or false, if you know better)"
        )
    network = build_network(architecture)
    wanted = network.state_dict()
    names = {name: published_name(name, architecture, flat=rectified) for name in wanted}
    _check(path, state, {names[name]: tensor.shape for name, tensor in wanted.items()})
    network.load_state_dict({name: state[names[name]].float() for name in wanted})
    return architecture, network


def read_state(path: Path | str) -> dict[str, Tensor]:
    """Named tensors of a state dict, without the prefix ``module.``; nothing in it is executed."""
    if not Path(path).is_file():
        raise ArtifactError(f"{path} does not exist or is not a file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        told = re.search(r"(GLOBAL|class|Unsupported)[^\n]*", str(error))
        raise ArtifactError(
            f"{path} is refused: it is no state dict, or loading it would run code that comes with it"
            f"{f' ({told[0].strip()})' if told else ''}. Save `network.state_dict()` instead of the network"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        raise ArtifactError(f"{path} is damaged or not written by torch.save: {error}") from error
    if not isinstance(content, Mapping) or not content:
        raise ArtifactError(
            f"{path} holds a {type(content).__name__}, expected a state dict: names and tensors"
        )
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise ArtifactError(
            f"{path} is not a state dict: {', '.join(sorted(others))} are no tensors"
        )
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def architecture_of(path: Path | str, state: Mapping[str, Tensor]) -> Architecture:
    """The architecture that the names and shapes of a state dict are those of, as in params.yaml.

    Raises:
        ArtifactError: neither architecture, or not one input channel.
    """
    unet = "encoder.0.0.weight" in state or any(name.startswith("mid_block.") for name in state)
    first = state.get("encoder.0.0.weight" if unet else "conv_layers.0.weight")
    if first is None or first.ndim != 4:
        raise ArtifactError(
            f"{path} holds neither a UNet (encoder.0.0.weight, (C, 1, 3, 3)) nor a BF-CNN "
            f"(conv_layers.0.weight, (C, 1, 3, 3)); it has {', '.join(sorted(state)[:8])} ..."
        )
    channels, inputs = first.shape[:2]
    if inputs != 1:
        kind = "a colour network" if inputs == 3 else "another kind of network"
        raise ArtifactError(
            f"{path} is of {kind}: it reads images of {inputs} channels, gahb's are grey (1 channel)"
        )
    if unet:
        blocks = _count(state, r"upsample\.(\d+)\.weight")
        return {"network": "unet", "blocks": max(blocks, 1), "channels": channels}
    layers = max(_count(state, r"conv_layers\.(\d+)\.weight"), 3)
    found: Architecture = {"network": "bf_cnn", "layers": layers, "channels": channels}
    if any(re.fullmatch(r"(running_sd|gammas)\.\d+", name) for name in state):
        found["rectify_first"] = True
    return found


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number in a name: a gap shows as a missing key."""
    numbers = [re.fullmatch(pattern, name) for name in state]
    return max((int(found[1]) + 1 for found in numbers if found), default=0)


def published_name(name: str, architecture: Architecture, flat: bool = False) -> str:
    """What the published code calls one of our tensors.

    Args:
        name: a name in the state dict of our network.
        architecture: as in params.yaml.
        flat: BF-CNN: the normalisations are in flat lists.
    """
    name = re.sub(r"\bgain$", "gammas", name)
    if architecture["network"] == "unet":
        return re.sub(r"^middle\.", "mid_block.", name)
    _, index, kind = name.split(".")
    # the chain: first convolution (and ReLU), then convolution, normalisation, ReLU ..., convolution
    after_first = int(index) - 1 - architecture.get("rectify_first", False)
    layer = 1 + after_first // 3 if index != "0" else 0
    if kind == "weight":
        return f"conv_layers.{layer}.weight"
    return f"{kind}.{layer - 1}" if flat else f"BN_layers.{layer - 1}.{kind}"


def _check(path: Path | str, state: Mapping[str, Tensor], wanted: Mapping[str, torch.Size]) -> None:
    """Refuse a file with all that is wrong with it."""
    problems = [f"missing {name}" for name in sorted(wanted.keys() - state.keys())]
    problems += [f"unexpected {name}" for name in sorted(state.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & state.keys()):
        tensor = state[name]
        if tensor.shape != wanted[name]:
            problems.append(
                f"{name} has shape {tuple(tensor.shape)}, expected {tuple(wanted[name])}"
            )
        elif not tensor.is_floating_point() or not tensor.isfinite().all():
            problems.append(f"{name} has values that are not finite numbers")
        elif "running_sd" in name and not (tensor > 0).all():
            problems.append(f"{name} has standard deviations that are not positive")
    if problems:
        raise ArtifactError(f"{path} does not fit the network: " + "; ".join(problems))
