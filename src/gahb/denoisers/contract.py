"""The contract of a denoiser, f(y) or f(y, sigma), and how anybody's callable comes under it.

f maps noisy images y, (B, C, H, W), each on its own, to images of the same shape, type and range of
intensities. It may take the noise level, a float by the name ``sigma``. Everything that is measured on
a denoiser (spectra, samples, PSNR) calls it through :func:`as_denoiser`, which asks for its signature
through whatever it is wrapped in, and checks its first answer: what does not fit is told why, and by
which line it would (:mod:`gahb.denoisers.misfits`).
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gahb.datasets import intensities
from gahb.denoisers.memory import is_out_of_memory
from gahb.denoisers.misfits import other_range, reason_of_failure, unasked, wrong_answer

Image = Tensor | NDArray[np.floating]
# attributes by which torch's wrappers hold the module that they wrap: torch.compile, data-parallel
# and averaged modules, checkpoint_wrapper, fully sharded ones
_WRAPPED = ("_orig_mod", "module", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
_NO_LEVEL = re.compile(r"unexpected keyword argument 'sigma'|takes .*\d positional argument")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class ContractedDenoiser:
    """f(y, sigma) made of any denoiser; from :func:`as_denoiser`.

    Attributes:
        denoiser: what is called: the denoiser given, or a copy of it.
        takes_sigma: whether the level is told to it; None where its signature does not say (``*args,
            **kwargs`` of a wrapper that is not known), until it was called.
    """

    def __init__(self, denoiser: Callable[..., Any]) -> None:
        self.denoiser = denoiser
        self._signature = _signature(denoiser)
        self._bound = denoiser.keywords if isinstance(denoiser, functools.partial) else {}
        self._checked = False
        self.takes_sigma: bool | None = None
        self._by_name, self._required = True, False
        self._read()

    def __call__(self, y: Tensor, sigma: float | None = None) -> Tensor:
        """Denoise (B, C, H, W) at noise level ``sigma``, which may be unknown to a blind denoiser.

        Raises:
            ValueError: at the first call, where the denoiser fails at it or its answer does not fit.
            torch.OutOfMemoryError: as the denoiser raised it.
        """
        bound = self._bound.get("sigma", sigma)
        if sigma is not None and bound != sigma:
            raise ValueError(
                f"{_name(self.denoiser)} was bound to sigma = {bound} by functools.partial and is to be "
                f"told {sigma}: pass the denoiser itself, or, if it shall not know the level, "
                f"lambda y: denoiser(y, sigma={bound})"
            )
        if self._checked:
            found: Tensor = self._call(y, sigma)
            return found
        return self._first(y, sigma)

    def _read(self) -> None:
        """What its signature says of the noise level."""
        if self._signature is None:
            return
        parameters = list(self._signature.parameters.values())
        level = self._signature.parameters.get("sigma")
        others = [one for one in parameters[1:] if one.kind not in _VARIADIC]
        if level is None and others and others[0].name.startswith("_"):  # not used, by its name
            level = others[0] if others[0].default is inspect.Parameter.empty else None
            self._by_name = False
        if not parameters:
            raise ValueError(f"{_name(self.denoiser)} takes no image. " + CONTRACT)
        problem = unasked([one for one in others if one is not level], required=True)
        if problem:
            raise ValueError(f"{_name(self.denoiser)} {problem}. {CONTRACT}")
        if level is not None:
            self.takes_sigma = True
            self._required = level.default is inspect.Parameter.empty
            self._by_name &= level.kind is not inspect.Parameter.POSITIONAL_ONLY
        elif not any(one.kind in _VARIADIC for one in parameters):
            self.takes_sigma = False
        else:
            self._by_name = parameters[-1].kind is inspect.Parameter.VAR_KEYWORD

    def _first(self, y: Tensor, sigma: float | None) -> Tensor:
        """The first call, of which all is checked."""
        if sigma is not None and self.takes_sigma is False and self._signature is not None:
            optional = list(self._signature.parameters.values())[1:]
            problem = unasked(optional, required=False)
            if problem:
                raise ValueError(f"{_name(self.denoiser)} {problem}. {CONTRACT}")
        try:
            answer = self._tried(y, sigma)
        except (TypeError, RuntimeError, AttributeError, IndexError, AssertionError) as error:
            if is_out_of_memory(error):  # which says nothing of the denoiser
                raise
            reason = reason_of_failure(self._call, self.takes_sigma, y, sigma, error)
            if reason is None:
                error.add_note(f"in the first call of a denoiser with {tuple(y.shape)}. {CONTRACT}")
                raise
            raise ValueError(f"{_name(self.denoiser)} {reason}. {CONTRACT}") from error
        problem = wrong_answer(self._call, y, sigma, answer)
        if problem:
            raise ValueError(problem)
        doubt = other_range(y, answer)
        if doubt:
            warnings.warn(f"{_name(self.denoiser)} {doubt}", RuntimeWarning, stacklevel=3)
        self._checked = True
        found: Tensor = answer
        return found

    def _tried(self, y: Tensor, sigma: float | None) -> Any:
        """The answer of a denoiser whose signature may not say whether it takes the level."""
        if self.takes_sigma is not None:
            return self._call(y, sigma)
        if sigma is not None:
            self.takes_sigma = True
            try:
                return self._call(y, sigma)
            except TypeError as error:
                if not _NO_LEVEL.search(str(error)):
                    raise
        self.takes_sigma = False
        return self._call(y, sigma)

    def _call(self, y: Tensor, sigma: Any) -> Any:
        if not self.takes_sigma or (sigma is None and not self._required):
            return self.denoiser(y)
        return self.denoiser(y, sigma=sigma) if self._by_name else self.denoiser(y, sigma)


CONTRACT = (
    "A denoiser is f(y) or f(y, sigma): from noisy images (B, C, H, W) and their noise level, a float, "
    "to denoised images of the same shape, type and range"
)


def as_denoiser(
    denoiser: Callable[..., Any], like: Tensor, copied: bool = False
) -> ContractedDenoiser:
    """f(y, sigma) made of anybody's denoiser, whether or not it takes the level.

    A module in training mode, or of another type or device than the images (half precision, say), is
    copied, and the copy put right; the module given is never changed. A function is called as it is.

    Args:
        denoiser: a module, also one that is wrapped by ``torch.compile``, ``DataParallel`` and the
            like, or a function of noisy images (B, C, H, W) and, if it has a parameter ``sigma``,
            their noise level.
        like: images of the type and on the device of those that it will get.
        copied: have a copy, unwrapped, of any module.

    Raises:
        ValueError: it is no denoiser, needs an argument that is not known, or cannot be copied.
    """
    if isinstance(denoiser, type) or not callable(denoiser):
        kind = "the class " + denoiser.__name__ if isinstance(denoiser, type) else _kind(denoiser)
        raise ValueError(f"expected a denoiser, found {kind}. {CONTRACT}")
    if isinstance(denoiser, ContractedDenoiser):
        denoiser = denoiser.denoiser
    if isinstance(denoiser, nn.Module) and (copied or not _fits(denoiser, like)):
        denoiser = _evaluated(denoiser, like)
    return ContractedDenoiser(denoiser)


def as_image(image: Image, name: str = "noisy image") -> Tensor:
    """One image as a tensor (C, H, W), of its own, float32 or float64.

    Args:
        image: (C, H, W), or (H, W) for (1, H, W): a tensor or a numpy array, float32 or float64.
        name: what it is called where it does not fit.

    Raises:
        ValueError: it has another shape or type, or is not finite.
    """
    found = intensities.as_image(image, name)
    if found.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name}: found {found.dtype}; expected torch.float32 or torch.float64")
    return found.clone()


def _signature(denoiser: Callable[..., Any]) -> inspect.Signature | None:
    """What a denoiser says that it takes, the first of all the image; None if it does not say.

    A wrapper that takes anything is asked for what it wraps.
    """
    if isinstance(denoiser, functools.partial):
        inner = _signature(denoiser.func)
        if inner is None:
            return None

        def stub() -> None:
            """Stands for the function that is bound."""

        stub.__signature__ = inner  # type: ignore[attr-defined]
        return inspect.signature(functools.partial(stub, *denoiser.args, **denoiser.keywords))
    wrapped: Any = None
    if isinstance(denoiser, nn.Module):
        own = _of_script(denoiser) or _signature(denoiser.forward)
        held = [getattr(denoiser, name, None) for name in _WRAPPED]
        wrapped = next((one for one in held if isinstance(one, nn.Module)), None)
    else:
        try:
            own = inspect.signature(denoiser, follow_wrapped=False)
        except (TypeError, ValueError):  # builtins have no signature
            own = None
        wrapped = getattr(denoiser, "__wrapped__", None)
    says = own is not None and any(p.kind not in _VARIADIC for p in own.parameters.values())
    return own if says or wrapped is None else _signature(wrapped)


def _of_script(module: nn.Module) -> inspect.Signature | None:
    """The signature of a module compiled by ``torch.jit``, which Python's own means do not see."""
    if not isinstance(module, torch.jit.ScriptModule):
        return None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    method: Any = module.forward
    arguments = method.schema.arguments[1:]  # without the module itself
    return inspect.Signature(
        [
            inspect.Parameter(one.name, kind, default=None)
            if one.has_default_value()
            else inspect.Parameter(one.name, kind)
            for one in arguments
        ]
    )


def _fits(module: nn.Module, like: Tensor) -> bool:
    """Whether a module is in evaluation mode, and of the type and on the device of the images."""
    parameters = [one for one in module.parameters() if one.is_floating_point()]
    return not any(part.training for part in module.modules()) and all(
        one.dtype == like.dtype and one.device == like.device for one in parameters
    )


def _evaluated(module: nn.Module, like: Tensor) -> nn.Module:
    """A copy in evaluation mode, on the device of ``like``, whose parameters have its type.

    Buffers of another type than the parameters' keep it: some denoisers compute in float64 within.
    """
    module = unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):  # copied as a whole
        return copy.deepcopy(module).to(like.device, like.dtype).eval()
    if any("forward" in vars(part) and part is unwrapped(part) for part in module.modules()):
        # replaced in this very module: a copy of it would still call the original
        if _fits(module, like):
            return module
        raise ValueError(
            f"the forward of {_name(module)}, or of a part of it, was replaced, so that it cannot be "
            f"copied: set it to evaluation mode and to {like.dtype} on {like.device}"
        )
    types = {p.dtype for p in module.parameters() if p.is_floating_point()}

    def converted(tensor: Tensor) -> Tensor:
        return tensor.detach().to(like.device, like.dtype if tensor.dtype in types else None)

    def laid_out(weights: Tensor) -> Tensor:  # as convolutions in float32 are fastest
        fast = weights.ndim == 4 and weights.dtype == torch.float32
        return weights.contiguous(memory_format=torch.channels_last) if fast else weights

    shared: dict[int, Any] = {
        id(p): nn.Parameter(laid_out(converted(p)), requires_grad=False)
        for p in module.parameters()
    }
    shared |= {id(buffer): converted(buffer) for buffer in module.buffers()}
    try:
        return copy.deepcopy(module, shared).eval()
    except (RuntimeError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"the denoiser cannot be copied ({error}); set it to evaluation mode and pass a plain "
            "function that calls it"
        ) from error


def unwrapped(module: nn.Module) -> nn.Module:
    """What ``torch.compile`` or a data-parallel wrapper wraps; neither is differentiated well."""
    while True:
        parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
        name = "module" if isinstance(module, parallel) else "_orig_mod"
        inner = dict(module.named_children()).get(name)
        hooked = vars(module).get("_forward_hooks") or vars(module).get("_forward_pre_hooks")
        if not isinstance(inner, nn.Module) or hooked:
            return module
        module = inner


def _name(denoiser: Any) -> str:
    named = getattr(denoiser, "func", denoiser)
    if isinstance(named, nn.Module):
        return f"the denoiser {type(unwrapped(named)).__name__}"
    name = getattr(named, "__name__", type(named).__name__)
    return "the denoiser" if name == "<lambda>" else f"the denoiser {name}"


def _kind(found: Any) -> str:
    if isinstance(found, tuple):
        return f"a tuple ({', '.join(type(one).__name__ for one in found)})"
    return type(found).__name__
