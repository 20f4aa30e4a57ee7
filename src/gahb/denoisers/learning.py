"""A denoiser trained on anybody's images, in one call: what a rule of the workflow does, without files."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gahb.artifacts import Spec, digest_arrays
from gahb.datasets.gathering import stacked
from gahb.denoisers.architecture import ARCHITECTURES
from gahb.denoisers.contract import as_denoiser, unwrapped
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.options import Training, training_in_full
from gahb.denoisers.own_network import OwnEstimator
from gahb.denoisers.training import Trainer, updates_left
from gahb.denoisers.weights import save_denoiser
from gahb.devices import choose_device
from gahb.explaining import explain
from gahb.options import names
from gahb.randomness import seeded

if TYPE_CHECKING:
    import pandas as pd

    from gahb.datasets.gathering import Images

BLOCKS, CHANNELS = 3, 16  # of the UNet that is trained unless another network is asked for


class TrainedDenoiser(NetworkDenoiser):
    """A denoiser from :func:`train`, f(y) = y - net(y), in evaluation mode.

    Attributes:
        log: one row per update: learning rate, loss, relative error of the noise estimate and, where
            monitored, the PSNR at noise level 0.1 on training images (and on ``held_out``) in dB.
        spec: how it was made: ``architecture``, ``training`` and ``set_size``.
    """

    def __init__(
        self,
        network: nn.Module,
        log: pd.DataFrame,
        spec: Spec,
        made_from: tuple[Mapping[str, str], Mapping[str, Any]],
    ) -> None:
        super().__init__(
            network, spec["architecture"] if "network" in spec["architecture"] else None
        )
        self.log = log
        self.spec = spec
        self._made_from = made_from

    def save(self, path: Path | str) -> None:
        """Write the weights, with how they were made, for :func:`gahb.load_denoiser`.

        Raises:
            ValueError: the network is of a class of your own, which a file of weights does not describe.
        """
        if self.architecture is None:
            kind = self.spec["architecture"]["class"]
            own = "network.network" if isinstance(self.network, OwnEstimator) else "network"
            raise ValueError(
                f"found a network of the class {kind}, expected one that was asked for by its options: "
                f"keep the weights of your own class by torch.save(denoiser.{own}.state_dict(), path)"
            )
        save_denoiser(path, self.network, self.spec, *self._made_from)


def train(
    images: Images,
    network: nn.Module | Mapping[str, Any] | None = None,
    *,
    held_out: Images | None = None,
    predicts: Literal["noise", "image"] = "noise",
    **training: Any,
) -> TrainedDenoiser:
    """Train a denoiser on images.

    All that is random in it, dropout too, comes from ``seed``; the random numbers of torch, numpy and
    Python go on afterwards as if there had been no training.

    Args:
        images: clean images of one size, or a folder of them, intensities from 0 to 1; see
            :func:`gahb.datasets.gathering.gathered`.
        network: a module of (B, C, H, W) images, or a denoiser of gahb's, such as
            ``from_pretrained("alpha2/N10000_S1")``, which is copied and trained from the weights that it
            has; or options of an architecture, as in params.yaml: ``{"network": "unet", "blocks": 3,
            "channels": 16}``. By default that UNet, with as few blocks as the size of the images asks for.
        held_out: images whose PSNR is to be in the log.
        predicts: what a module predicts: the ``noise`` in its input, or the clean ``image``. Under the
            precision ``bfloat16`` a predictor of noise rounds the image in its first layer, by about 10^-3;
            one of the image computes in float32.
        **training: options of ``training`` in params.yaml (:class:`gahb.denoisers.options.Training`):
            ``updates``, ``batch_size``, ``learning_rate``, ``seed``, ``sigma_range``, ``recipe`` ...;
            ``threads`` are those that torch has, unless said.

    Raises:
        ValueError: an option or the images are not what is allowed; the message says which.
        gahb.denoisers.training.DivergenceError: the training diverged.
    """
    if predicts not in ("noise", "image"):
        raise ValueError(f"predicts: found {predicts!r}, allowed is one of noise, image")
    options = _in_full(training)
    choose_device(options["device"])  # before images are read
    clean = stacked(images)
    monitored = None if held_out is None else stacked(held_out)
    given: nn.Module | None = None
    if isinstance(network, nn.Module):
        given, architecture = _estimator(network, predicts)
        if options["compile"] == "auto":  # what it would save is not known
            options["compile"] = "never"
    elif predicts == "image":
        raise ValueError(
            "predicts: found 'image' without a module, whose answer it is about; among the options of an "
            "architecture, it is a key"
        )
    elif network is None:
        architecture = _unet(clean)
    elif isinstance(network, Mapping) and "network" in network:
        architecture = dict(network)
    else:
        found = dict(network) if isinstance(network, Mapping) else repr(network)
        raise ValueError(
            f"network: found {found}, expected a torch module, or options with the key 'network': "
            f"{', '.join(names(ARCHITECTURES))}"
        )
    started = build_network(architecture) if given is None else given
    for some in (clean,) if monitored is None else (clean, monitored):
        _must_fit(started, some[:1])
    threads = torch.get_num_threads()
    options["threads"] = training.get("threads", threads)
    spec = {
        "architecture": architecture,
        "training": options,
        "set_size": len(clean),
        "split": "S1",
    }
    try:
        torch.set_num_threads(options["threads"])
        trainer = Trainer(spec, clean, monitored, network=given)
        for _ in updates_left(trainer, "training"):
            pass
    finally:
        torch.set_num_threads(threads)
    inputs = {"images": digest_arrays({"images": clean.numpy()})}
    made_from = inputs, trainer.computation.recorded()
    denoiser = TrainedDenoiser(trainer.network, trainer.table(), spec, made_from).eval()
    denoiser.requires_grad_(False)
    return denoiser


def _in_full(training: Mapping[str, Any]) -> Spec:
    """All options of a training, with those of a recipe filled in; both are checked, what it gives too."""
    full: Spec = dict(training)
    for fill in (training_in_full, dict):
        try:
            Training.model_validate(full)
        except ValidationError as error:
            raise ValueError("; ".join(explain(error, full))) from error
        full = fill(full)
    full["sigma_range"] = list(full["sigma_range"])
    return full


def _estimator(network: nn.Module, predicts: str) -> tuple[nn.Module, Spec]:
    """A copy of a module, to be trained as a noise estimator, and what it is.

    Of a denoiser f(y) = y - net(y) of gahb's, the network is taken, whatever ``predicts`` says. Weights
    that were all set to stay as they are (``requires_grad``) are trained; where some were, these stay.
    """
    network = unwrapped(network)
    architecture: Spec | None = None
    if isinstance(network, NetworkDenoiser):
        architecture, predicts = network.architecture, "noise"
        network = network.network
        if isinstance(network, OwnEstimator):
            predicts, network = str(network.predicts), network.network
    kind = type(network).__qualname__
    given = copy.deepcopy(network).float().cpu()
    weights = [one for one in given.parameters() if one.is_floating_point()]
    if not weights:
        raise ValueError(f"network: found no weights in {kind} to train")
    if not any(one.requires_grad for one in weights):
        for one in weights:
            one.requires_grad = True
    if predicts == "image":
        return OwnEstimator(given, predicts, kind), {"class": kind, "predicts": predicts}
    return given, dict(architecture or {"class": kind})


def _must_fit(network: nn.Module, images: Tensor) -> None:
    """Refuse a network that makes no noise estimates of images: told as of a denoiser that is measured."""
    own = isinstance(network, OwnEstimator)
    estimator = network if own else OwnEstimator(network, "noise", type(network).__qualname__)
    denoiser = NetworkDenoiser(estimator).eval()
    with torch.no_grad(), seeded(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is not trained may answer in any range
        as_denoiser(denoiser, images)(images)


def _unet(images: Tensor) -> Spec:
    """The UNet that suits the size of the images."""
    if images.shape[1] != 1:
        raise ValueError(
            f"images: found {images.shape[1]} channels; the UNet takes one: pass network=, a module of "
            "as many"
        )
    sides = math.gcd(*images.shape[2:])
    blocks = next((n for n in range(BLOCKS, 0, -1) if sides % 2**n == 0), 0)
    if not blocks:
        raise ValueError(
            f"images: found {images.shape[2]}x{images.shape[3]} pixels; the UNet takes even sides: crop "
            'them, or pass network={"network": "bf_cnn", "layers": 8, "channels": 32}'
        )
    return {"network": "unet", "blocks": blocks, "channels": CHANNELS}
