"""What each figure is drawn from: one function per figure, and the files that its needs stand for.

The workflow asks for the files, and the validation of params.yaml for the needs, before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Params = dict[str, Any]
Network = tuple[str, int, str]  # experiment, set size, split
Reference = tuple[str, str]  # experiment, reference denoiser of its image class


@dataclass(frozen=True)
class Needs:
    """The tables, spectra and samples that one figure is drawn from.

    Attributes:
        tables: of all networks or references together: summary, references, gaps, density.
        networks: whose evaluations are drawn.
        memorising: training sets whose optimal denoiser's evaluations are drawn.
        agreements: (experiment, set size) whose two networks are compared.
        references: exact and classical denoisers whose evaluations, or gaps to them, are drawn.
        spectra: networks whose eigenvalues or eigenvectors are drawn.
        reference_spectra: exact and classical denoisers whose eigenvalues or eigenvectors are drawn.
        ensembles: experiments whose networks of all splits are compared.
        sample_tables: (experiment, set size) whose two networks' samples are summarised.
        samples_over_training: experiments whose samples are summarised against updates.
        samples: (experiment, set size) of pairs of networks whose samples are drawn.
    """

    tables: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    memorising: tuple[Network, ...] = ()
    agreements: tuple[tuple[str, int], ...] = ()
    references: tuple[Reference, ...] = ()
    spectra: tuple[Network, ...] = ()
    reference_spectra: tuple[Reference, ...] = ()
    ensembles: tuple[str, ...] = ()
    sample_tables: tuple[tuple[str, int], ...] = ()
    samples_over_training: tuple[str, ...] = ()
    samples: tuple[tuple[str, int], ...] = ()


def _all_sizes(params: Params, figure: Params) -> tuple[Network, ...]:
    sizes = params["experiments"][figure["experiment"]]["set_sizes"]
    return tuple((figure["experiment"], size, figure["split"]) for size in sizes)


def _one_size(figure: Params) -> tuple[Network, ...]:
    names = figure["experiments"] if "experiments" in figure else [figure["experiment"]]
    return tuple((name, figure["set_size"], figure["split"]) for name in names)


def _transition(params: Params, figure: Params) -> Needs:
    networks = _all_sizes(params, figure)
    return Needs(networks=networks, memorising=networks)


def _basis(params: Params, figure: Params) -> Needs:
    return Needs(
        spectra=tuple((figure["experiment"], n, figure["split"]) for n in figure["set_sizes"])
    )


def _regularity(params: Params, figure: Params) -> Needs:
    networks = _one_size(figure)
    return Needs(tables=("summary",), networks=networks, spectra=networks)


def _gap(params: Params, figure: Params) -> Needs:
    sizes = params["experiments"][figure["experiment"]]["set_sizes"]
    return Needs(
        tables=("summary",), agreements=tuple((figure["experiment"], size) for size in sizes)
    )


def _optimum(params: Params, figure: Params) -> Needs:
    reference = ((figure["experiment"], figure["reference"]),)
    return Needs(
        tables=("gaps",),
        networks=_all_sizes(params, figure),
        references=reference,
        spectra=_one_size(figure),
        reference_spectra=reference,
    )


def _bounds(params: Params, figure: Params) -> Needs:
    bounds = [figure["lower"], *figure["upper"]]
    return Needs(
        tables=("summary", "references", "gaps"),
        networks=_one_size(figure),
        references=tuple((name, bound) for name in figure["experiments"] for bound in bounds),
    )


def _wiener(params: Params, figure: Params) -> Needs:
    reference = ((figure["experiment"], figure["reference"]),)
    return Needs(
        tables=("gaps",),
        networks=_one_size(figure),
        references=reference,
        spectra=_one_size(figure),
        reference_spectra=reference,
    )


def _shuffled(params: Params, figure: Params) -> Needs:
    plain = figure["experiments"][0]
    bounds = [figure["lower"], *figure["upper"]]
    return Needs(
        tables=("gaps",),
        networks=_one_size(figure),
        references=tuple((plain, bound) for bound in bounds),
        spectra=_one_size(figure),
    )


def _cones(params: Params, figure: Params) -> Needs:
    return Needs(
        tables=("summary", "references", "gaps"),
        networks=_one_size(figure),
        references=tuple((name, figure["reference"]) for name in figure["experiments"]),
    )


def _memorisation(params: Params, figure: Params) -> Needs:
    names = tuple(figure["experiments"])
    samples = ((name, size) for name in names for size in params["experiments"][name]["set_sizes"])
    return Needs(ensembles=names, sample_tables=tuple(samples))


def _outputs(params: Params, figure: Params) -> Needs:
    return Needs(ensembles=(figure["experiment"],))


def _onset(params: Params, figure: Params) -> Needs:
    experiment = (figure["experiment"],)
    return Needs(ensembles=experiment, samples_over_training=experiment)


def _density(params: Params, figure: Params) -> Needs:
    return Needs(tables=("density",), ensembles=tuple(figure["experiments"]))


def _all_samples(params: Params, figure: Params) -> Needs:
    sizes = params["experiments"][figure["experiment"]]["set_sizes"]
    if "set_size" in figure:  # a figure about all set sizes, of which it shows one more closely
        sizes = list(dict.fromkeys([*sizes, figure["set_size"]]))
    return Needs(samples=tuple((figure["experiment"], size) for size in sizes))


def _trajectory(params: Params, figure: Params) -> Needs:
    return Needs(samples=tuple((figure["experiment"], size) for size in figure["set_sizes"]))


_NEEDS: dict[str, Callable[[Params, Params], Needs]] = {
    "transition": _transition,
    "basis": _basis,
    "regularity": _regularity,
    "gap": _gap,
    "optimum": _optimum,
    "bounds": _bounds,
    "wiener": _wiener,
    "shuffled": _shuffled,
    "cones": _cones,
    "outputs": _outputs,
    "memorisation": _memorisation,
    "onset": _onset,
    "density": _density,
    "samples": _all_samples,
    "similarity": _all_samples,
    "trajectory": _trajectory,
    "twins": _all_samples,
}


FIGURE_NAMES = tuple(_NEEDS)


def figure_experiments(params: Params, name: str) -> list[str]:
    """The experiments that a figure of params.yaml names, whether or not they exist."""
    figure = params["figures"][name]
    return list(figure["experiments"]) if "experiments" in figure else [figure["experiment"]]


def needs(params: Params, name: str) -> Needs:
    """What the figure ``name`` of params.yaml is drawn from; its experiments must exist."""
    return _NEEDS[name](params, params["figures"][name])


def figure_files(params: Params, name: str) -> list[str]:
    """The tables, spectra and samples that a figure is drawn from, as paths from the project's root."""
    needed = needs(params, name)
    evaluation, spectra, samples = (
        f"{params['results']}/{phase}" for phase in ("evaluation", "spectra", "samples")
    )
    image_class = {key: value["image_class"] for key, value in params["experiments"].items()}
    return [
        *(f"{evaluation}/{table}.csv" for table in needed.tables),
        *(f"{evaluation}/{name}/N{size}_{split}.csv" for name, size, split in needed.networks),
        *(
            f"{evaluation}/{name}/N{size}_{split}_memorising.csv"
            for name, size, split in needed.memorising
        ),
        *(f"{evaluation}/{name}/N{size}_agreement.csv" for name, size in needed.agreements),
        *(
            f"{evaluation}/references/{image_class[name]}/{reference}.csv"
            for name, reference in needed.references
        ),
        *(f"{spectra}/{name}/N{size}_{split}.h5" for name, size, split in needed.spectra),
        *(f"{spectra}/{name}/{reference}.h5" for name, reference in needed.reference_spectra),
        *(f"{evaluation}/{name}/ensembles.csv" for name in needed.ensembles),
        *(f"{samples}/{name}/N{size}.csv" for name, size in needed.sample_tables),
        *(f"{samples}/{name}/updates.csv" for name in needed.samples_over_training),
        *(f"{samples}/{name}/N{size}.h5" for name, size in needed.samples),
    ]
