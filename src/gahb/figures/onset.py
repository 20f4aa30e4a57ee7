"""Figure "onset": when memorisation sets in during training, for each number of training images N.

Against training updates, one curve per N: the share of memorised samples, how alike samples of two
networks are, variance and squared bias of the denoisers, and their distance to the empirical optimum.
The onset is the first update at which half of the samples are memorised; Bonnaire et al. (arXiv
2505.17638) and Favero et al. (arXiv 2505.16959) find it to grow in proportion to N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts.curves import EXACT_COLOUR, IDENTITY, size_axis, size_styles
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params
from gahb.figures.parts.intervals import (
    Points,
    at_level,
    draw_band,
    drawn_by,
    log_heights,
    of_samples,
    positive,
    relative,
    table_of,
)
from gahb.figures.parts.style import legends, line, page_over_legends
from gahb.figures.parts.tables import read_tables
from gahb.options import Sigma

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

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
_RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgecolor": EXACT_COLOUR,
    "markeredgewidth": 1.3,
    "linestyle": "none",
    "zorder": 4,
}
_ERRORS = {
    "variance": "variance between networks",
    "bias": "squared bias",
    "empirical_distance": "to empirical optimum, test",
    "own_empirical_distance": "to empirical optimum, own",
}
_COLUMNS = (
    *("memorised", "plain", "control", "copied", "pair"),
    *("variance", "bias", "own_empirical_distance"),
)


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
    def late(self) -> bool:
        """Whether it is after the last measured update, if at all."""
        return bool(np.isnan(self.after))

    @property
    def early(self) -> bool:
        """Whether it is before the first measured update."""
        return bool(np.isnan(self.before))

    @property
    def found(self) -> bool:
        """Whether both sides of it were measured."""
        return not (self.late or self.early)

    @property
    def cells(self) -> tuple[str, str]:
        """When it is, and between which measured updates."""
        if self.late:
            return "never", f"after {self.before:.0f}"
        if self.early:
            return f"by {self.after:.0f}", f"up to {self.after:.0f}"
        return f"{self.update:.0f}", f"{self.before:.0f} and {self.after:.0f}"


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
class Measured:
    """All numbers of the figure.

    Attributes:
        sizes: N, growing.
        curves: against updates, by quantity, then by growing N.
        onsets: where the share of memorised samples is defined, by growing N.
        networks: number of disjoint training sets whose denoisers are compared.
        samples: number of samples of each network.
        sampler: how they are drawn, in words.
        images: number of test images.
        threshold: correlation above which a sample counts as a copy.
        specs: of both tables.
    """

    sizes: list[int]
    curves: dict[str, list[Points]]
    onsets: list[Onset]
    networks: int
    samples: int
    sampler: str
    images: int
    threshold: float
    specs: list[Spec]

    @property
    def has_bias(self) -> bool:
        """Whether the image class has an exact denoiser, and so the networks a bias."""
        return all(np.isfinite(points.value).all() for points in self.curves["bias"])

    @property
    def found(self) -> list[Onset]:
        """Onsets between two measured updates."""
        return [one for one in self.onsets if one.found]

    @property
    def growth(self) -> float | None:
        """Exponent of the power law of :func:`growth`; None for fewer than three onsets found."""
        exponent = growth(self.onsets)
        return None if np.isnan(exponent) else exponent

    @property
    def start(self) -> int:
        """First measured update."""
        return int(self.curves["memorised"][0].x[0])

    @property
    def rows(self) -> list[list[str]]:
        """N, onset, updates around it, and shares, similarity and errors at the last update."""
        onsets = {one.set_size: one.cells for one in self.onsets}
        rows = []
        for place, size in enumerate(self.sizes):
            last = {name: points[place].text(-1) for name, points in self.curves.items()}
            last["control"] = f"{np.nanmax(self.curves['control'][place].value, initial=0):.2f}"
            when = onsets.get(size, ("undefined", "n/a"))
            rows.append([str(size), *when, *(last[name] for name in _COLUMNS)])
        return rows


class OnsetFigure(Figure):
    """When memorisation sets in, against updates."""

    experiment: str
    """one with snapshots"""
    sigma: Sigma
    """noise level at which errors are shown"""

    def needs(self, params: Params) -> Needs:
        """Ensembles and samples at every snapshot."""
        return Needs(ensembles=(self.experiment,), samples_over_training=(self.experiment,))

    def measure(self, inputs: Inputs) -> Measured:
        """Read samples and errors against updates, by growing N, and find the onsets."""
        tables = read_tables(inputs)
        ensembles = table_of(tables, "ensembles", self.experiment)
        drawn = table_of(tables, "samples_over_training", self.experiment)
        level = at_level(ensembles, self.sigma)
        curves: dict[str, list[Points]] = {}
        sizes = sorted({int(size) for size in drawn.frame["set_size"]})
        for size in sizes:
            of_size = drawn.frame[drawn.frame["set_size"] == size]
            updates = sorted({int(update) for update in of_size["update"]})
            frames = [of_size[of_size["update"] == update] for update in updates]
            errors = level[level["set_size"] == size]
            if len(updates) < 2 or len(errors) < 2 or updates[0] <= 0:
                raise ArtifactError(
                    f"{drawn.path} and {ensembles.path} must both have at least two updates above "
                    f"0 for N = {size}; found {updates} and {list(errors['update'])}"
                )
            points = of_samples(frames, drawn.path, updates)
            points |= {name: relative(errors, name, "update") for name in _ERRORS}
            for name, found in points.items():
                curves.setdefault(name, []).append(found)
        samples, sampler = drawn_by(drawn)
        return Measured(
            sizes=sizes,
            curves=curves,
            onsets=[
                onset(size, share)
                for size, share in zip(sizes, curves["memorised"], strict=True)
                if np.isfinite(share.value).all()
            ],
            networks=int(ensembles.frame["networks"].max()),
            samples=samples,
            sampler=sampler,
            images=int(ensembles.frame["images"].max()),
            threshold=float(drawn.value("duplicate_threshold")),
            specs=[ensembles.spec, drawn.spec],
        )

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        told = ", ".join(
            f"{one.cells[0]} at N = {one.set_size}" for one in measured.onsets if not one.late
        )
        never = ", ".join(str(one.set_size) for one in measured.onsets if one.late)
        return f"Updates until half is memorised: {told or 'none'}" + (
            f"; never at N = {never}" if never else ""
        )

    def draw(self, measured: Measured) -> Drawing:
        """Six panels: samples, onsets and errors, against updates and N."""
        from matplotlib.ticker import NullFormatter

        below = 0.3 + 0.18 * -(-len(measured.sizes) // _PER_ROW)  # inches, for the legends
        drawing = page_over_legends(4.7 + below, below, self.heading(measured))
        upper, lower = drawing.subplots(2, 3)
        styles = size_styles(len(measured.sizes))
        _lines(upper[0], measured, "memorised", styles)
        upper[0].axhline(HALF, **IDENTITY)
        upper[0].set(ylim=(-0.04, 1.04), title="memorised samples", ylabel="share of samples")
        _lines(upper[1], measured, "pair", styles)
        upper[1].set(title="samples of two networks", ylabel="mean correlation")
        _onsets(upper[2], measured, styles)
        middle = "bias" if measured.has_bias else "empirical_distance"
        errors = ("variance", middle, "own_empirical_distance")
        for axes, name in zip(lower, errors, strict=True):
            _lines(axes, measured, name, styles, logarithmic=True)
            axes.set_title(_ERRORS[name])
            log_heights(axes, [points for name in errors for points in measured.curves[name]])
        lower[0].set_ylabel(f"squared error / σ² at σ = {self.sigma:g}")
        for axes in (*upper[:2], *lower):
            axes.set_xscale("log")
            axes.set_xlabel("updates")
            axes.xaxis.set_minor_formatter(NullFormatter())
        per_size = [
            line(f"N = {size}", **style) for size, style in zip(measured.sizes, styles, strict=True)
        ]
        kinds = [
            line(label, **style)
            for label, style, shown in (
                ("half of the samples memorised", _RING, measured.found),
                ("not until the last update", _LATE, [o for o in measured.onsets if o.late]),
                ("by the first measured update", _EARLY, [o for o in measured.onsets if o.early]),
            )
            if shown
        ]
        legends(drawing, {0.24: per_size, 0.02: kinds}, _PER_ROW)
        return drawing


def _lines(
    axes: Axes,
    measured: Measured,
    name: str,
    styles: Sequence[dict[str, Any]],
    logarithmic: bool = False,
) -> None:
    """One quantity against updates, one curve per N, with a ring at the onset."""
    rings = {one.set_size: one.update for one in measured.found}
    for size, points, style in zip(measured.sizes, measured.curves[name], styles, strict=True):
        draw_band(axes, points, logarithmic, **style)
        if size in rings:
            shown = positive(points) if logarithmic else points
            height = np.interp(
                np.log(rings[size]), np.log(shown.x), shown.value, left=np.nan, right=np.nan
            )
            axes.plot(rings[size], height, **_RING)


def _onsets(axes: Axes, measured: Measured, styles: Sequence[dict[str, Any]]) -> None:
    """Onset against N: found between two updates, before the first, or not until the last."""
    from matplotlib.ticker import NullFormatter

    by_size = dict(zip(measured.sizes, styles, strict=True))
    for one in measured.onsets:
        colour = by_size[one.set_size]["color"]
        if one.found:
            bars = [[one.update - one.before], [one.after - one.update]]
            marker = by_size[one.set_size]["marker"]
            axes.errorbar(one.set_size, one.update, bars, color=colour, marker=marker, zorder=3)
        else:
            known = one.before if one.late else one.after
            axes.plot(one.set_size, known, **(_LATE if one.late else _EARLY) | {"color": colour})
    found, exponent = measured.found, measured.growth
    if len(found) > 1:
        scale = np.exp(np.mean(np.log([one.update / one.set_size for one in found])))
        ends = np.array([found[0].set_size / 1.5, found[-1].set_size * 1.5])
        axes.plot(ends, scale * ends, **IDENTITY)
        fitted = "" if exponent is None else f"\nfit: ∝ N$^{{{exponent:.2f}}}$"
        corner: dict[str, Any] = {"ha": "right", "va": "bottom", "transform": axes.transAxes}
        axes.text(0.97, 0.04, f"dotted: ∝ N{fitted}", **corner)
    shares = measured.curves["memorised"]
    axes.set_yscale("log")
    axes.set_ylim(min(s.x[0] for s in shares) / 1.6, max(s.x[-1] for s in shares) * 1.6)
    axes.set(title="onset of memorisation", ylabel="updates")
    axes.yaxis.set_minor_formatter(NullFormatter())
    size_axis(axes, measured.sizes, 0.3)
