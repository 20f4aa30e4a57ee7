"""Read params.yaml, overlay a preset, validate everything, and resolve what each artifact is made from.

Validation happens before anything runs. Each error names the key, what was found and what is
allowed. The *spec* of an artifact is the part of params.yaml that it depends on, with every default
filled in: it is what Snakemake watches, what is written into the artifact, and what readers check.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from gahb.figure_inputs import figure_experiments, needs

Params = dict[str, Any]
Spec = dict[str, Any]

# Image classes for which a reference denoiser exists, where it does not exist for all.
_KNOWN_FOR = {
    "exact": {"disks", "gaussian", "rays", "sines", "shuffled"},
    "known_contour": {"calpha"},
}

# Image classes that a figure of params.yaml is about, where it is not about all.
_DRAWN_FOR = {
    "optimum": {"disks"},
    "bounds": {"calpha"},
    "wiener": {"gaussian"},
    "cones": {"rays", "sines"},
}


class ParamsError(Exception):
    """params.yaml or a preset asks for something that does not exist or cannot be."""


# ---------------------------------------------------------------------------------------------
# Reading


def load_params(root: Path | str = ".", preset: str | None = None) -> Params:
    """Read and validate ``params.yaml`` under ``root``, overlaid with a preset.

    Raises:
        ParamsError: naming every key that is wrong, what was found and what is allowed.
    """
    params = _read_yaml(Path(root, "params.yaml"))
    if preset is not None:
        folder = Path(root, "workflow/presets")
        path = folder / f"{preset}.yaml"
        if not path.exists():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
            raise ParamsError(f"preset: found {preset!r}, allowed are {known}")
        params = overlay(params, _read_yaml(path))
    return validate(params, Path(root, "workflow/schemas/params.schema.yaml"))


def _read_yaml(path: Path) -> Params:
    try:
        content = yaml.load(path.read_text(), Loader=_Loader)
    except OSError as error:
        raise ParamsError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{path} must be a mapping, found {type(content).__name__}")
    return content


class Only(dict[str, Any]):
    """A mapping tagged ``!only`` in a preset: of the one below, only the keys named here are kept."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, and a key given twice or that is not text is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str):
                problem = f"found the key {key!r}, allowed is text (put it in quotes)"
            elif keys.count(key) > 1:
                problem = f"found the key {key!r} twice"
            else:
                continue
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def _only(loader: _Loader, node: yaml.Node) -> Only:
    if not isinstance(node, yaml.MappingNode):
        problem = "found !only before what is no mapping"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return Only(loader.construct_mapping(node, deep=True))


_Loader.add_constructor("!only", _only)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def overlay(base: Params, changes: Params) -> Params:
    """``base`` with ``changes`` laid over it: mappings merge, null removes, all else replaces.

    A mapping tagged ``!only`` keeps, of the one below, no key that it does not name itself.
    """
    kept = changes.keys() if isinstance(changes, Only) else base.keys()
    merged = {key: value for key, value in base.items() if key in kept}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = overlay(merged[key], value)
        else:
            merged[key] = value
    return merged


# ---------------------------------------------------------------------------------------------
# Validation


def _is_integer(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 1e3 for an integer and .nan for a number; a count or a noise level is neither.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def validate(params: Params, schema: Path | str) -> Params:
    """Check ``params`` against the schema file and for consistency; return it unchanged."""
    validator = _Validator(_read_yaml(Path(schema)))
    problems = [
        _explain(leaf) for error in validator.iter_errors(params) for leaf in _leaves(error)
    ]
    if not problems:
        problems = list(_inconsistencies(params))
    if problems:
        raise ParamsError("params.yaml: " + "\nparams.yaml: ".join(dict.fromkeys(problems)))
    return params


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    if error.context:
        for inner in error.context:
            yield from _leaves(inner)
    else:
        yield error


def _explain(error: ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "(top level)"
    found, allowed = error.instance, error.validator_value
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = sorted(_known_keys(error.schema, found))
        return f"{key}: {error.message.rstrip('.')}; known keys here are {', '.join(known)}"
    if error.validator == "required":
        return f"{key}: {error.message}"
    rule = {
        "enum": "one of {}",
        "type": "a value of type {}",
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "minItems": "at least {} entries",
        "maxItems": "at most {} entries",
        "minProperties": "at least {} entries",
        "pattern": "text matching {}",
        "uniqueItems": "entries that all differ",
    }.get(error.validator, f"{error.validator} {{}}")
    shown = ", ".join(map(str, allowed)) if isinstance(allowed, list) else allowed
    return f"{key}: found {json.dumps(found, default=str)}, allowed is {rule.format(shown)}"


def _known_keys(schema: Params, found: Params) -> Iterator[str]:
    """Keys of a mapping, with those that depend on the kind of image class or network it is."""
    yield from schema.get("properties", {})
    for part in schema.get("allOf", ()):
        if _Validator(part["if"]).is_valid(found):
            yield from part["then"]["properties"]


def _inconsistencies(params: Params) -> Iterator[str]:
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
            yield _unknown(f"image_classes.{name}.of", given["of"], others, shuffled)
    if given["class"] == "sines":
        size, frequency = given["size"], given["frequency"]
        if not any(2 * cycles % size for cycles in frequency):
            yield (
                f"image_classes.{name}.frequency: found {frequency}, allowed are two numbers of "
                f"cycles that are not both multiples of {size / 2:g}, half the size in pixels"
            )


def _experiment_inconsistencies(params: Params, name: str) -> Iterator[str]:
    experiment = params["experiments"][name]
    key = f"experiments.{name}"
    known = True
    for field in ("image_class", "architecture"):
        section = {"image_class": "image_classes", "architecture": "architectures"}[field]
        if experiment[field] not in params[section]:
            known = False
            yield _unknown(f"{key}.{field}", experiment[field], params[section])
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
        yield from _missing_networks(params, key, experiment, chosen["set_sizes"], chosen["splits"])
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
        yield from _unknown_references(
            params, f"{key}.references", chosen.get("references", []), image_class
        )


def _unknown_references(
    params: Params, key: str, names: Iterable[str], image_class: str
) -> Iterator[str]:
    """References that params.yaml does not define, or that do not exist for an image class."""
    defined = params.get("references", {})
    kind = params["image_classes"][image_class]["class"]
    for index, name in enumerate(names):
        if name not in defined:
            yield _unknown(f"{key}.{index}", name, defined)
        elif kind not in _KNOWN_FOR.get(defined[name]["denoiser"], {kind}):
            allowed = ", ".join(sorted(_KNOWN_FOR[defined[name]["denoiser"]]))
            yield (
                f"{key}.{index}: found {name}, whose denoiser {defined[name]['denoiser']} is known "
                f"for image classes {allowed}; {image_class} is {kind}"
            )


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
            yield _unknown(key, image_class, params["image_classes"])
        else:
            yield from _unknown_references(params, key, names, image_class)


def _sampling_inconsistencies(params: Params) -> Iterator[str]:
    sampling = params["sampling"]
    for experiment in sampling["experiments"]:
        key = "sampling.experiments"
        yield from _missing_networks(params, key, experiment, [], ["S1", "S2"])
    if "sigma_range" in sampling["sampler"]:
        yield from _ordered("sampling.sampler.sigma_range", sampling["sampler"]["sigma_range"])


def _figure_inconsistencies(params: Params) -> Iterator[str]:
    for name in params["figures"]:
        key = f"figures.{name}"
        experiments = figure_experiments(params, name)
        if not set(experiments) <= set(params["experiments"]):
            for experiment in experiments:
                yield from _missing_networks(params, key, experiment, [], [])
            continue
        needed = needs(params, name)
        for experiment, set_size, split in dict.fromkeys([*needed.networks, *needed.spectra]):
            yield from _missing_networks(params, key, experiment, [set_size], [split])
        for experiment in dict.fromkeys(experiment for experiment, _ in needed.agreements):
            yield from _missing_networks(params, key, experiment, [], ["S1", "S2"])
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
        yield from _wrong_image_classes(params, name, experiments)


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
            yield _unknown(f"figures.{name}.{field}", figure[field], spectra[listed])
    asked = figure.get("eigenvectors", [])
    numbered = {"": asked} if isinstance(asked, int) else {f".{i}": k for i, k in enumerate(asked)}
    for index, number in numbered.items():
        if number > spectra["eigenvectors"]:
            yield (
                f"figures.{name}.eigenvectors{index}: found {number}, allowed is at most "
                f"{spectra['eigenvectors']} (spectra.eigenvectors)"
            )


def _missing_networks(
    params: Params, key: str, experiment: str, set_sizes: Iterable[int], splits: Iterable[str]
) -> Iterator[str]:
    if experiment not in params["experiments"]:
        yield _unknown(f"{key}: experiment", experiment, params["experiments"])
        return
    asked = params["experiments"][experiment]
    for set_size in set_sizes:
        if set_size not in asked["set_sizes"]:
            yield _unknown(f"{key}: set size of {experiment}", set_size, asked["set_sizes"])
    for split in splits:
        if split not in asked["splits"]:
            yield _unknown(f"{key}: split of {experiment}", split, asked["splits"])


def require_network(params: Params, experiment: str, set_size: int, split: str) -> None:
    """Raise :class:`ParamsError` unless the experiments of ``params`` have this network."""
    problems = _missing_networks(params, "experiments", experiment, [set_size], [split])
    for problem in problems:
        raise ParamsError(f"params.yaml: {problem}")


def _unknown(key: str, found: Any, known: Iterable[Any], why: str = "") -> str:
    return f"{key}: found {json.dumps(found)}{why}, allowed is one of {', '.join(map(str, known))}"


def _ordered(key: str, pair: list[float]) -> Iterator[str]:
    if pair[0] >= pair[1]:
        yield f"{key}: found {pair}, allowed is a lower value first"


# ---------------------------------------------------------------------------------------------
# Specs: what each artifact is made from


def dataset_spec(params: Params, image_class: str) -> Spec:
    """What one dataset is made from; that of a shuffled class holds the class underneath."""
    given: Spec = dict(params["image_classes"][image_class])
    if given["class"] == "calpha":
        return {"background_alpha": given["alpha"]} | given
    if given["class"] == "photographs":
        return {"crop": "whole", "downsample": 1, "patches": 1, "duplicates": 0.95} | given
    if given["class"] == "shuffled":
        base = dataset_spec(params, given["of"])
        return {key: base[key] for key in _OF_THE_BASE} | given | {"of": base}
    return given


_OF_THE_BASE = ("size", "images", "test_images", "seed")  # image i is the shuffled image i


def network_spec(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """What one network is made from."""
    chosen = params["experiments"][experiment]
    return {
        "experiment": experiment,
        "image_class": chosen["image_class"],
        "dataset": dataset_spec(params, chosen["image_class"]),
        "architecture": params["architectures"][chosen["architecture"]],
        "training": params["training"] | chosen.get("training", {}),
        "set_size": int(set_size),
        "split": split,
    }


def evaluation_spec(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """What the evaluation of one network is made from."""
    network = network_spec(params, experiment, set_size, split)
    return {"network": network, "evaluation": _measurement(params)}


def memorising_spec(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """What the evaluation of the optimum for one training set is made from: no network."""
    network = network_spec(params, experiment, set_size, split)
    kept = ("experiment", "image_class", "dataset", "set_size", "split")
    return {
        "memorising": {key: network[key] for key in kept},
        "evaluation": _measurement(params),
    }


def _measurement(params: Params) -> Spec:
    left_out = ("slope_window", "references")
    return {key: value for key, value in params["evaluation"].items() if key not in left_out}


def agreement_spec(params: Params, experiment: str, set_size: int) -> Spec:
    """What the comparison of the two splits' networks is made from."""
    return {
        "first": network_spec(params, experiment, set_size, "S1"),
        "second": network_spec(params, experiment, set_size, "S2"),
        "evaluation": _measurement(params),
    }


def reference_spec(params: Params, image_class: str, reference: str) -> Spec:
    """What the evaluation of an exact or classical denoiser is made from: no network."""
    return {
        "image_class": image_class,
        "dataset": dataset_spec(params, image_class),
        "reference": {"name": reference} | params["references"][reference],
        "evaluation": _measurement(params),
    }


def summary_spec(params: Params) -> Spec:
    """What the summary table is made from, besides the tables it summarises."""
    return {"slope_window": params["evaluation"]["slope_window"]}


def spectra_spec(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """What the spectra of one network are made from."""
    network = network_spec(params, experiment, set_size, split)
    return {"network": network, "spectra": spectra_settings(params, experiment)}


def spectra_settings(params: Params, experiment: str) -> Spec:
    """How the spectra of an experiment's networks are made: what is said for all, or for it alone."""
    spectra = params["spectra"]
    own = spectra["networks"].get(experiment, {})
    return {key: own.get(key, value) for key, value in spectra.items() if key != "networks"}


def reference_spectra_spec(params: Params, experiment: str, reference: str) -> Spec:
    """What the spectra of an exact or classical denoiser are made from: no network."""
    image_class = params["experiments"][experiment]["image_class"]
    return {
        "image_class": image_class,
        "dataset": dataset_spec(params, image_class),
        "reference": {"name": reference} | params["references"][reference],
        "spectra": spectra_settings(params, experiment),
    }


def samples_spec(params: Params, experiment: str, set_size: int) -> Spec:
    """What the samples of the two splits' networks are made from."""
    chosen = {key: value for key, value in params["sampling"].items() if key != "experiments"}
    return {
        "first": network_spec(params, experiment, set_size, "S1"),
        "second": network_spec(params, experiment, set_size, "S2"),
        "sampling": chosen,
    }


def figure_spec(params: Params, name: str) -> Spec:
    """What one figure is drawn from, besides its tables and spectra."""
    spec: Spec = params["figures"][name]
    return spec
