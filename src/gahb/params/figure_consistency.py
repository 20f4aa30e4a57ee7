"""What figures of params.yaml need and its other sections do not provide.

Each problem is one sentence that names the key, what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gahb.params.figure_inputs import figure_experiments, needs
from gahb.params.names import missing_networks, unknown
from gahb.params.references import EXACT_CLASSES
from gahb.params.specs import spectra_settings

Params = dict[str, Any]

# Image classes that a figure of params.yaml is about, where it is not about all.
_DRAWN_FOR = {
    "optimum": {"disks"},
    "bounds": {"calpha"},
    "wiener": {"gaussian"},
    "cones": {"rays", "sines"},
    "density": EXACT_CLASSES,
}


def figure_inconsistencies(params: Params) -> Iterator[str]:
    """Every experiment, table, spectrum or sample that a figure needs and will not get."""
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
        measured = [pair[0] for pair in needed.agreements] + [one[0] for one in needed.networks]
        for experiment in dict.fromkeys(measured):
            if not params["experiments"][experiment].get("evaluation", True):
                yield (
                    f"{key}: needs tables of PSNR of {experiment}, which experiments.{experiment}."
                    "evaluation switches off"
                )
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
        yield from _missing_ensembles(params, name)
        yield from _missing_samples(params, name)
        yield from _wrong_image_classes(params, name, experiments)


def _missing_ensembles(params: Params, name: str) -> Iterator[str]:
    """Ensembles that a figure needs and ``ensembles`` does not provide."""
    figure, needed = params["figures"][name], needs(params, name)
    if not needed.ensembles:
        return
    ensembles = params["ensembles"]
    for experiment in needed.ensembles:
        if experiment not in ensembles["experiments"]:
            yield (
                f"figures.{name}: needs the ensembles of {experiment}, which ensembles.experiments "
                "does not list"
            )
    over_training = bool(needed.samples_over_training)
    levels = "sigmas_over_training" if over_training else "sigmas"
    asked = {f"sigmas.{place}": sigma for place, sigma in enumerate(figure.get("sigmas", []))}
    asked |= {"sigma": figure["sigma"]} if "sigma" in figure else {}
    for key, sigma in asked.items():
        if sigma not in ensembles[levels]:
            yield unknown(f"figures.{name}.{key}", sigma, ensembles[levels])


def _missing_samples(params: Params, name: str) -> Iterator[str]:
    """Samples that a figure needs and ``sampling`` or an experiment does not provide."""
    key, figure, sampling = f"figures.{name}", params["figures"][name], params["sampling"]
    needed = needs(params, name)
    pairs = [*needed.sample_tables, *needed.samples]
    named = [experiment for experiment, _ in pairs]
    for experiment in dict.fromkeys([*named, *needed.samples_over_training]):
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
        if name == "density" and kind == "shuffled":  # as exactly known as the class underneath
            kind = classes[classes[image_class]["of"]]["class"]
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
