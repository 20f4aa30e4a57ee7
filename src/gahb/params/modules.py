"""Modules that a spec names: what a rule has to watch beside all that its entry module imports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gahb.datasets.image_class import CLASSES, image_class
from gahb.denoisers.architecture import ARCHITECTURES
from gahb.denoisers.options import Training
from gahb.denoisers.reference import REFERENCES, reference_options
from gahb.denoisers.references.exact import ExactReference
from gahb.options import Named
from gahb.own import is_own
from gahb.samples.sampler import SAMPLERS

Spec = dict[str, Any]


def named_modules(spec: Spec, *sections: str) -> list[str]:
    """Dotted names of the modules that sections of a spec name, each once, in order.

    A class of one's own goes by the name that it has in the spec (:mod:`gahb.own`).

    Args:
        spec: of any artifact, or of a dataset itself. Sections are found at any depth, such as that of
            ``network``, ``first`` or ``ensemble``; one that the spec does not have names nothing.
        *sections: ``dataset``, the image class and the one underneath; ``exact``, the exact denoiser of
            the dataset, where one is known; ``architecture``; ``training``; ``reference``, with the
            image class of its dataset; ``sampling``.

    Raises:
        KeyError: there is no such section.
    """
    found = (
        name
        for section in sections
        for holder in _mappings({"dataset": spec} if "class" in spec else spec)
        if isinstance(holder.get(_SECTIONS[section][0]), dict)
        for name in _SECTIONS[section][1](holder)
    )
    return list(dict.fromkeys(found))


def _mappings(spec: Spec) -> Iterator[Spec]:
    yield spec
    for value in spec.values():
        if isinstance(value, dict):
            yield from _mappings(value)


def _chosen(package: str, name: str) -> Iterator[str]:
    """A module of a package; or a class of one's own, and what makes it one of those of the package."""
    if is_own(name):
        yield from (f"{package}._own", name)
    else:
        yield f"{package}.{name}"


def _dataset(holder: Spec) -> Iterator[str]:
    dataset = holder["dataset"]
    yield from _chosen(CLASSES, dataset["class"])
    if "of" in dataset:
        yield from _dataset({"dataset": dataset["of"]})


def _exact(holder: Spec) -> Iterator[str]:
    yield from ExactReference().modules(image_class(holder["dataset"]))


def _architecture(holder: Spec) -> Iterator[str]:
    yield from _chosen(ARCHITECTURES, holder["architecture"]["network"])


def _training(holder: Spec) -> Iterator[str]:
    for option, field in Training.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Named) and option in holder["training"]:
                yield f"{mark.package}.{holder['training'][option]}"


def _reference(holder: Spec) -> Iterator[str]:
    reference, images = holder["reference"], image_class(holder["dataset"])
    yield f"{REFERENCES}.{reference['denoiser']}"
    yield from reference_options(reference).modules(images)
    yield from _dataset(holder)


def _sampling(holder: Spec) -> Iterator[str]:
    yield f"{SAMPLERS}.{holder['sampling']['sampler']['kind']}"


# The mapping that has to be there, and what it names
_SECTIONS: dict[str, tuple[str, Callable[[Spec], Iterator[str]]]] = {
    "dataset": ("dataset", _dataset),
    "exact": ("dataset", _exact),
    "architecture": ("architecture", _architecture),
    "training": ("training", _training),
    "reference": ("reference", _reference),
    "sampling": ("sampling", _sampling),
}
