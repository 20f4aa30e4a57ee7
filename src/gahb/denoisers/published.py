"""Published weights: state dicts of the two architectures, as networks of ours.

The names in such a file, once :mod:`gahb.denoisers.weight_files` has found them:

- UNet: ``encoder.{b}.{i}``, ``mid_block.{i}``, ``upsample.{b}`` and ``decoder.{b}.{i}``, with i counting
  convolutions, normalisations and ReLUs;
- BF-CNN, in three layouts. ``conv_layers.{l}`` with the normalisation of layer l in ``BN_layers.{l-1}``
  (the paper's code), or in the lists ``running_sd.{l-1}`` and ``gammas.{l-1}`` (the code before it); or
  ``first_layer``, ``hidden_layer_list.{l-1}``, ``last_layer`` with ``bn_layer_list.{l-1}`` (the bias-free
  DnCNN of Mohan et al., ICLR 2020). In the first no ReLU follows the first convolution, in the two others
  one does: weights alone do not say so, the layout does. Layers between may have kernels of 1x1.

Convolutions hold ``weight``; normalisations ``gammas`` (our ``gain``) and ``running_sd``: (1, C, 1, 1).
Those of the DnCNN hold ``weight`` and ``running_var``: (C,), and divide by the root of the variance plus
10^-5; what else torch's batch normalisation keeps is not used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gahb.artifacts import ArtifactError, Spec, digest_file
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.weight_files import State, WeightFile, read_weight_file
from gahb.denoisers.weights import save_denoiser

Architecture = dict[str, Any]
_RECTIFIED = {  # layouts in which a ReLU follows the first convolution
    "dncnn": "a bias-free DnCNN (first_layer, hidden_layer_list, last_layer)",
    "lists": "a BF-CNN with its normalisations in lists (running_sd, gammas)",
}
DNCNN_EPSILON = 1e-5  # added to the standard deviation, as torch's batch normalisation names it


def import_published(
    path: Path | str, architecture: Architecture | None = None, key: str | None = None
) -> NetworkDenoiser:
    """The denoiser of published weights, in evaluation mode.

    Args:
        path: a file of ``torch.save``, or ``.safetensors``.
        architecture: as in params.yaml; read off the file when not given.
        key: which state dict of the file, where it holds several.

    Raises:
        ArtifactError: the file holds no weights or would run code, is of a colour network, or does not fit
            the architecture; all keys that are missing, unexpected or misshapen are listed.
    """
    found, network, _ = _read(path, architecture, key)
    denoiser = NetworkDenoiser(network, found).eval()
    denoiser.requires_grad_(False)
    return denoiser


def convert_published(
    path: Path | str,
    output: Path | str,
    spec: Spec | None = None,
    dataset_sha256: str | None = None,
    key: str | None = None,
    sha256: str | None = None,
) -> tuple[Architecture, WeightFile]:
    """Write published weights as weights that everything here reads.

    Args:
        path: the published file.
        output: weights to write, ``.safetensors``.
        spec: resolved network spec of the experiment it stands for (:func:`gahb.params.network_spec`);
            without one, the weights carry their architecture alone.
        dataset_sha256: digest of that experiment's images.
        key: which state dict of the file, where it holds several.
        sha256: what the file must have; by default it is only recorded.

    Returns:
        The architecture, and what was taken from the file.

    Raises:
        ArtifactError: as :func:`import_published`, or the file has another SHA-256.
    """
    architecture, network, found = _read(path, None if spec is None else spec["architecture"], key)
    digest = digest_file(path)
    if sha256 not in (None, digest):
        raise ArtifactError(f"{path} is another file: found SHA-256 {digest}, expected {sha256}")
    inputs = {"published": digest}
    if dataset_sha256 is not None:
        inputs["dataset"] = dataset_sha256
    origin = {"file": Path(path).name, "bytes": Path(path).stat().st_size}
    origin |= {"taken": found.told} if found.told else {}
    # in the place of how a training was computed
    save_denoiser(
        output, network, spec or {"architecture": architecture}, inputs, {"imported": origin}
    )
    return architecture, found


def _read(
    path: Path | str, asked: Architecture | None, key: str | None
) -> tuple[Architecture, nn.Module, WeightFile]:
    found = read_weight_file(path, key)
    state = _used(path, found.tensors)
    own = architecture_of(path, state)
    architecture = own if asked is None else asked
    if architecture["network"] != own["network"]:
        raise ArtifactError(
            f"{path} holds the weights of a {own['network']}, "
            f"asked for is a {architecture['network']}"
        )
    if own.get("rectify_first", False) and "rectify_first" not in architecture:
        raise ArtifactError(
            f"{path} is {_RECTIFIED[_layout(state)]}, in which a ReLU follows the first convolution; the "
            "architecture asked for does not say so: expected `rectify_first: true` (or false, if you "
            "know better)"
        )
    network = build_network(architecture)
    wanted = network.state_dict()
    names = {name: published_name(name, architecture, _layout(state)) for name in wanted}
    _check(path, state, {names[name]: _shape(names[name], wanted[name]) for name in wanted})
    network.load_state_dict(
        {name: _value(names[name], state[names[name]]).view_as(wanted[name]) for name in wanted}
    )
    return architecture, network, found


def _layout(state: Mapping[str, Tensor]) -> str:
    """Where a BF-CNN has its normalisations: ``dncnn``, ``lists`` or ``modules``."""
    if any(name.startswith(("hidden_layer_list.", "bn_layer_list.")) for name in state):
        return "dncnn"
    return "lists" if any(re.match(r"(running_sd|gammas)\.\d+$", n) for n in state) else "modules"


def _used(path: Path | str, state: State) -> State:
    """A state dict without what the bias-free normalisation of the DnCNN keeps and does not use.

    Raises:
        ArtifactError: it does use it: the DnCNN has biases.
    """
    if _layout(state) != "dncnn":
        return state
    spare = [n for n in state if re.match(r"bn_layer_list\.\d+\.(bias|running_mean)$", n)]
    biases = [name for name in spare if state[name].any()]
    biases += [name for name in state if name.endswith(".bias") and name not in spare]
    if biases:
        raise ArtifactError(
            f"{path} is of a DnCNN with biases ({', '.join(sorted(biases)[:3])} ...), which is no "
            "network of gahb's: BF-CNN has none"
        )
    counts = {name for name in state if name.endswith(".num_batches_tracked")}
    return {name: value for name, value in state.items() if name not in {*spare, *counts}}


def architecture_of(path: Path | str, state: Mapping[str, Tensor]) -> Architecture:
    """The architecture that the names and shapes of a state dict are those of, as in params.yaml.

    Raises:
        ArtifactError: neither architecture, or not one input channel.
    """
    unet = "encoder.0.0.weight" in state or any(name.startswith("mid_block.") for name in state)
    layout = _layout(state)
    chain = "first_layer.weight" if layout == "dncnn" else "conv_layers.0.weight"
    first = state.get("encoder.0.0.weight" if unet else chain)
    if first is None or first.ndim != 4:
        raise ArtifactError(
            f"{path} holds neither a UNet (encoder.0.0.weight, (C, 1, 3, 3)) nor a BF-CNN "
            "(conv_layers.0.weight or first_layer.weight, (C, 1, 3, 3)); it has "
            f"{', '.join(sorted(state)[:8])} ..."
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
    if layout == "dncnn":
        layers = _count(state, r"hidden_layer_list\.(\d+)\.weight") + 2
    else:
        layers = _count(state, r"conv_layers\.(\d+)\.weight")
    found: Architecture = {"network": "bf_cnn", "layers": max(layers, 3), "channels": channels}
    if layout in _RECTIFIED:
        found["rectify_first"] = True
    kernels = [state.get(_convolution(layer, found["layers"], layout)) for layer in range(layers)]
    pointwise = [
        layer
        for layer, kernel in enumerate(kernels[1:-1], start=1)
        if kernel is not None and kernel.shape[2:] == (1, 1)
    ]
    return found | ({"pointwise": pointwise} if pointwise else {})


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number in a name: a gap shows as a missing key."""
    numbers = [re.fullmatch(pattern, name) for name in state]
    return max((int(found[1]) + 1 for found in numbers if found), default=0)


def published_name(name: str, architecture: Architecture, layout: str = "modules") -> str:
    """What the published code calls one of our tensors.

    Args:
        name: a name in the state dict of our network.
        architecture: as in params.yaml.
        layout: BF-CNN: where the normalisations are, ``modules``, ``lists`` or ``dncnn``.
    """
    name = re.sub(r"\bgain$", "gammas", name)
    if architecture["network"] == "unet":
        return re.sub(r"^middle\.", "mid_block.", name)
    _, index, kind = name.split(".")
    # the chain: first convolution (and ReLU), then convolution, normalisation, ReLU ..., convolution
    after_first = int(index) - 1 - architecture.get("rectify_first", False)
    layer = 1 + after_first // 3 if index != "0" else 0
    if kind == "weight":
        return _convolution(layer, architecture["layers"], layout)
    return {
        "modules": f"BN_layers.{layer - 1}.{kind}",
        "lists": f"{kind}.{layer - 1}",
        "dncnn": f"bn_layer_list.{layer - 1}.{'weight' if kind == 'gammas' else 'running_var'}",
    }[layout]


def _convolution(layer: int, layers: int, layout: str) -> str:
    if layout != "dncnn":
        return f"conv_layers.{layer}.weight"
    ends = {0: "first_layer.weight", layers - 1: "last_layer.weight"}
    return ends.get(layer, f"hidden_layer_list.{layer - 1}.weight")


def _shape(name: str, ours: Tensor) -> torch.Size:
    """The shape in a file of what is a tensor of ours: of the DnCNN's normalisations, (C,)."""
    return ours.flatten().shape if name.startswith("bn_layer_list.") else ours.shape


def _value(name: str, tensor: Tensor) -> Tensor:
    """A tensor of a file as ours, in single precision: a variance as what is divided by."""
    if name.endswith(".running_var"):
        tensor = tensor.double().sqrt() + DNCNN_EPSILON
    return tensor.float()


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
        elif not tensor.is_floating_point() or not tensor.float().isfinite().all():
            problems.append(f"{name} has values that are not finite numbers")
        elif re.search("running_(sd|var)", name) and not (tensor > 0).all():
            problems.append(f"{name} has scales that are not positive")
    if problems:
        raise ArtifactError(f"{path} does not fit the network: " + "; ".join(problems))
