"""What the schema of params.yaml cannot say: references between sections, limits that depend on others.

Each problem is one sentence that names the key, what was found and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gahb.params.figure_consistency import figure_inconsistencies
from gahb.params.names import missing_networks, unknown
from gahb.params.references import (
    has_exact_denoiser,
    too_few_test_images,
    without_spectra,
    wrong_references,
    wrong_wavelets,
)
from gahb.params.specs import dataset_spec, spectra_settings

Params = dict[str, Any]


def inconsistencies(params: Params) -> Iterator[str]:
    """What a schema cannot say: references between sections and limits that depend on others."""
    unresolved = [
        problem
        for name in params["image_classes"]
        for problem in _image_class_inconsistencies(params, name)
    ]
    yield from unresolved
    if unresolved:  # what follows needs the specs of all image classes
        return
    for name in params["image_classes"]:
        spec = dataset_spec(params, name)
        if spec["images"] - spec["test_images"] < 2:
            yield (
                f"image_classes.{name}.test_images: found {spec['test_images']}, allowed is at most "
                f"{spec['images'] - 2}: two of the {spec['images']} images must be left to train on"
            )
    for name in params["experiments"]:
        yield from _experiment_inconsistencies(params, name)
    yield from wrong_wavelets(params)
    yield from _evaluation_inconsistencies(params)
    yield from _spectra_inconsistencies(params)
    yield from _ensemble_inconsistencies(params)
    yield from _sampling_inconsistencies(params)
    yield from figure_inconsistencies(params)


def _image_class_inconsistencies(params: Params, name: str) -> Iterator[str]:
    classes = params["image_classes"]
    given = classes[name]
    if given["class"] == "shuffled":
        others = [other for other in classes if classes[other]["class"] != "shuffled"]
        if given["of"] not in others:
            shuffled = ", which is shuffled itself" if given["of"] in classes else ""
            yield unknown(f"image_classes.{name}.of", given["of"], others, shuffled)
    if given["class"] == "disks":
        yield from _disk_inconsistencies(f"image_classes.{name}", given)
    if given["class"] == "sines":
        size, frequency = given["size"], given["frequency"]
        if not any(2 * cycles % size for cycles in frequency):
            yield (
                f"image_classes.{name}.frequency: found {frequency}, allowed are two numbers of "
                f"cycles that are not both multiples of {size / 2:g}, half the size in pixels"
            )


def _disk_inconsistencies(key: str, given: Params) -> Iterator[str]:
    """Ranges of radii and centres that hold none."""
    size = given["size"]
    radius = given.get("radius", [size / 10, size / 4])
    if not 0 < radius[0] < radius[1]:
        yield f"{key}.radius: found {radius}, allowed is 0 < lowest < highest"
        return
    if "centre" not in given and radius[1] >= size / 2:
        yield (
            f"{key}.radius: found {radius}, allowed is a highest value below {size / 2:g}, half the "
            "size in pixels, unless centre is given: no place keeps the largest disk inside the image"
        )
        return
    centre = given.get("centre", [radius[1] - 0.5, size - radius[1] - 0.5])
    if "centre" in given:
        yield from _ordered(f"{key}.centre", centre)
    if given["parameters"] == "integer":
        for option, (low, high) in (("radius", radius), ("centre", centre)):
            if math.ceil(low) > math.floor(high):
                yield (
                    f"{key}.{option}: found {[low, high]}, allowed is a range that holds a whole "
                    "number when parameters is integer"
                )


def _experiment_inconsistencies(params: Params, name: str) -> Iterator[str]:
    experiment = params["experiments"][name]
    key = f"experiments.{name}"
    known = True
    for field in ("image_class", "architecture"):
        section = {"image_class": "image_classes", "architecture": "architectures"}[field]
        if experiment[field] not in params[section]:
            known = False
            yield unknown(f"{key}.{field}", experiment[field], params[section])
    if not known:
        return
    dataset = dataset_spec(params, experiment["image_class"])
    half = (dataset["images"] - dataset["test_images"]) // 2
    last = max(experiment["splits"], key=lambda split: int(split[1:]))
    turns = (int(last[1:]) + 1) // 2
    for index, set_size in enumerate(experiment["set_sizes"]):
        if set_size > half // turns:
            shared = f", for {turns} training sets each (to {last})"
            yield (
                f"{key}.set_sizes.{index}: found {set_size}, allowed is at most {half // turns}: half "
                f"of the {dataset['images']} images of {experiment['image_class']} less its "
                f"{dataset['test_images']} test images{shared if turns > 1 else ''}"
            )
    architecture = params["architectures"][experiment["architecture"]]
    if architecture["network"] == "unet" and dataset["size"] % 2 ** architecture["blocks"]:
        yield (
            f"image_classes.{experiment['image_class']}.size: found {dataset['size']}, allowed is a "
            f"multiple of {2 ** architecture['blocks']}: the {architecture['blocks']} blocks of "
            f"{experiment['architecture']} (experiments.{name}) halve the image that many times"
        )
    training = params["training"] | experiment.get("training", {})
    yield from _ordered(f"{key}.training.sigma_range", training["sigma_range"])
    if training["noise_law"] == "log_uniform" and training["sigma_range"][0] == 0:
        yield (
            f"{key}.training.sigma_range: found {training['sigma_range']}, allowed is a lowest value "
            "above 0 when noise_law is log_uniform"
        )
    if "snapshots" in experiment and experiment["snapshots"]["first"] >= training["updates"]:
        yield (
            f"{key}.snapshots.first: found {experiment['snapshots']['first']}, allowed is at most "
            f"{training['updates'] - 1}: the networks are trained for {training['updates']} updates"
        )


def _spectra_inconsistencies(params: Params) -> Iterator[str]:
    for experiment, chosen in params["spectra"]["networks"].items():
        key = f"spectra.networks.{experiment}"
        yield from missing_networks(params, key, experiment, chosen["set_sizes"], chosen["splits"])
        image_class = params["experiments"].get(experiment, {}).get("image_class")
        if image_class not in params["image_classes"]:
            continue
        spectra = spectra_settings(params, experiment)
        where = {name: key if name in chosen else "spectra" for name in spectra}
        dataset = dataset_spec(params, image_class)
        pixels = dataset["size"] ** 2
        if spectra["method"] == "full" and pixels > 6400:
            yield (
                f"{where['method']}.method: found full, allowed is leading: {experiment} has {pixels} "
                "pixels, and the full Jacobian is formed up to 6400"
            )
        if spectra["eigenvectors"] > pixels:
            yield (
                f"{where['eigenvectors']}.eigenvectors: found {spectra['eigenvectors']}, allowed is "
                f"at most {pixels}, the number of pixels of {experiment}"
            )
        for index, position in enumerate(spectra["test_images"]):
            if position >= dataset["test_images"]:
                yield (
                    f"{where['test_images']}.test_images.{index}: found {position}, allowed is at "
                    f"most {dataset['test_images'] - 1}, the last test image of {experiment}"
                )
        names = chosen.get("references", [])
        yield from wrong_references(params, f"{key}.references", names, image_class)
        yield from without_spectra(params, f"{key}.references", names)


def _evaluation_inconsistencies(params: Params) -> Iterator[str]:
    evaluation = params["evaluation"]
    yield from _ordered("evaluation.slope_window", evaluation["slope_window"])
    low, high = evaluation["slope_window"]
    inside = [sigma for sigma in evaluation["sigmas"] if low <= sigma <= high]
    if len(inside) < 3:
        yield (
            f"evaluation.slope_window: found [{low}, {high}], which holds {len(inside)} of "
            "evaluation.sigmas; allowed is a window of at least 3"
        )
    for image_class, names in evaluation.get("references", {}).items():
        key = f"evaluation.references.{image_class}"
        if image_class not in params["image_classes"]:
            yield unknown(key, image_class, params["image_classes"])
        else:
            yield from wrong_references(params, key, names, image_class)
            yield from too_few_test_images(params, names, image_class)


def _ensemble_inconsistencies(params: Params) -> Iterator[str]:
    ensembles = params["ensembles"]
    sigmas = ensembles["sigmas"]
    if sigmas != sorted(sigmas):
        yield f"ensembles.sigmas: found {sigmas}, allowed are noise levels in ascending order"
    for index, sigma in enumerate(ensembles["sigmas_over_training"]):
        if sigma not in sigmas:
            yield unknown(f"ensembles.sigmas_over_training.{index}", sigma, sigmas)
    for index, experiment in enumerate(ensembles["experiments"]):
        key = f"ensembles.experiments.{index}"
        if experiment not in params["experiments"]:
            yield unknown(key, experiment, params["experiments"])
            continue
        chosen = params["experiments"][experiment]
        low, high = (params["training"] | chosen.get("training", {}))["sigma_range"]
        inside = [sigma for sigma in sigmas if low <= sigma <= high]
        if sigmas[0] < low and has_exact_denoiser(params, chosen["image_class"]):
            yield (
                f"ensembles.sigmas.0: found {sigmas[0]}, allowed is at least {low:g}, the lowest that "
                f"{experiment} is trained at: the bound on its density begins there"
            )
        if len(inside) < 3 and has_exact_denoiser(params, chosen["image_class"]):
            yield (
                f"ensembles.sigmas: found {sigmas}, of which {len(inside)} are in [{low:g}, {high:g}], "
                f"where {experiment} is trained; allowed are at least 3 there, to integrate over"
            )


def _sampling_inconsistencies(params: Params) -> Iterator[str]:
    sampling = params["sampling"]
    for experiment in sampling["experiments"]:
        key = "sampling.experiments"
        yield from missing_networks(params, key, experiment, [], ["S1", "S2"])
    if sampling["shown"] > sampling["samples"]:
        yield (
            f"sampling.shown: found {sampling['shown']}, allowed is at most {sampling['samples']}, "
            "the number of samples"
        )
    if "sigma_range" in sampling["sampler"]:
        yield from _ordered("sampling.sampler.sigma_range", sampling["sampler"]["sigma_range"])


def _ordered(key: str, pair: list[float]) -> Iterator[str]:
    if pair[0] >= pair[1]:
        yield f"{key}: found {pair}, allowed is a lower value first"
