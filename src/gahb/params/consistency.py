"""What the models of single sections cannot say: references between them, limits that depend on others.

Each problem is one sentence that names the key, what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from gahb.datasets.image_class import CLASSES, ImageClass, image_class
from gahb.datasets.splits import half_and_turn, half_size
from gahb.denoisers.architecture import ARCHITECTURES
from gahb.denoisers.options import Training
from gahb.denoisers.reference import reference_options
from gahb.denoisers.references.memorising import Memorising
from gahb.denoisers.thresholding import Thresholding
from gahb.options import model, names
from gahb.params.explaining import explain
from gahb.params.names import missing_networks, unknown
from gahb.params.specs import (
    dataset_spec,
    exact_is_known,
    figure_options,
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
    yield from _spectra(params)
    yield from _ensembles(params)
    for experiment in params["sampling"]["experiments"]:
        yield from missing_networks(params, "sampling.experiments", experiment, [], ["S1", "S2"])
    for name in params["figures"]:
        yield from _figure(params, name)


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
    for index, set_size in enumerate(experiment["set_sizes"]):
        if set_size > _half(dataset) // turns:
            shared = f", for {turns} training sets each (to {last})" if turns > 1 else ""
            yield (
                f"{key}.set_sizes.{index}: found {set_size}, allowed is at most "
                f"{_half(dataset) // turns}: {_half_of(experiment['image_class'], dataset)}{shared}"
            )
    options = dict(params["architectures"][experiment["architecture"]])
    network = model(ARCHITECTURES, options.pop("network")).model_validate(options)
    if dataset["size"] % network.multiple:
        yield (
            f"image_classes.{experiment['image_class']}.size: found {dataset['size']}, allowed is a "
            f"multiple of {network.multiple}: the {options['blocks']} blocks of "
            f"{experiment['architecture']} (experiments.{name}) halve the image that many times"
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


# ---------------------------------------------------------------------------------------------
# Figures: every experiment, table, spectrum or sample that one needs and will not get


def _figure(params: Params, name: str) -> Iterator[str]:
    key, figure = f"figures.{name}", figure_options(params, name)
    experiments = figure.named_experiments
    absent = [one for one in experiments if one not in params["experiments"]]
    for experiment in absent:
        yield from missing_networks(params, key, experiment, [], [])
    if absent:
        return
    needed, given = figure.needs(params), params["figures"][name]
    for experiment, set_size, split in dict.fromkeys([*needed.networks, *needed.spectra]):
        yield from missing_networks(params, key, experiment, [set_size], [split])
    for experiment in dict.fromkeys(experiment for experiment, _ in needed.agreements):
        yield from missing_networks(params, key, experiment, [], ["S1", "S2"])
    measured = [pair[0] for pair in needed.agreements] + [one[0] for one in needed.networks]
    for experiment in dict.fromkeys(measured):
        if not params["experiments"][experiment].get("evaluation", True):
            yield (
                f"{key}: needs tables of PSNR of {experiment}, which experiments.{experiment}."
                "evaluation switches off"
            )
    for experiment, reference in needed.references:
        images = params["experiments"][experiment]["image_class"]
        if reference not in params["evaluation"].get("references", {}).get(images, []):
            yield (
                f"{key}: needs the evaluation of {reference} on {images}, which "
                f"evaluation.references.{images} does not list"
            )
    for experiment in dict.fromkeys(experiment for experiment, _, _ in needed.spectra):
        asked = [one[1:] for one in needed.spectra if one[0] == experiment]
        yield from _missing_spectra(params, key, given, experiment, asked)
    for experiment, reference in needed.reference_spectra:
        chosen = params["spectra"]["networks"].get(experiment, {})
        if reference not in chosen.get("references", []):
            yield (
                f"{key}: needs the spectra of {reference} on the images of {experiment}, which "
                f"spectra.networks.{experiment}.references does not list"
            )
    if needed.ensembles:
        yield from _missing_ensembles(params, key, given, needed)
    yield from _missing_samples(params, key, given, needed)
    used = [params["experiments"][experiment]["image_class"] for experiment in experiments]
    if set(used) <= set(params["image_classes"]):
        yield from _unsuited(params, key, figure, experiments, used)
        yield from (f"{key}.{problem}" for problem in figure.problems(params))


def _missing_ensembles(params: Params, key: str, given: Params, needed: Any) -> Iterator[str]:
    ensembles = params["ensembles"]
    for experiment in needed.ensembles:
        if experiment not in ensembles["experiments"]:
            yield (
                f"{key}: needs the ensembles of {experiment}, which ensembles.experiments does not "
                "list"
            )
    levels = "sigmas_over_training" if needed.samples_over_training else "sigmas"
    asked = {f"sigmas.{place}": sigma for place, sigma in enumerate(given.get("sigmas", []))}
    asked |= {"sigma": given["sigma"]} if "sigma" in given else {}
    for option, sigma in asked.items():
        if sigma not in ensembles[levels]:
            yield unknown(f"{key}.{option}", sigma, ensembles[levels])


def _missing_samples(params: Params, key: str, given: Params, needed: Any) -> Iterator[str]:
    sampling = params["sampling"]
    pairs = [*needed.sample_tables, *needed.samples]
    sampled = [experiment for experiment, _ in pairs]
    for experiment in dict.fromkeys([*sampled, *needed.samples_over_training]):
        if experiment not in sampling["experiments"]:
            yield (
                f"{key}: needs the samples of {experiment}, which sampling.experiments does not list"
            )
    for experiment in needed.samples_over_training:
        if "snapshots" not in params["experiments"][experiment]:
            yield (
                f"{key}: needs networks of {experiment} during training; allowed is an experiment "
                "with snapshots"
            )
    for experiment, set_size in pairs:
        yield from missing_networks(params, key, experiment, [set_size], [])
    if needed.samples:
        for option, most in (("shown", sampling["shown"]), ("sample", sampling["shown"] - 1)):
            if option in given and given[option] > most:
                yield (
                    f"{key}.{option}: found {given[option]}, allowed is at most {most}: the images of "
                    f"{sampling['shown']} samples are kept (sampling.shown)"
                )


def _missing_spectra(
    params: Params, key: str, given: Params, experiment: str, asked: list[tuple[int, str]]
) -> Iterator[str]:
    chosen = params["spectra"]["networks"].get(experiment, {"set_sizes": [], "splits": []})
    if any(n not in chosen["set_sizes"] or s not in chosen["splits"] for n, s in asked):
        sizes = ", ".join(str(set_size) for set_size, _ in asked)
        yield (
            f"{key}: needs the spectra of {experiment} at N = {sizes} on {asked[0][1]}, which "
            "spectra.networks does not list"
        )
        return
    spectra = spectra_settings(params, experiment)
    for option, listed in (("image", "test_images"), ("sigma", "sigmas")):
        if option in given and given[option] not in spectra[listed]:
            yield unknown(f"{key}.{option}", given[option], spectra[listed])
    ranks = given.get("eigenvectors", [])
    numbered = {"": ranks} if isinstance(ranks, int) else {f".{i}": k for i, k in enumerate(ranks)}
    for index, number in numbered.items():
        if number > spectra["eigenvectors"]:
            yield (
                f"{key}.eigenvectors{index}: found {number}, allowed is at most "
                f"{spectra['eigenvectors']} (spectra.eigenvectors)"
            )


def _unsuited(
    params: Params, key: str, figure: Any, experiments: list[str], used: list[str]
) -> Iterator[str]:
    """Image classes that a figure is not about."""
    for experiment, name in zip(experiments, used, strict=True):
        drawn = _drawn(params, name)
        kind = type(drawn.underneath if figure.of_underneath else drawn)
        if not figure.suits(kind):
            suited = [one for one in names(CLASSES) if figure.suits(model(CLASSES, one))]
            yield (
                f"{key}: found {experiment}, whose images are {kind.__module__.split('.')[-1]}; "
                f"allowed are images of class {' or '.join(suited)}"
            )
