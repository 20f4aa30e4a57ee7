"""Products with the Jacobian: against automatic differentiation and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gahb.denoisers.networks import BFCNN, BiasFreeNorm, NetworkDenoiser, UNet
from gahb.spectra.jacobian import LinearisedDenoiser


def used(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every normalisation and bias the values that a training would."""
    random = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        spread = 0.5 if parameter.ndim == 1 else (2 / max(1, parameter[0].numel())) ** 0.5
        if parameter.ndim in (1, 4) and parameter.shape[0] != 1:
            parameter.data.normal_(0, spread, generator=random)
    for module in network.modules():
        if isinstance(module, BiasFreeNorm):
            module.running_sd.uniform_(0.8, 1.2, generator=random)
            module.gain.data.uniform_(0.8, 1.2, generator=random)
    return network


def unet() -> nn.Module:
    return NetworkDenoiser(used(UNet(blocks=2, channels=4)))


def bf_cnn() -> nn.Module:
    return NetworkDenoiser(used(BFCNN(layers=5, channels=6)))


class Biased(nn.Module):
    """A convolutional network with biases, mean-subtracting norms and leaky rectifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.leaky = nn.LeakyReLU(0.2, inplace=True)
        self.dropout = nn.Dropout2d(0.5)
        self.last = nn.Conv2d(5, 1, 3, padding=1)

    def forward(self, y: Tensor) -> Tensor:
        return 3 + self.last(self.dropout(self.leaky(self.norm(self.first(y)))))


class Functional(nn.Module):
    """Rectifiers as functions and methods, in place and not, one of them on the input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.middle = nn.Conv2d(5, 5, 3, padding=1)
        self.last = nn.Conv2d(5, 1, 3, padding=1, bias=False)

    def forward(self, y: Tensor) -> Tensor:
        functional.leaky_relu_(y, 0.5)
        x = functional.relu(self.first(y))
        x = x + functional.leaky_relu(self.middle(x), 0.3, True)
        return y - self.last(self.middle(x.relu_()).relu())


class Tanh(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.chain = nn.Sequential(
            nn.Conv2d(1, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, 5, 3, padding=1), nn.ReLU()
        )
        self.last = nn.Conv2d(5, 1, 3, padding=1)

    def forward(self, y: Tensor) -> Tensor:
        return self.last(self.chain(y))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 8, 1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Conv2d(8, 1, 1)

    def forward(self, y: Tensor) -> Tensor:
        tokens = self.embed(y).flatten(2).transpose(1, 2)
        mixed = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.last(mixed.transpose(1, 2).reshape(len(y), 8, *y.shape[2:]))


NETWORKS = {
    "unet": (unet, "frozen"),
    "bf_cnn": (bf_cnn, "frozen"),
    "biased": (lambda: used(Biased()), "frozen"),
    "functional": (lambda: used(Functional()), "frozen"),
    "tanh": (lambda: used(Tanh()), "autograd"),
    "attention": (Attention, "autograd"),
}


def noisy_image(size: int = 8, dtype: torch.dtype = torch.float64, seed: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(1, size, size, generator=random, dtype=torch.float64).to(dtype)


def reference(f: nn.Module, y: Tensor) -> Tensor:
    """The Jacobian by torch's own function, row by row."""
    copy = f.to(y.dtype).eval()
    return torch.autograd.functional.jacobian(lambda x: copy(x.clone())[0], y[None]).reshape(
        y.numel(), y.numel()
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_matrix_and_products_are_those_of_autograd(name):
    build, engine = NETWORKS[name]
    torch.manual_seed(0)
    f = build()
    y = noisy_image()
    linearised = LinearisedDenoiser(f, y, batch_size=5)
    assert linearised.engine == engine
    expected = reference(f, y)
    torch.testing.assert_close(linearised.matrix(), expected, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(linearised.denoised, f(y[None].clone())[0].detach())
    v = noisy_image(seed=2).expand(7, -1, -1, -1) * torch.arange(1, 8).view(7, 1, 1, 1)
    torch.testing.assert_close(
        linearised.product(v).flatten(1), v.flatten(1) @ expected.T, rtol=1e-9, atol=1e-10
    )
    torch.testing.assert_close(
        linearised.transposed_product(v).flatten(1), v.flatten(1) @ expected, rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_central_finite_differences(name):
    torch.manual_seed(0)
    f = NETWORKS[name][0]().double().eval()
    y, v = noisy_image(), noisy_image(seed=3)
    step = 1e-6
    difference = (f((y + step * v)[None]) - f((y - step * v)[None])).detach() / (2 * step)
    found = LinearisedDenoiser(f, y).product(v[None])
    torch.testing.assert_close(found, difference, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("engine", ["frozen", "autograd"])
def test_both_engines_and_types_agree(engine):
    f = unet()
    double = LinearisedDenoiser(f, noisy_image(), engine=engine)
    single = LinearisedDenoiser(f, noisy_image(dtype=torch.float32), engine=engine)
    assert double.engine == single.engine == engine
    assert double.matrix().dtype == torch.float64
    assert single.matrix().dtype == torch.float32
    torch.testing.assert_close(single.matrix().double(), double.matrix(), rtol=1e-4, atol=1e-5)


def test_a_bias_keeps_its_precision_in_float32():
    """The response to zero is subtracted without losing the digits of a small product."""
    f = used(Biased())
    f.last.bias.data.fill_(100.0)
    y = noisy_image(dtype=torch.float32)
    exact = LinearisedDenoiser(f, noisy_image()).matrix()
    found = LinearisedDenoiser(f, y, engine="frozen").matrix().double()
    assert (found - exact).norm() / exact.norm() < 2e-6


@pytest.mark.parametrize("build", [unet, bf_cnn])
@pytest.mark.parametrize("scale", [1e-3, 0.3, 50.0])
def test_bias_free_networks_are_homogeneous_and_equal_their_jacobian(build, scale):
    f = build().double().eval()
    y = noisy_image()
    torch.testing.assert_close(f(scale * y[None]), scale * f(y[None]), rtol=1e-12, atol=1e-14)
    at = LinearisedDenoiser(f, y)
    torch.testing.assert_close(at.product(y[None])[0], at.denoised, rtol=1e-11, atol=1e-13)
    elsewhere = LinearisedDenoiser(f, scale * y)
    torch.testing.assert_close(elsewhere.matrix(), at.matrix(), rtol=1e-12, atol=1e-14)


def test_jacobian_of_single_precision_network_reproduces_its_output():
    f, y = unet(), noisy_image(16, torch.float32)
    at = LinearisedDenoiser(f, y)
    assert (at.product(y[None])[0] - at.denoised).norm() / at.denoised.norm() < 2e-6


def test_plain_functions_and_closures():
    net = used(UNet(blocks=1, channels=4)).double().eval()
    y = noisy_image()
    closure = LinearisedDenoiser(lambda x: x - net(x), y)
    module = LinearisedDenoiser(NetworkDenoiser(net), y)
    assert closure.engine == module.engine == "frozen"
    torch.testing.assert_close(closure.matrix(), module.matrix())


def test_noise_level_is_told_to_denoisers_that_take_it():
    y = noisy_image(4)
    told = LinearisedDenoiser(lambda x, sigma: x / (1 + sigma**2), y, sigma=2.0)
    torch.testing.assert_close(told.matrix(), torch.eye(16, dtype=torch.float64) / 5)
    blind = LinearisedDenoiser(lambda x: x / 2, y, sigma=2.0)
    torch.testing.assert_close(blind.matrix(), torch.eye(16, dtype=torch.float64) / 2)


class Inner(nn.Module):
    """Computes in float64 whatever it is given, from a buffer: has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factors", torch.linspace(0, 1, 16, dtype=torch.float64))

    def forward(self, y: Tensor) -> Tensor:
        return (y.flatten(1).double() @ torch.diag(self.factors)).view(y.shape).to(y.dtype)


def test_buffers_of_another_type_are_left_alone():
    found = LinearisedDenoiser(Inner(), noisy_image(4, torch.float32)).matrix()
    torch.testing.assert_close(found, torch.linspace(0, 1, 16).diag())


def test_the_module_given_is_not_touched():
    f = used(Biased()).train()
    f.norm.eval()  # a mixture of modes, to be left as it is
    before = {name: tensor.clone() for name, tensor in f.state_dict().items()}
    linearised = LinearisedDenoiser(f, noisy_image())
    linearised.matrix()
    linearised.transposed_product(noisy_image()[None])
    assert_untouched(f, before)
    first, again = (linearised.product(noisy_image(seed=4)[None]) for _ in range(2))
    assert torch.equal(first, again)  # dropout is off


class Fails(Biased):
    """Fails at its fourth call, deep inside."""

    calls = 0

    def forward(self, y: Tensor) -> Tensor:
        output = super().forward(y)
        Fails.calls += 1
        if Fails.calls > 3:
            raise KeyError("no such key")
        return output


def test_the_module_given_is_not_touched_by_a_failure():
    f = used(Fails()).train()
    f.norm.eval()
    before = {name: tensor.clone() for name, tensor in f.state_dict().items()}
    with pytest.raises(KeyError, match="no such key"):
        LinearisedDenoiser(f, noisy_image()).matrix()
    assert_untouched(f, before)
    # and no gate is left behind: rectifiers act as before
    assert torch.equal(torch.tensor([-1.0, 2.0]).relu(), torch.tensor([0.0, 2.0]))


def assert_untouched(f: Biased, before: dict[str, Tensor]) -> None:
    assert [m.training for m in f.modules()] == [True, True, False, True, True, True]
    for name, tensor in f.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.dtype == before[name].dtype
    assert all(p.requires_grad and p.grad is None for p in f.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in f.modules())


def test_network_that_changes_with_the_batch_size_is_not_frozen():
    """Rectifiers on images folded together cannot be frozen; autograd takes over."""

    def f(y: Tensor) -> Tensor:
        rows = y.reshape(-1, y.shape[-1])
        return (rows.relu() - 0.1 * rows).reshape(y.shape)

    y = noisy_image(4)
    linearised = LinearisedDenoiser(f, y)
    assert linearised.engine == "autograd"
    torch.testing.assert_close(linearised.matrix(), torch.diag((y > 0).double().ravel() - 0.1))
    with pytest.raises(ValueError, match=r"not linear once .* frozen: rectifier 1 was recorded on"):
        LinearisedDenoiser(f, y, engine="frozen")


class _Doubled(torch.autograd.Function):
    """Twice the input, without a rule for forward-mode differentiation."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def test_operations_without_forward_mode():
    y = noisy_image(4)
    linearised = LinearisedDenoiser(lambda x: _Doubled.apply(x).tanh(), y, engine="autograd")
    v = noisy_image(4, seed=5)[None]
    torch.testing.assert_close(linearised.product(v), 2 * v / torch.cosh(2 * y) ** 2)


def test_autocast_outside_changes_nothing():
    f, y, v = unet(), noisy_image(8, torch.float32), noisy_image(8, torch.float32, 6)[None]
    plain = LinearisedDenoiser(f, y)
    with torch.autocast("cpu", torch.bfloat16):
        inside = LinearisedDenoiser(f, y)
        assert torch.equal(inside.product(v), plain.product(v))
        assert torch.equal(inside.transposed_product(v), plain.transposed_product(v))


@pytest.mark.parametrize(
    ("f", "y", "message"),
    [
        (unet, torch.zeros(2, 1, 8, 8), r"noisy image: found shape \(2, 1, 8, 8\)"),
        (unet, torch.zeros(1, 8, 8, dtype=torch.int64), "noisy image: found torch.int64"),
        (unet, torch.full((1, 8, 8), torch.nan), "not all intensities are finite"),
        (unet, torch.zeros(1, 6, 6), "multiples of 4"),
        (lambda: lambda x: x[..., 1:], torch.zeros(1, 8, 8), r"made \(1, 1, 8, 7\)"),
        (lambda: lambda x: x.double(), torch.zeros(1, 8, 8), r"made .* torch.float64"),
        (lambda: lambda x: (x,), torch.zeros(1, 8, 8), "returns a tensor, this one tuple"),
        (lambda: lambda x: x / 0, torch.zeros(1, 8, 8), "denoised image is not finite"),
        (lambda: lambda x: x.detach(), torch.zeros(1, 8, 8), "not depend differentiably"),
    ],
)
def test_what_is_not_a_denoiser_or_an_image_is_named(f, y, message):
    with pytest.raises(ValueError, match=message):
        LinearisedDenoiser(f(), y)


def test_wrong_engine_and_wrong_directions_are_named():
    with pytest.raises(ValueError, match="engine: found 'jvp', allowed are auto, frozen, autograd"):
        LinearisedDenoiser(lambda x: x, noisy_image(4), engine="jvp")
    linearised = LinearisedDenoiser(lambda x: x, noisy_image(4))
    with pytest.raises(ValueError, match=r"shape \(N, 1, 4, 4\), found \(1, 4, 4\)"):
        linearised.product(noisy_image(4))


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that is said to multiply in bfloat16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)


@pytest.mark.parametrize("constant", [0.0, 3.0])
@pytest.mark.parametrize("network", [unet, bf_cnn])
def test_a_draft_has_the_same_gates_and_products_to_a_hundredth(network, constant, rounds):
    """A rectifier turned by rounding would change a product by far more."""
    plain = network().eval()
    linearised = LinearisedDenoiser(lambda y: constant + plain(y), noisy_image().float())
    draft = linearised.draft()
    assert draft is not None
    v = torch.randn(3, *linearised.noisy.shape, generator=torch.Generator().manual_seed(3))
    for name in ("product", "transposed_product"):
        exact, rounded = getattr(linearised, name)(v), getattr(draft, name)(v)
        assert rounded.dtype == torch.float32
        apart = (rounded - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
        assert (apart > 1e-4).all()
        assert (apart < 0.02).all()


def test_no_draft_of_other_types_engines_and_processors(rounds, monkeypatch):
    y = noisy_image().float()
    assert LinearisedDenoiser(bf_cnn(), y.double()).draft() is None
    assert LinearisedDenoiser(bf_cnn(), y, engine="autograd").draft() is None
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert LinearisedDenoiser(bf_cnn(), y).draft() is None


class _Watched(torch.autograd.Function):
    """Changes nothing; its derivative looks at numbers, which no batch of them has."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        assert float(gradient.detach().abs().sum()) >= 0
        return gradient


def test_transposed_products_of_what_cannot_be_batched(rounds):
    plain = bf_cnn().eval()
    y = noisy_image().float()
    linearised = LinearisedDenoiser(lambda image: _Watched.apply(plain(image)), y)
    assert linearised.engine == "frozen"
    assert linearised.draft() is None
    u = torch.randn(3, *y.shape, generator=torch.Generator().manual_seed(3))
    expected = LinearisedDenoiser(plain, y).transposed_product(u)
    torch.testing.assert_close(linearised.transposed_product(u), expected)
    alone = torch.cat([linearised.transposed_product(row[None]) for row in u])
    torch.testing.assert_close(expected, alone)


def test_a_batch_pulled_wrongly_is_noticed(monkeypatch):
    """What is pulled through the graph of one image is compared with one image pulled alone."""
    linearised = LinearisedDenoiser(bf_cnn(), noisy_image())
    u = torch.randn(3, *linearised.noisy.shape, dtype=torch.float64)
    expected = torch.cat([linearised.transposed_product(row[None]) for row in u])
    plain = torch.autograd.grad

    def wrong(*args, is_grads_batched=False, **kwargs):
        (found,) = plain(*args, is_grads_batched=is_grads_batched, **kwargs)
        return (found * (1.01 if is_grads_batched else 1),)

    monkeypatch.setattr(torch.autograd, "grad", wrong)
    torch.testing.assert_close(linearised.transposed_product(u), expected)
