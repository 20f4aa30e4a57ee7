"""Anybody's denoiser comes under one contract, f(y) or f(y, sigma), or is told why it does not."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import gahb
from gahb import eigenbasis
from gahb.denoisers.contract import as_denoiser, as_image
from gahb.denoisers.networks import NetworkDenoiser, UNet
from gahb.spectra.jacobian import LinearisedDenoiser

SIGMA = 0.1


class Told(nn.Module):
    """Half the image at an unknown level, sigma^2 / (1 + sigma^2) = 0.0099 of it at 0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, y: Tensor, sigma: float | None = None) -> Tensor:
        return y * self.scale * (0.5 if sigma is None else sigma**2 / (1 + sigma**2))


class Holder(nn.Module):
    """A wrapper that this package does not know."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


class Part(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, y: Tensor, sigma: float) -> Tensor:
        return self.inner(y, sigma=sigma)


def rewrapped(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def hooked() -> nn.Module:
    module = Told()
    module.register_forward_hook(lambda module, args, output: output.clone())
    module.register_forward_pre_hook(lambda module, args: args)
    return module


def patched() -> nn.Module:
    """As accelerate does: forward is replaced in this module alone."""
    module = Told().eval()
    old = module.forward
    module.forward = rewrapped(old)
    return module


def swapped() -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(Told())


def checkpointed() -> nn.Module:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    return checkpoint_wrapper(Told())


WRAPPED = {
    "plain": Told,
    "compiled": lambda: torch.compile(Told(), backend="eager"),
    "compiled twice": lambda: torch.compile(
        torch.compile(Told(), backend="eager"), backend="eager"
    ),
    "compiled in place": lambda: _compiled_in_place(),
    "compiled part": lambda: Part(torch.compile(Told(), backend="aot_eager")),
    "compiled for autograd": lambda: torch.compile(Told(), backend="aot_eager"),
    "compiled function for autograd": lambda: torch.compile(
        lambda y, sigma: y * sigma**2 / (1 + sigma**2), backend="aot_eager"
    ),
    "compiled function": lambda: torch.compile(Told().eval().forward, backend="eager"),
    "parallel": lambda: nn.DataParallel(Told()),
    "compiled parallel": lambda: torch.compile(nn.DataParallel(Told()), backend="eager"),
    "averaged": swapped,
    "checkpointed": checkpointed,
    "hooked": hooked,
    "patched": patched,
    "unknown wrapper": lambda: Holder(Told()),
    "wraps": lambda: rewrapped(Told()),
    "wraps a method": lambda: rewrapped(Told().forward),
    "partial": lambda: functools.partial(Told()),
    "bound": lambda: functools.partial(Told(), sigma=SIGMA),
    "half": lambda: Told().half(),
    "bfloat16": lambda: Told().bfloat16(),
    "scripted": lambda: _traced(),
}


def _compiled_in_place() -> nn.Module:
    module = Told()
    module.compile(backend="eager")
    return module


def _traced() -> nn.Module:
    class Scripted(nn.Module):
        def forward(self, y: Tensor, sigma: float = 1.0) -> Tensor:
            return y * sigma**2 / (1 + sigma**2)

    return torch.jit.script(Scripted())


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_the_noise_level_reaches_a_wrapped_denoiser(name):
    y = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.full((16,), 0.0099010)
    values, _ = eigenbasis(WRAPPED[name](), y, sigma=SIGMA)
    torch.testing.assert_close(values, expected, atol=1e-6, rtol=1e-5)
    few, _ = eigenbasis(WRAPPED[name](), y, 3, "leading", SIGMA, engine="autograd")
    torch.testing.assert_close(few, expected[:3], atol=1e-6, rtol=1e-5)
    called = as_denoiser(WRAPPED[name](), y)
    torch.testing.assert_close(called(y[None], SIGMA), y[None] / 101)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_activations(reentrant):
    network = nn.Conv2d(1, 1, 3, padding=1)

    def f(y: Tensor) -> Tensor:
        return checkpoint(network, y, use_reentrant=reentrant).tanh()

    y = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0))
    expected, _ = eigenbasis(lambda y: network(y).tanh(), y)
    found, _ = eigenbasis(f, y)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(eigenbasis(f, y, 2, "leading")[0], expected[:2], rtol=1e-3, atol=0)


class Grey(nn.Module):
    """A network of some channels that halves its images, as people write them."""

    def __init__(self, channels: int = 1, halvings: int = 1) -> None:
        super().__init__()
        self.halvings = halvings
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, y: Tensor) -> Tensor:
        x = nn.functional.avg_pool2d(self.conv(y), 2**self.halvings)
        x = nn.functional.interpolate(x, scale_factor=2.0**self.halvings)
        return torch.cat([x, y], dim=1)[:, : y.shape[1]]


class Output(NamedTuple):
    sample: Tensor


class Container:
    def __init__(self, sample: Tensor) -> None:
        self.sample = sample


def tensor_or_none(y: Tensor, sigma: Tensor | None = None) -> Tensor:
    return y / 2 if sigma is None else y * torch.exp(-sigma).view(-1, 1, 1, 1)


SINGLE = nn.Conv2d(1, 1, 3, padding=1)
HALF = nn.Conv2d(1, 1, 3, padding=1).half()
GREY = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
MISFITS = {
    "t": (lambda y, t: y, GREY, r"denoiser needs t, .* lambda y, sigma: denoiser\(y, t=the time"),
    "noise_level": (
        lambda y, noise_level: y,
        GREY,
        r"needs noise_level, .* pass lambda y, sigma: denoiser\(y, noise_level=sigma\)",
    ),
    "keyword": (lambda y, *, sigma, text: y, GREY, r"needs text, which is not told"),
    "hidden": (
        lambda *args: (lambda y, t: y)(*args[:1]),
        GREY,
        r"needs t, which is not told: pass lambda y, sigma: denoiser\(y, t=the time",
    ),
    "optional": (
        lambda y, noise_level=0.5: y,
        GREY,
        r"the argument noise_level, which the noise level would not reach: .*noise_level=sigma\), or",
    ),
    "tensor": (
        lambda y, sigma: y / (1 + sigma.view(-1, 1, 1, 1)),
        GREY,
        r"sigma as a tensor, and is told a float: .*denoiser\(y, y.new_full\(\(len\(y\),\), sigma\)",
    ),
    "bound": (
        functools.partial(Told(), sigma=0.2),
        GREY,
        r"denoiser Told was bound to sigma = 0.2 .* to be told 0.1",
    ),
    "half": (
        lambda y: HALF(y),
        GREY,
        r"computes in torch.float16, and the images are torch.float32: pass the module itself",
    ),
    "single": (
        lambda y: SINGLE(y),
        GREY.double(),
        r"computes in torch.float32, and the images are torch.float64: pass the module itself",
    ),
    "hidden tensor": (
        lambda *args, **kwargs: tensor_or_none(*args, **kwargs),
        GREY,
        r"sigma as a tensor, and is told a float",
    ),
    "colour": (Grey(3), GREY, r"Grey takes images of 3 channels, and these have 1: .* y.expand"),
    "grey": (Grey(1), GREY.expand(3, 8, 8), r"takes images of 1 channel, and these have 3"),
    "size": (
        NetworkDenoiser(UNet(blocks=2, channels=2)),
        GREY[:, :6],
        r"height and width must be multiples of 4, found \(6, 8\)",
    ),
    "cannot be halved": (
        Grey(halvings=2),
        GREY[:, :7],
        r"Grey does not take images of 7x8 pixels, but .* multiples of 4: crop or pad",
    ),
    "loses a row": (
        lambda y: nn.functional.interpolate(nn.functional.avg_pool2d(y, 2), scale_factor=2),
        GREY[:, :7],
        r"made \(1, 1, 6, 8\) torch.float32; it keeps height and width that are multiples of 2",
    ),
    "variance": (lambda y: torch.cat([y, y], 1), GREY, r"denoiser\(y\)\[:, :1\]"),
    "type": (lambda y: y.double(), GREY, r"made .*float64; pass lambda y: denoiser\(y\).to\(y.d"),
    "field": (lambda y: Container(y), GREY, r"one Container; pass lambda y: denoiser\(y\).sample"),
    "named": (lambda y: Output(y), GREY, r"this one Output; pass lambda y: denoiser\(y\)\[0\]"),
    "dictionary": (lambda y: {"x": y}, GREY, r"this one dict; pass lambda y: denoiser\(y\)\['x'\]"),
    "array": (lambda y: y.detach().numpy(), GREY, r"this one ndarray; pass .* torch.from_numpy"),
    "class": (UNet, GREY, r"expected a denoiser, found the class UNet\. A denoiser is f\(y\) or"),
    "pair": ((Told(), {}), GREY, r"expected a denoiser, found a tuple \(Told, dict\)"),
    "no image": (lambda: GREY, GREY, r"the denoiser takes no image"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_told_why(name):
    denoiser, y, message = MISFITS[name]
    with pytest.raises(ValueError, match=message):
        eigenbasis(denoiser, y, sigma=SIGMA)
    with pytest.raises(ValueError, match=message):
        as_denoiser(denoiser, y)(y[None], SIGMA)


def test_the_lines_that_are_proposed_fit():
    y = GREY.double()
    half, tensor, level = (MISFITS[name][0] for name in ("half", "tensor", "noise_level"))
    found = LinearisedDenoiser(lambda y: half(y.half()).to(y.dtype), GREY, engine="autograd")
    torch.testing.assert_close(found.denoised, HALF(GREY[None].half())[0].float())
    as_told = lambda y, sigma: tensor(y, y.new_full((len(y),), sigma))  # noqa: E731
    torch.testing.assert_close(eigenbasis(as_told, y, sigma=0.25)[0], torch.full((64,), 0.8).to(y))
    assert torch.equal(as_denoiser(lambda y, sigma: level(y, noise_level=sigma), y)(y, 0.1), y)


def test_a_level_that_is_needed_and_not_given_is_asked_for():
    with pytest.raises(ValueError, match=r"takes the noise level, and none was given: say sigma="):
        eigenbasis(lambda y, sigma: y / (1 + sigma**2), GREY)


def test_other_errors_are_left_as_they_are_with_a_note():
    def broken(y: Tensor) -> Tensor:
        raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing") as raised:
        as_denoiser(broken, GREY)(GREY[None])
    assert "A denoiser is f(y) or f(y, sigma)" in raised.value.__notes__[0]


@pytest.mark.parametrize(
    ("answer", "name"), [(lambda x: 2 * x - 1, "-1 to 1"), (lambda x: 255 * x, "0 to 255")]
)
def test_answers_in_another_range_are_noticed(answer, name):
    random = torch.Generator().manual_seed(0)
    x = torch.rand(1, 16, 16, generator=random)
    y = x + SIGMA * torch.randn(1, 16, 16, generator=random)
    with pytest.warns(RuntimeWarning, match=f"seems to answer in the range {name}, .* pass lambda"):
        as_denoiser(lambda y: answer(x).expand_as(y), y)(y[None])


@pytest.mark.filterwarnings("error")
def test_answers_in_the_same_range_are_not():
    for factor in (0.01, 0.5, 1.0, 3.0):
        as_denoiser(lambda y, factor=factor: factor * y, GREY)(GREY[None])
    as_denoiser(NetworkDenoiser(UNet(blocks=1, channels=2)), GREY)(GREY[None])
    as_denoiser(torch.zeros_like, GREY)(GREY[None])


def test_images_may_be_arrays():
    picture = np.random.default_rng(0).random((6, 8)).astype(np.float32)
    values, vectors = eigenbasis(lambda y: y / 2, picture[::-1], k=3)
    assert vectors.shape == (3, 1, 6, 8)
    torch.testing.assert_close(values, torch.full((48,), 0.5))
    assert torch.equal(as_image(picture.astype(">f8")), torch.from_numpy(picture).double()[None])
    assert as_image(picture[None, :, :4]).is_contiguous()
    image = torch.zeros(1, 4, 4)
    assert as_image(image).data_ptr() != image.data_ptr()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"noisy image: found torch.uint8; .* divide by 255"),
        (np.zeros((8, 9, 3)), r"found shape \(8, 9, 3\); .* channels first, .*: pass image.tr"),
        (np.zeros((2, 1, 8, 8)), r"found shape \(2, 1, 8, 8\); expected \(H, W\) or \(C, H, W\)"),
        (
            np.zeros((1, 8, 8), complex),
            "noisy image: found complex128; expected a tensor or an array",
        ),
        ("image.png", "noisy image: found str; expected a tensor or an array"),
        (
            torch.zeros(1, 8, 8).half(),
            "found torch.float16; expected torch.float32 or torch.float64",
        ),
        (torch.zeros(1, 0, 8), r"noisy image: found shape \(1, 0, 8\)"),
        (torch.full((1, 8, 8), torch.nan), "noisy image: not all intensities are finite"),
    ],
)
def test_what_is_no_image_is_told_why(image, message):
    with pytest.raises(ValueError, match=message):
        as_image(image)


@pytest.mark.parametrize(
    "measure",
    [
        lambda f, x: gahb.psnr_curve(f, x, [0.1]),
        lambda f, x: gahb.agreement(f, f, x, [0.1]),
        lambda f, x: gahb.sample(f, 2, around=x, steps=2),
        lambda f, x: gahb.eigenbasis(f, x[0], k=2),
        lambda f, x: gahb.analyse(f, x[0], x[0], 0.1),
        lambda f, x: gahb.train(x, f, updates=2, batch_size=2, precision="bfloat16", device="cpu"),
    ],
)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_no_trace_is_left_on_the_module_that_is_measured(measure, kind):
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 1, 1)
    module = nn.Sequential(*layers).to(kind)
    module[0].requires_grad_(False)
    module[1].eval()

    def state():
        parts = [(p.training, len(p._forward_hooks), p.__class__) for p in module.modules()]
        tensors = [*module.parameters(), *module.buffers()]
        told = [(one.dtype, one.requires_grad, one.grad, one.stride()) for one in tensors]
        return parts, told, [one.tolist() for one in tensors], torch.get_rng_state().tolist()

    before = state()
    measure(module, torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert state() == before


def test_a_module_is_copied_only_where_it_does_not_fit():
    fit, training = Told().eval(), Told()
    assert as_denoiser(fit, GREY).denoiser is fit
    copied = as_denoiser(training, GREY).denoiser
    assert training.training
    assert not copied.training
    assert copied.scale.data_ptr() == training.scale.data_ptr()
    moved = as_denoiser(fit, GREY.double()).denoiser
    assert (moved.scale.dtype, fit.scale.dtype) == (torch.float64, torch.float32)
    replaced = patched().half()
    with pytest.raises(ValueError, match=r"forward of the denoiser Told, .* was replaced"):
        as_denoiser(replaced, GREY)
