"""What a GPU computes is what a processor computes. Skipped where there is none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from helpers.own_networks import OWN
from torch import Tensor, nn

from gahb.datasets.store import Dataset
from gahb.denoisers.computation import full_products, on_fastest_device
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.memory import InParts
from gahb.denoisers.networks import NetworkDenoiser, UNet, build_network
from gahb.denoisers.training import Trainer
from gahb.devices import choose_device
from gahb.evaluation.measure import NoisySet, fastest, squared_errors
from gahb.likeness import closest
from gahb.params import network_spec
from gahb.samples.draw import draw
from gahb.samples.start import Start
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.leading import leading_spectrum

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

RECIPE = {
    "device": "cuda",
    "updates": 64,
    "monitor_every": 32,
    "optimiser": "muon",
    "noise_draws": "stratified",
    "noise_law": "log_uniform",
    "sigma_range": [0.01, 1],
    "initialisation": "unit",
    "fix_norm_after": 0.5,
}


@pytest.fixture
def trainer(dataset: Dataset, params: dict[str, Any]):
    def make(architecture: dict[str, Any] | None = None, **changes: Any) -> Trainer:
        images = torch.from_numpy(dataset.images(dataset.training_set("S1", 16)))
        asked = network_spec(params, "soft", 16, "S1")
        asked["training"] |= RECIPE | changes
        asked["architecture"] = architecture or asked["architecture"]
        return Trainer(asked, images, images[:4])

    return make


def steps(trainer: Trainer, count: int) -> Trainer:
    for _ in range(count):
        trainer.step()
    trainer.check(0)
    return trainer


def losses(trainer: Trainer) -> np.ndarray:
    return trainer.log[: trainer.update, 1].cpu().numpy()


def random_network(size: int = 16, channels: int = 8, device: str = "cuda") -> nn.Module:
    """A network whose gates are open here and shut there, as after a training."""
    network = UNet(2, channels)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 4 and weight.shape[-1] > 1:
                fan = weight[0].numel()
                weight.copy_(torch.randn(weight.shape, generator=draws) * (2 / fan) ** 0.5)
    denoiser = NetworkDenoiser(network).eval().requires_grad_(False).to(device)
    assert denoiser(images(2, size).to(device)).isfinite().all()
    return denoiser


def images(count: int, size: int = 16) -> Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(1))


def apart(found: Any, expected: Any) -> float:
    found, expected = (torch.as_tensor(one).double().cpu() for one in (found, expected))
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("optimiser", ["muon", "adam"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_recorded_update_is_the_update(trainer, optimiser: str, precision: str, monkeypatch):
    recorded = steps(trainer(optimiser=optimiser, precision=precision), 64)
    assert recorded._graphed is not None
    monkeypatch.setattr("gahb.denoisers.training.repays", lambda *_: False)
    launched = steps(trainer(optimiser=optimiser, precision=precision), 64)
    assert launched._graphed is None
    # the same kernels, but for sums in another order, which Adam's first steps turn into other signs
    close = 1e-3 if precision == "float32" else 2e-2
    assert apart(losses(recorded)[:8], losses(launched)[:8]) < close
    assert apart(losses(recorded), losses(launched)) < 0.1


def test_networks_start_alike_on_every_device(trainer):
    here, there = trainer(), trainer(device="cpu")
    for one, other in zip(here.network.parameters(), there.network.parameters(), strict=True):
        assert torch.equal(one.cpu(), other)


def test_the_image_is_not_rounded_before_it_is_filtered():
    first = UNet(1, 8).encoder[0][0]
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[0, 0, 0], [0, 1, -1], [0, 0, 0]]))
    smooth = 0.5 + 1e-3 * images(2)  # less than bfloat16 tells apart
    inside = slice(1, -1)
    expected = (smooth[..., :-1] - smooth[..., 1:])[..., inside, 1:].expand(-1, 8, -1, -1)
    with torch.autocast("cuda", torch.bfloat16):
        found = first.cuda()(smooth.cuda())[..., inside, inside]
    assert apart(found.detach(), expected) < 0.02


def test_a_training_goes_on_from_its_state(trainer, tmp_path):
    whole = steps(trainer(precision="float32"), 40)
    first = steps(trainer(precision="float32"), 25)
    tensors = {name: value.cpu().clone() for name, value in first.state().items()}
    second = trainer(precision="float32")
    second.restore(tmp_path / "state", tensors)
    steps(second, 15)
    assert apart(losses(second)[:28], losses(whole)[:28]) < 1e-3
    assert apart(losses(second), losses(whole)) < 0.1


def test_a_compiled_update_is_recorded_too(trainer):
    plain = steps(trainer(precision="float32"), 12)
    compiled = steps(trainer(precision="float32", compile="always"), 12)
    assert compiled.computation.compiled
    assert compiled._graphed is not None
    assert apart(losses(compiled)[:8], losses(plain)[:8]) < 1e-3


@pytest.mark.parametrize(
    ("name", "graphed"), [("Normalised", True), ("Dropping", False), ("Waiting", False)]
)
def test_networks_of_ones_own_are_recorded_where_they_can_be(
    trainer, tmp_path, name, graphed, monkeypatch
):
    path = tmp_path / f"nets_on_a_gpu_{name}.py"
    path.write_text(OWN)
    own = {"network": f"{path}:{name}", "predicts": "noise"}
    found = steps(trainer(own, precision="float32", optimiser="adam"), 40)
    assert (found._graphed is not None) == graphed
    monkeypatch.setattr("gahb.denoisers.training.repays", lambda *_: False)
    plain = steps(trainer(own, precision="float32", optimiser="adam"), 40)
    assert apart(losses(found), losses(plain)) < 1e-2


def test_a_spectrum_is_that_of_the_processor():
    noisy = images(1)[0] + 0.1 * torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(2))
    network = random_network()
    there = full_spectrum(LinearisedDenoiser(network, noisy.cuda(), 0.1))
    here = full_spectrum(LinearisedDenoiser(copy.deepcopy(network).cpu(), noisy, 0.1))
    size = np.abs(here.eigenvalues).max()
    assert np.abs(there.eigenvalues - here.eigenvalues).max() < 1e-5 * size
    assert np.abs(there.singular_values - here.singular_values).max() < 1e-4 * size
    assert there.trace == pytest.approx(here.trace, rel=1e-4, abs=1e-4 * size)
    assert np.abs(there.eigenvectors @ there.eigenvectors.T - np.eye(256)).max() < 1e-6
    leading = leading_spectrum(LinearisedDenoiser(network, noisy.cuda(), 0.1), 8)
    assert np.abs(leading.eigenvalues - there.eigenvalues[:8]).max() < 1e-3 * size


def test_errors_are_those_of_the_processor():
    choose_device()
    network, indices = random_network(), np.arange(40)
    noisy = NoisySet(indices, np.zeros_like(indices), images(40))
    here = squared_errors(copy.deepcopy(network).cpu(), noisy, [0.1, 1.0], 0)
    assert apart(squared_errors(fastest(network), noisy, [0.1, 1.0], 0), here) < 1e-5
    memorising = EmpiricalDenoiser(images(100))
    here = squared_errors(memorising, noisy, [0.1, 1.0], 0)
    assert apart(squared_errors(on_fastest_device(memorising), noisy, [0.1, 1.0], 0), here) < 1e-6


def test_samples_are_those_of_the_processor():
    choose_device()
    network = build_network({"network": "unet", "blocks": 2, "channels": 8}, 0)
    denoiser = NetworkDenoiser(network).eval().requires_grad_(False)
    sampler = {"kind": "ancestral", "schedule": "geometric", "steps": 6, "sigma_range": [0.02, 1]}
    settings = {
        "seed": 0,
        "samples": 8,
        "sampler": sampler,
        "levels_kept": 3,
        "precision": "float32",
    }
    here, there = (
        draw(copy.deepcopy(denoiser), settings, Start(), 16, "samples", device=device).images
        for device in ("cpu", "cuda")
    )
    assert apart(there, here) < 1e-4


@pytest.mark.parametrize("measure", ["cosine", "correlation"])
def test_the_closest_images_are_those_of_the_processor(measure: str):
    known, sought = images(5000), images(40) * 0.9 + 0.05 * images(41)[1:]
    choose_device("cuda")
    there = closest(sought, known, measure)
    choose_device("cpu")
    here = closest(sought, known, measure)
    assert torch.equal(there[1], here[1])
    assert apart(there[0], here[0]) < 1e-6


def test_products_are_of_full_precision():
    choose_device()
    a, b = images(1, 512)[0, 0], images(2, 512)[1, 0]
    assert apart(a.cuda() @ b.cuda(), a.double() @ b.double()) < 1e-6
    weight = torch.randn(64, 64, 3, 3, generator=torch.Generator().manual_seed(3))
    many = torch.randn(4, 64, 16, 16, generator=torch.Generator().manual_seed(4))
    exact = torch.nn.functional.conv2d(many.double(), weight.double())
    with full_products():
        found = torch.nn.functional.conv2d(many.cuda(), weight.cuda())
    assert apart(found, exact) < 1e-6


def test_images_that_do_not_fit_are_denoised_fewer_at_once():
    total = torch.cuda.get_device_properties(0).total_memory
    elements = total // 4 // 16

    def hungry(batch: Tensor) -> Tensor:  # a 16th of the memory for each image
        torch.empty(len(batch), elements, device="cuda")
        return batch.clone()

    in_parts = InParts(hungry, 64)
    assert torch.equal(
        in_parts(torch.arange(64.0, device="cuda")[:, None]),
        torch.arange(64.0, device="cuda")[:, None],
    )
    assert in_parts.batch in (4, 8)
    torch.cuda.empty_cache()
