"""What does not fit the memory of a device is done in parts; that it does not is told of no denoiser."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gahb
from gahb.denoisers.batches import BatchOrder
from gahb.denoisers.compilation import PLACE
from gahb.denoisers.computation import _Moving, prepared
from gahb.denoisers.contract import as_denoiser
from gahb.denoisers.memory import InParts, is_out_of_memory
from gahb.denoisers.misfits import wrong_answer
from gahb.denoisers.placing import at_home
from gahb.evaluation.measure import NoisySet, squared_errors
from gahb.spectra.jacobian import LinearisedDenoiser

SAID = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


class Small(nn.Module):
    """A ReLU network that has memory for a few images only; notes how many it was given."""

    def __init__(self, most: int, error: BaseException = SAID[0]) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 1, 3, padding=1)
        self.most, self.error, self.given = most, error, []

    def __deepcopy__(self, memo: object) -> Small:
        return self

    def forward(self, y: Tensor, sigma: float | None = None) -> Tensor:
        self.given.append(len(y))
        if len(y) > self.most:
            raise self.error
        return self.last(torch.relu(self.first(y)))


@pytest.fixture
def small() -> Callable[..., Small]:
    def make(most: int, error: BaseException = SAID[0]) -> Small:
        torch.manual_seed(0)
        return Small(most, error).eval().requires_grad_(False)

    return make


@pytest.mark.parametrize("error", SAID, ids=lambda error: type(error).__name__)
def test_memory_that_does_not_suffice_is_passed_on_as_it_is(small, error: BaseException):
    """Neither the first call nor one that looks for what is wrong makes something else of it."""
    assert is_out_of_memory(error)
    with pytest.raises(type(error)) as found:
        as_denoiser(small(3, error), torch.rand(4, 1, 8, 8))(torch.rand(4, 1, 8, 8))
    assert found.value is error
    assert not getattr(error, "__notes__", [])

    def cropping(y: Tensor, sigma: object) -> Tensor:
        if y.shape[-1] > 9:
            raise error
        return y[..., :8, :8]

    with pytest.raises(type(error)):
        wrong_answer(cropping, torch.rand(4, 1, 9, 9), None, cropping(torch.rand(4, 1, 9, 9), None))


def test_other_errors_are_not_of_memory(small):
    for error in (RuntimeError("mat1 and mat2 shapes"), ValueError("out of memory")):
        assert not is_out_of_memory(error)
    wrong = InParts(small(3, RuntimeError("shapes")), 8)
    with pytest.raises(RuntimeError, match="shapes"):
        wrong(torch.rand(8, 1, 8, 8))
    assert wrong.batch == 8


def test_half_as_many_until_they_fit_and_from_then_on(small):
    network, images = small(3), torch.rand(20, 1, 8, 8)
    in_parts = InParts(network, 512)
    expected = small(20)(images)
    for _ in range(2):
        torch.testing.assert_close(in_parts(images), expected)
    assert network.given == [20, 10, 5, *[2] * 10, *[2] * 10]
    assert in_parts.batch == 2
    with pytest.raises(torch.OutOfMemoryError):
        InParts(small(0), 512)(images)


def test_evaluation_sampling_and_spectra_do_so(small, monkeypatch: pytest.MonkeyPatch):
    """Each gives what it gives with memory enough, whatever part of it the device has."""
    images, indices = torch.rand(20, 1, 8, 8), np.arange(20)
    noisy = NoisySet(indices, np.zeros_like(indices), images)
    monkeypatch.setattr(_Moving, "batch", 20)

    def measured(most: int) -> list[Tensor]:
        errors = squared_errors(_Moving(small(most), "cpu"), noisy, [0.5], 0)
        sampler = gahb.Deterministic((1.0, 0.1))
        drawn = gahb.draw_samples(prepared(small(most), "float32", "cpu"), sampler, range(20), 8, 0)
        y = images[0].double()
        jacobian = LinearisedDenoiser(small(most).double(), y, batch_size=20).matrix()
        pulled = LinearisedDenoiser(small(most).double(), y, engine="autograd", batch_size=20)
        return [torch.from_numpy(errors), drawn.images, jacobian, pulled.matrix()]

    for found, expected in zip(measured(7), measured(1000), strict=True):
        torch.testing.assert_close(found, expected)


def test_pulls_through_the_graph_of_one_image_do_so_too(monkeypatch: pytest.MonkeyPatch):
    """Not through the graph of a batch instead, which takes more memory."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1))
    y, gradient = torch.rand(1, 8, 8), torch.autograd.grad
    expected = LinearisedDenoiser(network, y).matrix().T
    linearised = LinearisedDenoiser(network, y, batch_size=64)
    assert linearised.engine == "frozen"
    counts = []

    def limited(outputs: Tensor, inputs: Tensor, given: Tensor, **options: bool) -> object:
        counts.append(len(given))
        if len(given) > 9:
            raise SAID[0]
        return gradient(outputs, inputs, given, **options)

    monkeypatch.setattr(torch.autograd, "grad", limited)
    pulled = linearised.transposed_product(torch.eye(64).view(64, 1, 8, 8)).flatten(1)
    torch.testing.assert_close(pulled, expected.T.contiguous())
    assert counts == [64, 32, 16, 8, 1, *[8] * 7]


def test_a_denoiser_elsewhere_does_so_too(small, monkeypatch: pytest.MonkeyPatch):
    network, images = small(7), torch.rand(20, 1, 8, 8)
    elsewhere = torch.device("meta")
    monkeypatch.setattr("gahb.denoisers.placing.as_denoiser", lambda denoiser, like: denoiser)
    monkeypatch.setattr(network, "parameters", lambda: iter([torch.empty(0, device=elsewhere)]))
    monkeypatch.setattr(Tensor, "to", lambda tensor, *_: tensor)
    torch.testing.assert_close(at_home(network, images)(images, None), small(20)(images))
    assert network.given[:3] == [20, 10, 5]


@pytest.mark.parametrize("error", [*map(copy.copy, SAID), ValueError("another")], ids=str)
def test_a_training_that_does_not_fit_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("gahb.denoisers.training.noise_errors", refuse)
    monkeypatch.setenv(PLACE, str(tmp_path))  # torch itself names one otherwise
    before = dict(os.environ)
    with pytest.raises(type(error)) as found:
        gahb.train(torch.rand(8, 1, 8, 8), updates=2, batch_size=4, compile="never")
    notes = getattr(found.value, "__notes__", [])
    assert ["training.batch_size 4" in note for note in notes] == [True] * is_out_of_memory(error)
    assert dict(os.environ) == before


def test_one_image_is_the_whole_batch():
    assert BatchOrder(0, "S1", 1, 5)(7).tolist() == [0] * 5
