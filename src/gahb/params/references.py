"""What the schema cannot say of exact and classical denoisers: where they exist, and on which images.

Each problem is one sentence that names the key, what was found and what is allowed.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Iterator
from typing import Any

from gahb.params.names import unknown
from gahb.params.specs import dataset_spec

Params = dict[str, Any]

EXACT_CLASSES = {"disks", "gaussian", "rays", "sines"}  # those with an exact denoiser
# Image classes for which a reference denoiser exists, where it does not exist for all.
_KNOWN_FOR = {
    "exact": EXACT_CLASSES,
    "known_contour": {"calpha"},
}
_ORTHOGONAL = ("haar", "db1 to db38", "sym2 to sym20", "coif1 to coif17")
_LEAST_SIDE = 4  # pixels of a wavelet approximation, when params.yaml does not choose the levels


def has_exact_denoiser(params: Params, image_class: str) -> bool:
    """Whether the conditional mean of an image class, shuffled or not, is known."""
    dataset = dataset_spec(params, image_class)
    return dataset.get("of", dataset)["class"] in _KNOWN_FOR["exact"]


def wrong_wavelets(params: Params) -> Iterator[str]:
    """Names of wavelets that are not known, or of wavelets that are not orthogonal."""
    named = {
        name: reference["wavelet"]
        for name, reference in params.get("references", {}).items()
        if "wavelet" in reference
    }
    if not named:
        return
    try:
        import pywt
    except (
        ImportError
    ):  # where the workflow is read but not computed: the denoiser itself will tell
        return
    for name, wavelet in named.items():
        known = pywt.Wavelet(wavelet) if wavelet in pywt.wavelist(kind="discrete") else None
        if known is None or not all(map(_is_orthonormal, (known.dec_lo, known.dec_hi))):
            yield (
                f"references.{name}.wavelet: found {json.dumps(wavelet)}, allowed is an orthogonal "
                f"one of PyWavelets: {', '.join(_ORTHOGONAL)}"
            )


def _is_orthonormal(taps: list[float]) -> bool:
    """Whether a filter is orthonormal to its translates by even numbers of pixels."""
    products = (
        sum(map(operator.mul, taps, taps[lag:])) - (lag == 0) for lag in range(0, len(taps), 2)
    )
    return all(abs(product) < 1e-9 for product in products)


def wrong_references(
    params: Params, key: str, names: Iterable[str], image_class: str
) -> Iterator[str]:
    """References that params.yaml does not define, or that do not exist for an image class."""
    defined = params.get("references", {})
    dataset = dataset_spec(params, image_class)
    for index, name in enumerate(names):
        if name not in defined:
            yield unknown(f"{key}.{index}", name, defined)
            continue
        kind = defined[name]["denoiser"]
        drawn, told = dataset["class"], ""
        if kind == "exact" and "of" in dataset:  # that of the class underneath
            drawn, told = (
                dataset["of"]["class"],
                f", of {params['image_classes'][image_class]['of']}",
            )
        if drawn not in _KNOWN_FOR.get(kind, {drawn}):
            shuffled = ", and these shuffled" if kind == "exact" else ""
            found = dataset["class"] + told + (f", which is {drawn}" if told else "")
            yield (
                f"{key}.{index}: found {name}, whose denoiser {kind} is known for image classes "
                f"{', '.join(sorted(_KNOWN_FOR[kind]))}{shuffled}; {image_class} is {found}"
            )
        half = (dataset["images"] - dataset["test_images"]) // 2
        if kind == "memorising" and defined[name]["set_size"] > half:
            yield (
                f"references.{name}.set_size: found {defined[name]['set_size']}, allowed is at most "
                f"{half}: half of the {dataset['images']} images of {image_class} less its "
                f"{dataset['test_images']} test images"
            )
        yield from _wrong_levels(name, defined[name], image_class, dataset["size"])


def _wrong_levels(
    name: str, reference: dict[str, Any], image_class: str, size: int
) -> Iterator[str]:
    """Levels that an image cannot be halved so often for, and more shifts than differ."""
    if reference["denoiser"] not in ("wavelet", "bandlet"):
        return
    levels = reference.get("levels")
    if levels is None:
        levels, side = 0, size
        while side % 2 == 0 and side >= 2 * _LEAST_SIDE:
            levels, side = levels + 1, side // 2
        if not levels:
            yield (
                f"image_classes.{image_class}.size: found {size}, allowed is a multiple of 2, at "
                f"least {2 * _LEAST_SIDE}: references.{name} halves the image"
            )
            return
    elif size % 2**levels:
        most = (size & -size).bit_length() - 1
        yield (
            f"references.{name}.levels: found {levels}, allowed is at most {most}: the {size} pixels "
            f"of {image_class} are halved that many times"
        )
        return
    shifts = reference.get("shifts", 1)
    if shifts != "all" and shifts > 2**levels:
        yield (
            f"references.{name}.shifts: found {shifts}, allowed is at most {2**levels} for the "
            f"{levels} levels on {image_class}: others would repeat them"
        )


def too_few_test_images(params: Params, names: Iterable[str], image_class: str) -> Iterator[str]:
    """References that are to be evaluated on more test images than there are."""
    held_out = dataset_spec(params, image_class)["test_images"]
    for name in names:
        asked = params.get("references", {}).get(name, {"images": 0})["images"]
        if asked > held_out:
            yield (
                f"references.{name}.images: found {asked}, allowed is at most {held_out}, the test "
                f"images of {image_class} (evaluation.references.{image_class})"
            )


def without_spectra(params: Params, key: str, names: Iterable[str]) -> Iterator[str]:
    """References that no Jacobian at a noisy image is known for."""
    why = {
        "denoiser": ("known_contour", "is a bound on the error"),
        "rule": ("oracle", "looks at the clean image"),
    }
    for index, name in enumerate(names):
        reference = params.get("references", {}).get(name, {})
        for option, (value, told) in why.items():
            if reference.get(option) == value:
                yield (
                    f"{key}.{index}: found {name}, which {told} ({option} {value}); allowed are "
                    "denoisers of the noisy image alone: they have a Jacobian"
                )
