"""Train a denoiser on N images for a fixed number of updates: ``gahb denoisers --help``.

Everything random in update u derives from (seed, split, u), so a run that was killed continues
from its checkpoint and ends in bitwise the same weights (CPU, same number of threads). The number
of updates does not depend on N: a transition from memorisation to generalisation in N is a
statement about (N, updates, width), and the log keeps PSNR against updates.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gahb import own
from gahb.artifacts import (
    ArtifactError,
    Spec,
    canonical_json,
    digest_file,
    provenance,
    read_tensors,
    write_table,
    write_tensors,
)
from gahb.datasets.store import Dataset
from gahb.denoisers.batches import BatchOrder
from gahb.denoisers.choices import NOISE_DRAWS, NOISE_LAWS, OPTIMISERS, WEIGHTINGS
from gahb.denoisers.compilation import compiled_or_not
from gahb.denoisers.computation import Computation, full_products, resolve_computation
from gahb.denoisers.graphs import GraphedUpdate, Update, make_capturable, repays
from gahb.denoisers.memory import is_out_of_memory
from gahb.denoisers.networks import NetworkDenoiser, build_network, fix_norms, fixed_in_python
from gahb.denoisers.schedule import learning_rate, rate_share
from gahb.denoisers.snapshots import Snapshots
from gahb.denoisers.weights import load_state, save_denoiser, under
from gahb.options import module
from gahb.own import is_own
from gahb.progress import Progress
from gahb.randomness import seed_of, seeded

MONITOR_SIGMA = 0.1  # noise level of the PSNR kept in the log: input PSNR 20 dB
MONITOR_IMAGES = 64
CHECKED_EVERY = 10  # updates: a look at the loss waits for the device
DIVERGED = 1e3  # error of the noise estimate, in units of the noise energy, that ends a run
LOG_COLUMNS = ("learning_rate", "loss", "relative_error", "train_psnr", "test_psnr")


class DivergenceError(ArithmeticError):
    """The loss became infinite, undefined, or a thousand times that of estimating no noise at all."""


def noise_errors(network: nn.Module, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Mean squared error of the estimated noise, per image: (B,) float32."""
    scaled = sigma[:, None, None, None] * noise
    estimate = network(clean + scaled)
    return (estimate.float() - scaled).square().mean(dim=(1, 2, 3))


class Trainer:
    """The state of one training run, advanced update by update.

    Args:
        spec: ``{"architecture", "training", "set_size", "split", ...}``, resolved.
        train_images: (N, 1, H, W) float32, all of them, kept in memory.
        test_images: (M, 1, H, W) float32 held-out images, for the log only; or None.
        snapshots: numbers of updates after which a copy of the weights is kept.
        planned: of :func:`~gahb.denoisers.computation.resolve_computation`.
        network: to be trained as it is, instead of a new one of ``spec["architecture"]``.
    """

    def __init__(
        self,
        spec: Spec,
        train_images: Tensor,
        test_images: Tensor | None,
        snapshots: Sequence[int] = (),
        planned: int = 0,
        network: nn.Module | None = None,
    ) -> None:
        self.training: Spec = spec["training"]
        seed, split = self.training["seed"], spec["split"]
        self.computation: Computation = resolve_computation(
            self.training, spec["architecture"], train_images.shape[-1], planned
        )
        self.device = torch.device(self.computation.device)
        self._is_own = network is not None or is_own(spec["architecture"]["network"])
        self._names = (seed, split)
        self.update = 0
        if network is None:
            start = seed_of(seed, "weights", split), self.training["initialisation"]
            network = build_network(spec["architecture"], *start)
        self.network = network.to(self.device)
        torch.nn.utils.convert_conv2d_weight_memory_format(self.network, torch.channels_last)
        self._images = train_images.to(self.device)
        with self._layers_draw():
            self.optimiser = module(OPTIMISERS, self.training["optimiser"]).build(
                self.network, self.training["learning_rate"], self._images[:1]
            )
        self._rates = [group["lr"] for group in self.optimiser.param_groups]
        self._graphs = repays(self.device, self.optimiser, self.training["updates"])
        if self._graphs:
            make_capturable(self.optimiser, self.device)
        self._graphed: tuple[bool, GraphedUpdate] | None = None  # by whether its norms are fixed
        self._noise_draws = module(NOISE_DRAWS, self.training["noise_draws"])
        self._noise_law = module(NOISE_LAWS, self.training["noise_law"])
        self._weighting = module(WEIGHTINGS, self.training["weighting"])
        self.order = BatchOrder(seed, split, len(train_images), self.training["batch_size"])
        self.log = torch.full(
            (self.training["updates"], len(LOG_COLUMNS)), float("nan"), device=self.device
        )
        self.snapshots = Snapshots(snapshots)
        self.held_out = test_images is not None
        self._monitored = [
            images[:MONITOR_IMAGES].to(self.device)
            for images in (train_images, train_images if test_images is None else test_images)
        ]
        self._errors: Callable[..., Tensor] = noise_errors
        if self.computation.compiled:
            with self._layers_draw(), self._rounded():
                example = self._example()
                self._errors, compiled = compiled_or_not(noise_errors, self.network, example)
            self.computation = dataclasses.replace(self.computation, compiled=compiled)
        self._form_changes = not self.computation.compiled or fixed_in_python(self.network)

    def _example(self) -> tuple[Tensor, Tensor, Tensor]:
        """Arguments of ``noise_errors`` of the shapes that all updates have."""
        clean = self._images[self._positions()]
        sigma = torch.ones(len(clean), device=self.device)
        return clean, torch.ones_like(clean), sigma

    def _rounded(self) -> AbstractContextManager[object]:
        """Where products are in bfloat16, if that is the precision.

        Around compiled code, not within: what enters it itself is traced anew in every process.
        """
        rounds = self.computation.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=rounds)

    def _layers_draw(self) -> AbstractContextManager[None]:
        """Where layers of a network of one's own may draw, as dropout does: from seed and update."""
        if not self._is_own:
            return nullcontext()
        seed, split = self._names
        gpus = [torch.cuda.current_device()] if self.device.type == "cuda" else []
        return seeded(seed_of(seed, "layers", split, self.update), gpus)

    def step(self) -> None:
        """One update: draw, estimate the noise, weigh, descend."""
        with self._layers_draw():
            self._step()

    def _step(self) -> None:
        training = self.training
        seed, split = self._names
        draws = torch.Generator(self.device).manual_seed(
            seed_of(seed, "update", split, self.update)
        )
        clean = self._images[self._positions()]
        uniform = self._noise_draws.draw(len(clean), draws)
        sigma = self._noise_law.sigma(uniform, *training["sigma_range"])
        noise = torch.randn(clean.shape, generator=draws, device=self.device)

        weights = self._weighting.weight(sigma, self.update / training["updates"])

        share = rate_share(training, self.update)
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            if self._graphs:
                group["lr"].fill_(share * rate)
            else:
                group["lr"] = share * rate
        fixed = self.update >= training["fix_norm_after"] * training["updates"]
        self.network.train()
        fix_norms(self.network, fixed)
        with full_products(benchmark=True):
            inputs = clean, noise, sigma, weights
            loss, relative = self._recorded(fixed, inputs)(*inputs)

        with torch.no_grad():
            row = self.log[self.update]
            row[0], row[1], row[2] = share * training["learning_rate"], loss, relative
        self.update += 1
        if self.update % training["monitor_every"] == 0 or self.update == training["updates"]:
            row[3], row[4] = map(self._psnr, self._monitored)
        self.snapshots.look(self.update, self.network)

    def _positions(self) -> Tensor:
        """Positions (batch_size,) of the update's images, without waiting until they are on the device."""
        positions = self.order(self.update)
        if self.device.type == "cuda":  # from pageable memory a copy waits for all that was begun
            return positions.pin_memory().to(self.device, non_blocking=True)
        return positions

    def _recorded(self, fixed: bool, inputs: tuple[Tensor, ...]) -> Update:
        """:meth:`_descend`, on CUDA as a graph; another one where norms have another form."""
        form = fixed and self._form_changes
        if self._graphs and (self._graphed is None or self._graphed[0] != form):
            self._graphed = None  # free its memory
            try:
                with self._layers_draw():  # in vain, and the update itself draws the same
                    graphed = GraphedUpdate(self._descend, inputs, self.network, self.optimiser)
                self._graphed = form, graphed
            except Exception as error:
                print(f"updates are launched kernel by kernel: {type(error).__name__}: {error}")
                self._graphs = False
        return self._descend if self._graphed is None else self._graphed[1]

    def _descend(
        self, clean: Tensor, noise: Tensor, sigma: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Estimate the noise, weigh, descend: the loss, and the error in units of the noise energy."""
        with self._rounded():
            errors = self._errors(self.network, clean, noise, sigma)
        loss = (weights * errors).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            return loss.detach(), errors.mean() / sigma.square().mean()

    @torch.no_grad()
    def _psnr(self, images: Tensor) -> float:
        """PSNR in dB of the mean squared error on fixed noisy images at MONITOR_SIGMA."""
        draws = torch.Generator().manual_seed(seed_of(0, "monitor"))
        noise = torch.randn(images.shape, generator=draws).to(self.device)
        denoiser = NetworkDenoiser(self.network).eval()
        with full_products():
            error = denoiser(images + MONITOR_SIGMA * noise) - images
        return float(-10 * torch.log10(error.square().mean()))

    def check(self, since: int) -> None:
        """Stop if any update from ``since`` on diverged.

        Raises:
            DivergenceError: naming the first such update.
        """
        training = self.training
        rows = self.log[since : self.update].cpu()
        relative, psnr = rows[:, 2], rows[:, 3:]
        updates = torch.arange(since + 1, self.update + 1)
        monitored = (updates % training["monitor_every"] == 0) | (updates == training["updates"])
        undefined = monitored & ~(psnr > -torch.inf).all(dim=1)
        bad = torch.nonzero(~(relative < DIVERGED) | undefined)
        if len(bad):
            first = int(bad[0])
            raise DivergenceError(
                f"training diverged at update {since + first + 1} of {training['updates']}: the "
                f"error of the noise estimate was {float(relative[first]):.3g} times the noise "
                f"energy{', the PSNR undefined' if undefined[first] else ''}, at learning rate "
                f"{learning_rate(training, since + first):.3g}. "
                "Lower training.learning_rate or raise training.warmup."
            )

    def state(self) -> dict[str, Tensor]:
        """Everything a later run needs to continue, as named tensors."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"optimiser.{name}.{key}"] = torch.as_tensor(value)
        for name, copy in self.snapshots.tensors().items():
            tensors[f"snapshots.{name}"] = copy
        tensors["log"] = self.log[: self.update]
        return tensors

    def restore(self, path: Path | str, tensors: dict[str, Tensor]) -> None:
        """Continue from :meth:`state`."""
        load_state(path, self.network, under("network.", tensors))
        self.snapshots.restore(under("snapshots.", tensors))
        for name, parameter in self.network.named_parameters():
            self.optimiser.state[parameter] = {
                key: _laid_out_like(parameter, value)
                for key, value in under(f"optimiser.{name}.", tensors).items()
            }
        self._graphed = None  # of the state that has been replaced
        self.update = len(tensors["log"])
        self.log[: self.update] = tensors["log"].to(self.device)

    def table(self) -> pd.DataFrame:
        """The log: one row per update, PSNR where it was monitored."""
        columns = pd.DataFrame(self.log[: self.update].cpu().numpy(), columns=list(LOG_COLUMNS))
        updates = np.arange(1, self.update + 1)
        if not self.held_out:
            columns = columns.drop(columns="test_psnr")
        columns.insert(0, "update", updates)
        columns.insert(1, "images_seen", updates * self.training["batch_size"])
        return columns


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """``value`` on the device of ``parameter`` and, if it has its shape, in its memory layout.

    Fused Adam walks through the memory of both at once: a state in another layout (files hold
    contiguous tensors, convolutions are channels-last) would be applied to the wrong weights.
    """
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def train(
    spec: Spec,
    dataset: Dataset,
    output: Path | str,
    table: Path | str,
    checkpoint: Path | str,
    checkpoint_seconds: float = 30.0,
    snapshots: Path | str | None = None,
    snapshots_at: Sequence[int] = (),
    planned: int = 0,
) -> None:
    """Train one network, or continue training it, and write its weights and its log.

    Args:
        spec: resolved network spec (:func:`gahb.params.network_spec`).
        dataset: the opened dataset of ``spec["dataset"]``.
        output: weights, ``.safetensors``.
        table: log, ``.csv``, one row per update.
        checkpoint: where a killed run left its state; removed at the end. One made from other
            settings is started over; a damaged one is an error.
        checkpoint_seconds: time between two checkpoints; does not influence the result.
        snapshots: where to write the weights at the updates ``snapshots_at``, ``.safetensors``.
        snapshots_at: numbers of updates, the last at most ``spec["training"]["updates"]``.
        planned: images in all updates of all networks of this shape that are being trained, which decides
            whether ``compile: auto`` compiles.

    Raises:
        ArtifactError: dataset or checkpoint is damaged.
        DivergenceError: the training diverged; the last checkpoint is kept.
        ValueError: snapshots are asked for at no update, at one never reached, or without a file.
    """
    training = spec["training"]
    last = training["updates"]
    if (snapshots is None) == bool(snapshots_at) or max(snapshots_at, default=0) > last:
        raise ValueError(
            f"snapshots at updates {list(snapshots_at)} into {snapshots}: expected a file, and "
            f"numbers of at most {last}, or neither"
        )
    torch.set_num_threads(training["threads"])
    inputs = {"dataset": dataset.images_sha256}
    if is_own(spec["architecture"]["network"]):
        inputs["network"] = own.digest(spec["architecture"]["network"])
    indices = dataset.training_set(spec["split"], spec["set_size"])
    train_images = torch.from_numpy(dataset.images(indices))
    test_images = torch.from_numpy(dataset.images(dataset.indices["test"][:MONITOR_IMAGES]))
    trainer = Trainer(spec, train_images, test_images, snapshots_at, planned)
    label = Path(output).with_suffix("").as_posix()
    computation = trainer.computation.recorded()
    made_from = provenance(spec, inputs, computation)
    left_by = made_from | {"code": _code_digest(), "snapshots": list(snapshots_at)}
    _resume(trainer, checkpoint, left_by)

    saved = time.monotonic()
    for _ in updates_left(trainer, label):
        if time.monotonic() - saved >= checkpoint_seconds and trainer.update < training["updates"]:
            trainer.check(trainer.update - trainer.update % CHECKED_EVERY)
            write_tensors(checkpoint, trainer.state(), left_by)
            saved = time.monotonic()

    write_table(table, trainer.table(), made_from)
    if snapshots is not None:
        write_tensors(snapshots, trainer.snapshots.tensors(), made_from)
    save_denoiser(output, trainer.network, spec, inputs, computation)
    Path(checkpoint).unlink(missing_ok=True)


def updates_left(trainer: Trainer, label: str) -> Iterator[None]:
    """Make the updates that are left, one at a time, check some at once, and show the progress.

    Args:
        trainer: whose updates they are.
        label: shown with the progress.

    Raises:
        DivergenceError: the training diverged.
    """
    training = trainer.training
    updates, batch = training["updates"], training["batch_size"]
    progress = Progress(label, updates, "update", trainer.update, batch, "images")
    checked = trainer.update
    while trainer.update < updates:
        try:
            trainer.step()
        except Exception as error:
            if is_out_of_memory(error):
                error.add_note(
                    f"an update of training.batch_size {batch} does not fit: lower it, or, where jobs "
                    "share a GPU, let fewer run at once (snakemake --resources gpu=1)"
                )
            raise
        if trainer.update % CHECKED_EVERY == 0 or trainer.update == updates:
            trainer.check(checked)
            checked = trainer.update
            progress.update(trainer.update, **_newest(trainer))
        yield
    progress.close()


def _code_digest() -> str:
    """SHA-256 of the modules that decide the weights: a checkpoint of other code is not continued."""
    digests = [digest_file(path) for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _resume(trainer: Trainer, checkpoint: Path | str, left_by: Spec) -> None:
    if not Path(checkpoint).exists():
        return
    tensors, header = read_tensors(checkpoint)
    same = all(
        canonical_json(header.get(key)) == canonical_json(value) for key, value in left_by.items()
    )
    if not same:
        print(
            f"{checkpoint} was left by a run with other settings, packages or code, or on another "
            "processor: starting over"
        )
        return
    try:
        trainer.restore(checkpoint, tensors)
    except KeyError as error:
        raise ArtifactError(f"{checkpoint} lacks {error}: remove it to start over") from error
    print(f"continuing from update {trainer.update} of {trainer.training['updates']}")


def _newest(trainer: Trainer) -> dict[str, float]:
    row = trainer.log[trainer.update - 1].cpu()
    values = {"loss": float(row[1])}
    monitored = torch.nonzero(~trainer.log[: trainer.update, 4].isnan())
    if len(monitored):
        newest = trainer.log[int(monitored[-1])].cpu()
        values |= {"train PSNR": float(newest[3])}
        values |= {"test PSNR": float(newest[4])} if trainer.held_out else {}
    return values
