"""Why a denoiser does not fit :mod:`gahb.denoisers.contract`, and which line makes it fit.

A first call that fails is looked into by calling again with what people's denoisers often want
instead: another type, the noise level as a tensor, other channels, other sizes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb.denoisers.memory import is_out_of_memory

# names by which others call the noise level, or what stands for it
LEVELS = ("noise_level", "noise_std", "noise_labels", "std", "sd", "level", "sigmas", "s")
TIMES = ("t", "time", "times", "timestep", "timesteps")
TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
CHANNELS = (1, 3, 4, 2, 6, 16)
MULTIPLES = (2, 4, 8, 16, 32, 64)
# scales that outputs come in, as (range, slope, offset, adapted) of the fit y = slope f(y) + offset
_RANGES = (
    ("-1 to 1", 1 / 2, 1 / 2, "(denoiser(2 * y - 1) + 1) / 2"),
    ("0 to 255", 1 / 255, 0.0, "denoiser(255 * y) / 255"),
)


def unasked(parameters: Sequence[inspect.Parameter], required: bool) -> str | None:
    """What is said of parameters beside the image and ``sigma``; None if nothing is to be said.

    Args:
        parameters: without the image and without ``sigma``.
        required: whether it is those without a default that would be missing, or those with one
            that stand for the noise level, and would silently keep it.
    """
    empty = inspect.Parameter.empty
    named = [
        one.name
        for one in parameters
        if one.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        and (one.default is empty if required else one.name in LEVELS + TIMES)
    ]
    if not named:
        return None
    given = ", ".join(f"{name}={_meant(name)}" for name in named)
    adapted = f"lambda y, sigma: denoiser(y, {given})"
    if required:
        return f"needs {', '.join(named)}, which is not told: pass {adapted}"
    kept = "lambda y: denoiser(y)"
    return (
        f"has the argument {', '.join(named)}, which the noise level would not reach: pass {adapted}, "
        f"or {kept} if it shall keep its default"
    )


def _meant(name: str) -> str:
    if name in LEVELS:
        return "sigma"
    return "the time of noise level sigma" if name in TIMES else "..."


def reason_of_failure(
    call: Callable[[Tensor, Any], Any],
    takes_sigma: bool | None,
    y: Tensor,
    sigma: float | None,
    error: Exception,
) -> str | None:
    """Why the first call of a denoiser failed, by what it does not fail at; None if nothing is found.

    Args:
        call: the denoiser, told the level or not.
        takes_sigma: whether it is told.
        y: the images (B, C, H, W) that it failed at.
        sigma: their level.
        error: how it failed.
    """
    words = str(error).strip().splitlines()
    said = words[0] if words else type(error).__name__
    if takes_sigma and sigma is None and _works(call, y, 0.1):
        return f"takes the noise level, and none was given: say sigma=... ({said})"
    if isinstance(error, TypeError) and "missing" in said and "argument" in said:
        keyword = inspect.Parameter.KEYWORD_ONLY
        names = [inspect.Parameter(one, keyword) for one in said.split("'")[1::2]]
        return unasked(names, required=True)
    if takes_sigma:
        for made, form in _tensors(y, sigma):
            if _works(call, y, made):
                return (
                    f"takes sigma as a tensor, and is told a float: pass "
                    f"lambda y, sigma: denoiser(y, {form})"
                )
    for kind in TYPES:
        if kind != y.dtype and _works(call, y.to(kind), sigma):
            return (
                f"computes in {kind}, and the images are {y.dtype}: pass the module itself, of which a "
                f"copy in {y.dtype} is made, or lambda y: denoiser(y.to({kind})).to(y.dtype)"
            )
    channels = y.shape[1]
    for other in CHANNELS:
        if other != channels and _works(call, y.new_zeros(1, other, *y.shape[2:]), sigma):
            grey = ", y.expand(-1, 3, -1, -1) of a grey one" if (channels, other) == (1, 3) else ""
            return (
                f"takes images of {_counted(other)}, and these have {channels}: give it images "
                f"({other}, H, W){grey} ({said})"
            )
    multiple = _needed_multiple(call, y, sigma)
    if multiple:
        return (
            f"does not take images of {y.shape[2]}x{y.shape[3]} pixels, but those whose height and "
            f"width are multiples of {multiple}: crop or pad them ({said})"
        )
    return None


def wrong_answer(
    call: Callable[[Tensor, Any], Any], y: Tensor, sigma: float | None, answer: Any
) -> str | None:
    """What is wrong with the shape or type of a denoiser's first answer; None if nothing is."""
    if not isinstance(answer, Tensor):
        return f"a denoiser returns a tensor, this one {type(answer).__name__}{_field(y, answer)}"
    if answer.shape == y.shape and answer.dtype == y.dtype:
        return None
    found = (
        "a denoiser keeps the shape and type of its input: from "
        f"{tuple(y.shape)} {y.dtype} this one made {tuple(answer.shape)} {answer.dtype}"
    )
    if answer.shape == y.shape:
        return f"{found}; pass lambda y: denoiser(y).to(y.dtype)"
    if answer.shape[:2] == y.shape[:2] and answer.ndim == 4:
        multiple = _needed_multiple(call, y, sigma)
        if multiple:
            return f"{found}; it keeps height and width that are multiples of {multiple}"
    if answer.ndim == 4 and answer.shape[1] == 2 * y.shape[1]:
        return (
            f"{found}; is the second half a variance? pass lambda y: denoiser(y)[:, :{y.shape[1]}]"
        )
    return found


def other_range(y: Tensor, answer: Tensor) -> str | None:
    """Whether an answer looks like the image in another range of intensities; None if it does not.

    y is fitted by the answer and not the other way round, since y has the noise.
    """
    output, image = (one.detach().flatten().double().cpu().numpy() for one in (answer, y))
    if len(image) < 16 or not np.isfinite(output).all() or not output.std() or not image.std():
        return None
    if np.corrcoef(output, image)[0, 1] < 0.5:
        return None
    slope, offset = np.polyfit(output, image, 1)
    for name, expected, start, adapted in _RANGES:
        if abs(slope / expected - 1) < 0.1 and abs(offset - start) < 0.1:
            return (
                f"seems to answer in the range {name}, and not in that of the images that it is given: "
                f"if so, pass lambda y: {adapted}"
            )
    return None


def _tensors(y: Tensor, sigma: float | None) -> Iterator[tuple[Tensor, str]]:
    """The noise level in the forms of tensors that denoisers take."""
    if sigma is not None:
        yield y.new_full((len(y),), sigma), "y.new_full((len(y),), sigma)"
        yield y.new_full((len(y), 1, 1, 1), sigma), "y.new_full((len(y), 1, 1, 1), sigma)"
        yield y.new_full((), sigma), "y.new_tensor(sigma)"


def _works(call: Callable[[Tensor, Any], Any], y: Tensor, sigma: Any) -> bool:
    """Whether a denoiser keeps the shape of some images, at all."""
    try:
        with torch.no_grad():
            answer = call(y.clone(), sigma)
    except Exception as error:  # any: it is somebody else's
        if is_out_of_memory(error):  # nobody knows
            raise
        return False
    return getattr(answer, "shape", None) == y.shape


def _needed_multiple(
    call: Callable[[Tensor, Any], Any], y: Tensor, sigma: float | None
) -> int | None:
    """The power of two that height and width must be multiples of, if that is what is wrong."""
    for multiple in MULTIPLES:
        sides = [(-(-side // multiple) | 1) * multiple for side in y.shape[2:]]  # and of no larger
        fits = not any(side % multiple for side in y.shape[2:])
        if not fits and _works(call, y.new_zeros(1, y.shape[1], *sides), sigma):
            return multiple
    return None


def _field(y: Tensor, answer: Any) -> str:
    """How to come by the tensor in what a denoiser returned, if it is in there."""
    if isinstance(answer, np.ndarray):
        return "; pass lambda y: torch.from_numpy(denoiser(y.numpy())), which has no spectra"
    if isinstance(answer, (tuple, list)):
        places: Any = ((f"[{place}]", one) for place, one in enumerate(answer))
    elif isinstance(answer, dict):
        places = ((f"[{key!r}]", one) for key, one in answer.items())
    else:
        places = ((f".{key}", one) for key, one in getattr(answer, "__dict__", {}).items())
    for place, one in places:
        if isinstance(one, Tensor) and one.shape == y.shape:
            return f"; pass lambda y: denoiser(y){place}"
    return ""


def _counted(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
