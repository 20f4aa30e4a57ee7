"""Training: the objective, reproducible updates, a log, and runs that survive being killed."""

from __future__ import annotations

import io
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gahb import progress
from gahb.artifacts import (
    ArtifactError,
    digest_file,
    processor,
    provenance,
    read_sidecar,
    read_table,
    read_tensors,
    write_tensors,
)
from gahb.datasets.store import Dataset, open_dataset, write_dataset
from gahb.denoisers import compilation, training
from gahb.denoisers.batches import BatchOrder
from gahb.denoisers.choices import NOISE_LAWS, OPTIMISERS, SCHEDULES, WEIGHTINGS
from gahb.denoisers.computation import (
    FIRST_START,
    START,
    Computation,
    repaid,
    resolve_computation,
)
from gahb.denoisers.networks import NetworkDenoiser, build_network
from gahb.denoisers.schedule import learning_rate
from gahb.denoisers.training import DivergenceError, Trainer, noise_errors, train
from gahb.denoisers.weights import load_denoiser
from gahb.options import module, names
from gahb.params import dataset_spec, network_spec
from gahb.progress import Progress
from gahb.randomness import seed_of

Params = dict[str, Any]


@pytest.fixture
def spec(params: Params) -> Callable[..., Params]:
    """``spec(set_size, split, **training)``: a network spec of the tiny project."""

    def resolved(set_size: int = 4, split: str = "S1", **changes: Any) -> Params:
        params["training"] |= changes
        return network_spec(params, "soft", set_size, split)

    return resolved


class Run:
    """One call of :func:`train` in a folder of its own."""

    def __init__(self, folder: Path, dataset: Dataset, seconds: float = 1e9) -> None:
        self.dataset, self.seconds = dataset, seconds
        self.output = folder / "N4.safetensors"
        self.table = folder / "N4.csv"
        self.checkpoint = folder / "checkpoints" / "N4.safetensors"

    def __call__(self, spec: Params) -> Run:
        train(spec, self.dataset, self.output, self.table, self.checkpoint, self.seconds)
        return self

    def bytes(self) -> dict[str, bytes]:
        paths = (self.output, self.table, self.table.with_suffix(".json"))
        return {path.name: path.read_bytes() for path in paths}

    def files(self) -> set[str]:
        return {path.name for path in self.output.parent.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> Callable[..., Run]:
    def make(name: str, seconds: float = 1e9, of: Dataset = dataset) -> Run:
        return Run(tmp_path / name, of, seconds)

    return make


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make trainings stop with KeyboardInterrupt before the given update; None: no more."""
    step = Trainer.step

    def interrupt_at(update: int | None) -> None:
        def interrupted(self: Trainer) -> None:
            if self.update == update:
                raise KeyboardInterrupt
            step(self)

        monkeypatch.setattr(Trainer, "step", interrupted)

    return interrupt_at


def images_of(dataset: Dataset, set_size: int = 4) -> tuple[Tensor, Tensor]:
    chosen = dataset.training_set("S1", set_size), dataset.indices["test"]
    return tuple(torch.from_numpy(dataset.images(index)) for index in chosen)


# ---------------------------------------------------------------------------------------------
# The objective


@pytest.mark.parametrize(
    ("law", "low", "high", "quantile"),
    [
        ("uniform", 0, 1, lambda p: p),
        ("uniform", 0.2, 0.6, lambda p: 0.2 + 0.4 * p),
        ("squared_uniform", 0, 1, lambda p: p**2),
        ("squared_uniform", 0.04, 0.25, lambda p: (0.2 + 0.3 * p) ** 2),
        ("log_uniform", 0.01, 1, lambda p: 10 ** (2 * p - 2)),
        ("log_uniform", 0.5, 2, lambda p: 2 ** (2 * p - 1)),
    ],
)
def test_noise_laws(law: str, low: float, high: float, quantile: Callable[[float], float]):
    draws = torch.rand(40_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sigma = module(NOISE_LAWS, law).sigma(draws, low, high)
    assert low <= sigma.min() < sigma.max() <= high
    for p in (0.05, 0.25, 0.5, 0.75, 0.95):
        share = (sigma < quantile(p)).double().mean().item()
        assert share == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / len(draws)))


def test_published_law_has_half_of_its_draws_below_a_quarter():
    sigma = module(NOISE_LAWS, "squared_uniform").sigma(torch.linspace(0, 1, 1001), 0, 1)
    assert (sigma < 0.25).float().mean() == pytest.approx(0.5, abs=0.002)


def weigh(name: str, sigma: Tensor, share: float) -> Tensor:
    return module(WEIGHTINGS, name).weight(sigma, share)


def test_weightings():
    sigma = torch.tensor([0.0, 1e-3, 0.01, 0.5, 1.0, 2.0])
    expected = 1 / sigma[1:]
    for share in (0.0, 0.3, 0.9):
        assert torch.equal(weigh("none", sigma, share), torch.ones(6))
        torch.testing.assert_close(weigh("inverse_sigma", sigma, share)[1:], expected)
        torch.testing.assert_close(weigh("inverse_variance", sigma, share)[1:], expected**2)
        for name in names(WEIGHTINGS):
            assert torch.isfinite(weigh(name, sigma, share)).all()
            assert (weigh(name, sigma, share) > 0).all()


def test_annealed_weighting_goes_from_none_to_inverse_sigma():
    sigma = torch.tensor([0.01, 0.5, 2.0])
    anneal = partial(weigh, "annealed")
    torch.testing.assert_close(anneal(sigma, 0.0), torch.ones(3))
    torch.testing.assert_close(anneal(sigma, 0.25), sigma**-0.5)
    torch.testing.assert_close(anneal(sigma, 0.5), 1 / sigma)
    torch.testing.assert_close(anneal(sigma, 0.99), 1 / sigma)


def test_every_choice_is_complete():
    for law in names(NOISE_LAWS):
        drawn = module(NOISE_LAWS, law).sigma(torch.linspace(0, 1, 5), 0.1, 1)
        assert (drawn.diff() > 0).all()
        if module(NOISE_LAWS, law).FROM_ZERO:
            assert (module(NOISE_LAWS, law).sigma(torch.linspace(0, 1, 5), 0.0, 1).diff() > 0).all()
    for schedule in names(SCHEDULES):
        assert module(SCHEDULES, schedule).decay(0.0) == 1
    network = torch.nn.Conv2d(1, 1, 1)
    for optimiser in names(OPTIMISERS):
        built = module(OPTIMISERS, optimiser).build(network, 0.5, torch.rand(1, 1, 2, 2))
        assert built.param_groups[0]["lr"] == 0.5
        assert built.param_groups[0]["weight_decay"] == 0


def test_error_is_that_of_the_estimated_noise():
    clean, noise = torch.rand(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    sigma = torch.tensor([0.1, 1.0, 0.0])
    seen = []

    def network(y: Tensor) -> Tensor:
        seen.append(y)
        return 0.5 * y

    errors = noise_errors(network, clean, noise, sigma)
    for i in range(3):
        y = clean[i] + sigma[i] * noise[i]
        torch.testing.assert_close(seen[0][i], y)
        expected = ((0.5 * y - sigma[i] * noise[i]) ** 2).mean()
        torch.testing.assert_close(errors[i], expected)


# ---------------------------------------------------------------------------------------------
# Schedules


def rates(schedule: str, updates: int = 100, warmup: int = 0) -> list[float]:
    spec = {"schedule": schedule, "updates": updates, "learning_rate": 0.4, "warmup": warmup}
    return [learning_rate(spec, update) for update in range(updates)]


def test_schedules_at_start_middle_and_end():
    assert rates("constant") == [0.4] * 100
    cosine = rates("cosine")
    assert (cosine[0], cosine[50]) == (0.4, pytest.approx(0.2))
    assert cosine[25] == pytest.approx(0.2 * (1 + math.sqrt(0.5)))
    assert 0 < cosine[-1] < 0.001
    halving = rates("halving")
    for tenth in range(10):
        assert halving[10 * tenth : 10 * tenth + 10] == [0.4 * 0.5**tenth] * 10
    for schedule in ("cosine", "halving"):
        assert rates(schedule) == sorted(rates(schedule), reverse=True)


def test_warmup():
    constant = rates("constant", warmup=4)
    assert constant[:5] == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4])
    assert set(constant[5:]) == {0.4}
    cosine = rates("cosine", warmup=4)
    assert cosine[4:] == rates("cosine")[4:]
    assert cosine[0] == pytest.approx(0.08)


# ---------------------------------------------------------------------------------------------
# Batch order


@settings(max_examples=60)
@given(
    set_size=st.integers(1, 30),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_each_pass_goes_through_the_whole_set(
    set_size: int, batch_size: int, seed: int, data: st.DataObject
):
    order = BatchOrder(seed, "S1", set_size, batch_size)
    updates = 2 + 3 * set_size // batch_size
    batches = [order(update) for update in range(updates)]
    assert all(batch.shape == (batch_size,) for batch in batches)
    drawn = torch.cat(batches).tolist()
    for first in range(0, len(drawn) - set_size + 1, set_size):
        assert sorted(drawn[first : first + set_size]) == list(range(set_size))
    # a function of (seed, update), whatever was asked before
    update = data.draw(st.integers(0, updates - 1))
    assert torch.equal(BatchOrder(seed, "S1", set_size, batch_size)(update), batches[update])
    assert torch.equal(order(update), batches[update])


def test_order_depends_on_seed_split_and_pass():
    def passes(seed: int, split: str) -> list[list[int]]:
        order = BatchOrder(seed, split, 50, 50)
        return [order(update).tolist() for update in range(3)]

    drawn = [*passes(0, "S1"), *passes(1, "S1"), *passes(0, "S2")]
    assert len({tuple(order) for order in drawn}) == 9


# ---------------------------------------------------------------------------------------------
# Where and how it computes


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def pretend(cuda: bool, bfloat16: dict[str, bool], compiler: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: bool(bfloat16))
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: bfloat16)
        which = (lambda name: name if name == "g++" else None) if compiler else (lambda _: None)
        monkeypatch.setattr(compilation.shutil, "which", which)

    return pretend


AUTO = {"device": "auto", "precision": "auto", "compile": "auto", "batch_size": 128}


@pytest.mark.parametrize(
    ("cuda", "bfloat16", "compiler", "updates", "expected"),
    [
        (False, {}, True, 10**9, Computation("cpu", "float32", True)),
        (False, {"amx_bf16": False}, True, 1, Computation("cpu", "float32", False)),
        (False, {"amx_bf16": True}, False, 10**9, Computation("cpu", "bfloat16", False)),
        (False, {"avx512_bf16": True}, True, 10**9, Computation("cpu", "bfloat16", True)),
        (True, {}, True, 10**9, Computation("cuda", "float32", True)),
        (True, {}, False, 10**9, Computation("cuda", "float32", False)),
        (True, {"yes": True}, True, 1, Computation("cuda", "bfloat16", False)),
    ],
)
def test_auto(
    machine: Callable[..., None],
    cuda: bool,
    bfloat16: dict[str, bool],
    compiler: bool,
    updates: int,
    expected: Computation,
):
    machine(cuda, bfloat16, compiler)
    found = resolve_computation(AUTO | {"updates": updates}, {"channels": 16}, 40)
    assert found == expected


def test_explicit_choices_win(machine: Callable[..., None]):
    machine(True, {"amx_bf16": True}, True)
    chosen = {"device": "cpu", "precision": "float32", "compile": "never"}
    long = AUTO | {"updates": 10**9}
    assert resolve_computation(long | chosen, {"channels": 16}, 40) == Computation(
        "cpu", "float32", False
    )
    machine(True, {}, False)
    chosen = {"device": "cuda", "precision": "bfloat16", "compile": "always"}
    assert resolve_computation(AUTO | {"updates": 1} | chosen, {"channels": 1}, 8) == Computation(
        "cuda", "bfloat16", True
    )


SHAPE = {"channels": 16}, 32
SHORT = AUTO | {"updates": 800, "batch_size": 32}


@pytest.mark.parametrize(
    ("cuda", "bfloat16", "networks", "expected"),
    [
        (False, {"amx_bf16": True, "avx512_bf16": True}, 1, False),
        (False, {"amx_bf16": True, "avx512_bf16": True}, 4, True),
        (False, {"avx512_bf16": True}, 4, False),
        (False, {"avx512_bf16": True}, 20, True),
        (True, {"yes": True}, 1000, False),
    ],
)
def test_plan_repays_compiling(
    machine: Callable[..., None],
    cuda: bool,
    bfloat16: dict[str, bool],
    networks: int,
    expected: bool,
):
    """Networks of 800 updates: with AMX a few of them do, elsewhere more of them."""
    machine(cuda, bfloat16, True)
    planned = networks * 800 * 32
    assert resolve_computation(SHORT, *SHAPE, planned).compiled == expected


def test_longer_trainings_are_compiled_everywhere(machine: Callable[..., None]):
    for bfloat16 in ({}, {"avx512_bf16": True}, {"amx_bf16": True}):
        machine(False, bfloat16, True)
        assert resolve_computation(SHORT | {"updates": 80_000}, *SHAPE).compiled


@pytest.mark.parametrize("larger", ["saved", "own", "planned"])
def test_what_repays_compiling(larger: str):
    least = {"saved": 2 * START / 1000, "own": 1000, "planned": 1000 * FIRST_START / START}
    assert not repaid(**least)
    assert repaid(**least | {larger: 1000 * least[larger]})
    assert repaid(1e-2, 10_000, 10_000) == (START + FIRST_START < 100)


# ---------------------------------------------------------------------------------------------
# Updates


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_updates_are_what_the_recipe_says(
    dataset: Dataset, spec: Callable[..., Params], optimiser: str
):
    """Against a loop in plain torch: default memory layout, unfused optimiser, loops over images."""
    asked = spec(optimiser=optimiser, learning_rate=1e-3 if optimiser == "adam" else 1e-1)
    chosen = asked["training"]
    train_images, test_images = images_of(dataset)
    trainer = Trainer(asked, train_images, test_images)

    start = (asked["architecture"], seed_of(0, "weights", "S1"), chosen["initialisation"])
    network = build_network(*start).train()
    parameters = list(network.parameters())
    if optimiser == "adam":
        plain = torch.optim.Adam(parameters, fused=False, foreach=False)
    else:
        plain = torch.optim.SGD(parameters, lr=1, momentum=0.9, foreach=False)
    order = BatchOrder(0, "S1", 4, chosen["batch_size"])
    for update in range(8):
        draws = torch.Generator().manual_seed(seed_of(0, "update", "S1", update))
        clean = train_images[order(update)]
        sigma = torch.rand(len(clean), generator=draws) ** 2
        noise = sigma[:, None, None, None] * torch.randn(clean.shape, generator=draws)
        estimate = network(clean + noise)
        loss = 0
        for i in range(len(clean)):
            loss += ((estimate[i] - noise[i]) ** 2).mean() / max(sigma[i], 1e-3) / len(clean)
        plain.zero_grad()
        loss.backward()
        plain.param_groups[0]["lr"] = learning_rate(chosen, update)
        plain.step()
        trainer.step()
        assert float(trainer.log[update, 1]) == pytest.approx(loss.item(), rel=1e-3)
    before = build_network(*start).state_dict()
    for name, expected in network.state_dict().items():
        found = trainer.network.state_dict()[name]
        moved = (expected - before[name]).norm()
        assert moved > 0
        assert (found - expected).norm() < 0.01 * moved, name


def test_bfloat16_is_close_to_float32(dataset: Dataset, spec: Callable[..., Params]):
    trainers = [
        Trainer(spec(precision=precision), *images_of(dataset))
        for precision in ("float32", "bfloat16")
    ]
    for trainer in trainers:
        for _ in range(6):
            trainer.step()
    exact, rounded = (trainer.log[:6, 1] for trainer in trainers)
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, rtol=0.03, atol=0)
    assert all(p.dtype == torch.float32 for p in trainers[1].network.parameters())


def test_learning_on_one_image_is_memorising(dataset: Dataset, spec: Callable[..., Params]):
    last = {}
    for set_size in (1, 16):
        asked = spec(set_size, updates=120, batch_size=16, learning_rate=2e-2, weighting="none")
        asked["architecture"] |= {"channels": 8}
        trainer = Trainer(asked, *images_of(dataset, set_size))
        while trainer.update < 120:
            trainer.step()
        last[set_size] = trainer.table().iloc[-1]
    assert last[1].train_psnr > 24  # better than the noisy image by 4 dB
    assert last[1].train_psnr > last[1].test_psnr + 8
    assert abs(last[16].train_psnr - last[16].test_psnr) < 3


def test_splits_and_seeds_train_different_networks(dataset: Dataset, spec: Callable[..., Params]):
    def weights(**changes: Any) -> Tensor:
        trainer = Trainer(spec(**changes), *images_of(dataset))
        trainer.step()
        return torch.cat([p.flatten() for p in trainer.network.parameters()])

    assert torch.equal(weights(), weights())
    assert not torch.equal(weights(), weights(split="S2"))
    assert not torch.equal(weights(), weights(seed=1))


# ---------------------------------------------------------------------------------------------
# What a run leaves behind


def test_two_runs_leave_the_same_bytes(run: Callable[..., Run], spec: Callable[..., Params]):
    asked = spec()
    first = run("first")(asked)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    second = run("second", seconds=0)(asked)
    assert first.bytes() == second.bytes()
    assert first.files() == second.files() == {"N4.safetensors", "N4.csv", "N4.json"}
    assert run("other")(spec(seed=1)).bytes()["N4.safetensors"] != first.bytes()["N4.safetensors"]


def test_log(run: Callable[..., Run], spec: Callable[..., Params]):
    asked = spec(updates=25, monitor_every=10)
    done = run("a")(asked)
    table = read_table(done.table, asked)
    assert list(table.columns) == [
        "update",
        "images_seen",
        "learning_rate",
        "loss",
        "relative_error",
        "train_psnr",
        "test_psnr",
    ]
    assert table["update"].tolist() == list(range(1, 26))
    assert (table.images_seen == 8 * table["update"]).all()
    expected = [learning_rate(asked["training"], update) for update in range(25)]
    np.testing.assert_allclose(table.learning_rate, expected, rtol=1e-6)
    for column in ("train_psnr", "test_psnr"):
        assert table["update"][table[column].notna()].tolist() == [10, 20, 25]
    assert table.drop(columns=["train_psnr", "test_psnr"]).notna().all(axis=None)


def test_monitored_psnr_is_that_of_the_saved_network(
    dataset: Dataset, run: Callable[..., Run], spec: Callable[..., Params]
):
    done = run("a")(spec())
    denoiser, _ = load_denoiser(done.output)
    last = read_table(done.table).iloc[-1]
    for images, psnr in zip(images_of(dataset), (last.train_psnr, last.test_psnr), strict=True):
        draws = torch.Generator().manual_seed(seed_of(0, "monitor"))
        noisy = images + 0.1 * torch.randn(images.shape, generator=draws)
        error = (denoiser(noisy) - images).square().mean()
        assert psnr == pytest.approx(-10 * math.log10(error), abs=1e-3)


def test_weights_say_how_they_were_made(
    dataset: Dataset, run: Callable[..., Run], spec: Callable[..., Params]
):
    asked = spec()
    done = run("a")(asked)
    denoiser, header = load_denoiser(done.output, asked)
    assert header["spec"] == asked
    assert header["inputs"] == {"dataset": dataset.images_sha256}
    computation = {"device": "cpu", "precision": "float32", "compiled": False}
    computation["processor"] = processor()
    assert header["computation"] == computation
    assert read_sidecar(done.table)["computation"] == computation
    assert isinstance(denoiser, NetworkDenoiser)
    assert not denoiser.training
    assert not any(parameter.requires_grad for parameter in denoiser.parameters())
    with pytest.raises(ArtifactError, match=r"N4\.safetensors.*\n.*set_size: .* 4, .* 16"):
        load_denoiser(done.output, asked | {"set_size": 16})


def test_weights_that_do_not_fit(tmp_path: Path, spec: Callable[..., Params]):
    asked = spec()
    path = tmp_path / "model.safetensors"
    tensors = dict(build_network(asked["architecture"], 0).state_dict())
    first = next(iter(tensors))
    for change, problem in (
        ({first: None}, f"missing {first}"),
        ({"extra": torch.ones(2)}, "unexpected extra"),
        ({first: torch.ones(2, 2)}, rf"{first} has shape \(2, 2\), expected \(4, 1, 3, 3\)"),
    ):
        changed = {k: v for k, v in (tensors | change).items() if v is not None}
        write_tensors(path, changed, provenance(asked))
        with pytest.raises(ArtifactError, match=rf"model\.safetensors does not fit.*{problem}"):
            load_denoiser(path)


def test_set_larger_than_its_half(run: Callable[..., Run], spec: Callable[..., Params]):
    with pytest.raises(ValueError, match=r"S1 has 16 images, 17 were asked for"):
        run("a")(spec() | {"set_size": 17})


# ---------------------------------------------------------------------------------------------
# Killed runs continue


@pytest.mark.parametrize("optimiser", ["adam", "sgd", "muon"])
@pytest.mark.parametrize("update", [1, 13, 29])
def test_interrupted_run_ends_in_the_same_bytes(
    run: Callable[..., Run],
    spec: Callable[..., Params],
    interrupt: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    optimiser: str,
    update: int,
):
    asked = spec(
        optimiser=optimiser, noise_draws="stratified", initialisation="unit", fix_norm_after=0.5
    )
    undisturbed = run("undisturbed")(asked).bytes()
    interrupted = run("interrupted", seconds=0)
    interrupt(update)
    with pytest.raises(KeyboardInterrupt):
        interrupted(asked)
    assert interrupted.files() == {"N4.safetensors"}  # the checkpoint
    assert interrupted.checkpoint.exists()
    interrupt(None)
    capsys.readouterr()
    assert interrupted(asked).bytes() == undisturbed
    assert f"continuing from update {update} of 30" in capsys.readouterr().out
    assert not interrupted.checkpoint.exists()


def test_interrupted_again_and_again(
    run: Callable[..., Run], spec: Callable[..., Params], interrupt: Callable[..., None]
):
    asked = spec()
    undisturbed = run("undisturbed")(asked).bytes()
    interrupted = run("interrupted", seconds=0)
    for update in (3, 4, 19):
        interrupt(update)
        with pytest.raises(KeyboardInterrupt):
            interrupted(asked)
    interrupt(None)
    assert interrupted(asked).bytes() == undisturbed


def test_killed_command_continues(
    tmp_path: Path,
    dataset: Dataset,
    dataset_path: Path,
    run: Callable[..., Run],
    spec: Callable[..., Params],
    environment: dict[str, str],
):
    """SIGKILL after the first checkpoint; the same command again ends in the same bytes."""
    asked = spec(updates=150, monitor_every=50)
    killed = run("killed")
    command = [
        *(sys.executable, "-m", "gahb", "denoisers", "--spec", json.dumps(asked)),
        *("--dataset", str(dataset_path), "--output", str(killed.output)),
        *("--table", str(killed.table), "--checkpoint", str(killed.checkpoint)),
        *("--checkpoint-seconds", "0"),
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        patience = time.monotonic() + 60
        while not killed.checkpoint.exists() and time.monotonic() < patience:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert killed.checkpoint.exists()
    assert not killed.output.exists()
    assert not killed.table.exists()

    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    continued = int(again.stdout.split("continuing from update ")[1].split()[0])
    assert 0 < continued < 150
    assert killed.bytes() == run("undisturbed")(asked).bytes()
    assert killed.files() == {"N4.safetensors", "N4.csv", "N4.json"}


def test_checkpoint_of_other_settings_is_started_over(
    run: Callable[..., Run],
    spec: Callable[..., Params],
    interrupt: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
):
    asked, other = spec(), spec(learning_rate=2e-2)
    undisturbed = run("undisturbed")(other).bytes()
    interrupted = run("interrupted", seconds=0)
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        interrupted(asked)
    interrupt(None)
    interrupted(other)
    assert "starting over" in capsys.readouterr().out
    assert interrupted.bytes() == undisturbed


def test_checkpoint_of_other_images_is_started_over(
    tmp_path: Path,
    params: Params,
    run: Callable[..., Run],
    spec: Callable[..., Params],
    interrupt: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
):
    """The spec is the same, the images are not: as after a change of the generator's code."""
    asked = spec()
    interrupted = run("interrupted", seconds=0)
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        interrupted(asked)
    interrupt(None)
    write_dataset(dataset_spec(params, "soft") | {"seed": 77}, tmp_path / "other.h5")
    other = run("interrupted", seconds=0, of=open_dataset(tmp_path / "other.h5"))(asked)
    assert "starting over" in capsys.readouterr().out
    assert read_sidecar(other.table)["inputs"]["dataset"] == other.dataset.images_sha256


# ---------------------------------------------------------------------------------------------
# Damage and divergence: a clear error, and nothing overwritten


@pytest.fixture
def earlier(run: Callable[..., Run], spec: Callable[..., Params]) -> Run:
    """A finished run, whose files must survive what goes wrong next."""
    return run("a", seconds=0)(spec())


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "foreign", "incomplete"])
def test_damaged_checkpoint(
    earlier: Run,
    spec: Callable[..., Params],
    interrupt: Callable[..., None],
    flip: Callable[..., Path],
    damage: str,
):
    before, asked = earlier.bytes(), spec()
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        earlier(asked)
    path = earlier.checkpoint
    content = path.read_bytes()
    if damage == "flipped":
        flip(path, len(content) - 50)
    elif damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        path.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    else:
        tensors, header = read_tensors(path)
        del tensors["log"]
        write_tensors(path, tensors, header)
    damaged = path.read_bytes()
    interrupt(None)
    with pytest.raises(ArtifactError, match=r"checkpoints/N4\.safetensors"):
        earlier(asked)
    assert path.read_bytes() == damaged
    assert earlier.bytes() == before


def test_damaged_dataset(
    earlier: Run,
    dataset_path: Path,
    tmp_path: Path,
    spec: Callable[..., Params],
    flip: Callable[..., Path],
):
    import h5py

    before = earlier.bytes()
    with h5py.File(dataset_path) as file:
        block = int(earlier.dataset.training_set("S1", 1)[0]) // 32
        chunk = file["images"].id.get_chunk_info(block)
    path = flip(dataset_path, chunk.byte_offset + 9, to=tmp_path / "damaged.h5")
    earlier.dataset = open_dataset(path)
    with pytest.raises(ArtifactError, match=r"damaged\.h5 is damaged"):
        earlier(spec())
    assert earlier.bytes() == before


def test_divergence_says_when(earlier: Run, dataset: Dataset, spec: Callable[..., Params]):
    before, asked = earlier.bytes(), spec(learning_rate=1e3)
    trainer = Trainer(asked, *images_of(dataset))
    while trainer.update < 30:
        trainer.step()
    log = trainer.table()
    diverged = log["update"][~(log.relative_error < training.DIVERGED)].iloc[0]
    with pytest.raises(
        DivergenceError, match=rf"diverged at update {diverged} of 30: .*learning_rate"
    ):
        earlier(asked)
    assert earlier.bytes() == before


def test_a_network_that_fails_only_in_evaluation_has_diverged(
    run: Callable[..., Run], spec: Callable[..., Params]
):
    """In training the batch's own deviation hides that the running one has overflowed."""
    with pytest.raises(DivergenceError, match=r"diverged at update 10 of 30: .*PSNR undefined"):
        run("a")(spec(learning_rate=1e9))


def test_undefined_loss_is_divergence(
    run: Callable[..., Run], spec: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
):
    errors = training.noise_errors
    calls = []

    def undefined(*arguments: Any) -> Tensor:
        calls.append(1)
        return errors(*arguments) * (math.nan if len(calls) == 23 else 1)

    monkeypatch.setattr(training, "noise_errors", undefined)
    started = run("a", seconds=0)
    with pytest.raises(DivergenceError, match=r"diverged at update 23 of 30: .* nan times"):
        started(spec())
    assert started.files() == {"N4.safetensors"}
    tensors, _ = read_tensors(started.checkpoint)
    assert len(tensors["log"]) == 22  # the state before it went wrong
    assert all(torch.isfinite(v).all() for k, v in tensors.items() if k != "log")


# ---------------------------------------------------------------------------------------------
# Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    return now


def test_sparse_lines_in_a_log_file(clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]):
    shown = Progress("N4_S1", 100, "update", 0, 8, "images", seconds=20)
    for done in range(1, 101):
        clock.seconds += 1
        shown.update(done, loss=0.5, **{"train PSNR": 30.123})
    shown.close()
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert "\r" not in captured.err
    assert len(lines) == 5
    assert lines[1] == ("N4_S1: update 40/100, 8 images/s, loss 0.5, train PSNR 30.12, 60 s left")
    assert lines[-1].startswith("N4_S1: update 100/100")


def test_rate_of_a_continued_run(clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]):
    shown = Progress("a", 100, "update", 80, 10, "images", seconds=0)
    clock.seconds += 5
    shown.update(90)
    assert "update 90/100, 20 images/s" in (line := capsys.readouterr().err)
    assert "5 s left" in line


def test_short_runs_log_one_line(
    run: Callable[..., Run], spec: Callable[..., Params], capsys: pytest.CaptureFixture[str]
):
    run("a")(spec())
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("a/N4: update 30/30", "images/s", "loss", "train PSNR", "test PSNR", "s left"):
        assert part in line


def test_lines_count_what_is_made(clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]):
    """Samplers look in at every step of a batch, before any sample of it is finished."""
    shown = Progress("N4", 8, "sample")
    for seconds, done in ((30, 0), (10, 4), (20, 4), (1, 8)):
        clock.seconds += seconds
        shown.update(done, sigma=0.25)
    shown.close()
    assert capsys.readouterr().err.splitlines() == [
        "N4: sample 0/8, sigma 0.25",
        "N4: sample 4/8, 0.07 samples/s, sigma 0.25, 60 s left",
        "N4: sample 8/8, 0.13 samples/s, sigma 0.25, 0 s left",
    ]


def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown = Progress("N4_S1", 40, "update", 10, 8, "images")
    shown.update(25, loss=0.25)
    shown.update(40, loss=0.125)
    shown.close()
    text = terminal.getvalue()
    assert "\r" in text
    for part in ("N4_S1", "40/40", "update/s", "loss 0.125"):
        assert part in text


def test_time_between_checkpoints(
    run: Callable[..., Run],
    spec: Callable[..., Params],
    monkeypatch: pytest.MonkeyPatch,
    clock: SimpleNamespace,
):
    """Every update takes a second: 30 updates with a state each 7 seconds are 4 states."""
    written = []
    write = training.write_tensors

    def note(path: Path, *arguments: Any) -> None:
        written.append(path)
        write(path, *arguments)

    step = Trainer.step

    def slow(self: Trainer) -> None:
        clock.seconds += 1
        step(self)

    monkeypatch.setattr(training, "write_tensors", note)
    monkeypatch.setattr(Trainer, "step", slow)
    done = run("a", seconds=7)(spec())
    assert written == [done.checkpoint] * 4
    assert pd.read_csv(done.table).shape[0] == 30
    assert digest_file(done.output)
