"""The recipe of training: Muon, starts, stratified levels, fixed normalisations, compiling."""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from torch import Tensor

from gahb.datasets.store import Dataset
from gahb.denoisers import compilation
from gahb.denoisers.choices import INITIALISATIONS, NOISE_DRAWS
from gahb.denoisers.muon import (
    Muon,
    Together,
    as_matrix,
    as_weight,
    hidden_convolutions,
    orthogonalise,
)
from gahb.denoisers.networks import BiasFreeNorm, build_network
from gahb.denoisers.optimisers.muon import FASTER, build
from gahb.denoisers.training import Trainer
from gahb.options import module, names
from gahb.params import network_spec
from gahb.params.specs import planned_images

Params = dict[str, Any]


def asked(**training: Any) -> Params:
    """A network spec of the tiny project."""
    params = copy.deepcopy(TINY)
    params["training"] |= training
    return network_spec(params, "soft", 4, "S1")


@pytest.fixture
def images(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Training and test images."""
    chosen = dataset.training_set("S1", 4), dataset.indices["test"]
    return tuple(torch.from_numpy(dataset.images(index)) for index in chosen)


# ---------------------------------------------------------------------------------------------
# Muon


def iterated(matrix: Tensor) -> Tensor:
    """The quintic iteration of Muon's authors on the matrix itself, in float64."""
    found = matrix.double() / matrix.double().norm()
    for _ in range(5):
        gram = found @ found.T
        a, b, c = 3.4445, -4.7750, 2.0315
        found = a * found + (b * gram + c * gram @ gram) @ found
    return found


def test_orthogonalise_is_the_iteration_of_its_authors():
    draws = torch.Generator().manual_seed(0)
    shapes = [(4, 9), (9, 4), (4, 30), (5, 5), (1, 7)]
    matrices = [torch.randn(shape, generator=draws) for shape in shapes]
    for matrix, found in zip(matrices, orthogonalise(matrices), strict=True):
        torch.testing.assert_close(found.double(), iterated(matrix), atol=2e-4, rtol=0)
        assert 0.5 < torch.linalg.svdvals(found).max() < 1.3


@pytest.mark.parametrize("rate", [0.1, torch.tensor(0.1)], ids=["number", "tensor"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_step_of_muon_is_against_the_orthogonalised_gradient(
    layout: torch.memory_format, rate: float | Tensor
):
    """Of convolutions that are wide, tall and square as matrices, in the layout of a training too."""
    draws = torch.Generator().manual_seed(0)
    shapes = [(4, 3, 3, 3), (30, 2, 2, 2), (16, 4, 2, 2), (6, 9, 1, 1), (4, 2, 2, 2)]
    weights = [
        torch.nn.Parameter(torch.randn(shape, generator=draws).to(memory_format=layout))
        for shape in shapes
    ]
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=draws).to(memory_format=layout)
    Muon(weights, lr=rate).step()
    for weight, old in zip(weights, before, strict=True):
        expected = iterated(as_matrix(weight.grad))
        rows, columns = expected.shape
        step = as_matrix(old - weight.detach()).double()
        scale = 0.1 * max(1, rows / columns) ** 0.5
        torch.testing.assert_close(step, scale * expected, atol=1e-4, rtol=0)


def test_convolutions_as_matrices_and_back():
    weight = torch.randn(3, 4, 2, 2)
    for laid_out in (weight, weight.to(memory_format=torch.channels_last)):
        matrix = as_matrix(laid_out)
        assert matrix.shape == (3, 16)
        assert torch.equal(as_weight(matrix, laid_out), weight)
    assert torch.equal(as_matrix(weight), as_matrix(weight.to(memory_format=torch.channels_last)))


def step_of(network: torch.nn.Module, optimiser: Together) -> dict[str, Tensor]:
    """How far the parameters move along random gradients."""
    before = {name: value.clone() for name, value in network.named_parameters()}
    draws = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=draws)
    optimiser.step()
    return {name: (p - before[name]).detach() for name, p in network.named_parameters()}


def test_muon_moves_hidden_convolutions_and_adam_the_rest():
    network = build_network({"network": "unet", "blocks": 1, "channels": 4}, 0)
    images = torch.rand(1, 1, 4, 4)
    hidden = {id(weight) for weight in hidden_convolutions(network, images)}
    optimiser = build(network, 0.025, images)
    moved = step_of(network, optimiser)
    for name, parameter in network.named_parameters():
        if id(parameter) in hidden:
            rows, columns = as_matrix(parameter).shape
            norm = torch.linalg.matrix_norm(as_matrix(moved[name]), ord=2)
            assert 0.6 < norm / max(1, rows / columns) ** 0.5 / (FASTER * 0.025) < 1.3
            assert set(optimiser.state[parameter]) == {"momentum"}
        else:
            step = torch.full_like(parameter, 0.025)
            torch.testing.assert_close(moved[name].abs(), step, rtol=1e-3, atol=0)
    assert len(hidden) == sum(p.ndim == 4 for p in network.parameters()) - 2 - 4  # images, gains


def test_muon_follows_its_momentum():
    """Twice the same gradient is twice the same step; the opposite one does not turn round at once."""
    weight = torch.nn.Parameter(torch.zeros(3, 3))
    optimiser = Muon([weight], lr=1.0)
    steps = []
    for sign in (1, 1, 1, -0.1):
        before = weight.detach().clone()
        weight.grad = sign * torch.eye(3)
        optimiser.step()
        steps.append((weight.detach() - before).flatten())
    torch.testing.assert_close(steps[0], steps[1])
    torch.testing.assert_close(steps[0], steps[3], rtol=0.05, atol=1e-4)


def test_network_without_hidden_convolutions():
    network = torch.nn.Conv2d(1, 1, 3)
    (group,) = build(network, 0.25, torch.rand(1, 1, 4, 4)).param_groups
    assert group["lr"] == 0.25


# ---------------------------------------------------------------------------------------------
# Starts, levels, normalisations


@pytest.mark.parametrize("name", names(INITIALISATIONS))
def test_starts(name: str):
    network = build_network({"network": "unet", "blocks": 2, "channels": 8}, 0, name)
    y = torch.randn(2, 1, 16, 16)
    assert network(y).square().mean() < 1e-2
    norms = [part for part in network.modules() if isinstance(part, BiasFreeNorm)]
    gains = torch.cat([norm.gain.flatten() for norm in norms])
    if name == "unit":
        assert torch.equal(gains, torch.ones_like(gains))
        assert not network(y).any()
    else:
        assert 0 < gains.std() < 0.01
    inner = network.middle[3].weight  # 32 channels of 3x3
    expected = {"published": (2 / 288) ** 0.5}.get(name, (1 / 3 / 288) ** 0.5)
    assert inner.std().item() == pytest.approx(expected, rel=0.05)


def test_stratified_levels():
    draws = torch.Generator().manual_seed(0)
    stratified = module(NOISE_DRAWS, "stratified").draw
    drawn = torch.stack([stratified(8, draws) for _ in range(2000)])
    assert torch.equal((8 * drawn).floor().sort(dim=1).values, torch.arange(8.0).expand(2000, 8))
    assert drawn.mean(dim=0).sub(0.5).abs().max() < 4 * 0.29 / 2000**0.5


def test_norm_against_autograd():
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64).requires_grad_()
    norm = BiasFreeNorm(4).double()
    with torch.no_grad():
        norm.gain.normal_()
    sd = torch.sqrt(x.var(dim=(0, 2, 3), keepdim=True, unbiased=False) + norm.epsilon)
    torch.testing.assert_close(norm(x), x * norm.gain / sd)
    torch.testing.assert_close(norm.running_sd, 0.9 + 0.1 * sd.detach())
    assert torch.autograd.gradcheck(norm, (x,))
    weights = torch.randn_like(x)
    found = torch.autograd.grad((norm(x) * weights).sum(), norm.gain)
    expected = torch.autograd.grad((x * norm.gain / sd * weights).sum(), norm.gain)
    torch.testing.assert_close(found, expected)


def test_norm_in_bfloat16_is_as_good_as_autograd(monkeypatch: pytest.MonkeyPatch):
    """The gradient that is written out is no further from the exact one than what compiled code has."""
    draws = torch.Generator().manual_seed(0)
    x, along = (torch.randn(8, 4, 32, 32, generator=draws) for _ in range(2))
    x = x.relu() + 0.3

    def gradient(dtype: torch.dtype) -> Tensor:
        given, norm = x.to(dtype).requires_grad_(), BiasFreeNorm(4)
        norm.to(torch.promote_types(dtype, torch.float32))  # as under autocast
        (norm(given) * along.to(dtype)).sum().backward()
        return given.grad.double()

    exact = gradient(torch.float64)
    written = (gradient(torch.bfloat16) - exact).square().mean()
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert written < 2 * (gradient(torch.bfloat16) - exact).square().mean()
    assert written < 5e-5 * exact.square().mean()


def test_fixed_norm_keeps_its_scale():
    norm, x = BiasFreeNorm(4).train(), torch.randn(3, 4, 5, 6)
    norm(x)
    kept = norm.running_sd.clone()
    norm.fix(True)
    torch.testing.assert_close(norm(3 * x), 3 * x / kept)
    assert torch.equal(norm.running_sd, kept)
    norm.fix(False)
    norm(3 * x)
    assert not torch.equal(norm.running_sd, kept)


def test_compiled_code_of_a_norm_is_the_same_function(monkeypatch: pytest.MonkeyPatch):
    """Compiled once for both parts of a training: the branch that it takes, run as it is."""
    x = 2 + torch.randn(3, 4, 5, 6)
    for fixed in (False, True):
        found = []
        for compiling in (False, True):
            monkeypatch.setattr(torch.compiler, "is_compiling", lambda value=compiling: value)
            norm, given = BiasFreeNorm(4), x.clone().requires_grad_()
            norm.running_sd.fill_(1.5)
            norm.fix(fixed)
            (norm(given) ** 3).sum().backward()
            found.append((norm.running_sd, given.grad, norm.gain.grad))
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_norms_are_fixed_after_their_share(images: tuple[Tensor, Tensor]):
    trainer = Trainer(asked(fix_norm_after=0.5), *images)
    kept = []
    while trainer.update < 30:
        trainer.step()
        buffers = [b.flatten() for n, b in trainer.network.named_buffers() if "running" in n]
        kept.append(torch.cat(buffers))
    changed = [not torch.equal(a, b) for a, b in itertools.pairwise(kept)]
    assert changed == [True] * 14 + [False] * 15


# ---------------------------------------------------------------------------------------------
# Compiling, where it works


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for compiled code that the environment names."""
    monkeypatch.setenv(compilation.PLACE, str(tmp_path / "inductor"))
    return tmp_path / "inductor"


def train_three(training: Params, images: tuple[Tensor, Tensor]) -> Trainer:
    trainer = Trainer(asked(**training), *images)
    for _ in range(3):
        trainer.step()
    return trainer


def test_nothing_is_lost_where_nothing_compiles(
    images: tuple[Tensor, Tensor],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """As where compiled code cannot be loaded, from a folder mounted noexec."""

    def fails(errors: Callable[..., Tensor], **_: Any) -> Callable[..., Tensor]:
        def compiled(*arguments: Any) -> Tensor:
            errors(*arguments)  # and what it does to the network
            raise OSError("failed to map segment\nand more")

        return compiled

    monkeypatch.setattr(torch, "compile", fails)
    trainer = train_three({"compile": "always"}, images)
    (line,) = capsys.readouterr().out.splitlines()
    assert "not compiled" in line
    assert "OSError: failed to map segment" in line
    assert not trainer.computation.compiled
    plain = train_three({}, images).network.state_dict()
    assert all(torch.equal(plain[name], v) for name, v in trainer.network.state_dict().items())


def test_compiled_is_tried_on_what_comes(
    images: tuple[Tensor, Tensor], cache: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever compiling makes is used for every update, and the try leaves no trace."""
    calls = []

    def compiles(errors: Callable[..., Tensor], **_: Any) -> Callable[..., Tensor]:
        def compiled(network: torch.nn.Module, *arguments: Any) -> Tensor:
            calls.append(tuple(a.shape for a in arguments if isinstance(a, Tensor)))
            return errors(network, *arguments)

        return compiled

    monkeypatch.setattr(torch, "compile", compiles)
    trainer = train_three({"compile": "always"}, images)
    assert trainer.computation.compiled
    assert len(calls) == 4
    assert len(set(calls)) == 1
    plain = train_three({}, images).network.state_dict()
    assert all(torch.equal(plain[name], v) for name, v in trainer.network.state_dict().items())


@pytest.mark.parametrize("compiler", ["none", "broken"])
def test_no_compiler_that_works(tmp_path: Path, environment: dict[str, str], compiler: str):
    """torch itself looks for a compiler, and finds none, or one that fails."""
    program = """
import torch
from gahb.denoisers.compilation import can_compile, compiled_or_not, use_cache
use_cache()
network = torch.nn.Conv2d(1, 1, 3)
def errors(network, x): return network(x).square().mean(dim=(1, 2, 3))
print(can_compile(), compiled_or_not(errors, network, (torch.ones(2, 1, 5, 5),)) == (errors, False))
"""
    tools = tmp_path / "tools"
    tools.mkdir()
    if compiler == "broken":
        (tools / "g++").write_text("#!/bin/sh\nexit 1\n")
        (tools / "g++").chmod(0o755)
    path = {"PATH": str(tools), compilation.PLACE: str(tmp_path / "cache")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environment | path, capture_output=True, text=True, check=True
    )
    line, found = done.stdout.splitlines()
    assert line.startswith("not compiled, ")
    assert found == f"{compiler == 'broken'} True"


@pytest.mark.parametrize("named", [True, False])
def test_cache_that_cannot_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    named: bool,
):
    place = tmp_path / ("file/cache" if named else ".cache/inductor")
    place.parent.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(compilation.PLACE, str(place))
    if not named:
        monkeypatch.delenv(compilation.PLACE)
    compilation.use_cache()
    assert f"{place} cannot be written to" in capsys.readouterr().out
    assert Path(os.environ[compilation.PLACE]).is_dir()
    monkeypatch.setenv(compilation.PLACE, str(place))  # as it was, for what follows


def test_cache_is_kept_in_the_project(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(compilation.PLACE, "")
    monkeypatch.delenv(compilation.PLACE)
    monkeypatch.chdir(tmp_path)
    compilation.use_cache()
    assert os.environ[compilation.PLACE] == str(tmp_path / ".cache/inductor")
    ignored = (root / ".gitignore").read_text().splitlines()
    assert f"/{compilation.CACHE.parts[0]}/" in ignored


def test_networks_planned():
    params = copy.deepcopy(TINY)
    own = 30 * 8
    assert planned_images(params, "soft") == 6 * own  # three sizes, two splits
    assert planned_images(params, "hard") == 80
    params["experiments"]["more"] = params["experiments"]["soft"] | {"set_sizes": [2]}
    assert planned_images(params, "soft") == planned_images(params, "more") == 8 * own
    params["experiments"]["more"]["training"] = {"updates": 60}
    assert planned_images(params, "soft") == 10 * own
    params["experiments"]["more"]["training"] = {"batch_size": 4}
    assert planned_images(params, "soft") == 6 * own
    assert planned_images(params, "more") == own
