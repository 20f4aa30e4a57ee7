"""The Jacobian J of a denoiser at one noisy image, as a linear map that is never stored.

    J = df(y) / dy,   (d, d) for images of C channels, d = C H W.

Products J v come from one of two engines. ``frozen``: a ReLU network whose gates are held at their
values at y is affine, so that its Jacobian acts on a batch of images at the cost of one forward
pass, without automatic differentiation. ``autograd``: forward-mode differentiation, for anything
that is differentiable, at twice the cost. Products J^T u cost one backward pass through a graph
that is kept, with either engine. ``exact``: the denoiser has a method ``jacobian_product(y, v,
sigma)``, as posterior means do, whose Jacobian is symmetric: the posterior covariance divided by
sigma^2. Nothing is differentiated then. ``auto`` takes ``exact`` where there is that method, then
``frozen`` where it reproduces ``autograd``.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import checkpoint

from gahb.asked import must_be_whole
from gahb.denoisers.computation import _cpu_multiplies_bfloat16
from gahb.denoisers.contract import Image, as_denoiser, as_image
from gahb.denoisers.memory import InParts, is_out_of_memory
from gahb.randomness import seed_of
from gahb.spectra.gates import GateMismatch, ImposeGates, RecordGates

Denoiser = Callable[..., Tensor]
ENGINES = ("auto", "frozen", "autograd", "exact")
_DRAFT_ROUNDING = 0.05  # how far the same product made in two ways may be apart in bfloat16
_AGREEMENT = 1e3  # how far the engines may be apart, in units of the type's epsilon
_PIXELS_AT_ONCE = {"cpu": 2**16, "cuda": 2**21}  # of a batch, unless its size is given


class LinearisedDenoiser:
    """The denoiser f(y + v) = f(y) + J v + o(v) around one noisy image y.

    A module is copied (its parameters are shared where their type, device and layout are those of the
    products) and the copy set to evaluation: the module given is never changed. A plain function is
    used as it is; a module inside it must already be in evaluation mode.

    Args:
        denoiser: f(y) or f(y, sigma), maps (B, C, H, W) to (B, C, H, W), each image on its own; see
            :func:`gahb.denoisers.contract.as_denoiser`.
        noisy: the image y, (C, H, W), float32 or float64, a tensor or an array; or (H, W), taken for
            (1, H, W). Its type and device are those of all computations and results.
        sigma: noise level of y.
        engine: ``auto``, ``frozen``, ``autograd`` or ``exact``.
        batch_size: images per pass, half as many whenever memory does not suffice; by default as many as
            fit 2^16 pixels (2^21 on a GPU).

    Attributes:
        noisy: y.
        denoised: f(y), (C, H, W).
        engine: ``frozen``, ``autograd`` or ``exact``, the one that is used.

    Raises:
        ValueError: the image or the denoiser's output has the wrong shape or type, is not finite,
            the output does not depend differentiably on the input (but for ``exact``), ``frozen``
            was asked for and does not reproduce ``autograd``, or ``exact`` was and there is no
            method ``jacobian_product`` or no noise level for it.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        noisy: Image,
        sigma: float | None = None,
        engine: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        if engine not in ENGINES:
            raise ValueError(f"engine: found {engine!r}, allowed are {', '.join(ENGINES)}")
        if batch_size is not None:
            must_be_whole(batch_size=batch_size)
        self.noisy = as_image(noisy)
        function = as_denoiser(denoiser, self.noisy, copied=True)
        self._function: Callable[[Tensor], Tensor] = lambda images: function(images, sigma)
        pixels = _PIXELS_AT_ONCE.get(self.noisy.device.type, 2**16)
        count = batch_size or min(256, max(1, pixels // self.noisy.numel()))
        self._in_parts = InParts(lambda images, apply: apply(images), count)
        self._kept: tuple[Tensor, Tensor] | None = None
        self._pulls_batches: bool | None = None  # through the graph of one image, once it is known
        self._rounding = _AGREEMENT * torch.finfo(self.noisy.dtype).eps
        own = function.denoiser
        if engine == "exact" or (engine == "auto" and hasattr(own, "jacobian_product")):
            self._adopt_exact(own, sigma)
            return

        recorder = RecordGates()
        with recorder:
            output = self._graph(1)[1]
        self._gates = recorder.factors
        self.denoised = output[0].detach()
        self._offset = torch.zeros_like(self.denoised)
        self.engine = "autograd"
        if engine != "autograd":
            self._adopt_frozen(required=engine == "frozen")

    @property
    def pixels(self) -> int:
        """Number of intensities d = C H W: of pixels, where there is one channel."""
        return self.noisy.numel()

    def evaluate(self, images: Tensor) -> Tensor:
        """Denoise N images: (N, C, H, W) to (N, C, H, W)."""
        with _exact(images.device), torch.no_grad():
            return self._function(images.clone())  # a network may overwrite its input

    def product(self, v: Tensor) -> Tensor:
        """J v for each of N images v: (N, C, H, W) to (N, C, H, W)."""
        apply = {"frozen": self._push, "autograd": self._differentiate, "exact": self._own}
        return self._in_batches(apply[self.engine], v)

    def transposed_product(self, u: Tensor) -> Tensor:
        """J^T u for each of N images u: (N, C, H, W) to (N, C, H, W)."""
        return self._in_batches(self._own if self.engine == "exact" else self._pull, u)

    def draft(self) -> LinearisedDenoiser | None:
        """The same Jacobian, its products to about a hundredth in half the time: in bfloat16.

        None where the processor does not multiply in bfloat16 faster than in float32, for other
        types of images and other engines than ``frozen``, and for a network that cannot mix types.
        """
        single = self.noisy.device.type == "cpu" and self.noisy.dtype == torch.float32
        if not (single and self.engine == "frozen" and _cpu_multiplies_bfloat16()):
            return None
        function = self._function

        def rounded(images: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return function(images).to(images.dtype)

        draft = copy.copy(self)
        draft._function, draft._kept = rounded, None
        draft._pulls_batches, draft._rounding = None, _DRAFT_ROUNDING
        draft._gates = [gate.bfloat16() for gate in self._gates]
        try:
            draft._offset = draft._impose(torch.zeros_like(self.noisy[None]))[0]
            with ImposeGates(draft._gates):  # rounding must not turn any
                draft._graph(1)
            draft.transposed_product(self.noisy.expand(2, *self.noisy.shape))
        except Exception:  # what a network may do in float32 and not in mixed types
            return None
        return draft if draft._pulls_batches else None

    def matrix(self) -> Tensor:
        """The whole Jacobian, (d, d): J[i, j] = d f(y)_i / d y_j."""
        d = self.pixels
        jacobian = self.noisy.new_empty(d, d)
        at_once = self._in_parts.batch
        for first in range(0, d, at_once):
            count = min(at_once, d - first)
            basis = self.noisy.new_zeros(count, d)
            basis[torch.arange(count), first + torch.arange(count)] = 1
            images = basis.view(count, *self.noisy.shape)
            if self.engine == "frozen":
                jacobian[:, first : first + count] = self.product(images).flatten(1).T
            else:  # a backward pass gives a row for less than forward mode asks for a column
                jacobian[first : first + count] = self.transposed_product(images).flatten(1)
        return jacobian

    def _in_batches(self, apply: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1:] != self.noisy.shape:
            raise ValueError(
                f"expected images of shape (N, {', '.join(map(str, self.noisy.shape))}), "
                f"found {tuple(images.shape)}"
            )
        return self._in_parts(images.to(self.noisy), apply)

    def _push(self, v: Tensor) -> Tensor:
        """J v through the frozen network, less its response to zero."""
        if not self._offset.any():
            return self._impose(v)
        # images far larger than the offset, or the difference would lose digits
        sizes = v.flatten(1).norm(dim=1).clamp_min(torch.finfo(v.dtype).tiny)
        scale = (sizes / (1e3 * self._offset.norm())).view(-1, 1, 1, 1)
        return (self._impose(v / scale) - self._offset) * scale

    def _impose(self, images: Tensor) -> Tensor:
        gates = ImposeGates(self._gates)
        with gates:
            output = self.evaluate(images)
        if gates.calls != len(self._gates):
            raise GateMismatch(f"{gates.calls} of {len(self._gates)} rectifiers were called again")
        return output

    def _differentiate(self, v: Tensor) -> Tensor:
        """J v by forward-mode differentiation or, where an operation lacks it, by double backward.

        The gradient of <J^T u, v> with respect to u is J v.
        """
        y = self.noisy.expand(len(v), *self.noisy.shape)
        with _exact(v.device):
            try:
                # copies, since an operation in place overwrites input and tangent alike
                tangent: Tensor = torch.func.jvp(self._function, (y.clone(),), (v.clone(),))[1]
                return tangent.detach()
            except (RuntimeError, NotImplementedError) as error:
                if is_out_of_memory(error):
                    raise
                x, output = self._graph(len(v))
                u = torch.zeros_like(output, requires_grad=True)
                (pulled,) = torch.autograd.grad(output, x, u, create_graph=True)
                return torch.autograd.grad(pulled, u, v)[0]

    def _pull(self, u: Tensor) -> Tensor:
        """J^T u: one backward pass through the graph kept.

        Of a frozen network that is the graph of one image, for batches of any size: the graph of a
        batch takes as many times the memory, and is made anew for each other size.
        """
        if self.engine == "frozen" and len(u) > 1 and self._pulls_batches is not False:
            x, output = self._graph(1)
            try:
                with _exact(u.device):
                    pulled: Tensor = torch.autograd.grad(
                        output, x, u[:, None], retain_graph=True, is_grads_batched=True
                    )[0][:, 0]
                    if self._pulls_batches is None:
                        self._pulls_batches = self._is_pulled(pulled[:1], u[:1])
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                self._pulls_batches = False  # an operation cannot be batched
            if self._pulls_batches:
                return pulled
        x, output = self._graph(len(u))
        with _exact(u.device):
            return torch.autograd.grad(output, x, u, retain_graph=True)[0]

    def _is_pulled(self, pulled: Tensor, u: Tensor) -> bool:
        """Whether that is J^T u, which not every operation makes of a batch."""
        x, output = self._graph(1)
        alone = torch.autograd.grad(output, x, u, retain_graph=True)[0]
        apart, size = (pulled - alone).norm(), alone.norm()
        return bool(size > 0 and apart <= self._rounding * size)

    def _own(self, v: Tensor) -> Tensor:
        """J v, and J^T v alike, as the denoiser itself gives it."""
        with _exact(v.device), torch.no_grad():
            return self._jacobian_product(v)

    def _graph(self, count: int) -> tuple[Tensor, Tensor]:
        """``count`` copies of y and f of them, with the graph between."""
        if self._kept is None or len(self._kept[0]) != count:
            self._kept = None  # free the old graph before the new one is made
            x = self.noisy.expand(count, *self.noisy.shape).clone().requires_grad_()
            with _exact(x.device), torch.enable_grad():
                self._kept = x, _finite(self._function(x.clone()))
                if not self._kept[1].requires_grad:
                    raise ValueError(
                        "the denoiser's output does not depend differentiably on its input: it must "
                        "be computed by torch operations, without detach() or no_grad()"
                    )
        return self._kept

    def _adopt_exact(self, denoiser: Denoiser, sigma: float | None) -> None:
        """Use the denoiser's own products."""
        product = getattr(denoiser, "jacobian_product", None)
        if product is None or sigma is None:
            missing = "a noise level" if product else "a method jacobian_product(y, v, sigma)"
            raise ValueError(f"the engine 'exact' needs {missing}")
        self._jacobian_product: Callable[[Tensor], Tensor] = lambda v: product(self.noisy, v, sigma)
        self.denoised = _finite(self.evaluate(self.noisy[None]))[0]
        self.engine = "exact"

    def _adopt_frozen(self, required: bool) -> None:
        """Use the frozen engine if it agrees with autograd on random images."""
        generator = torch.Generator().manual_seed(seed_of(0, "probe of the frozen engine"))
        probe = torch.randn(2, *self.noisy.shape, generator=generator, dtype=torch.float64)
        probe = probe.to(self.noisy)
        expected = self._differentiate(probe)
        try:
            self._offset = self._impose(torch.zeros_like(self.noisy[None]))[0]
            apart = (self._push(probe) - expected).norm() / expected.norm()
        except Exception as failure:  # the images pushed through are not images of its kind
            if is_out_of_memory(failure):
                raise
            reason = str(failure)
        else:
            if apart <= self._rounding:
                self.engine = "frozen"
                return
            reason = f"its products differ from automatic differentiation by {apart:.1e}"
        if required:
            raise ValueError(
                f"this denoiser is not linear once its ReLU gates are frozen: {reason}"
            )


def _finite(output: Tensor) -> Tensor:
    if not output.isfinite().all():
        raise ValueError("the denoised image is not finite")
    return output


class _NotCheckpointed:
    """In place of reentrant checkpoints, which cannot be differentiated by the input alone."""

    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        """Call ``function``, and keep its activations."""
        return function(*args)


@contextlib.contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Full precision, and nothing that cannot be differentiated twice, whatever is set outside."""
    with contextlib.ExitStack() as stack:
        if "torch._dynamo" in sys.modules:  # else nothing is compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(patch.object(checkpoint, "CheckpointFunction", _NotCheckpointed))
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if device.type == "cuda":
            cudnn = torch.backends.cudnn
            stack.enter_context(
                cudnn.flags(
                    enabled=cudnn.enabled,
                    benchmark=cudnn.benchmark,
                    deterministic=True,
                    allow_tf32=False,
                )
            )
        yield
