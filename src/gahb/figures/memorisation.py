"""Figure "memorisation": what networks of disjoint training sets share, and what each keeps for itself.

Against the number of training images N: the share of samples that copy a training image, how alike
samples of two networks are, variance and squared bias of the denoisers over disjoint training sets,
and their distance to the denoiser that is optimal for the training set alone (Kadkhodaie et al., ICLR
2024, sections 2 and 3; Gu et al., arXiv 2310.02664).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts.curves import IDENTITY, size_axis
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, TwoSigmas
from gahb.figures.parts.intervals import (
    Points,
    at_level,
    draw_points,
    drawn_by,
    last_updates,
    log_heights,
    of_samples,
    relative,
    table_of,
)
from gahb.figures.parts.style import legends, line, markers, ordered_colours, page_over_legends
from gahb.figures.parts.tables import Table, choose, read_tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_DASHES = ("-", "--", ":")
_SHARES = {"memorised": "memorised", "plain": "by plain distance", "copied": "copied"}
_ALIKE = {
    "pair": "two networks",
    "closest": "closest, own set",
    "closest_other": "closest, other set",
}
_ERRORS = {"variance": "variance between networks", "bias": "squared bias"}
_DISTANCES = {
    "own_empirical_distance": "on own training images",
    "empirical_distance": "on test images",
}
_COLUMNS = (*_ERRORS, *_DISTANCES, "exact_mse")


@dataclass(frozen=True)
class Ensemble:
    """One experiment: points against N.

    Attributes:
        experiment: its name.
        networks: number of disjoint training sets.
        images: number of test images.
        drawn: number of samples of each network, and how they are drawn, in words.
        threshold: correlation above which a sample counts as a copy.
        samples: shares and similarities by name, see :func:`~.parts.intervals.of_samples`.
        errors: by noise level, then by column of the table of ensembles; multiples of σ².
        specs: of its tables.
    """

    experiment: str
    networks: int
    images: int
    drawn: tuple[int, str]
    threshold: float
    samples: dict[str, Points]
    errors: dict[float, dict[str, Points]]
    specs: list[Spec]

    @property
    def sizes(self) -> list[int]:
        """N, growing."""
        return [int(size) for size in self.samples["memorised"].x]

    @property
    def most_memorised(self) -> int | None:
        """The largest N at which half of the samples or more are memorised; None if there is none."""
        share = self.samples["memorised"]
        sizes = share.x[share.value >= 0.5]
        return int(sizes[-1]) if sizes.size else None

    @property
    def half_memorised(self) -> str:
        """Between which N the share of memorised samples falls below one half, in words."""
        share, most = self.samples["memorised"], self.most_memorised
        below = share.x[share.value < 0.5].astype(int)  # nowhere where it is undefined
        if most is None or not below.size:
            return f"at {'no' if most is None else 'every'} N at which the share is defined"
        beyond = "".join(f" and not at N = {size}" for size in below[below > most][:1])
        return f"up to N = {most}{beyond}"

    def first(self, sigma: float, column: str) -> float:
        """An error at the smallest N."""
        return float(self.errors[sigma][column].value[0])

    def last(self, sigma: float, column: str) -> float:
        """An error at the largest N."""
        return float(self.errors[sigma][column].value[-1])

    def has_bias(self, sigma: float) -> bool:
        """Whether its image class has an exact denoiser, and so the networks a bias."""
        return bool(np.isfinite(self.errors[sigma]["bias"].value).all())

    def biased(self, sigma: float) -> list[int]:
        """N at which squared bias exceeds variance."""
        bias, variance = (self.errors[sigma][name].value for name in ("bias", "variance"))
        return [size for size, more in zip(self.sizes, bias > variance, strict=True) if more]


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure, by experiment."""

    ensembles: list[Ensemble]

    @property
    def specs(self) -> list[Spec]:
        """Of all tables."""
        return [spec for one in self.ensembles for spec in one.specs]

    @property
    def thresholds(self) -> list[str]:
        """Correlations above which a sample counts as a copy, growing."""
        return [f"{threshold:g}" for threshold in sorted({one.threshold for one in self.ensembles})]

    @property
    def without_bias(self) -> list[str]:
        """Experiments without exact denoiser."""
        return [
            one.experiment
            for one in self.ensembles
            if not any(np.isfinite(points["bias"].value).any() for points in one.errors.values())
        ]

    @property
    def sample_rows(self) -> list[list[str]]:
        """Experiment, N, and shares and similarities of samples with their intervals."""
        columns = (*_SHARES, "control", *_ALIKE)
        return self._rows([(one, one.samples) for one in self.ensembles], columns)

    def error_rows(self, sigma: float) -> list[list[str]]:
        """Experiment, N, and errors at a noise level with their standard errors."""
        return self._rows([(one, one.errors[sigma]) for one in self.ensembles], _COLUMNS)

    @staticmethod
    def _rows(
        found: Sequence[tuple[Ensemble, Mapping[str, Points]]], columns: Sequence[str]
    ) -> list[list[str]]:
        return [
            [one.experiment, str(size), *(points[column].text(place) for column in columns)]
            for one, points in found
            for place, size in enumerate(one.sizes)
        ]


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

    def measure(self, inputs: Inputs) -> Measured:
        """Read samples, and errors after the last update, of each experiment by growing N."""
        tables = read_tables(inputs)
        return Measured([_ensemble(tables, name, self.sigmas) for name in self.experiments])

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        most = {one.experiment: one.most_memorised for one in measured.ensembles}
        found = ", ".join(f"{size} ({name})" for name, size in most.items() if size is not None)
        nowhere = ", ".join(name for name, size in most.items() if size is None)
        told = f"up to N = {found}" if found else ""
        told += f"{', ' if found else ''}at no N measured ({nowhere})" if nowhere else ""
        return f"Half of the samples are memorised {told}"

    def draw(self, measured: Measured) -> Drawing:
        """Six panels: shares and similarity of samples, errors, and distances at two noise levels."""
        ensembles = measured.ensembles
        drawing = page_over_legends(7.6, 0.26, self.heading(measured))
        panels = drawing.subplots(3, 2)
        count = len(ensembles)
        styles: list[dict[str, Any]] = [
            {"color": colour, "marker": marker, "markersize": 4.2}
            for colour, marker in zip(ordered_colours(count), markers(count), strict=True)
        ]
        sizes = sorted({size for one in ensembles for size in one.sizes})
        for axes, kinds, title, label in (
            (panels[0, 0], _SHARES, "memorised and copied samples", "share of samples"),
            (panels[0, 1], _ALIKE, "similarity of samples", "mean correlation"),
        ):
            _curves(axes, [one.samples for one in ensembles], kinds, styles)
            axes.set_title(title, pad=20)
            axes.set_ylabel(label)
        panels[0, 0].set_ylim(-0.04, 1.04)
        for row, kinds, title in (
            (panels[1], _ERRORS, "variance and bias, σ = {:g}"),
            (panels[2], _DISTANCES, "distance to the empirical optimum, σ = {:g}"),
        ):
            seen = []
            for axes, sigma in zip(row, self.sigmas, strict=True):
                chosen = [one.errors[sigma] for one in ensembles]
                seen += [points[kind] for points in chosen for kind in kinds]
                _curves(axes, chosen, kinds, styles, logarithmic=True)
                if kinds is _ERRORS:
                    for points, style in zip(chosen, styles, strict=True):
                        floor = points["exact_mse"]
                        axes.plot(floor.x, floor.value, **IDENTITY | {"color": style["color"]})
                        seen.append(floor)
                axes.set_title(title.format(sigma), pad=20)
            for axes in row:
                log_heights(axes, seen)
            row[0].set_ylabel("squared error / σ²")
        same = all(one.sizes == ensembles[0].sizes for one in ensembles)
        powers = [10**power for power in range(9) if sizes[0] <= 10**power <= sizes[-1]]
        for axes in panels.flat:
            size_axis(axes, sizes, labelled=sizes if same or not powers else powers)
        for axes in panels[:2].flat:
            axes.set_xlabel("")
        handles = [
            line(f"{one.experiment} (K = {one.networks})", **style)
            for one, style in zip(ensembles, styles, strict=True)
        ]
        floors = [points["exact_mse"].value for one in ensembles for points in one.errors.values()]
        if np.isfinite(np.concatenate(floors)).any():
            handles.append(line("error of the exact optimum", **IDENTITY))
        legends(drawing, {0.02: handles}, len(handles))
        return drawing


def _ensemble(tables: Sequence[Table], experiment: str, sigmas: Sequence[float]) -> Ensemble:
    table = table_of(tables, "ensembles", experiment)
    errors = {}
    for sigma in sigmas:
        last = last_updates(at_level(table, sigma))
        columns = (*_COLUMNS, "excess")
        errors[sigma] = {name: relative(last, name, "set_size") for name in columns}
    pairs = choose(tables, "samples", experiment=experiment)
    sizes = [int(pair.value("set_size")) for pair in pairs]
    measured = [int(size) for size in errors[sigmas[0]]["variance"].x]
    if sizes != measured:
        raise ArtifactError(
            f"{table.path} compares networks of {experiment} at N = {_listed(measured)}; the sample "
            f"tables given are for N = {_listed(sizes)}"
        )
    frames = [pair.frame for pair in pairs]
    return Ensemble(
        experiment=experiment,
        networks=int(table.frame["networks"].max()),
        images=int(table.frame["images"].max()),
        drawn=drawn_by(pairs[0]),
        threshold=float(pairs[0].value("duplicate_threshold")),
        samples=of_samples(frames, pairs[0].path.parent, sizes),
        errors=errors,
        specs=[table.spec, *(pair.spec for pair in pairs)],
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


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
        look |= {} if dash == "-" else {"markerfacecolor": "white"}
        for points, style in zip(ensembles, styles, strict=True):
            draw_points(axes, points[kind], logarithmic, **style, **look)
        handles.append(line(name, color="0.3", marker="o", markersize=4.2, **look))
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
