"""A denoiser trained on anybody's images, in one call: what a rule of the workflow does, without files."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gahb.artifacts import Spec, digest_arrays
from gahb.datasets.gathering import stacked
from gahb.denoisers.networks import NetworkDenoiser
from gahb.denoisers.options import Training, training_in_full
from gahb.denoisers.own_network import OwnEstimator
from gahb.denoisers.training import Trainer, updates_left
from gahb.denoisers.weights import save_denoiser
from gahb.explaining import explain

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
        super().__init__(network)
        self.log = log
        self.spec = spec
        self._made_from = made_from

    def save(self, path: Path | str) -> None:
        """Write the weights, with how they were made, for :func:`gahb.load_denoiser`.

        Raises:
            ValueError: the network is of a class of your own, which a file of weights does not describe.
        """
        if "network" not in self.spec["architecture"]:
            kind = self.spec["architecture"]["class"]
            raise ValueError(
                f"found a network of the class {kind}, expected one that was asked for by its options: "
                "keep the weights of your own class by torch.save(denoiser.network.state_dict(), path)"
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

    Args:
        images: clean images of one size, or a folder of them, intensities from 0 to 1; see
            :func:`gahb.datasets.gathering.gathered`.
        network: a module of (B, C, H, W) images, which is copied and trained from the weights that it
            has; or options of an architecture, as in params.yaml: ``{"network": "unet", "blocks": 3,
            "channels": 16}``. By default that UNet, with as few blocks as the size of the images asks for.
        held_out: images whose PSNR is to be in the log.
        predicts: what a module predicts: the ``noise`` in its input, or the clean ``image``.
        **training: options of ``training`` in params.yaml (:class:`gahb.denoisers.options.Training`):
            ``updates``, ``batch_size``, ``learning_rate``, ``seed``, ``sigma_range``, ``recipe`` ...;
            ``threads`` are those that torch has, unless said.

    Raises:
        ValueError: an option or the images are not what is allowed; the message says which.
        gahb.denoisers.training.DivergenceError: the training diverged.
    """
    clean = stacked(images)
    monitored = None if held_out is None else stacked(held_out)
    if predicts not in ("noise", "image"):
        raise ValueError(f"predicts: found {predicts!r}, allowed is one of noise, image")
    try:
        Training.model_validate(training)
    except ValidationError as error:
        raise ValueError("; ".join(explain(error, training))) from error
    options = training_in_full(training)
    options["sigma_range"] = list(options["sigma_range"])
    if "threads" in training:
        torch.set_num_threads(options["threads"])
    options["threads"] = torch.get_num_threads()
    given: nn.Module | None = None
    if isinstance(network, nn.Module):
        architecture = {"class": type(network).__qualname__}
        given = copy.deepcopy(network)
        if predicts == "image":
            given = OwnEstimator(given, predicts, architecture["class"])
        if options["compile"] == "auto":  # what it would save is not known
            options["compile"] = "never"
    else:
        architecture = _unet(clean) if network is None else dict(network)
    spec = {
        "architecture": architecture,
        "training": options,
        "set_size": len(clean),
        "split": "S1",
    }
    trainer = Trainer(spec, clean, monitored, network=given)
    for _ in updates_left(trainer, "training"):
        pass
    inputs = {"images": digest_arrays({"images": clean.numpy()})}
    made_from = inputs, trainer.computation.recorded()
    denoiser = TrainedDenoiser(trainer.network, trainer.table(), spec, made_from).eval()
    denoiser.requires_grad_(False)
    return denoiser


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
