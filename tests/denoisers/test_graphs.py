"""An update as a CUDA graph, without CUDA: a capture that replays by calling stands for the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gahb.datasets.store import Dataset
from gahb.denoisers import graphs, training
from gahb.denoisers.training import Trainer
from gahb.params import network_spec


def replayed(update: Callable[[], tuple[torch.Tensor, ...]]) -> Any:
    """What a capture leaves: warm-ups have run, and a replay writes into the same tensors."""
    for _ in range(graphs.WARM_UPS):
        outputs = update()

    def replay() -> None:
        for old, new in zip(outputs, update(), strict=True):
            old.copy_(new)

    return replay, outputs


@pytest.fixture
def trainer(dataset: Dataset, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    def make(graphed: bool, optimiser: str, **changes: Any) -> Trainer:
        monkeypatch.setattr(graphs, "capture", replayed)
        monkeypatch.setattr(training, "repays", lambda *_: graphed)
        images = torch.from_numpy(dataset.images(dataset.training_set("S1", 16)))
        asked = network_spec(params, "soft", 16, "S1")
        asked["training"] |= {"optimiser": optimiser, "updates": 8, "monitor_every": 8} | changes
        return Trainer(asked, images, images[:4])

    return make


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
@pytest.mark.parametrize("fixed", [1.0, 0.5])
def test_replayed_updates_are_those_of_the_plain_loop(trainer, optimiser: str, fixed: float):
    """Warm-ups leave no trace, rates follow their schedule, and norms change form half-way."""
    plain, graphed = (trainer(g, optimiser, fix_norm_after=fixed) for g in (False, True))
    for one in (plain, graphed):
        for _ in range(8):
            one.step()
        one.check(0)
    assert graphed._graphed is not None
    for name, value in plain.network.state_dict().items():
        torch.testing.assert_close(graphed.network.state_dict()[name], value)
    torch.testing.assert_close(graphed.log, plain.log, equal_nan=True)


def test_a_continued_training_is_recorded_anew(trainer):
    whole, first, second = (trainer(True, "muon") for _ in range(3))
    for _ in range(8):
        whole.step()
    for _ in range(3):
        first.step()
    second.restore("checkpoint", {k: v.clone() for k, v in first.state().items()})
    for _ in range(5):
        second.step()
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(second.network.state_dict()[name], value)


def test_what_cannot_be_recorded_is_told_once_and_trained(
    trainer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    plain, refused = trainer(False, "adam"), trainer(True, "adam")

    def refusing(update: Callable[[], Any]) -> Any:
        update()
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "capture", refusing)
    for one in (plain, refused):
        for _ in range(8):
            one.step()
    assert capsys.readouterr().out.count("not permitted") == 1
    for name, value in plain.network.state_dict().items():
        torch.testing.assert_close(refused.network.state_dict()[name], value)


def test_only_what_says_so_is_recorded(trainer):
    cuda = torch.device("cuda")
    assert graphs.repays(cuda, trainer(False, "muon").optimiser, 800)
    assert not graphs.repays(cuda, trainer(False, "sgd").optimiser, 800)
    assert not graphs.repays(cuda, trainer(False, "adam").optimiser, 10)
    assert not graphs.repays(torch.device("cpu"), trainer(False, "adam").optimiser, 800)
