"""What the models of single sections cannot say: references between them, limits that depend on others.

Each problem is one sentence that names the key, what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from gahb.datasets.image_class import ImageClass, image_class
from gahb.datasets.splits import half_and_turn, half_size
from gahb.denoisers.architecture import ARCHITECTURES
from gahb.denoisers.options import Training
from gahb.denoisers.reference import reference_options
from gahb.denoisers.references.memorising import Memorising
from gahb.denoisers.thresholding import Thresholding
from gahb.explaining import explain, options_of
from gahb.params.figure_consistency import figure_inconsistencies
from gahb.params.names import missing_networks, unknown
from gahb.params.specs import (
    dataset_spec,
    exact_is_known,
    is_imported,
    spectra_settings,
    training_of,
)
from gahb.spectra.options import LARGEST_FULL

Params = dict[str, Any]


def inconsistencies(params: Params) -> Iterator[str]:
    """Everything that one section asks for and another does not provide."""
    unresolved = list(_shuffled_of_nothing(params))
    yield from unresolved
    if unresolved:  # what follows needs the specs of all image classes
        return
    yield from _too_many_test_images(params)
    for name in params["experiments"]:
        yield from _experiment(params, name)
    yield from _evaluation(params)
    yield from _controls(params)
    yield from _spectra(params)
    yield from _ensembles(params)
    for experiment in params["sampling"]["experiments"]:
        yield from missing_networks(params, "sampling.experiments", experiment, [], ["S1", "S2"])
    for name in params["figures"]:
        yield from figure_inconsistencies(params, name)


def _shuffled_of_nothing(params: Params) -> Iterator[str]:
    classes = params["image_classes"]
    others = [name for name, given in classes.items() if "of" not in given]
    for name, given in classes.items():
        if "of" in given and given["of"] not in others:
            shuffled = ", which is shuffled itself" if given["of"] in classes else ""
            yield unknown(f"image_classes.{name}.of", given["of"], others, shuffled)


def _too_many_test_images(params: Params) -> Iterator[str]:
    for name, given in params["image_classes"].items():
        if "of" not in given and given["images"] - given["test_images"] < 2:
            yield (
                f"image_classes.{name}.test_images: found {given['test_images']}, allowed is at most "
                f"{given['images'] - 2}: two of the {given['images']} images must be left to train on"
            )


def _drawn(params: Params, name: str) -> ImageClass:
    return image_class(dataset_spec(params, name))


def _half(dataset: Params) -> int:
    return half_size(dataset["images"], dataset["test_images"])


def _half_of(name: str, dataset: Params) -> str:
    return (
        f"half of the {dataset['images']} images of {name} less its {dataset['test_images']} test "
        "images"
    )


def _experiment(params: Params, name: str) -> Iterator[str]:
    experiment, key = params["experiments"][name], f"experiments.{name}"
    sections = {"image_class": "image_classes", "architecture": "architectures"}
    absent = [
        field for field, section in sections.items() if experiment[field] not in params[section]
    ]
    for field in absent:
        yield unknown(f"{key}.{field}", experiment[field], params[sections[field]])
    if absent:
        return
    dataset = dataset_spec(params, experiment["image_class"])
    last = max(experiment["splits"], key=lambda split: int(split[1:]))
    turns = half_and_turn(last)[1] + 1
    # of imported networks sets are images to measure them on; only samples are compared with a whole set
    compared = name in params["sampling"]["experiments"] + params["ensembles"]["experiments"]
    for index, set_size in enumerate(experiment["set_sizes"]):
        if is_imported(params, name) and not compared:
            continue
        if set_size > _half(dataset) // turns:
            shared = f", for {turns} training sets each (to {last})" if turns > 1 else ""
            yield (
                f"{key}.set_sizes.{index}: found {set_size}, allowed is at most "
                f"{_half(dataset) // turns}: {_half_of(experiment['image_class'], dataset)}{shared}"
            )
    options = dict(params["architectures"][experiment["architecture"]])
    network = options_of(ARCHITECTURES, "network", options.pop("network"), options)
    if dataset["size"] % network.multiple:
        yield (
            f"image_classes.{experiment['image_class']}.size: found {dataset['size']}, allowed is a "
            f"multiple of {network.multiple}: the {options['blocks']} blocks of "
            f"{experiment['architecture']} (experiments.{name}) halve the image that many times"
        )
    if is_imported(params, name):
        return
    own_start = experiment.get("training", {}).get("initialisation")
    if network.starts_itself and own_start is not None:
        yield (
            f"{key}.training.initialisation: found {own_start}, allowed is to leave it out: "
            f"{experiment['architecture']} starts as its class makes it"
        )
    training = training_of(params, name)
    try:
        Training.model_validate(training)
    except ValidationError as error:
        yield from explain(error, training, key, "training")
        return
    if "snapshots" in experiment and experiment["snapshots"]["first"] >= training["updates"]:
        yield (
            f"{key}.snapshots.first: found {experiment['snapshots']['first']}, allowed is at most "
            f"{training['updates'] - 1}: the networks are trained for {training['updates']} updates"
        )


def _references(
    params: Params, key: str, listed: Iterable[str], name: str, jacobian: bool
) -> Iterator[str]:
    """References that params.yaml does not define, or that do not exist for an image class."""
    defined, dataset = params.get("references", {}), dataset_spec(params, name)
    images = _drawn(params, name)
    for index, reference in enumerate(listed):
        if reference not in defined:
            yield unknown(f"{key}.{index}", reference, defined)
            continue
        options = reference_options(defined[reference])
        if not options.exists_for(images):
            of = params["image_classes"][name].get("of")
            found = dataset["class"] + (
                f", of {of}, which is {dataset['of']['class']}" if of else ""
            )
            yield (
                f"{key}.{index}: found {reference}, whose denoiser "
                f"{defined[reference]['denoiser']} is known for image classes "
                f"{options.known_for()}; {name} is {found}"
            )
        if jacobian and options.no_jacobian is not None:
            yield (
                f"{key}.{index}: found {reference}, which {options.no_jacobian}; allowed are "
                "denoisers of the noisy image alone: they have a Jacobian"
            )
        asked = defined[reference]["images"]
        if not jacobian and asked > dataset["test_images"]:
            yield (
                f"references.{reference}.images: found {asked}, allowed is at most "
                f"{dataset['test_images']}, the test images of {name} (evaluation.references.{name})"
            )
        if isinstance(options, Memorising) and options.set_size > _half(dataset):
            yield (
                f"references.{reference}.set_size: found {options.set_size}, allowed is at most "
                f"{_half(dataset)}: {_half_of(name, dataset)}"
            )
        if isinstance(options, Thresholding):
            for option, found, allowed in options.misfits(dataset["size"]):
                where = (
                    f"references.{reference}.{option}" if option else f"image_classes.{name}.size"
                )
                why = {
                    "": f"references.{reference} halves the image",
                    "levels": f"the {dataset['size']} pixels of {name} are halved that many times",
                    "shifts": f"others would repeat them on {name}",
                }[option]
                yield f"{where}: found {found}, allowed is {allowed}: {why}"


def _evaluation(params: Params) -> Iterator[str]:
    for name, listed in params["evaluation"].get("references", {}).items():
        key = f"evaluation.references.{name}"
        if name not in params["image_classes"]:
            yield unknown(key, name, params["image_classes"])
        else:
            yield from _references(params, key, listed, name, jacobian=False)


def _controls(params: Params) -> Iterator[str]:
    experiments = params["experiments"]
    for pair in params["evaluation"].get("controls", {}).items():
        key = f"evaluation.controls.{pair[0]}"
        trained = [name for name in experiments if not is_imported(params, name)]
        absent = [name for name in pair if name not in trained]
        yield from (unknown(key, name, trained) for name in absent)
        if absent:
            continue
        made = [
            {option: experiments[name][option] for option in ("image_class", "architecture")}
            | training_of(params, name)
            for name in pair
        ]
        differ = [option for option in made[0] if made[0][option] != made[1][option]]
        if differ != ["seed"]:
            yield (
                f"{key}: found {pair[1]}, from which it differs in {', '.join(differ) or 'nothing'}; "
                "allowed are experiments that differ in training.seed alone"
            )
        sizes = [set(experiments[name]["set_sizes"]) for name in pair]
        if sizes[0].isdisjoint(sizes[1]) or any("S1" not in experiments[n]["splits"] for n in pair):
            yield f"{key}: found {pair[1]}, allowed are experiments that share a set size and S1"


def _spectra(params: Params) -> Iterator[str]:
    for experiment, chosen in params["spectra"]["networks"].items():
        key = f"spectra.networks.{experiment}"
        yield from missing_networks(params, key, experiment, chosen["set_sizes"], chosen["splits"])
        name = params["experiments"].get(experiment, {}).get("image_class")
        if name not in params["image_classes"]:
            continue
        spectra = spectra_settings(params, experiment)
        where = {option: key if option in chosen else "spectra" for option in spectra}
        dataset = dataset_spec(params, name)
        pixels = dataset["size"] ** 2
        if spectra["method"] == "full" and pixels > LARGEST_FULL:
            yield (
                f"{where['method']}.method: found full, allowed is leading: {experiment} has {pixels} "
                f"pixels, and the full Jacobian is formed up to {LARGEST_FULL}"
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
        yield from _references(
            params, f"{key}.references", chosen.get("references", []), name, jacobian=True
        )


def _ensembles(params: Params) -> Iterator[str]:
    sigmas = params["ensembles"]["sigmas"]
    for index, experiment in enumerate(params["ensembles"]["experiments"]):
        if experiment not in params["experiments"]:
            yield unknown(f"ensembles.experiments.{index}", experiment, params["experiments"])
            continue
        name = params["experiments"][experiment]["image_class"]
        if name not in params["image_classes"] or not exact_is_known(params, name):
            continue
        if is_imported(params, experiment):
            continue
        low, high = training_of(params, experiment)["sigma_range"]
        inside = [sigma for sigma in sigmas if low <= sigma <= high]
        if sigmas[0] < low:
            yield (
                f"ensembles.sigmas.0: found {sigmas[0]}, allowed is at least {low:g}, the lowest that "
                f"{experiment} is trained at: the bound on its density begins there"
            )
        if len(inside) < 3:
            yield (
                f"ensembles.sigmas: found {sigmas}, of which {len(inside)} are in [{low:g}, {high:g}], "
                f"where {experiment} is trained; allowed are at least 3 there, to integrate over"
            )
