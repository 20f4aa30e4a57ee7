"""Bias-free networks: a noise estimator with no additive constant anywhere.

Without additive constants a ReLU network is positively homogeneous, ``net(a y) = a net(y)`` for
``a > 0``, and is equal to its own Jacobian applied to its input, ``net(y) = J(y) y`` (Mohan,
Kadkhodaie, Simoncelli & Fernandez-Granda, ICLR 2020). Everything in :mod:`gahb.spectra` rests on
that. The two architectures are those of Kadkhodaie et al., ICLR 2024, appendix B; with their 64
channels the parameter counts are

>>> [sum(p.numel() for p in UNet(blocks=b).parameters()) for b in (1, 2, 3)]
[366080, 1825024, 7659264]
>>> sum(p.numel() for p in BFCNN().parameters())
702784
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gahb.asked import must_be_whole
from gahb.denoisers.architecture import ARCHITECTURES, Architecture
from gahb.denoisers.initialisation import initialise
from gahb.explaining import options_of
from gahb.randomness import seeded


class _DividedByDeviation(torch.autograd.Function):
    """``x gain / sd`` with the standard deviation of (B, C, H, W) per channel, and that deviation.

    What autograd makes of ``var`` takes a fifth of an update that is not compiled; torch's kernel for
    batch statistics takes a sixth of that.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """Scale, and return the deviation (1, C, 1, 1) too: nothing flows back through that."""
        # with a weight of full precision, of which nothing is used, the statistics have it too
        one, zero = torch.ones_like(gain.flatten()), torch.zeros_like(gain.flatten())
        _, mean, inverse = torch.native_batch_norm(x, one, zero, None, None, True, 0.0, epsilon)
        mean, inverse = mean.view_as(gain), inverse.view_as(gain)
        ctx.save_for_backward(x, gain, mean, inverse)
        sd = inverse.reciprocal()
        ctx.mark_non_differentiable(sd)
        return x * (gain * inverse).to(x.dtype), sd

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of x and gain."""
        gradient = gradients[0]
        x, gain, mean, inverse = ctx.saved_tensors
        inner = (gradient * x).sum(dim=(0, 2, 3), keepdim=True, dtype=mean.dtype)
        through = gain * inner * inverse**3 * (gain.numel() / x.numel())
        of_x = gradient * (gain * inverse).to(x.dtype)
        of_x += x * (-through).to(x.dtype)  # addcmul takes ten times as long in bfloat16
        of_x += (mean * through).to(x.dtype)
        return of_x, inner * inverse, None


class BiasFreeNorm(nn.Module):
    """Divide each channel by its standard deviation and multiply by a learned gain.

    The mean is *not* subtracted and nothing is added, so the layer is linear once its scale is
    fixed. In training the scale is the standard deviation over (batch, height, width); in
    evaluation it is the running value.

    Args:
        channels: number of channels C of the (B, C, H, W) input.
        momentum: weight of the newest batch in the running standard deviation.
        epsilon: added to the variance, inside the root.
    """

    running_sd: Tensor
    fixed: bool  # divide by the running value in training too, and leave it as it is
    _fixed: Tensor  # the same for compiled code, which is to be compiled once

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.epsilon = epsilon
        self.register_buffer("_fixed", torch.zeros((), dtype=torch.bool), persistent=False)
        self.fixed = False
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.register_buffer("running_sd", torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Scale (B, C, H, W); in training, also update the running value."""
        if not self.training:
            return x * (self.gain / self.running_sd).to(x.dtype)
        if torch.compiler.is_compiling():
            variance = x.float().var(dim=(0, 2, 3), keepdim=True, unbiased=False)
            sd = torch.where(self._fixed, self.running_sd, torch.sqrt(variance + self.epsilon))
            scaled = x * (self.gain / sd).to(x.dtype)
        elif self.fixed:
            return x * (self.gain / self.running_sd).to(x.dtype)
        else:
            scaled, sd = _DividedByDeviation.apply(x, self.gain, self.epsilon)
        with torch.no_grad():
            self.running_sd.lerp_(sd.detach().to(self.running_sd.dtype), self.momentum)
        return scaled

    def fix(self, fixed: bool) -> None:
        """Divide by the running value in training too, and leave it as it is; or by the batch's."""
        if fixed != self.fixed:
            self.fixed = fixed
            self._fixed.fill_(fixed)


class _PixelConvolution(nn.Conv2d):
    """The convolution that reads the noisy image, which autocast does not round.

    bfloat16 has eight significant bits: rounding the image itself to it would add an error of
    about 10^-3 before anything is computed. As a sum of two numbers of that type it has sixteen, and is
    filtered several times as fast as in float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Filter (B, 1, H, W); under autocast the weights and the result are rounded, the image is not."""
        kind = x.device.type
        if not torch.is_autocast_enabled(kind):
            return super().forward(x)
        rounded = torch.get_autocast_dtype(kind)
        high = x.to(rounded)
        low = (x - high.to(x.dtype)).to(rounded)
        weight = self.weight.to(rounded)
        # matrix units of a GPU take eight channels at once
        empty = (0, 0, 0, 0, 0, 6 if kind == "cuda" else 0)
        images = F.pad(torch.cat([high, low], 1), empty)
        weights = F.pad(torch.cat([weight, weight], 1), empty)
        images = images.contiguous(memory_format=torch.channels_last)
        return F.conv2d(images, weights, padding=self.padding)


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    kind = _PixelConvolution if inputs == 1 else nn.Conv2d
    return kind(inputs, outputs, kernel_size=kernel, padding=kernel // 2, bias=False)


def _stage(inputs: int, outputs: int, normalise: bool = True, kernel: int = 3) -> list[nn.Module]:
    """Convolution, normalisation, ReLU."""
    layers: list[nn.Module] = [_convolution(inputs, outputs, kernel)]
    if normalise:
        layers.append(BiasFreeNorm(outputs))
    layers.append(nn.ReLU(inplace=True))
    return layers


class UNet(nn.Module):
    """Bias-free UNet estimating the noise in its input.

    ``blocks`` encoder blocks, a middle block and ``blocks`` decoder blocks of two 3x3 convolutions
    each; channels double per block; 2x2 average pooling down, 2x2 transposed convolution up, skips
    concatenated. The very first convolution is not normalised, the very last is bare.

    Args:
        blocks: number of poolings; height and width must be multiples of ``2**blocks``. Receptive
            fields are 18, 44, 92 and 188 pixels for 1 to 4 blocks; from 3 blocks on it depends on
            how the poolings fall around a pixel, and some see 100 and 204.
        channels: channels of the first block (64 in the paper).
    """

    def __init__(self, blocks: int = 3, channels: int = 64) -> None:
        super().__init__()
        must_be_whole(blocks=blocks, channels=channels)
        self.blocks = blocks
        self.pool = nn.AvgPool2d(2)
        self.encoder = nn.ModuleList()
        self.upsample = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for block in range(blocks):
            width = channels * 2**block
            inputs = 1 if block == 0 else width // 2
            last = [_convolution(width, 1)] if block == 0 else _stage(width, width)
            self.encoder.append(
                nn.Sequential(*_stage(inputs, width, normalise=block > 0), *_stage(width, width))
            )
            self.upsample.append(nn.ConvTranspose2d(2 * width, width, 2, stride=2, bias=False))
            self.decoder.append(nn.Sequential(*_stage(2 * width, width), *last))
        width = channels * 2**blocks
        self.middle = nn.Sequential(*_stage(width // 2, width), *_stage(width, width))

    def forward(self, y: Tensor) -> Tensor:
        """Map noisy images (B, 1, H, W) to noise estimates of the same shape."""
        multiple = 2**self.blocks
        if y.shape[-2] % multiple or y.shape[-1] % multiple:
            raise ValueError(
                f"a UNet of {self.blocks} blocks halves the image {self.blocks} times: height and "
                f"width must be multiples of {multiple}, found {tuple(y.shape[-2:])}"
            )
        skips = []
        x = y
        for encoder in self.encoder:
            x = encoder(x)
            skips.append(x)
            x = self.pool(x)
        x = self.middle(x)
        for block in reversed(range(self.blocks)):
            x = torch.cat([self.upsample[block](x), skips[block]], dim=1)
            x = self.decoder[block](x)
        return x


class BFCNN(nn.Module):
    """Bias-free DnCNN: a chain of 3x3 convolutions at full resolution, estimating the noise.

    The first convolution is linear, the last is bare, the ``layers - 2`` between are normalised
    and rectified. The receptive field is ``2 * layers + 1`` pixels, and 2 less for each layer of 1x1.

    Args:
        layers: number of convolutions (21 in the paper).
        channels: channels of every hidden layer (64 in the paper).
        rectify_first: whether a ReLU follows the first convolution too, as in weights published
            before the paper.
        pointwise: the layers between, counted from the first convolution, which is 0, that have
            kernels of 1x1.
    """

    def __init__(
        self,
        layers: int = 21,
        channels: int = 64,
        rectify_first: bool = False,
        pointwise: Sequence[int] = (),
    ) -> None:
        super().__init__()
        must_be_whole(2, layers=layers)
        must_be_whole(channels=channels)
        first = (
            _stage(1, channels, normalise=False) if rectify_first else [_convolution(1, channels)]
        )
        hidden = [
            stage
            for layer in range(1, layers - 1)
            for stage in _stage(channels, channels, kernel=1 if layer in pointwise else 3)
        ]
        self.chain = nn.Sequential(*first, *hidden, _convolution(channels, 1))

    def forward(self, y: Tensor) -> Tensor:
        """Map noisy images (B, 1, H, W) to noise estimates of the same shape."""
        noise: Tensor = self.chain(y)
        return noise


def build_network(
    architecture: dict[str, Any], seed: int | None = None, initialisation: str = "unit"
) -> nn.Module:
    """Build a network, reproducibly, that starts by changing nothing: f(y) is close to y.

    A network of one's own starts as its class makes it, with the random numbers of the seed.

    Args:
        architecture: ``{"network": "unet", "blocks": 2, "channels": 16}`` or
            ``{"network": "my_nets.py:DnCNN", "depth": 5}``, as in params.yaml.
        seed: the same seed gives the same weights; without one they are yet to be set.
        initialisation: a module of :mod:`gahb.denoisers.initialisations`.

    Raises:
        ValueError: there is no such architecture, or its options are not the ones given.
    """
    options = {key: value for key, value in architecture.items() if key != "network"}
    chosen: Architecture = options_of(ARCHITECTURES, "network", architecture["network"], options)
    with seeded(seed or 0):  # the caller's random numbers stay what they were
        network = chosen.build()
    if seed is not None and not chosen.starts_itself:
        initialise(network, initialisation, seed)
    return network


def fixed_in_python(network: nn.Module) -> bool:
    """Whether compiled code is another one once normalisations are fixed: of torch's own ones it is."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in network.modules())


def fix_norms(network: nn.Module, fixed: bool) -> None:
    """Let all normalisations divide by their running values in training too, or by the batch's.

    Args:
        network: in training mode.
        fixed: whether they are to divide by the running values.
    """
    for part in network.modules():
        if isinstance(part, BiasFreeNorm):
            part.fix(fixed)
        elif isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats:
            part.train(not fixed)


class NetworkDenoiser(nn.Module):
    """A blind denoiser made of a noise estimator: ``f(y) = y - net(y)``.

    Args:
        network: maps (B, C, H, W) noisy images to noise estimates of the same shape.
        architecture: what :func:`build_network` builds it from, where that is known.
    """

    def __init__(self, network: nn.Module, architecture: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture

    def forward(self, y: Tensor, sigma: float | None = None) -> Tensor:
        """Denoise (B, C, H, W); ``sigma`` is accepted for the common interface and not used."""
        denoised: Tensor = y - self.network(y)
        return denoised
