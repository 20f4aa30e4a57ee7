"""Specs: what each artifact is made from.

The *spec* of an artifact is the part of params.yaml that it depends on, with every default filled in: it
is what Snakemake watches, what is written into the artifact, and what readers check.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gahb.claims.parts.run import Run
from gahb.datasets.classes.gaussian import Gaussian
from gahb.datasets.image_class import CLASSES, ImageClass
from gahb.datasets.image_class import image_class as built_class
from gahb.denoisers.options import training_in_full
from gahb.devices import asked_of
from gahb.figures.parts.figure import FIGURES, Figure, files
from gahb.options import model

Params = dict[str, Any]
Spec = dict[str, Any]


def dataset_spec(params: Params, image_class: str) -> Spec:
    """What one dataset is made from; that of a shuffled class holds the class underneath."""
    given: Spec = dict(params["image_classes"][image_class])
    if "of" in given:
        base = dataset_spec(params, given["of"])
        return {key: base[key] for key in _OF_THE_BASE} | given | {"of": base}
    return model(CLASSES, given["class"]).defaults(given) | given


_OF_THE_BASE = ("size", "images", "test_images", "seed")  # image i is the shuffled image i


def network_spec(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """What one network is made from."""
    chosen = params["experiments"][experiment]
    return {
        "experiment": experiment,
        "image_class": chosen["image_class"],
        "dataset": dataset_spec(params, chosen["image_class"]),
        "architecture": params["architectures"][chosen["architecture"]],
        **_origin(params, experiment),
        "set_size": int(set_size),
        "split": split,
    }


def is_imported(params: Params, experiment: str) -> bool:
    """Whether the weights of an experiment come from files, and nothing is trained."""
    return "imported" in params["experiments"][experiment]


def _origin(params: Params, experiment: str) -> Spec:
    """Where weights come from; which file that is, their own provenance says."""
    if is_imported(params, experiment):
        return {"imported": True}
    return {"training": training_of(params, experiment)}


def published_file(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """The published file of an imported network: ``file`` and what is known of it."""
    found: Spec = params["experiments"][experiment]["imported"][f"N{set_size}_{split}"]
    return found


def absent_files(params: Params) -> list[str]:
    """What is wrong with the published files that experiments name: one line each, with the key.

    Their SHA-256 is not computed here: the import does it.
    """
    problems = []
    for name, chosen in params["experiments"].items():
        for network, given in chosen.get("imported", {}).items():
            key, file = f"experiments.{name}.imported.{network}", Path(given["file"])
            if not file.is_file():
                problems.append(f"{key}: {file} is missing: put the published file there")
            elif given.get("bytes") not in (None, file.stat().st_size):
                problems.append(
                    f"{key}: {file} is another file: found {file.stat().st_size} bytes, expected "
                    f"{given['bytes']}"
                )
    return problems


def training_of(params: Params, experiment: str) -> Spec:
    """How the networks of an experiment are trained, in full and without the name of a recipe.

    What the experiment says has precedence over what is said for all, and that over the defaults; what a
    recipe says counts as said where the recipe is named.
    """
    own: Spec = params["experiments"][experiment].get("training", {})
    return training_in_full(params.get("training", {}), own)


def planned_images(params: Params, experiment: str) -> int:
    """Images in all updates of all networks that share what is compiled for those of an experiment."""
    shapes, images = {}, {}
    for name, chosen in params["experiments"].items():
        if is_imported(params, name):
            continue
        training = training_of(params, name)
        size = dataset_spec(params, chosen["image_class"])["size"]
        architecture = params["architectures"][chosen["architecture"]]
        shapes[name] = (architecture, size, training["batch_size"])
        networks = len(chosen["set_sizes"]) * len(chosen["splits"])
        images[name] = networks * training["updates"] * training["batch_size"]
    return sum(number for name, number in images.items() if shapes[name] == shapes[experiment])


def evaluation_spec(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """What the evaluation of one network is made from."""
    network = network_spec(params, experiment, set_size, split)
    return {"network": network, "evaluation": _measurement(params)}


def memorising_spec(params: Params, experiment: str, set_size: int, split: str) -> Spec:
    """What the evaluation of the optimum for one training set is made from: no network."""
    network = network_spec(params, experiment, set_size, split)
    kept = ("experiment", "image_class", "dataset", "set_size", "split")
    device = asked_of(network)
    asked = {} if device == "auto" else {"device": device}
    return {
        "memorising": {key: network[key] for key in kept} | asked,
        "evaluation": _measurement(params),
    }


def _measurement(params: Params) -> Spec:
    left_out = ("slope_window", "references", "controls")
    return {key: value for key, value in params["evaluation"].items() if key not in left_out}


def agreement_spec(params: Params, experiment: str, set_size: int) -> Spec:
    """What the comparison of the two splits' networks is made from."""
    return {
        "first": network_spec(params, experiment, set_size, "S1"),
        "second": network_spec(params, experiment, set_size, "S2"),
        "evaluation": _measurement(params),
    }


def control_spec(params: Params, experiment: str, set_size: int) -> Spec:
    """What the comparison of two networks of one set is made from; ``experiment`` is the second's."""
    return {
        "first": network_spec(params, params["evaluation"]["controls"][experiment], set_size, "S1"),
        "second": network_spec(params, experiment, set_size, "S1"),
        "evaluation": _measurement(params),
    }


def control_sizes(params: Params) -> dict[str, list[int]]:
    """The N at which each control is compared: those that both experiments have."""
    sizes = {name: one["set_sizes"] for name, one in params["experiments"].items()}
    controls = params["evaluation"].get("controls", {})
    return {
        name: [size for size in sizes[name] if size in sizes[first]]
        for name, first in controls.items()
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


def adapted(params: Params) -> list[str]:
    """Experiments whose bases are set beside those of oracles: of images with a contour, at several N."""
    image_class = {name: given["image_class"] for name, given in params["experiments"].items()}
    return [
        name
        for name, chosen in params["spectra"]["networks"].items()
        if len(chosen["set_sizes"]) > 1
        and image_class.get(name) in params["image_classes"]
        and built_class(dataset_spec(params, image_class[name])).has_contour
    ]


def adaptivity_spec(params: Params, experiment: str) -> Spec:
    """What the comparison of the bases of an experiment's networks with others is made from."""
    chosen = params["spectra"]["networks"][experiment]
    several = {"set_sizes": chosen["set_sizes"], "splits": chosen["splits"]}
    ensemble = _ensemble(params, experiment) | several
    ensemble.pop("snapshots", None)
    return {"ensemble": ensemble, "spectra": spectra_settings(params, experiment)}


def sampling_settings(params: Params, experiment: str) -> Spec:
    """How the networks of an experiment are sampled from."""
    sampling, own = params["sampling"], params["experiments"][experiment]
    return {
        key: own.get(key, value) if key == "sampler" else value
        for key, value in sampling.items()
        if key != "experiments"
    }


def samples_spec(params: Params, experiment: str, set_size: int) -> Spec:
    """What the samples of the two splits' networks are made from."""
    return {
        "first": network_spec(params, experiment, set_size, "S1"),
        "second": network_spec(params, experiment, set_size, "S2"),
        "sampling": sampling_settings(params, experiment),
    }


def snapshot_updates(params: Params, experiment: str) -> list[int]:
    """Numbers of updates at which an experiment keeps weights, the last included; none if it does not."""
    chosen = params["experiments"][experiment]
    if "snapshots" not in chosen:
        return []
    first, count = chosen["snapshots"]["first"], chosen["snapshots"]["count"]
    last = training_of(params, experiment)["updates"]
    steps = [first * (last / first) ** (step / (count - 1)) for step in range(count)]
    return sorted({round(step) for step in steps})


def ensemble_spec(params: Params, experiment: str) -> Spec:
    """What the comparison of all networks of an experiment is made from."""
    left_out = ("experiments", "elbo")
    measured = {key: value for key, value in params["ensembles"].items() if key not in left_out}
    return {"ensemble": _ensemble(params, experiment), "measured": measured}


def elbo_spec(params: Params, experiment: str) -> Spec:
    """What the bounds on the likelihood of an experiment's networks are made from."""
    ensembles = params["ensembles"]
    measured = ensembles["elbo"] | {key: ensembles[key] for key in ("seed", "threads")}
    return {"ensemble": _ensemble(params, experiment), "elbo": measured}


def likelihood_is_known(params: Params, image_class: str) -> bool:
    """Whether the log density of an image class is known: that of Gaussian fields."""
    return isinstance(built_class(dataset_spec(params, image_class)), Gaussian)


def samples_over_training_spec(params: Params, experiment: str) -> Spec:
    """What the samples of an experiment's networks of S1 and S2 at their snapshots are made from."""
    ensemble = _ensemble(params, experiment) | {"splits": ["S1", "S2"]}
    return {"ensemble": ensemble, "sampling": sampling_settings(params, experiment)}


def _ensemble(params: Params, experiment: str) -> Spec:
    chosen = params["experiments"][experiment]
    network = network_spec(params, experiment, chosen["set_sizes"][0], chosen["splits"][0])
    several = {"set_sizes": chosen["set_sizes"], "splits": chosen["splits"]}
    updates = snapshot_updates(params, experiment)
    kept = {key: value for key, value in network.items() if key not in ("set_size", "split")}
    return kept | several | ({"snapshots": updates} if updates else {})


def figure_spec(params: Params, name: str) -> Spec:
    """What one figure is drawn from, besides its tables and spectra."""
    spec: Spec = params["figures"][name]
    return spec


def figure_files(params: Params, name: str) -> list[str]:
    """The tables, spectra and samples that a figure is drawn from, as paths from the project's root."""
    return files(params, figure_options(params, name).needs(params))


def figure_options(params: Params, name: str) -> Figure:
    """The options of a figure of params.yaml, which has the needs."""
    found: Figure = model(FIGURES, name).model_validate(params["figures"][name])
    return found


def claims_spec(params: Params) -> Spec:
    """What claims are judged by: which experiments there are of which kind."""
    return Run.of(params).model_dump(mode="json")


def exact_is_known(params: Params, image_class: str) -> bool:
    """Whether the conditional mean of an image class, shuffled or not, is known."""
    drawn: ImageClass = built_class(dataset_spec(params, image_class))
    return drawn.exact is not None
