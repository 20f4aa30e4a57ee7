"""Figure "density": how far the density a network defines may be from that of the images, in nats.

D_KL(p_low ‖ p_θ,low) ≤ start + ∫ (MSE(f_θ, σ) − MSE(f*, σ)) σ^-3 dσ over the noise levels from
sigma_low to sigma_high, with the squared error summed over pixels, p_low the density of images with
noise of sigma_low, and start = D_KL(p_high ‖ N(mean, sigma_high² I)) (Song et al., NeurIPS 2021, theorem
1; Kadkhodaie et al., ICLR 2024, section 2). The excess is variance between networks of disjoint training
sets plus squared bias, and so is the integral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts import captions
from gahb.figures.parts.curves import limits, sigma_axis, size_axis, size_styles
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params
from gahb.figures.parts.intervals import (
    BARS,
    TRIANGLES,
    Points,
    at_last,
    draw_band,
    draw_bounds,
    ensembles_of,
    log_heights,
    positive,
    with_error,
)
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, two_colours
from gahb.figures.parts.tables import Table, read_tables, rows, the_only

_PER_ROW = 7  # entries of a legend
_LIGHTER, _DARKER = two_colours()
_PARTS: dict[str, dict[str, Any]] = {  # the bound and its parts: columns of both tables, and looks
    "excess": {"color": "0.1", "linestyle": "-", "marker": "o", "linewidth": 1.6},
    "variance": {"color": _LIGHTER, "linestyle": "--", "marker": "s", "linewidth": 1.2},
    "bias": {"color": _DARKER, "linestyle": ":", "marker": "D", "linewidth": 1.4},
}
_BOUNDS = {"excess": "kl", "variance": "kl_variance", "bias": "kl_bias"}
_NAMES = {"excess": "integral", "variance": "variance between networks", "bias": "squared bias"}
_OUTSIDE: dict[str, Any] = {"color": "0.55", "linestyle": "none", "marker": "x"}
_START: dict[str, Any] = {"color": "0.55", "linestyle": "-.", "linewidth": 1.0}
_SHADE = "0.86"
_SMALLEST = 1e-12  # nats per e-fold that the linear axis reaches at least


@dataclass(frozen=True)
class _Column:
    """What is drawn of one experiment."""

    experiment: str
    integrands: dict[int, dict[str, Points]]  # by N, then by part; nats per e-fold of σ
    bounds: pd.DataFrame  # rows of the table of densities, by growing N
    specs: list[Spec]

    @property
    def trained(self) -> tuple[float, float]:
        """Noise levels that are integrated over."""
        return float(self.bounds["sigma_low"].iloc[0]), float(self.bounds["sigma_high"].iloc[0])

    @property
    def sigma(self) -> np.ndarray:
        """All noise levels measured, growing."""
        return next(iter(self.integrands.values()))["excess"].x

    def bound(self, part: str) -> Points:
        """The bound or a part of it against N; an interval of one standard error over images."""
        name = _BOUNDS[part]
        return Points.of(self.bounds["set_size"], self.bounds[name], self.bounds[f"{name}_se"])


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[_Column]:
    asked = dict(spec)
    tables = read_tables(inputs)
    densities = the_only(tables, "density", "density (one row per experiment and N)")
    return [_column(tables, densities, name) for name in asked["experiments"]]


def _column(tables: Sequence[Table], densities: Table, experiment: str) -> _Column:
    bounds = rows(densities, experiment=experiment).sort_values("set_size")
    for name in ("sigma_low", "sigma_high", "pixels"):
        if bounds[name].nunique() != 1:
            raise ArtifactError(
                f"{densities.path}: {experiment} has several values of {name}; expected one"
            )
    table = ensembles_of(tables, experiment)
    frame = at_last(table)
    sizes = [int(size) for size in bounds["set_size"]]
    if sorted(set(frame["set_size"])) != sizes:
        raise ArtifactError(
            f"{densities.path} bounds {experiment} at N = {', '.join(map(str, sizes))}; {table.path} "
            f"has N = {', '.join(str(size) for size in sorted(set(frame['set_size'])))}"
        )
    if not np.isfinite(frame["excess"]).all():
        raise ArtifactError(f"{table.path}: no excess over an exact denoiser for all rows")
    pixels = float(bounds["pixels"].iloc[0])
    integrands: dict[int, dict[str, Points]] = {}
    for size in sizes:
        of_size = frame[frame["set_size"] == size].sort_values("sigma")
        per_efold = pixels / of_size["sigma"].to_numpy(dtype=float) ** 2
        integrands[size] = {
            part: Points.of(
                of_size["sigma"], of_size[part] * per_efold, of_size[f"{part}_se"] * per_efold
            )
            for part in _PARTS
        }
    return _Column(experiment, integrands, bounds, [table.spec])


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: the table of densities and the table of ensembles of each experiment.
        spec: ``title``, ``experiments``.
    """
    columns = _measure(inputs, spec)
    sizes = sorted({size for column in columns for size in column.integrands})
    below = 0.52 + 0.18 * -(-len(sizes) // _PER_ROW)  # inches, for the legends
    height = 6.6 + below
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.set_layout_engine("constrained", rect=(0, below / height, 1, 1 - below / height))
    figure.suptitle(spec["title"])
    panels = figure.subplots(3, len(columns), squeeze=False)
    styles = dict(zip(sizes, size_styles(len(sizes)), strict=True))
    for place, column in enumerate(columns):
        _draw_integrands(panels[0, place], column, styles)
        _draw_split(panels[1, place], column)
        for axes in panels[:2, place]:
            _noise_levels(axes, column, few=len(columns) > 2)
        _draw_bound(panels[2, place], column)
        size_axis(panels[2, place], sizes, 0.09 * len(columns))
        panels[0, place].set_title(column.experiment)
    seen = [parts["excess"] for column in columns for parts in column.integrands.values()]
    for axes in panels[0]:
        log_heights(axes, seen)
    bounds = [column.bound(part) for column in columns for part in _PARTS]
    for axes in panels[2]:
        log_heights(axes, [*bounds, *_marks(columns)])
    for row in (0, 2):
        for axes in panels[row, 1:]:
            axes.tick_params(labelleft=False)
    panels[0, 0].set_ylabel("nats per e-fold of σ")
    panels[1, 0].set_ylabel("nats per e-fold of σ")
    panels[2, 0].set_ylabel("nats")
    if len({float(column.bounds["pixels"].iloc[0]) for column in columns}) == 1:
        _bits(panels[2, -1], float(columns[0].bounds["pixels"].iloc[0]))
    _legend(figure, styles, columns)
    return figure


def _marks(columns: Sequence[_Column]) -> list[Points]:
    """What the axis of the bounds must hold besides them."""
    return [
        Points.of(column.bounds["set_size"], column.bounds[name], np.nan)
        for column in columns
        for name in ("start", "kl_outside")
    ]


def _draw_integrands(axes: Axes, column: _Column, styles: Mapping[int, dict[str, Any]]) -> None:
    for size, parts in column.integrands.items():
        draw_band(axes, positive(parts["excess"]), **styles[size])
        draw_bounds(axes, parts["excess"], **styles[size])


def _draw_split(axes: Axes, column: _Column) -> None:
    """Variance and bias of the largest N, on a linear scale: areas over ln σ are nats."""
    size = max(column.integrands)
    parts = column.integrands[size]
    for part, style in _PARTS.items():
        if np.isfinite(parts[part].value).any():
            draw_band(axes, parts[part], **style | {"markersize": 3})
    low, high = column.trained
    inside = (column.sigma >= low * 0.9999) & (column.sigma <= high * 1.0001)
    axes.fill_between(
        column.sigma[inside],
        np.clip(parts["excess"].value[inside], 0, None),
        color="0.93",
        linewidth=0,
        zorder=0.5,
    )
    axes.axhline(0, color="0.45", linewidth=0.8)
    tallest = max(float(np.max(parts["excess"].high[inside])), _SMALLEST)
    lowest, tallest = limits(
        [np.zeros(1), np.full(1, tallest), *(points.value[inside] for points in parts.values())], 0
    )
    axes.set_ylim(lowest - 0.06 * tallest, 1.12 * tallest)
    axes.set_title(f"split at N = {size}", pad=3)


def _noise_levels(axes: Axes, column: _Column, few: bool) -> None:
    """An axis of noise levels, with few labels or more, and a shade beyond those trained at."""
    sigma_axis(axes, column.sigma)
    if few:
        ticks = _few(column.sigma)
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    low, high = column.trained
    left, right = axes.get_xlim()
    if column.sigma[-1] > high * 1.0001:
        axes.axvspan(high, right, color=_SHADE, linewidth=0, zorder=0)
    if column.sigma[0] < low * 0.9999:
        axes.axvspan(left, low, color=_SHADE, linewidth=0, zorder=0)


def _few(sigma: np.ndarray) -> list[float]:
    """Three noise levels to label: the lowest, the highest and one halfway."""
    middle = np.argmin(np.abs(np.log(sigma) - np.log(sigma[[0, -1]]).mean()))
    return [float(sigma[0]), float(sigma[middle]), float(sigma[-1])]


def _draw_bound(axes: Axes, column: _Column) -> None:
    for part, style in _PARTS.items():
        points = column.bound(part)
        shown = positive(points)
        if not np.isfinite(shown.value).any():
            continue
        axes.plot(points.x, shown.value, **style | {"markersize": 3.6})
        draw_bounds(axes, points, **style)
    total = positive(column.bound("excess"))
    error = _total_error(column.bounds)
    axes.errorbar(total.x, total.value, error, fmt="none", color="0.1", elinewidth=0.9, capsize=2)
    axes.errorbar(
        total.x,
        total.value,
        total.high - total.value,
        fmt="none",
        color="0.1",
        elinewidth=2.6,
    )
    axes.plot(total.x, column.bounds["start"], **_START)
    axes.plot(
        total.x, column.bounds["kl_outside"].where(column.bounds["kl_outside"] > 0), **_OUTSIDE
    )


def _total_error(bounds: pd.DataFrame) -> np.ndarray:
    """Errors over images, of quadrature and between networks (where there are several), as one."""
    errors = bounds[["kl_se", "kl_quadrature", "kl_between"]].fillna(0).to_numpy(dtype=float)
    return np.sqrt((errors**2).sum(axis=1))


def _bits(axes: Axes, pixels: float) -> None:
    """A second axis, in bits per pixel."""
    scale = 1 / (pixels * np.log(2))
    second = axes.secondary_yaxis("right", functions=(lambda n: n * scale, lambda b: b / scale))
    second.set_ylabel("bits per pixel")
    second.spines["right"].set_visible(True)


def _legend(
    figure: Drawing, styles: Mapping[int, dict[str, Any]], columns: Sequence[_Column]
) -> None:
    per_size = [Line2D([], [], label=f"N = {size}", **style) for size, style in styles.items()]
    parts = [
        Line2D([], [], label=_NAMES[part], **style | {"markersize": 3.6})
        for part, style in _PARTS.items()
    ]
    others: list[Line2D | Patch] = [Line2D([], [], label="start of sampling", **_START)]
    if any(np.isfinite(column.bounds["kl_outside"]).any() for column in columns):
        others += [
            Patch(color=_SHADE, label="σ beyond the trained range"),
            Line2D([], [], label="integral there", **_OUTSIDE),
        ]
    for handles, height in ((per_size, 0.42), (parts, 0.22), (others, 0.02)):
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, height / figure.get_figheight()),
            ncols=min(len(handles), _PER_ROW),
        )


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    columns = _measure(inputs, spec)
    table = pd.concat([column.bounds for column in columns])
    bounds, splits = [], []
    for row in table.to_dict("records"):
        head = [str(row["experiment"]), str(row["set_size"])]
        bounds.append(
            [
                *head,
                with_error(row["kl"], row["kl_se"], row["kl_quadrature"], row["kl_between"]),
                f"{row['bits_per_pixel']:.3g}",
                f"{row['start']:.3g}",
                f"{row['bound']:.4g}",
                with_error(row["kl_outside"], row["kl_outside_se"]),
                f"{row['per_efold_low']:.3g}",
                f"{row['exponent_low']:.2f}",
            ]
        )
        splits.append(
            [
                *head,
                with_error(row["kl_variance"], row["kl_variance_se"]),
                with_error(row["kl_bias"], row["kl_bias_se"]),
                _share(row["kl_variance"], row["kl"]),
            ]
        )
    return captions.caption(
        spec["title"],
        captions.escape(
            "A bound, in nats, on the divergence of the density that a network defines from that of "
            "the images, both with noise of sigma low: KL(p || p theta) <= start + the integral from "
            "sigma low to sigma high of (MSE(network) - MSE(exact)) / sigma cubed, MSE summed over "
            "pixels; averaged over networks of K disjoint training sets. p theta is what the reverse "
            "diffusion driven by the network (its stochastic equation, in continuous time) ends in, "
            "begun at sigma high with Gaussian noise around the mean intensity; start bounds what "
            "beginning there adds: the mean squared distance of images to that intensity over 2 sigma "
            "high squared. The excess error goes as sigma to the power a at sigma low (last column): a "
            "lower sigma low would raise the integral as sigma low to the power a - 2 where a is below "
            "2, so the bounds of networks that copy, a near 0, are about the sigma low chosen."
        ),
        "Above: the integrand d (MSE(network) - MSE(exact)) / sigma squared, per e-fold of sigma, MSE "
        "per pixel, d pixels: its area over ln sigma is the integral; one curve per number of training "
        "images N. Middle: the same on a linear scale for the largest N, with its split into "
        "variance between networks of disjoint training sets and squared bias. Below: the integral "
        "against N with its split; thick bars are one standard error over test images, thin ones "
        "join to it the error of quadrature and the standard error between networks.",
        _outside(columns),
        f"{BARS} {TRIANGLES}",
        "The integral in nats with its standard error over images, its error of quadrature, and the "
        "standard error between networks; the same in bits per pixel; the start; the bound, which is "
        "their sum; the integral beyond the trained range with its standard error; nats per e-fold, and "
        "the exponent a, at sigma low:",
        captions.grid(
            (
                *("experiment", "N", "integral (images, quadrature, networks)", "bits/pixel"),
                *("start", "bound", "beyond", "e-fold at sigma low", "a"),
            ),
            bounds,
        ),
        "Its split, with standard errors over images, and the share of variance:",
        captions.grid(("experiment", "N", "variance", "bias", "share of variance"), splits),
        "Made with:",
        captions.bullets(
            f"{captions.escape(column.experiment)}: {int(row['pixels'])} pixels, sigma from "
            f"{row['sigma_low']:g} to {row['sigma_high']:g}, networks of K = {int(row['networks'])} "
            f"disjoint sets, {int(row['images'])} test images"
            for column in columns
            for row in column.bounds.iloc[-1:].to_dict("records")
        )
        + "\n"
        + captions.parameters(spec for column in columns for spec in column.specs),
    )


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} percent" if np.isfinite(part) and whole > 0 else "n/a"


def _outside(columns: Sequence[_Column]) -> str:
    """What the shaded range is, if any level in it was measured."""
    beyond = [
        f"{captions.escape(column.experiment)} {row['outside_low']:g} to {row['outside_high']:g}"
        for column in columns
        for row in column.bounds.iloc[-1:].to_dict("records")
        if np.isfinite(row["kl_outside"])
    ]
    if not beyond:
        return ""
    return (
        "Shaded, and as crosses below: the same integral over noise levels above those trained at, "
        f"which the integral leaves out ({'; '.join(beyond)})."
    )


class DensityFigure(Figure):
    """Bounds on the divergence of learned densities from those of the images."""

    of_underneath: ClassVar[bool] = True

    experiments: Annotated[Experiments, Field(max_length=4)]
    """of image classes with an exact denoiser, one column each"""

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Those with an exact denoiser."""
        return isinstance(images.exact, str)

    def needs(self, params: Params) -> Needs:
        """The bounds, and the ensembles that they come from."""
        return Needs(tables=("density",), ensembles=tuple(self.experiments))

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
