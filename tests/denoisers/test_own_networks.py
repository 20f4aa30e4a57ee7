"""Networks of one's own: found by file or module, checked, seeded, trained, kept, and watched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gahb import own
from gahb.datasets.store import open_dataset, write_dataset
from gahb.denoisers.computation import prepared
from gahb.denoisers.initialisation import fan_in
from gahb.denoisers.muon import hidden_convolutions
from gahb.denoisers.networks import NetworkDenoiser, build_network, fix_norms
from gahb.denoisers.optimisers import muon
from gahb.denoisers.own_network import OwnEstimator
from gahb.denoisers.training import Trainer, noise_errors, train
from gahb.denoisers.weights import load_denoiser, save_denoiser
from gahb.params.specs import training_of
from gahb.randomness import seed_of

NETS = """
from torch import nn

from parts import hidden


class Mine(nn.Module):
    def __init__(self, width, *, depth=1):
        super().__init__()
        self.first = nn.Conv2d(1, width, 5, padding=2)
        self.body = nn.Sequential(*(hidden(width) for _ in range(depth)))
        self.mix = nn.Linear(width, width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, y):
        x = self.mix(self.body(self.first(y)).movedim(1, -1)).movedim(-1, 1)
        return self.last(x.relu())


class Wider(Mine):
    pass


class Tied(Mine):
    def __init__(self, width):
        super().__init__(width)
        self.again = self.mix
        self.dropped = nn.Dropout(0.5)

    def forward(self, y):
        return super().forward(self.dropped(y))


class Told(nn.Module):
    def forward(self, y, sigma):
        return y


class Smaller(nn.Module):
    def forward(self, y):
        return y[..., 1:]


class Any(nn.Module):
    def __init__(self, **options):
        super().__init__()


def number(width):
    return width
"""
PARTS = """
from torch import nn


def hidden(width):
    grouped = nn.Conv2d(width, width, 3, padding=1, groups=width)
    return nn.Sequential(grouped, nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
"""
TIED = {"network": "nets.py:Tied", "width": 4}
MINE = {"network": "nets.py:Mine", "width": 4}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file of networks and one that it imports."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "parts", raising=False)
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    return tmp_path


def test_every_weight_comes_from_the_seed():
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    first = build_network(MINE, 5).state_dict()
    assert torch.rand(1) == before  # the caller's random numbers are left alone
    again, other = (build_network(MINE, seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if "2." not in name]  # not those of the normalisation
    assert {"network.mix.weight", "network.last.bias"} < set(drawn)
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


def test_a_module_is_found_as_well_as_a_file(folder: Path):
    assert own.source("nets:Mine") == folder / "nets.py"
    assert build_network(MINE | {"network": "nets:Mine"}, 5)(torch.rand(1, 1, 6, 8)).shape[-2:] == (
        *(6, 8),
    )


def test_the_output_may_be_the_image():
    noise, image = (
        build_network(MINE | {"predicts": kind}, 5).eval() for kind in ("noise", "image")
    )
    y = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(image(y), y - noise(y))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wdth": 3}, "unknown are 'wdth'; known keys here are depth, predicts, width"),
        ({"width": None}, "'width' is a required property"),
        ({"network": "nets.py:Wider", "depht": 2}, "unknown are 'depht'"),
        ({"predicts": "score"}, 'predicts: found "score", allowed is one of noise, image'),
        (
            {"network": "nets.py:Other"},
            "nets.py has no Other; its classes are Any, Mine, Smaller, Tied",
        ),
        ({"network": "nots.py:Mine"}, "nots.py is no file"),
        ({"network": "nots:Mine"}, "no module nots is installed or in"),
        ({"network": "nets.py:Told", "width": None}, r"noisy images alone, but takes \(y, sigma\)"),
        ({"network": "nets.py:number"}, "made a int, expected a torch.nn.Module"),
    ],
)
def test_what_does_not_fit_is_told(changes: dict[str, Any], message: str):
    architecture = {key: value for key, value in (MINE | changes).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        build_network(architecture, 0)


def test_another_shape_is_told():
    network = build_network({"network": "nets.py:Smaller"}, 0)
    with pytest.raises(
        ValueError, match=r"Smaller made \(1, 1, 4, 3\) of noisy images \(1, 1, 4, 4"
    ):
        network(torch.zeros(1, 1, 4, 4))


def test_arguments_that_the_source_does_not_tell_are_not_refused():
    assert own.parameters("nets.py:Any") is None
    assert own.parameters("nets.py:Wider") == {"width": True, "depth": False}
    assert isinstance(build_network({"network": "nets.py:Any", "width": 3}, 0), nn.Module)


def test_file_names_what_it_is_and_loads_again(folder: Path):
    network = build_network(MINE, 5).train()
    network(torch.rand(4, 1, 8, 8))
    save_denoiser("mine.safetensors", network, {"architecture": MINE}, {}, {})
    denoiser, header = load_denoiser("mine.safetensors")
    assert header["spec"]["architecture"] == MINE
    y = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(denoiser(y), y - network.eval()(y))
    (folder / "nets.py").unlink()
    with pytest.raises(ValueError, match=r"nets\.py is no file"):
        load_denoiser("mine.safetensors")


def test_training_draws_from_the_seed_alone():
    training = training_of({"experiments": {"one": {}}}, "one") | {"updates": 3, "batch_size": 4}
    training |= {"precision": "float32", "compile": "never"}
    spec = {"architecture": TIED, "training": training, "split": "S1"}
    images = torch.rand(8, 1, 8, 8)

    def trained() -> dict[str, torch.Tensor]:
        trainer = Trainer(spec, images, images)
        for _ in range(3):
            trainer.step()
        trainer.check(0)
        return trainer.network.state_dict()

    first, start = trained(), build_network(TIED, seed_of(0, "weights", "S1")).state_dict()
    torch.rand(1)
    again = trained()
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name in ("first.weight", "mix.bias", "body.0.1.weight"):
        assert not torch.equal(first[f"network.{name}"], start[f"network.{name}"])


def test_weights_that_are_tied_are_kept():
    network = build_network(TIED, 5)
    save_denoiser("tied.safetensors", network, {"architecture": TIED}, {}, {})
    found = load_denoiser("tied.safetensors")[0].network
    assert found.network.again.weight is found.network.mix.weight
    torch.testing.assert_close(found.state_dict(), network.state_dict())


def test_trained_file_records_the_source(folder: Path):
    training = training_of({"experiments": {"one": {}}}, "one") | {"updates": 2, "batch_size": 4}
    training |= {"precision": "float32", "compile": "never"}
    images = {"class": "disks", "rendering": "antialiased", "parameters": "continuous"}
    dataset = images | {"size": 8, "images": 16, "test_images": 8, "seed": 0}
    write_dataset(dataset, "data.h5")
    spec = {"architecture": MINE, "training": training, "set_size": 2, "split": "S1"}
    spec |= {"experiment": "one", "image_class": "disks", "dataset": dataset}

    train(spec, open_dataset("data.h5"), "one.safetensors", "one.csv", "check.safetensors")
    first = load_denoiser("one.safetensors", spec)[1]["inputs"]
    assert first["network"] == own.digest(MINE["network"])
    (folder / "parts.py").write_text(PARTS.replace("3, padding=1", "5, padding=2"))
    assert own.digest(MINE["network"]) != first["network"]
    assert first.keys() == {"dataset", "network"}


def test_muon_takes_hidden_convolutions_that_are_not_grouped():
    network, images = build_network(MINE, 5), torch.rand(1, 1, 8, 8)
    assert [one.shape for one in hidden_convolutions(network, images)] == [(4, 4, 1, 1)]
    optimiser = muon.build(network, 0.1, images)
    taken = [len(group["params"]) for group in optimiser.param_groups]
    assert taken == [len(list(network.parameters())) - 1, 1]


def test_a_predictor_of_noise_is_given_the_image_unrounded():
    """In training and sampling; what its own layers make of it under autocast is theirs."""
    given = []

    class Noting(nn.Conv2d):
        def forward(self, y: torch.Tensor) -> torch.Tensor:
            given.append(y)
            return super().forward(y)

    estimator = OwnEstimator(Noting(1, 1, 3, padding=1), "noise", "Noting").requires_grad_(False)
    clean, noise = torch.rand(2, 2, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        noise_errors(estimator, clean, noise, torch.full((2,), 1e-3))
    y = clean + 1e-3 * noise
    denoised = prepared(NetworkDenoiser(estimator), "bfloat16", "cpu")(y, None)
    assert all(torch.equal(one, y) for one in given)
    assert denoised.dtype == torch.float32
    assert not torch.equal(denoised, denoised.bfloat16().float())


class Skipping(nn.Module):
    """A layer of each kind, between images of 3 channels: those named ``hidden`` are Muon's."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(12, 4, 1)  # of pixels that were rearranged
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.hidden_1x1 = nn.Conv2d(4, 3, 1)  # as many channels as the images
        self.linear = nn.Linear(3, 4)
        self.hidden_up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.again = nn.Conv2d(7, 4, 3, padding=1)  # of the image too, beside what is hidden
        self.hidden_norm = nn.Conv2d(4, 4, 3, padding=1)
        self.made = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
        self.branch = nn.Conv2d(4, 3, 1)
        self.last = nn.ConvTranspose2d(4, 3, 1)
        self.unused = nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        x = self.hidden_1x1(self.grouped(self.first(nn.functional.pixel_unshuffle(y, 2)).relu_()))
        x = self.hidden_up(self.linear(x.movedim(1, -1)).movedim(-1, 1))
        x = self.made(self.norm(self.hidden_norm(self.again(torch.cat([x, y], 1)).relu_())))
        return y - self.branch(x) + self.last(x).relu_()


def test_muon_finds_the_hidden_convolutions_of_any_network():
    network, images = Skipping(), torch.rand(1, 3, 8, 8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = {id(one) for one in hidden_convolutions(network, images)}
    names = [name for name, one in network.named_parameters() if id(one) in found]
    assert names == ["hidden_1x1.weight", "hidden_up.weight", "hidden_norm.weight"]
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert all(part.training for part in network.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


@pytest.mark.parametrize("channels", [1, 3])
def test_first_and_last_convolution_of_any_colours_are_adams(channels: int):
    kinds = (nn.Conv2d(channels, 6, 3), nn.Conv2d(6, 6, 3), nn.Conv2d(6, channels, 3))
    network = nn.Sequential(kinds[0], nn.ReLU(inplace=True), kinds[1], nn.BatchNorm2d(6), kinds[2])
    (found,) = hidden_convolutions(network, torch.rand(1, channels, 8, 8))
    assert found is kinds[1].weight


@pytest.mark.parametrize(
    "options", [{"network": "unet", "blocks": 2}, {"network": "bf_cnn", "layers": 5}]
)
def test_networks_of_the_package_have_the_same_hidden_convolutions_as_ever(options: dict[str, Any]):
    network = build_network(options | {"channels": 4}, 0)
    expected = [
        module.weight
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        and min(module.in_channels, module.out_channels) > 1
    ]
    found = hidden_convolutions(network, torch.rand(1, 1, 8, 8))
    assert list(map(id, found)) == list(map(id, expected))


def test_batch_norms_are_fixed_as_ours_are():
    network = build_network(MINE, 5)
    for fixed in (True, False):
        fix_norms(network.train(), fixed)
        before = network.network.body[0][2].running_mean.clone()
        network(torch.rand(2, 1, 8, 8))
        assert torch.equal(before, network.network.body[0][2].running_mean) == fixed


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(6, 4, 3), 54),
        (nn.Conv2d(6, 4, 1), 6),
        (nn.Conv2d(6, 4, (3, 5), groups=2), 45),
        (nn.ConvTranspose2d(6, 4, 2, stride=2), 6),
        (nn.ConvTranspose2d(6, 4, 4, stride=2), 24),
    ],
)
def test_fan_in_is_that_of_the_kernel(layer: nn.Module, expected: int):
    assert fan_in(layer) == expected
