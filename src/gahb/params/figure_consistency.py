"""What figures need and the other sections of params.yaml do not provide.

Each problem is one sentence that names the key, what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gahb.datasets.image_class import CLASSES, ImageClass, image_class
from gahb.options import model, names
from gahb.params.names import missing_networks, unknown
from gahb.params.specs import (
    adapted,
    dataset_spec,
    figure_options,
    is_imported,
    spectra_settings,
)

Params = dict[str, Any]


def figure_inconsistencies(params: Params, name: str) -> Iterator[str]:
    """Every experiment, table, spectrum or sample that a figure needs and will not get."""
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
    for experiment in dict.fromkeys(one[0] for one in needed.memorising):
        if is_imported(params, experiment):
            yield (
                f"{key}: needs the optimum for each training set of {experiment}, whose networks are "
                "imported; allowed is an experiment with training sets of its own"
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
    for experiment in needed.adaptivity:
        yield from _missing_adaptivity(params, key, given, experiment)
    if needed.ensembles:
        yield from _missing_ensembles(params, key, given, needed)
    yield from _missing_samples(params, key, given, needed)
    used = [params["experiments"][experiment]["image_class"] for experiment in experiments]
    if set(used) <= set(params["image_classes"]):
        yield from _unsuited(params, key, figure, experiments, used)
        yield from (f"{key}.{problem}" for problem in figure.problems(params))


def _missing_adaptivity(params: Params, key: str, given: Params, experiment: str) -> Iterator[str]:
    if experiment not in adapted(params):
        yield (
            f"{key}: needs the spectra of {experiment} at several N, on images with a contour; "
            f"spectra.networks has them of {', '.join(adapted(params)) or 'no experiment'}"
        )
        return
    spectra, chosen = (
        spectra_settings(params, experiment),
        params["spectra"]["networks"][experiment],
    )
    if given["split"] not in chosen["splits"]:
        yield unknown(f"{key}.split", given["split"], chosen["splits"])
    if given["sigma"] not in spectra["sigmas"]:
        yield unknown(f"{key}.sigma", given["sigma"], spectra["sigmas"])
    most = spectra["eigenvectors"]
    ranks = [2**power for power in range(most.bit_length())]
    if given["rank"] not in ranks:
        yield unknown(f"{key}.rank", given["rank"], ranks, f" of {most} eigenvectors kept")


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
        drawn: ImageClass = image_class(dataset_spec(params, name))
        kind = type(drawn.underneath if figure.of_underneath else drawn)
        if not figure.suits(kind):
            suited = [one for one in names(CLASSES) if figure.suits(model(CLASSES, one))]
            yield (
                f"{key}: found {experiment}, whose images are {kind.__module__.split('.')[-1]}; "
                f"allowed are images of class {' or '.join(suited)}"
            )
