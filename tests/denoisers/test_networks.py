"""The networks are those of the paper: sizes, receptive fields, and no additive constant anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gahb.denoisers.networks import (
    BFCNN,
    BiasFreeNorm,
    NetworkDenoiser,
    UNet,
    build_network,
)

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "unet1": lambda: UNet(blocks=1, channels=4),
    "unet2": lambda: UNet(blocks=2, channels=3),
    "bf_cnn": lambda: BFCNN(layers=5, channels=4),
}


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Gains and running values away from their start, as after training; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, BiasFreeNorm):
            nn.init.uniform_(module.gain, 0.5, 2, generator=generator)
            nn.init.uniform_(module.running_sd, 0.5, 2, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.3, generator=generator)
    return network.eval()


def noisy(*shape: int, seed: int = 1, **kind: Any) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), **kind)


# ---------------------------------------------------------------------------------------------
# Architecture


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (lambda: UNet(blocks=1), 366_080),
        (lambda: UNet(blocks=2), 1_825_024),
        (lambda: UNet(blocks=3), 7_659_264),
        (lambda: UNet(blocks=4), 30_993_152),
        (lambda: BFCNN(), 702_784),
    ],
)
def test_parameter_counts_of_the_paper(network: Callable[[], nn.Module], count: int):
    with torch.device("meta"):
        built = network()
    assert sum(parameter.numel() for parameter in built.parameters()) == count


def influences(network: nn.Module, size: int, positions: range) -> Iterator[tuple[int, int]]:
    """First and last row of the input pixels that an output pixel depends on.

    With positive weights on a positive image no ReLU is closed and nothing cancels.
    """
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    network.double().eval()
    image = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    output = network(image)
    for position in positions:
        (gradient,) = torch.autograd.grad(
            output[0, 0, position, position], image, retain_graph=True
        )
        rows = gradient[0, 0].sum(1).nonzero()
        columns = gradient[0, 0].sum(0).nonzero()
        assert torch.equal(rows, columns)
        yield int(rows.min()), int(rows.max())


@pytest.mark.parametrize(
    ("blocks", "size", "least", "largest"), [(1, 32, 18, 18), (2, 64, 44, 44), (3, 128, 92, 100)]
)
def test_receptive_field_of_unets(blocks: int, size: int, least: int, largest: int):
    """18, 44, 92 in the paper. How poolings fall on a pixel decides: at 3 blocks half see 100."""
    middle = range(size // 2, size // 2 + 2**blocks)
    widths = [
        last - first + 1 for first, last in influences(UNet(blocks, channels=1), size, middle)
    ]
    assert (min(widths), max(widths)) == (least, largest)


def test_receptive_field_of_bf_cnn():
    (first, last) = next(influences(BFCNN(layers=21, channels=1), 64, range(32, 33)))
    assert (32 - first, last - 32) == (21, 21)  # 43 pixels


def test_order_of_layers():
    """Nothing but normalised and rectified convolutions, but for the first and the last one."""
    unet = UNet(blocks=2, channels=4)
    kinds = [
        [type(layer).__name__.removeprefix("_Pixel").removeprefix("Convolution") for layer in part]
        for part in (*unet.encoder, unet.middle, *unet.decoder)
    ]
    stage = ["Conv2d", "BiasFreeNorm", "ReLU"]
    kinds = [["Conv2d" if kind == "" else kind for kind in part] for part in kinds]
    assert kinds == [
        ["Conv2d", "ReLU", *stage],
        stage * 2,
        stage * 2,
        [*stage, "Conv2d"],
        stage * 2,
    ]
    assert [(m.in_channels, m.out_channels) for m in unet.upsample] == [(8, 4), (16, 8)]
    assert unet.decoder[0][0].in_channels == 8  # skip connection, concatenated
    chain = [type(layer).__name__ for layer in BFCNN(layers=4).chain]
    assert len(chain) == 1 + 3 + 3 + 1
    assert chain[1:-1] == stage * 2


@pytest.mark.parametrize("kind", NETWORKS)
def test_output_has_the_shape_of_the_input(kind: str):
    network = NETWORKS[kind]()
    for shape in ((2, 1, 16, 16), (1, 1, 8, 24)):
        assert network(noisy(*shape)).shape == shape


@pytest.mark.parametrize(("height", "width"), [(18, 16), (16, 18), (10, 10), (15, 16)])
def test_sizes_that_cannot_be_halved(height: int, width: int):
    network = UNet(blocks=2, channels=2)
    with pytest.raises(ValueError, match=rf"multiples of 4, found \({height}, {width}\)"):
        network(torch.zeros(1, 1, height, width))


def test_chain_takes_any_size():
    assert BFCNN(layers=3, channels=2)(noisy(1, 1, 9, 11)).shape == (1, 1, 9, 11)


# ---------------------------------------------------------------------------------------------
# No additive constant


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("scale", [1e-3, 0.37, 2.0, 1e3])
def test_homogeneous(kind: str, scale: float):
    denoiser = NetworkDenoiser(lively(NETWORKS[kind]()).double()).eval()
    y = noisy(2, 1, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(denoiser(scale * y), scale * denoiser(y), rtol=1e-10, atol=0)


@pytest.mark.parametrize("kind", NETWORKS)
def test_not_linear(kind: str):
    """Homogeneous is not linear: the test above would pass for a network without ReLUs."""
    network = lively(NETWORKS[kind]()).double()
    y, z = noisy(1, 1, 16, 16, dtype=torch.float64), noisy(1, 1, 16, 16, seed=2).double()
    assert not torch.allclose(network(y - z), network(y) - network(z), rtol=1e-3)
    assert not torch.allclose(network(-y), -network(y), rtol=1e-3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_equal_to_its_own_linearisation(kind: str):
    """f(y) = J(y) y."""
    denoiser = NetworkDenoiser(lively(NETWORKS[kind]()).double()).eval()
    y = noisy(1, 1, 16, 16, dtype=torch.float64)
    value, tangent = torch.autograd.functional.jvp(denoiser, y, y)
    torch.testing.assert_close(tangent, value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", NETWORKS)
def test_no_biases(kind: str):
    network = NETWORKS[kind]()
    names = {name.rsplit(".", 1)[-1] for name in network.state_dict()}
    assert names == {"weight", "gain", "running_sd"}
    for module in network.modules():
        assert getattr(module, "bias", None) is None
    assert torch.count_nonzero(lively(network)(torch.zeros(1, 1, 16, 16))) == 0


def test_denoiser_subtracts_the_estimated_noise():
    network = lively(UNet(1, 4))
    y = noisy(2, 1, 8, 8)
    denoiser = NetworkDenoiser(network)
    torch.testing.assert_close(denoiser(y), y - network(y))
    assert torch.equal(denoiser(y, 0.3), denoiser(y))  # blind


# ---------------------------------------------------------------------------------------------
# Normalisation


def test_norm_in_training_divides_by_the_batch_deviation():
    norm = BiasFreeNorm(3)
    nn.init.uniform_(norm.gain, 0.5, 2)
    x = 5 + 2 * torch.randn(4, 3, 6, 7)
    expected = torch.empty_like(x)
    for channel in range(3):
        values = x[:, channel]
        variance = ((values - values.mean()) ** 2).mean()
        expected[:, channel] = norm.gain[0, channel] * values / torch.sqrt(variance + 1e-5)
    torch.testing.assert_close(norm.train()(x), expected)
    assert norm(x).mean().abs() > 1  # the mean is still there


def test_running_deviation():
    norm = BiasFreeNorm(2, momentum=0.1)
    expected = torch.ones(1, 2, 1, 1)
    for step in range(4):
        x = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(step)) * (step + 1)
        norm.train()(x)
        deviation = torch.sqrt(x.var(dim=(0, 2, 3), unbiased=False) + 1e-5)
        expected = 0.9 * expected + 0.1 * deviation[None, :, None, None]
    torch.testing.assert_close(norm.running_sd, expected)

    before = norm.running_sd.clone()
    nn.init.uniform_(norm.gain, 0.5, 2)
    x = torch.randn(3, 2, 5, 5)
    torch.testing.assert_close(norm.eval()(x), x * norm.gain / before)
    torch.testing.assert_close(norm(x[:1]), norm(x)[:1])  # images do not see each other
    assert torch.equal(norm.running_sd, before)


def test_norm_of_a_constant_channel():
    norm = BiasFreeNorm(1).train()
    assert torch.isfinite(norm(torch.zeros(2, 1, 4, 4))).all()
    x = torch.full((2, 1, 4, 4), 3.0)
    torch.testing.assert_close(norm(x), x / 1e-5**0.5, rtol=1e-3, atol=0)


def test_gradient_passes_through_the_batch_deviation():
    x = torch.randn(2, 2, 3, 3, requires_grad=True)
    direction = torch.randn(2, 2, 3, 3)
    deviation = torch.sqrt(x.var(dim=(0, 2, 3), keepdim=True, unbiased=False) + 1e-5)
    expected = torch.autograd.grad((direction * x / deviation).sum(), x)[0]
    found = torch.autograd.grad((direction * BiasFreeNorm(2).train()(x)).sum(), x)[0]
    torch.testing.assert_close(found, expected)


def test_norm_keeps_its_input_type():
    for mode in (True, False):
        norm = BiasFreeNorm(2).train(mode)
        assert norm(torch.randn(2, 2, 3, 3).bfloat16()).dtype == torch.bfloat16
        assert norm.running_sd.dtype == torch.float32


# ---------------------------------------------------------------------------------------------
# Building


@pytest.mark.parametrize(
    "architecture",
    [
        {"network": "unet", "blocks": 2, "channels": 4},
        {"network": "bf_cnn", "layers": 5, "channels": 4},
    ],
)
def test_weights_are_a_function_of_the_seed(architecture: dict[str, Any]):
    torch.manual_seed(1)
    first = build_network(architecture, 5, "published").state_dict()
    torch.manual_seed(2)
    again, other = (build_network(architecture, seed, "published").state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    weights = [name for name in first if name.endswith("weight")]
    assert len(weights) > 4
    assert not any(torch.equal(first[name], other[name]) for name in weights)
    assert all(torch.isfinite(value).all() for value in first.values())


def test_built_as_asked():
    unet = build_network({"network": "unet", "blocks": 3, "channels": 2}, 0)
    assert isinstance(unet, UNet)
    assert unet.blocks == 3
    assert unet.encoder[0][0].out_channels == 2
    chain = build_network({"network": "bf_cnn", "layers": 7, "channels": 3}, 0)
    assert isinstance(chain, BFCNN)
    assert sum(isinstance(module, nn.Conv2d) for module in chain.modules()) == 7


def test_starts_close_to_changing_nothing():
    """Before the first update the estimated noise is no larger than the noise to be removed."""
    for architecture in (
        {"network": "unet", "blocks": 2, "channels": 8},
        {"network": "bf_cnn", "layers": 6, "channels": 8},
    ):
        network = build_network(architecture, 0)
        image = noisy(8, 1, 16, 16)
        noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
        estimate = network.train()(image + 0.3 * noise)
        assert estimate.std() < 0.3


def test_the_image_is_not_rounded_before_it_is_filtered():
    """Under autocast weights and result of the first convolution are rounded, the image is not."""
    network = lively(UNet(1, 4))
    first = network.encoder[0][0]
    image = 0.5 + 1e-3 * noisy(1, 1, 8, 8)  # less than bfloat16 tells apart
    with torch.no_grad():
        first.weight.copy_(
            torch.tensor([[0, 0, 0], [0, 1, -1], [0, 0, 0]])
        )  # differences of pixels
    inside = slice(1, -1)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.autocast("cpu", enabled=False):
            exact = first(image)[..., inside, inside]
        found = first(image)[..., inside, inside]
        rounded = first(image.bfloat16().float())[..., inside, inside]
        assert (found.dtype, exact.dtype) == (torch.bfloat16, torch.float32)
        assert (found - exact).norm() < 0.02 * exact.norm()
        assert not rounded.any()
        assert network.encoder[0](image).dtype == torch.bfloat16  # the rest gains from it
