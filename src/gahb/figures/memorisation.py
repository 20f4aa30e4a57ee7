"""Figure "memorisation": what networks of disjoint training sets share, and what each keeps for itself.

Against the number of training images N: the share of samples that copy a training image, how alike
samples of two networks are, variance and squared bias of the denoisers over disjoint training sets,
and their distance to the denoiser that is optimal for the training set alone (Kadkhodaie et al., ICLR
2024, sections 2 and 3; Gu et al., arXiv 2310.02664).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts import captions
from gahb.figures.parts.curves import IDENTITY, size_axis
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, TwoSigmas
from gahb.figures.parts.intervals import (
    BARS,
    CONTRAST_FREE,
    SPREAD,
    TRIANGLES,
    WILSON,
    Points,
    at_level,
    averages,
    draw_bounds,
    draw_points,
    ensembles_of,
    fraction,
    last_updates,
    log_heights,
    positive,
    relative,
)
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, markers, ordered_colours
from gahb.figures.parts.tables import Table, choose, read_tables

_DASHES = ("-", "--", ":")
_KINDS = {  # of curves, by panel: column or quantity, and its name
    "fraction": {"own": "memorised", "plain": "by plain distance", "copied": "copied"},
    "similarity": {
        "pair": "two networks",
        "own": "closest, own set",
        "other": "closest, other set",
    },
    "error": {"variance": "variance between networks", "bias": "squared bias"},
    "distance": {
        "own_empirical_distance": "on own training images",
        "empirical_distance": "on test images",
    },
}


@dataclass(frozen=True)
class _Ensemble:
    """One experiment: points against N, by panel and by kind of curve."""

    experiment: str
    networks: int
    images: int
    threshold: float  # correlation above which a sample counts as a copy
    samples: dict[str, dict[str, Points]]  # fraction, similarity
    errors: dict[float, dict[str, Points]]  # by noise level, then by column
    specs: list[Spec]


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[_Ensemble]:
    asked = dict(spec)
    tables = read_tables(inputs)
    return [_ensemble(tables, name, asked["sigmas"]) for name in asked["experiments"]]


def _ensemble(tables: Sequence[Table], experiment: str, sigmas: Sequence[float]) -> _Ensemble:
    table = ensembles_of(tables, experiment)
    errors = {}
    for sigma in sigmas:
        last = last_updates(at_level(table, sigma))
        columns = [*_KINDS["error"], *_KINDS["distance"], "exact_mse", "excess"]
        errors[sigma] = {name: relative(last, name, "set_size") for name in columns}
    pairs = choose(tables, "samples", experiment=experiment)
    sizes = [int(pair.value("set_size")) for pair in pairs]
    measured = [int(size) for size in errors[sigmas[0]]["variance"].x]
    if sizes != measured:
        raise ArtifactError(
            f"{table.path} compares networks of {experiment} at N = {_listed(measured)}; the sample "
            f"tables given are for N = {_listed(sizes)}"
        )
    frames, path = [pair.frame for pair in pairs], pairs[0].path.parent
    return _Ensemble(
        experiment=experiment,
        networks=int(table.frame["networks"].max()),
        images=int(table.frame["images"].max()),
        threshold=float(pairs[0].value("duplicate_threshold")),
        samples={
            "fraction": {
                "own": fraction(frames, path, sizes, "memorised", own=True),
                "plain": fraction(frames, path, sizes, "memorised", True, "distance_ratio"),
                "other": fraction(frames, path, sizes, "memorised", own=False),
                "copied": fraction(frames, path, sizes, "copied", True, "correlation"),
            },
            "similarity": {
                "pair": averages(frames, path, sizes, "pair_similarity"),
                "own": averages(frames, path, sizes, "closest_similarity", own=True),
                "other": averages(frames, path, sizes, "closest_similarity", own=False),
            },
        },
        errors=errors,
        specs=[table.spec, *(pair.spec for pair in pairs)],
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: of each experiment, the table of ensembles and the tables of samples, one per N.
        spec: ``title``, ``experiments``, and ``sigmas``, two noise levels.
    """
    ensembles = _measure(inputs, spec)
    height = 7.6
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.set_layout_engine("constrained", rect=(0, 0.26 / height, 1, 1 - 0.26 / height))
    figure.suptitle(spec["title"])
    panels = figure.subplots(3, 2)
    styles: list[dict[str, Any]] = [
        {"color": colour, "marker": marker, "markersize": 4.2}
        for colour, marker in zip(
            ordered_colours(len(ensembles)), markers(len(ensembles)), strict=True
        )
    ]
    sizes = sorted({int(n) for one in ensembles for n in one.samples["fraction"]["own"].x})
    for axes, name, title, label in (
        (panels[0, 0], "fraction", "memorised and copied samples", "share of samples"),
        (panels[0, 1], "similarity", "similarity of samples", "mean correlation"),
    ):
        _curves(axes, [one.samples[name] for one in ensembles], _KINDS[name], styles)
        axes.set_title(title, pad=20)
        axes.set_ylabel(label)
    panels[0, 0].set_ylim(-0.04, 1.04)
    for row, name, title in (
        (1, "error", "variance and bias, σ = {:g}"),
        (2, "distance", "distance to the empirical optimum, σ = {:g}"),
    ):
        seen = []
        for axes, sigma in zip(panels[row], spec["sigmas"], strict=True):
            chosen = [one.errors[sigma] for one in ensembles]
            seen += [points[kind] for points in chosen for kind in _KINDS[name]]
            _curves(axes, chosen, _KINDS[name], styles, logarithmic=True)
            if name == "error":
                for points, style in zip(chosen, styles, strict=True):
                    floor = points["exact_mse"]
                    axes.plot(floor.x, floor.value, **IDENTITY | {"color": style["color"]})
                seen += [points["exact_mse"] for points in chosen]
            axes.set_title(title.format(sigma), pad=20)
        for axes in panels[row]:
            log_heights(axes, seen)
        panels[row, 0].set_ylabel("squared error / σ²")
    same = len({tuple(one.samples["fraction"]["own"].x) for one in ensembles}) == 1
    powers = [10**power for power in range(9) if sizes[0] <= 10**power <= sizes[-1]]
    for axes in panels.flat:
        size_axis(axes, sizes, labelled=sizes if same or not powers else powers)
    for axes in panels[:2].flat:
        axes.set_xlabel("")
    _legend(figure, ensembles, styles)
    return figure


def _curves(
    axes: Axes,
    ensembles: Sequence[Mapping[str, Points]],
    kinds: Mapping[str, str],
    styles: Sequence[dict[str, Any]],
    logarithmic: bool = False,
) -> None:
    """Curves of one panel, one colour per experiment and one dash per kind, and what dashes mean."""
    handles = []
    for dash, (kind, name) in zip(_DASHES, kinds.items(), strict=False):
        if not any(np.isfinite(points[kind].value).any() for points in ensembles):
            continue
        look: dict[str, Any] = {"linestyle": dash, "linewidth": 1.4 if dash == "-" else 1.1}
        filling: dict[str, Any] = {} if dash == "-" else {"markerfacecolor": "white"}
        for points, style in zip(ensembles, styles, strict=True):
            shown = positive(points[kind]) if logarithmic else points[kind]
            draw_points(axes, shown, **style, **look, **filling)
            if logarithmic:
                draw_bounds(axes, points[kind], **style)
        handles.append(
            Line2D([], [], color="0.3", marker="o", markersize=4.2, label=name, **look, **filling)
        )
    axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(handles),
        columnspacing=1.0,
        handletextpad=0.4,
        handlelength=1.9,
        borderpad=0.1,
    )


def _legend(
    figure: Drawing, ensembles: Sequence[_Ensemble], styles: Sequence[dict[str, Any]]
) -> None:
    handles = [
        Line2D([], [], label=f"{one.experiment} (K = {one.networks})", **style)
        for one, style in zip(ensembles, styles, strict=True)
    ]
    if any(
        np.isfinite(p["exact_mse"].value).any() for one in ensembles for p in one.errors.values()
    ):
        handles.append(Line2D([], [], label="error of the exact optimum", **IDENTITY))
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.02 / figure.get_figheight()),
        ncols=len(handles),
    )


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    ensembles = _measure(inputs, spec)
    samples = [
        [
            one.experiment,
            str(int(size)),
            *(one.samples["fraction"][kind].text(place) for kind in (*_KINDS["fraction"], "other")),
            *(one.samples["similarity"][kind].text(place) for kind in _KINDS["similarity"]),
        ]
        for one in ensembles
        for place, size in enumerate(one.samples["fraction"]["own"].x)
    ]
    columns = [*_KINDS["error"], *_KINDS["distance"], "exact_mse"]
    above = " or ".join(
        f"{threshold:g}" for threshold in sorted({one.threshold for one in ensembles})
    )
    parts = []
    for sigma in spec["sigmas"]:
        lines = [
            [
                one.experiment,
                str(int(size)),
                *(one.errors[sigma][column].text(place) for column in columns),
            ]
            for one in ensembles
            for place, size in enumerate(one.errors[sigma]["variance"].x)
        ]
        parts += [
            f"Squared errors per pixel at sigma = {sigma:g}, as multiples of sigma squared, with one "
            "standard error over test images:",
            captions.grid(
                (
                    *("experiment", "N", "variance", "bias"),
                    *("to optimum, own", "to optimum, test", "error of exact"),
                ),
                lines,
            ),
            captions.bullets(_findings(one, sigma) for one in ensembles),
        ]
    without = [
        one.experiment
        for one in ensembles
        if not any(np.isfinite(points["bias"].value).any() for points in one.errors.values())
    ]
    return captions.caption(
        spec["title"],
        "Against the number of training images N, after the last update. Above: the share of samples "
        "that are memorised, that is three times nearer to one image of the own training set than to any "
        f"other (not defined for N = 1; {CONTRAST_FREE}); and the share that is copied, whose correlation "
        f"with an image of the own set is above {above} "
        "(left); correlation of the samples that two networks of disjoint sets make from the same noise, "
        "and of samples with the closest image of the own and of the other set (right). Middle: "
        "variance between networks of K disjoint training sets, and squared bias, the squared "
        "distance of their mean over all training sets to the exact optimal denoiser; dotted without "
        "marks, the error of that optimum itself. Below: squared distance of networks to the "
        "denoiser that is optimal if only their training images exist. All errors are per pixel and "
        "relative to sigma squared, at two noise levels.",
        f"{BARS} {WILSON} {TRIANGLES}",
        SPREAD,
        f"No exact denoiser, and so no bias: {captions.escape(', '.join(without))}."
        if without
        else "",
        "The N at which memorising ends is a statement about this N, number of updates and width of "
        "network together: more updates memorise more images.",
        "Samples; shares with half of Wilson's interval, mean correlations with standard error:",
        captions.grid(
            (
                *("experiment", "N", "memorised", "by plain distance", "copied", "control"),
                *("pair", "closest, own", "closest, other"),
            ),
            samples,
        ),
        captions.bullets(_memorising(one) for one in ensembles),
        *parts,
        "Made with:",
        captions.bullets(
            f"{captions.escape(one.experiment)}: networks of K = {one.networks} disjoint sets, "
            f"{one.images} test images"
            for one in ensembles
        )
        + "\n"
        + captions.parameters(made for one in ensembles for made in one.specs),
    )


def _memorising(one: _Ensemble) -> str:
    """Between which N the share of memorised samples of one experiment falls below one half."""
    share = one.samples["fraction"]["own"]
    defined = np.isfinite(share.value)
    sizes, above = share.x[defined].astype(int), share.value[defined] >= 0.5
    if above.all() or not above.any():
        found = f"at {'every' if above.all() else 'no'} N at which the share is defined"
    else:
        last = int(np.flatnonzero(above)[-1])
        found = f"up to N = {sizes[last]}"
        if last + 1 < len(sizes):
            found += f" and not at N = {sizes[last + 1]}"
    return f"{captions.escape(one.experiment)}: at least half of the samples are memorised {found}."


def _findings(one: _Ensemble, sigma: float) -> str:
    """What the numbers of one experiment at one noise level say about growing N."""
    points = one.errors[sigma]
    sizes = points["variance"].x.astype(int)
    variance, bias = points["variance"].value, points["bias"].value
    said = [
        f"variance goes from {variance[0]:.2g} (N = {sizes[0]}) to {variance[-1]:.2g} "
        f"(N = {sizes[-1]})"
    ]
    if np.isfinite(bias).all():
        over = [str(size) for size, b, v in zip(sizes, bias, variance, strict=True) if b > v]
        said += [
            f"bias from {bias[0]:.2g} to {bias[-1]:.2g}",
            f"bias exceeds variance at N = {', '.join(over)}"
            if over
            else "bias exceeds variance at no N",
        ]
    own = points["own_empirical_distance"].value
    said.append(
        f"the distance to the empirical optimum on own training images from {own[0]:.2g} to "
        f"{own[-1]:.2g}"
    )
    return f"{captions.escape(one.experiment)}: {'; '.join(said)}."


class MemorisationFigure(Figure):
    """What networks of disjoint training sets share, and what each copies."""

    experiments: Annotated[Experiments, Field(max_length=4)]
    """one colour each"""
    sigmas: TwoSigmas
    """noise levels at which errors are shown"""

    def needs(self, params: Params) -> Needs:
        """Ensembles and samples of every N."""
        return Needs(
            ensembles=tuple(self.experiments),
            sample_tables=tuple(
                (name, size)
                for name in self.experiments
                for size in params["experiments"][name]["set_sizes"]
            ),
        )

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
