"""Denoisers trained in one call, and those that come with the package."""

from __future__ import annotations

import json
import random
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gahb
from gahb.artifacts import read_tensors
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import resolve_computation
from gahb.denoisers.learning import train
from gahb.denoisers.own_network import OwnEstimator
from gahb.denoisers.pretrained import FOLDER, NAMES, from_pretrained, pack, pretrained_file
from gahb.denoisers.training import noise_errors
from gahb.denoisers.weights import load_denoiser
from gahb.params import network_spec

QUICK = {"updates": 4, "batch_size": 4, "precision": "float32", "device": "cpu", "monitor_every": 2}


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((8, *shape))


def test_training_is_that_of_the_workflow(
    dataset: Dataset, trained: Any, params: dict[str, Any], tmp_path: Path
):
    spec = network_spec(params, "soft", 16, "S1")
    clean = dataset.images(dataset.training_set("S1", 16))
    denoiser = train(clean, spec["architecture"], **spec["training"])
    expected, _ = read_tensors(trained(16, "S1"))
    for name, value in denoiser.network.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)
    assert len(denoiser.log) == 30
    assert "test_psnr" not in denoiser.log
    denoiser.save(tmp_path / "mine.safetensors")
    again, header = load_denoiser(tmp_path / "mine.safetensors")
    y = torch.from_numpy(clean[:2])
    torch.testing.assert_close(again(y), denoiser(y))
    assert header["spec"]["training"] == spec["training"]


def test_the_network_suits_the_size_of_the_images():
    shallow = train(images(12, 4), held_out=images(8, 8), **QUICK)
    assert shallow.spec["architecture"] == {"network": "unet", "blocks": 2, "channels": 16}
    assert not shallow.training
    assert shallow.log["test_psnr"].notna().sum() == 2
    for shape, message in (((3, 8, 8), "found 3 channels"), ((7, 8), "found 7x8 pixels")):
        with pytest.raises(ValueError, match=message):
            train(images(*shape), **QUICK)


@pytest.mark.parametrize("predicts", ["noise", "image"])
def test_a_module_of_ones_own_is_copied_and_trained(predicts: Any, tmp_path: Path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
    before = [value.clone() for value in network.parameters()]
    denoiser = train(images(3, 6, 10), network, predicts=predicts, **QUICK, seed=1)
    same = train(images(3, 6, 10), network, predicts=predicts, **QUICK, seed=1)
    y = torch.rand(2, 3, 6, 10)
    torch.testing.assert_close(denoiser(y), same(y), rtol=0, atol=0)
    for now, then in zip(network.parameters(), before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)
    own = denoiser.network if predicts == "noise" else denoiser.network.network
    expected = y - own(y) if predicts == "noise" else own(y)
    torch.testing.assert_close(denoiser(y), expected)
    with pytest.raises(ValueError, match="a network of the class Sequential"):
        denoiser.save(tmp_path / "mine.safetensors")


def test_what_predicts_the_image_does_so_when_it_is_trained_further():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 1, 3, padding=1)
    denoiser = train(images(8, 8), network, predicts="image", **QUICK)
    further = train(images(8, 8), denoiser, **QUICK)
    assert further.spec["architecture"] == {"class": "Conv2d", "predicts": "image"}
    assert not torch.equal(further.network.network.weight, denoiser.network.network.weight)
    for options in (None, {"network": "unet", "blocks": 1, "channels": 4}):
        with pytest.raises(ValueError, match="predicts: found 'image' without a module"):
            train(images(8, 8), options, predicts="image", **QUICK)


class Drawing(nn.Module):
    """A network that draws from every global generator there is."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)
        self.dropped = nn.Dropout(0.5)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        drawn = random.random() + np.random.rand()  # noqa: NPY002
        return drawn * self.last(self.dropped(self.first(y)))


def test_all_that_is_random_comes_from_the_seed_and_the_callers_numbers_go_on():
    network = Drawing()

    def numbers() -> tuple[float, float, float]:
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(5)
    expected = numbers()
    weights = []
    for number, optimiser in enumerate(["adam", "muon", "muon", "muon"]):
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(5 if number < 2 else number)
        denoiser = train(images(8, 8), network, **QUICK, seed=int(number == 3), optimiser=optimiser)
        if number < 2:
            assert numbers() == expected
        weights.append(denoiser.network.last.weight)
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[2], weights[3])


def test_threads_are_those_of_before(monkeypatch: pytest.MonkeyPatch):
    before, told = torch.get_num_threads(), []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    denoiser = train(images(8, 8), **QUICK, threads=before + 1)
    assert told == [before + 1, before]
    assert denoiser.spec["training"]["threads"] == before + 1


def test_a_network_of_the_package_is_trained_on(tmp_path: Path):
    start = from_pretrained("alpha2/N10000_S1")
    before = {name: value.clone() for name, value in start.state_dict().items()}
    for given in (start, torch.compile(start), torch.nn.DataParallel(start)):
        denoiser = train(images(8, 8), given, predicts="image", **QUICK)
        assert type(denoiser.network) is type(start.network)
        now = denoiser.network.state_dict()
        moved = [name for name in now if not torch.equal(now[name], before[f"network.{name}"])]
        assert len(moved) == len(now)
        assert not any(one.requires_grad for one in denoiser.parameters())
        # four updates from trained weights do not undo what had been learned
        assert denoiser.log["relative_error"][0] < 0.5
    torch.testing.assert_close(start.state_dict(), before, rtol=0, atol=0)
    denoiser.save(tmp_path / "more.safetensors")
    again, header = load_denoiser(tmp_path / "more.safetensors")
    torch.testing.assert_close(again.state_dict(), denoiser.state_dict(), rtol=0, atol=0)
    assert header["spec"]["architecture"] == {"network": "unet", "blocks": 3, "channels": 16}


def test_weights_of_which_some_are_set_to_stay_stay():
    network = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(2))).double()
    network[0].requires_grad_(False)
    found = train(images(8, 8), network, **QUICK).network
    assert torch.equal(found[0].weight, network[0].weight.float())
    assert not torch.equal(found[1].weight, network[1].weight.float())


def test_a_network_that_predicts_the_image_is_not_rounded():
    """At a small noise level bfloat16 would change the image by more than the noise."""
    sigma, y = 1e-3, torch.rand(4, 1, 8, 8)
    identity = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(identity.weight)
    clean = y - sigma * torch.ones_like(y)
    noise, sigmas = torch.ones_like(y), torch.full((4,), sigma)
    with torch.autocast("cpu", torch.bfloat16):
        errors = noise_errors(OwnEstimator(identity, "image", "Identity"), clean, noise, sigmas)
    # the identity leaves all of the noise
    torch.testing.assert_close(errors, torch.full((4,), sigma**2), rtol=1e-3, atol=0)
    asked = {"device": "cpu", "precision": "bfloat16", "compile": "never"}
    for predicts, precision in (("image", "float32"), ("noise", "bfloat16")):
        assert resolve_computation(asked, {"predicts": predicts}, 8).precision == precision


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (None, {"recipe": "paper", "noise_law": "log_uniform"}, r"sigma_range: found \[0, 1\]"),
        ({"blocks": 2}, {}, "network: found {'blocks': 2}, expected .*'network': bf_cnn, unet"),
        ("unet", {}, "network: found 'unet', expected a torch module"),
        (nn.ReLU(), {}, "found no weights in ReLU"),
        (nn.Conv2d(1, 2, 1), {}, r"Conv2d made \(1, 2, 8, 8\) of noisy images \(1, 1, 8, 8\)"),
        (nn.Conv2d(3, 3, 1), {}, "takes images of 3 channels, and these have 1"),
        (nn.Bilinear(8, 8, 8), {}, r"noisy images alone, but takes \(input1"),
    ],
)
def test_what_cannot_be_trained_is_told(network: Any, options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        train(images(8, 8), network, **QUICK, **options)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match=r"unknown are 'updats'; known keys here are batch_size"):
        train(images(8, 8), updats=3)
    with pytest.raises(ValueError, match=r"updates: found 0, allowed is at least 1"):
        train(images(8, 8), updates=0)
    with pytest.raises(ValueError, match="predicts: found 'both'"):
        train(images(8, 8), predicts="both")  # type: ignore[arg-type]


def test_pretrained_networks_denoise_and_are_small():
    classes = {
        "alpha2": gahb.CAlpha(
            size=32, seed=7, alpha=2, background_alpha=2, rendering="antialiased"
        ),
        "disks": gahb.Disks(size=32, seed=7, rendering="antialiased", parameters="continuous"),
    }
    for name in NAMES:
        denoiser = from_pretrained(name)
        curve = gahb.psnr_curve(denoiser, classes[name.split("/")[0]].render(0, 8), [0.1])
        assert curve["psnr_of_mean_mse"][0] > 27.5, name  # of 20 dB
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8e6
    assert {path.name for path in FOLDER.iterdir()} == {pretrained_file(n).name for n in NAMES}
    assert files("gahb").joinpath("pretrained", pretrained_file(NAMES[0]).name).is_file()
    with pytest.raises(
        ValueError, match=r"found 'alpha2/N1000_S1'; did you mean 'alpha2/N10000_S1'"
    ):
        from_pretrained("alpha2/N1000_S1")


def test_pretrained_networks_are_renewed_from_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    results, home = tmp_path / "results", tmp_path / "pretrained"
    home.mkdir()
    for name in NAMES:
        path = results / "denoisers" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pretrained_file(name).read_bytes())
    monkeypatch.setattr("gahb.denoisers.pretrained.FOLDER", home)
    assert [path.parent for path in pack(results)] == [home] * 3
    content = read_tensors(home / "disks_N10000_S1.safetensors")[1]
    assert json.loads(json.dumps(content))["spec"]["experiment"] == "disks"
    path.unlink()
    with pytest.raises(gahb.ArtifactError):
        pack(results)
