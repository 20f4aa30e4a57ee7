"""Figure "onset": when memorisation sets in during training, for each number of training images N.

Against training updates, one curve per N: the share of memorised samples, how alike samples of two
networks are, variance and squared bias of the denoisers, and their distance to the empirical optimum.
The onset is the first update at which half of the samples are memorised; Bonnaire et al. (arXiv
2505.17638) and Favero et al. (arXiv 2505.16959) find it to grow in proportion to N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts import captions
from gahb.figures.parts.curves import IDENTITY, size_axis, size_styles
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params
from gahb.figures.parts.intervals import (
    BARS,
    CONTRAST_FREE,
    SPREAD,
    TRIANGLES,
    WILSON,
    Points,
    at_level,
    averages,
    draw_band,
    draw_bounds,
    ensembles_of,
    fraction,
    log_heights,
    positive,
    relative,
    samples_over_training_of,
)
from gahb.figures.parts.style import PAGE_WIDTH, figure_style
from gahb.figures.parts.tables import read_tables
from gahb.options import Sigma

HALF = 0.5  # share of memorised samples at which memorisation counts as set in
_PER_ROW = 7  # entries of the legend
_MARK: dict[str, Any] = {
    "color": "0.3",
    "linestyle": "none",
    "markersize": 8,
    "markeredgewidth": 1.5,
}
_LATE = _MARK | {"marker": "2"}  # an onset after the last update
_EARLY = _MARK | {"marker": "1"}  # before the first measured one


@dataclass(frozen=True)
class Onset:
    """When the share of memorised samples of one N first reaches one half.

    Attributes:
        set_size: N.
        update: interpolated in the logarithm of updates; the first measured one if the share was
            not below one half there, NaN if it never reached one half.
        before: last measured update before, NaN if there is none.
        after: first measured update at which the share is one half or more; NaN if none.
    """

    set_size: int
    update: float
    before: float
    after: float

    @property
    def found(self) -> bool:
        """Whether both sides of it were measured."""
        return bool(np.isfinite(self.before) and np.isfinite(self.after))


def onset(set_size: int, share: Points) -> Onset:
    """The onset of memorisation in one curve of the share against updates above 0."""
    reached = np.flatnonzero(share.value >= HALF)
    if not reached.size:
        return Onset(set_size, np.nan, float(share.x[-1]), np.nan)
    place = int(reached[0])
    after = float(share.x[place])
    if place == 0:
        return Onset(set_size, after, np.nan, after)
    before = float(share.x[place - 1])
    low, high = share.value[place - 1], share.value[place]
    part = (HALF - low) / (high - low)
    return Onset(set_size, float(before * (after / before) ** part), before, after)


def growth(onsets: Sequence[Onset]) -> float:
    """Exponent of a power law of N fitted to the onsets found; NaN for fewer than three."""
    found = [one for one in onsets if one.found]
    if len(found) < 3:
        return float("nan")
    x, y = np.log([(one.set_size, one.update) for one in found]).T
    return float(np.polyfit(x, y, 1)[0])


@dataclass(frozen=True)
class _Training:
    sizes: list[int]
    curves: dict[str, list[Points]]  # against updates, by quantity, then by growing N
    onsets: list[Onset]
    networks: int
    samples: int
    images: int
    threshold: float  # correlation above which a sample counts as a copy
    specs: list[Spec]


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> _Training:
    asked = dict(spec)
    tables = read_tables(inputs)
    ensembles = ensembles_of(tables, asked["experiment"])
    drawn = samples_over_training_of(tables, asked["experiment"])
    level = at_level(ensembles, asked["sigma"])
    curves: dict[str, list[Points]] = {}
    sizes = sorted({int(size) for size in drawn.frame["set_size"]})
    for size in sizes:
        of_size = drawn.frame[drawn.frame["set_size"] == size]
        updates = sorted({int(update) for update in of_size["update"]})
        frames = [of_size[of_size["update"] == update] for update in updates]
        errors = level[level["set_size"] == size]
        if len(updates) < 2 or len(errors) < 2 or updates[0] <= 0:
            raise ArtifactError(
                f"{drawn.path} and {ensembles.path} must both have at least two updates above 0 for "
                f"N = {size}; found {updates} and {list(errors['update'])}"
            )
        for name, points in (
            ("memorised", fraction(frames, drawn.path, updates, "memorised", own=True)),
            (
                "plain",
                fraction(frames, drawn.path, updates, "memorised", True, "distance_ratio"),
            ),
            ("control", fraction(frames, drawn.path, updates, "memorised", own=False)),
            ("copied", fraction(frames, drawn.path, updates, "copied", True, "correlation")),
            ("pair", averages(frames, drawn.path, updates, "pair_similarity")),
            *(
                (column, relative(errors, column, "update"))
                for column in ("variance", "bias", "own_empirical_distance", "empirical_distance")
            ),
        ):
            curves.setdefault(name, []).append(points)
    defined = [
        (size, share)
        for size, share in zip(sizes, curves["memorised"], strict=True)
        if np.isfinite(share.value).all()
    ]
    return _Training(
        sizes,
        curves,
        [onset(size, share) for size, share in defined],
        int(ensembles.frame["networks"].max()),
        int(drawn.frame.loc[drawn.frame["quantity"] == "memorised", "count"].max()),
        int(ensembles.frame["images"].max()),
        float(drawn.value("duplicate_threshold")),
        [ensembles.spec, drawn.spec],
    )


def _has_bias(training: _Training) -> bool:
    return all(np.isfinite(points.value).all() for points in training.curves["bias"])


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: the experiment's table of ensembles and its table of samples over training.
        spec: ``title``, ``experiment``, ``sigma``.
    """
    training = _measure(inputs, spec)
    rows = -(-len(training.sizes) // _PER_ROW)
    below = 0.3 + 0.18 * rows  # inches, for the legends
    height = 4.7 + below
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.set_layout_engine("constrained", rect=(0, below / height, 1, 1 - below / height))
    figure.suptitle(spec["title"])
    upper, lower = figure.subplots(2, 3)
    styles = size_styles(len(training.sizes))
    middle = "bias" if _has_bias(training) else "empirical_distance"
    titles = {
        "variance": "variance between networks",
        "bias": "squared bias",
        "empirical_distance": "to empirical optimum, test",
        "own_empirical_distance": "to empirical optimum, own",
    }
    _lines(upper[0], training, "memorised", styles)
    upper[0].axhline(HALF, **IDENTITY)
    upper[0].set(ylim=(-0.04, 1.04), title="memorised samples", ylabel="share of samples")
    _lines(upper[1], training, "pair", styles)
    upper[1].set(title="samples of two networks", ylabel="mean correlation")
    _onsets(upper[2], training, styles)
    errors = ("variance", middle, "own_empirical_distance")
    for axes, name in zip(lower, errors, strict=True):
        _lines(axes, training, name, styles, logarithmic=True)
        axes.set_title(titles[name])
        log_heights(axes, [points for name in errors for points in training.curves[name]])
    lower[0].set_ylabel(f"squared error / σ² at σ = {spec['sigma']:g}")
    for axes in (*upper[:2], *lower):
        axes.set_xscale("log")
        axes.set_xlabel("updates")
        axes.xaxis.set_minor_formatter(NullFormatter())
    _legend(figure, training, styles)
    return figure


def _lines(
    axes: Axes,
    training: _Training,
    name: str,
    styles: Sequence[dict[str, Any]],
    logarithmic: bool = False,
) -> None:
    """One quantity against updates, one curve per N, with a ring at the onset."""
    rings = {one.set_size: one.update for one in training.onsets if one.found}
    for size, points, style in zip(training.sizes, training.curves[name], styles, strict=True):
        shown = positive(points) if logarithmic else points
        draw_band(axes, shown, **style)
        if logarithmic:
            draw_bounds(axes, points, **style)
        if size in rings:
            height = np.interp(
                np.log(rings[size]), np.log(shown.x), shown.value, left=np.nan, right=np.nan
            )
            axes.plot(rings[size], height, **_ring())


def _ring() -> dict[str, Any]:
    return {
        "marker": "o",
        "markersize": 8,
        "markerfacecolor": "none",
        "markeredgecolor": "#e06c00",
        "markeredgewidth": 1.3,
        "linestyle": "none",
        "zorder": 4,
    }


def _onsets(axes: Axes, training: _Training, styles: Sequence[dict[str, Any]]) -> None:
    """Onset against N: found between two updates, before the first, or not until the last."""
    by_size = dict(zip(training.sizes, styles, strict=True))
    first = min(points.x[0] for points in training.curves["memorised"])
    last = max(points.x[-1] for points in training.curves["memorised"])
    for one in training.onsets:
        colour = by_size[one.set_size]["color"]
        if one.found:
            bars = [[one.update - one.before], [one.after - one.update]]
            marker = by_size[one.set_size]["marker"]
            axes.errorbar(one.set_size, one.update, bars, color=colour, marker=marker, zorder=3)
        else:
            late = not np.isfinite(one.after)
            known = one.before if late else one.after
            axes.plot(one.set_size, known, **(_LATE if late else _EARLY) | {"color": colour})
    found = [one for one in training.onsets if one.found]
    if len(found) > 1:
        sizes = np.array([one.set_size for one in found], dtype=float)
        scale = np.exp(np.mean(np.log([one.update / one.set_size for one in found])))
        ends = np.array([sizes[0] / 1.5, sizes[-1] * 1.5])
        axes.plot(ends, scale * ends, **IDENTITY)
        exponent = growth(training.onsets)
        fitted = "" if np.isnan(exponent) else f"\nfit: ∝ N$^{{{exponent:.2f}}}$"
        axes.text(
            0.97,
            0.04,
            f"dotted: ∝ N{fitted}",
            ha="right",
            va="bottom",
            transform=axes.transAxes,
        )
    axes.set_yscale("log")
    axes.set_ylim(first / 1.6, last * 1.6)
    axes.set(title="onset of memorisation", ylabel="updates")
    axes.yaxis.set_minor_formatter(NullFormatter())
    size_axis(axes, training.sizes, 0.3)


def _legend(figure: Drawing, training: _Training, styles: Sequence[dict[str, Any]]) -> None:
    per_size = [
        Line2D([], [], label=f"N = {size}", **style)
        for size, style in zip(training.sizes, styles, strict=True)
    ]
    kinds = [
        Line2D([], [], label=label, **style)
        for label, style, shown in (
            ("half of the samples memorised", _ring(), any(one.found for one in training.onsets)),
            (
                "not until the last update",
                _LATE,
                any(np.isnan(one.after) for one in training.onsets),
            ),
            (
                "by the first measured update",
                _EARLY,
                any(np.isnan(one.before) for one in training.onsets),
            ),
        )
        if shown
    ]
    for handles, height in ((per_size, 0.24), (kinds, 0.02)):
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, height / figure.get_figheight()),
            ncols=min(max(len(handles), 1), _PER_ROW),
        )


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    training = _measure(inputs, spec)
    onsets = {one.set_size: one for one in training.onsets}
    curves = training.curves
    lines = []
    for place, size in enumerate(training.sizes):
        lines.append(
            [
                str(size),
                *_onset_cells(onsets.get(size)),
                curves["memorised"][place].text(-1),
                curves["plain"][place].text(-1),
                f"{np.nanmax(curves['control'][place].value, initial=0):.2f}",
                *(
                    curves[name][place].text(-1)
                    for name in ("copied", "pair", "variance", "bias", "own_empirical_distance")
                ),
            ]
        )
    start = int(curves["memorised"][0].x[0])
    exponent = growth(training.onsets)
    found = [one for one in training.onsets if one.found]
    per_image = [f"{one.update / one.set_size:.3g} (N = {one.set_size})" for one in found]
    law = (
        f"Updates per training image until the onset: {', '.join(per_image) or 'no onset found'}. "
    )
    if np.isnan(exponent):
        law += (
            f"Onsets found between two measured updates: {len(found)}; how they grow with N needs at "
            "least three. Bonnaire et al. and Favero et al. find them proportional to N."
        )
    else:
        law += (
            f"A power law fitted to the {len(found)} onsets found grows as N to the power "
            f"{exponent:.2f}; Bonnaire et al. and Favero et al. find 1."
        )
    second = (
        "squared bias (middle)"
        if _has_bias(training)
        else "squared distance to the empirical optimum on test images (middle; there is no exact denoiser)"
    )
    return captions.caption(
        spec["title"],
        "Against training updates, one curve per number of training images N. Above: the share of "
        "samples that are memorised, that is three times nearer to one image of the own training set "
        f"than to any other (left; {CONTRAST_FREE}); correlation of the samples that the networks of "
        "S1 and S2 make from the same noise (middle); the onset, the first update at which half of "
        "the samples are memorised, interpolated in the logarithm of updates, with a bar from the "
        "measured update before it to that after it (right). Below, per pixel and relative to sigma "
        "squared, at "
        f"sigma = {spec['sigma']:g}: variance between networks of {training.networks} disjoint "
        f"training sets (left), {second}, and squared distance to the denoiser that is optimal if "
        "only the training images exist, on noisy images of the own training set (right). Rings: the "
        "onset, on every curve.",
        f"{BARS} {WILSON} {TRIANGLES}",
        law,
        SPREAD,
        "A network that has learned nothing yet returns the noise, which the two share: agreement at "
        "the first updates is that. Memorised shares are means over two networks, which can differ.",
        "Updates are counted alike, whatever the learning rate at that time: its schedule is below.",
        f"Onset, first measured at update {start}; largest share in the other network's set over all "
        "updates (control); and, at the last update, shares with half of Wilson's interval, copied being "
        f"those whose correlation with an image of the own set is above {training.threshold:g}, and "
        "others with one standard error:",
        captions.grid(
            (
                *("N", "onset", "between", "memorised", "by plain distance", "control", "copied"),
                *("pair", "variance", "bias", "to optimum, own"),
            ),
            lines,
        ),
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}",
                f"samples of each network: {training.samples}; test images: {training.images}",
            ]
        )
        + "\n"
        + captions.parameters(training.specs),
    )


def _onset_cells(one: Onset | None) -> tuple[str, str]:
    if one is None:
        return "undefined", "n/a"
    if not np.isfinite(one.after):
        return "never", f"after {one.before:.0f}"
    if not np.isfinite(one.before):
        return f"by {one.after:.0f}", f"up to {one.after:.0f}"
    return f"{one.update:.0f}", f"{one.before:.0f} and {one.after:.0f}"


class OnsetFigure(Figure):
    """When memorisation sets in, against updates."""

    experiment: str
    """one with snapshots"""
    sigma: Sigma
    """noise level at which errors are shown"""

    def needs(self, params: Params) -> Needs:
        """Ensembles and samples at every snapshot."""
        return Needs(ensembles=(self.experiment,), samples_over_training=(self.experiment,))

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
