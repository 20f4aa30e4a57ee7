"""An update as a CUDA graph, without CUDA: a tape of operations, made again, stands for the real one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.own_networks import OWN
from helpers.pretended_cuda import pretend_graphs

from gahb.datasets.store import Dataset
from gahb.denoisers import graphs, training
from gahb.denoisers.training import Trainer
from gahb.params import network_spec


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    path = tmp_path_factory.mktemp("own") / "recorded_nets.py"  # its folder stays on sys.path
    path.write_text(OWN)
    return lambda name: {"network": f"{path}:{name}", "predicts": "noise"}


@pytest.fixture
def trainer(dataset: Dataset, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    pretend_graphs(monkeypatch)
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", functools.partial(whole, backend="eager"))

    def make(
        graphed: bool, optimiser: str, architecture: dict[str, Any] | None = None, **changes: Any
    ) -> Trainer:
        monkeypatch.setattr(training, "repays", lambda *_: graphed)
        images = torch.from_numpy(dataset.images(dataset.training_set("S1", 16)))
        asked = network_spec(params, "soft", 16, "S1")
        asked["training"] |= {"optimiser": optimiser, "updates": 8, "monitor_every": 8} | changes
        asked["architecture"] = architecture or asked["architecture"]
        return Trainer(asked, images, images[:4])

    return make


def trained(one: Trainer) -> Trainer:
    for _ in range(one.training["updates"] - one.update):
        one.step()
    one.check(0)
    return one


def agree(found: Trainer, expected: Trainer, **tolerances: float) -> None:
    for name, value in expected.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], value, **tolerances)


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
@pytest.mark.parametrize("fixed", [1.0, 0.5])
def test_replayed_updates_are_those_of_the_plain_loop(trainer, optimiser: str, fixed: float):
    """Warm-ups leave no trace, rates follow their schedule, and norms change form half-way."""
    plain, graphed = (trained(trainer(g, optimiser, fix_norm_after=fixed)) for g in (False, True))
    assert graphed._graphed is not None
    agree(graphed, plain)
    torch.testing.assert_close(graphed.log, plain.log, equal_nan=True)


@pytest.mark.parametrize("compiled", ["never", "always"])
@pytest.mark.parametrize("name", ["", "Normalised"])
def test_norms_are_fixed_in_every_form_of_an_update(trainer, own, name: str, compiled: str):
    """Half-way, in a graph too, of compiled code too, and of torch's own normalisations too."""
    architecture = own(name) if name else None
    options = {"precision": "float32", "fix_norm_after": 0.5}
    plain = trained(trainer(False, "adam", architecture, compile="never", **options))
    running = "running_var" if name else "running_sd"
    half = trainer(True, "adam", architecture, compile=compiled, **options)
    for _ in range(4):
        half.step()
    before = {k: v.clone() for k, v in half.network.state_dict().items() if running in k}
    assert before
    trained(half)
    assert half._graphed is not None
    assert half.computation.compiled == (compiled == "always")
    for key, value in before.items():
        assert torch.equal(half.network.state_dict()[key], value)
    agree(half, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Dropping", "random numbers"),
        ("Waiting", "not permitted"),
        ("Published", "instead of changing it in place"),
        ("Late", "instead of changing it in place"),
        ("Counting", "instead of changing it in place"),
    ],
)
def test_what_no_graph_can_hold_is_told_once_and_trained(
    trainer, own, capsys: pytest.CaptureFixture[str], name: str, told: str
):
    plain, refused = (trained(trainer(g, "adam", own(name))) for g in (False, True))
    assert capsys.readouterr().out.count(told) == 1
    agree(refused, plain)
    torch.testing.assert_close(refused.log, plain.log, equal_nan=True)


def test_what_is_compiled_leaves_no_trace_of_a_trial(trainer, own):
    plain, late = (
        trained(trainer(False, "adam", own("Late"), compile=mode, precision="float32"))
        for mode in ("never", "always")
    )
    assert late.computation.compiled
    agree(late, plain, rtol=1e-3, atol=1e-5)


def test_what_warms_up_in_vain_is_over_before_weights_are_brought_back(
    monkeypatch: pytest.MonkeyPatch,
):
    pretend_graphs(monkeypatch)
    done: list[str] = []
    stream = torch.cuda.Stream()
    monkeypatch.setattr(stream, "wait_stream", lambda other: done.append("waited"))

    def update() -> tuple[torch.Tensor, ...]:
        done.append("update")
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        graphs.capture(update)
    assert done == ["waited", "update", "waited"]


def test_a_continued_training_is_recorded_anew(trainer, tmp_path: Path):
    whole, first, second = (trainer(True, "muon") for _ in range(3))
    trained(whole)
    for _ in range(3):
        first.step()
    second.restore("checkpoint", {k: v.clone() for k, v in first.state().items()})
    agree(trained(second), whole)


def test_only_what_says_so_is_recorded(trainer):
    cuda = torch.device("cuda")
    assert graphs.repays(cuda, trainer(False, "muon").optimiser, 800)
    assert not graphs.repays(cuda, trainer(False, "sgd").optimiser, 800)
    assert not graphs.repays(cuda, trainer(False, "adam").optimiser, 10)
    assert not graphs.repays(torch.device("cpu"), trainer(False, "adam").optimiser, 800)
