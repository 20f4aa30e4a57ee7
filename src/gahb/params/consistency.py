"""What the schema of params.yaml cannot say: references between sections, limits that depend on others.

Each problem is one sentence that names the key, what was found and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from gahb.params.figure_inputs import figure_experiments, needs
from gahb.params.references import (
    too_few_test_images,
    unknown,
    without_spectra,
    wrong_references,
    wrong_wavelets,
)
from gahb.params.specs import dataset_spec, spectra_settings

Params = dict[str, Any]

# Image classes that a figure of params.yaml is about, where it is not about all.
_DRAWN_FOR = {
    "optimum": {"disks"},
    "bounds": {"calpha"},
    "wiener": {"gaussian"},
    "cones": {"rays", "sines"},
}


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
    yield from _sampling_inconsistencies(params)
    yield from _figure_inconsistencies(params)


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
    for index, set_size in enumerate(experiment["set_sizes"]):
        if set_size > half:
            yield (
                f"{key}.set_sizes.{index}: found {set_size}, allowed is at most {half}: half of the "
                f"{dataset['images']} images of {experiment['image_class']} less its "
                f"{dataset['test_images']} test images"
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


def _figure_inconsistencies(params: Params) -> Iterator[str]:
    for name in params["figures"]:
        key = f"figures.{name}"
        experiments = figure_experiments(params, name)
        if not set(experiments) <= set(params["experiments"]):
            for experiment in experiments:
                yield from missing_networks(params, key, experiment, [], [])
            continue
        needed = needs(params, name)
        for experiment, set_size, split in dict.fromkeys([*needed.networks, *needed.spectra]):
            yield from missing_networks(params, key, experiment, [set_size], [split])
        for experiment in dict.fromkeys(experiment for experiment, _ in needed.agreements):
            yield from missing_networks(params, key, experiment, [], ["S1", "S2"])
        for experiment, reference in needed.references:
            image_class = params["experiments"][experiment]["image_class"]
            evaluated = params["evaluation"].get("references", {}).get(image_class, [])
            if reference not in evaluated:
                yield (
                    f"{key}: needs the evaluation of {reference} on {image_class}, which "
                    f"evaluation.references.{image_class} does not list"
                )
        for experiment in dict.fromkeys(experiment for experiment, _, _ in needed.spectra):
            sizes = [size for other, size, _ in needed.spectra if other == experiment]
            yield from _missing_spectra(params, name, experiment, sizes)
        for experiment, reference in needed.reference_spectra:
            chosen = params["spectra"]["networks"].get(experiment, {})
            if reference not in chosen.get("references", []):
                yield (
                    f"{key}: needs the spectra of {reference} on the images of {experiment}, which "
                    f"spectra.networks.{experiment}.references does not list"
                )
        yield from _missing_samples(params, name, needed.samples)
        yield from _wrong_image_classes(params, name, experiments)


def _missing_samples(params: Params, name: str, asked: Iterable[tuple[str, int]]) -> Iterator[str]:
    """What a figure of samples needs and ``sampling`` does not provide."""
    key, figure, sampling = f"figures.{name}", params["figures"][name], params["sampling"]
    for experiment in dict.fromkeys(experiment for experiment, _ in asked):
        if experiment not in sampling["experiments"]:
            yield (
                f"{key}: needs the samples of {experiment}, which sampling.experiments does not list"
            )
    for experiment, set_size in asked:
        yield from missing_networks(params, key, experiment, [set_size], [])
    if asked:
        for field, most in (("shown", sampling["shown"]), ("sample", sampling["shown"] - 1)):
            if field in figure and figure[field] > most:
                yield (
                    f"{key}.{field}: found {figure[field]}, allowed is at most {most}: the images of "
                    f"{sampling['shown']} samples are kept (sampling.shown)"
                )


def _wrong_image_classes(params: Params, name: str, experiments: list[str]) -> Iterator[str]:
    """Image classes that a figure is not about."""
    key, classes = f"figures.{name}", params["image_classes"]
    named = [params["experiments"][experiment]["image_class"] for experiment in experiments]
    if not set(named) <= set(classes):
        return
    if name == "shuffled" and classes[named[1]].get("of") != named[0]:
        yield (
            f"{key}.experiments: found {', '.join(experiments)}, allowed is a second on shuffled "
            f"images of {named[0]}, the image class of the first"
        )
    for experiment, image_class in zip(experiments, named, strict=True):
        kind = classes[image_class]["class"]
        if kind not in _DRAWN_FOR.get(name, {kind}):
            yield (
                f"{key}: found {experiment}, whose images are {kind}; allowed are images of class "
                f"{' or '.join(sorted(_DRAWN_FOR[name]))}"
            )


def _missing_spectra(
    params: Params, name: str, experiment: str, sizes: Iterable[int]
) -> Iterator[str]:
    """What a figure of eigenvectors needs and ``spectra`` does not provide."""
    figure = params["figures"][name]
    chosen = params["spectra"]["networks"].get(experiment, {"set_sizes": [], "splits": []})
    missing = set(sizes) - set(chosen["set_sizes"])
    if missing or figure["split"] not in chosen["splits"]:
        yield (
            f"figures.{name}: needs the spectra of {experiment} at N = {', '.join(map(str, sizes))} "
            f"on {figure['split']}, which spectra.networks does not list"
        )
        return
    spectra = spectra_settings(params, experiment)
    for field, listed in (("image", "test_images"), ("sigma", "sigmas")):
        if field in figure and figure[field] not in spectra[listed]:
            yield unknown(f"figures.{name}.{field}", figure[field], spectra[listed])
    asked = figure.get("eigenvectors", [])
    numbered = {"": asked} if isinstance(asked, int) else {f".{i}": k for i, k in enumerate(asked)}
    for index, number in numbered.items():
        if number > spectra["eigenvectors"]:
            yield (
                f"figures.{name}.eigenvectors{index}: found {number}, allowed is at most "
                f"{spectra['eigenvectors']} (spectra.eigenvectors)"
            )


def missing_networks(
    params: Params, key: str, experiment: str, set_sizes: Iterable[int], splits: Iterable[str]
) -> Iterator[str]:
    """What of these networks the experiments of ``params`` do not have."""
    if experiment not in params["experiments"]:
        yield unknown(f"{key}: experiment", experiment, params["experiments"])
        return
    asked = params["experiments"][experiment]
    for set_size in set_sizes:
        if set_size not in asked["set_sizes"]:
            yield unknown(f"{key}: set size of {experiment}", set_size, asked["set_sizes"])
    for split in splits:
        if split not in asked["splits"]:
            yield unknown(f"{key}: split of {experiment}", split, asked["splits"])


def _ordered(key: str, pair: list[float]) -> Iterator[str]:
    if pair[0] >= pair[1]:
        yield f"{key}: found {pair}, allowed is a lower value first"
