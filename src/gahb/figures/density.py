"""Figure "density": how far the density a network defines may be from that of the images, in nats.

D_KL(p_low ‖ p_θ,low) ≤ start + ∫ (MSE(f_θ, σ) − MSE(f*, σ)) σ^-3 dσ over the noise levels from
sigma_low to sigma_high, with the squared error summed over pixels, p_low the density of images with
noise of sigma_low, and start = D_KL(p_high ‖ N(mean, sigma_high² I)) (Song et al., NeurIPS 2021, theorem
1; Kadkhodaie et al., ICLR 2024, section 2). The excess is variance between networks of disjoint training
sets plus squared bias, and so is the integral.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts.curves import limits, sigma_axis, size_axis, size_styles
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params
from gahb.figures.parts.intervals import (
    Points,
    at_last,
    draw_band,
    draw_bounds,
    log_heights,
    positive,
    table_of,
    with_error,
)
from gahb.figures.parts.style import legends, line, page_over_legends, patch, two_colours
from gahb.figures.parts.tables import Table, read_tables, rows, the_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_PER_ROW = 7  # entries of a legend
# The integral and its parts: columns of tables of ensembles, of densities, and names in the legend
_BOUNDS = {"excess": "kl", "variance": "kl_variance", "bias": "kl_bias"}
_NAMES = {"excess": "integral", "variance": "variance between networks", "bias": "squared bias"}
_OUTSIDE: dict[str, Any] = {"color": "0.55", "linestyle": "none", "marker": "x"}
_START: dict[str, Any] = {"color": "0.55", "linestyle": "-.", "linewidth": 1.0}
_SHADE = "0.86"
_SMALLEST = 1e-12  # nats per e-fold that the linear axis reaches at least


@dataclass(frozen=True)
class Column:
    """What is drawn of one experiment.

    Attributes:
        experiment: its name.
        integrands: by N, then by part, against growing σ; nats per e-fold of σ.
        bounds: rows of the table of densities, by growing N.
        spec: of its table of ensembles.
    """

    experiment: str
    integrands: dict[int, dict[str, Points]]
    bounds: pd.DataFrame
    spec: Spec

    @property
    def last(self) -> pd.Series[Any]:
        """The bounds of the largest N."""
        return self.bounds.iloc[-1]

    @property
    def pixels(self) -> float:
        """Of one image."""
        return float(self.last["pixels"])

    @property
    def trained(self) -> tuple[float, float]:
        """Noise levels that are integrated over."""
        return float(self.last["sigma_low"]), float(self.last["sigma_high"])

    @property
    def sigma(self) -> np.ndarray:
        """All noise levels measured, growing."""
        return next(iter(self.integrands.values()))["excess"].x

    def bound(self, part: str) -> Points:
        """The bound or a part of it against N; an interval of one standard error over images."""
        name = _BOUNDS[part]
        return Points.of(self.bounds["set_size"], self.bounds[name], self.bounds[f"{name}_se"])

    @property
    def total_error(self) -> np.ndarray:
        """Errors over images, of quadrature and between networks (where there are several), as one."""
        errors = self.bounds[["kl_se", "kl_quadrature", "kl_between"]].fillna(0)
        total: np.ndarray = np.sqrt((errors.to_numpy(dtype=float) ** 2).sum(axis=1))
        return total


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure, by experiment, and of bounds on likelihoods by network."""

    columns: list[Column]
    elbos: list[Table]

    @property
    def specs(self) -> list[Spec]:
        """Of the tables of ensembles."""
        return [column.spec for column in self.columns]

    @property
    def beyond(self) -> list[Column]:
        """Experiments with noise levels above those trained at."""
        return [column for column in self.columns if np.isfinite(column.last["kl_outside"])]

    def _records(self) -> Iterator[tuple[list[str], dict[str, Any]]]:
        for column in self.columns:
            for row in column.bounds.to_dict("records"):
                yield [column.experiment, str(row["set_size"])], {str(k): v for k, v in row.items()}

    @property
    def bound_rows(self) -> list[list[str]]:
        """Experiment, N, the integral and the bound with all that belongs to them."""
        return [
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
            for head, row in self._records()
        ]

    @property
    def elbo_rows(self) -> list[list[str]]:
        """Experiment, N, split, log-likelihood, both bounds, and what they lose."""
        return [
            [
                *(str(row[key]) for key in ("experiment", "set_size", "split")),
                *(f"{row[name]:.1f}" for name in ("log_likelihood", "exact_elbo", "elbo")),
                with_error(row["exact_loss"], row["exact_loss_se"]),
                with_error(row["loss"], row["loss_se"]),
            ]
            for table in self.elbos
            for row in table.frame.to_dict("records")
        ]

    @property
    def split_rows(self) -> list[list[str]]:
        """Experiment, N, variance, bias and the share of variance."""
        return [
            [
                *head,
                with_error(row["kl_variance"], row["kl_variance_se"]),
                with_error(row["kl_bias"], row["kl_bias_se"]),
                _share(row["kl_variance"], row["kl"]),
            ]
            for head, row in self._records()
        ]


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
        """The bounds, and the ensembles that they come from; bounds on likelihoods that are known."""
        experiments = params["experiments"]
        likelihoods = [
            name
            for name in self.experiments
            if "elbo" in params["ensembles"]
            and params["image_classes"][experiments[name]["image_class"]].get("class") == "gaussian"
        ]
        ensembles = tuple(self.experiments)
        return Needs(tables=("density",), ensembles=ensembles, elbos=tuple(likelihoods))

    def measure(self, inputs: Inputs) -> Measured:
        """Read the bounds, and compute what they integrate from errors after the last update."""
        tables = read_tables(inputs)
        densities = the_only(tables, "density", "density (one row per experiment and N)")
        columns = [_column(tables, densities, name) for name in self.experiments]
        return Measured(columns, [table for table in tables if table.kind == "elbo"])

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        told = ", ".join(f"{column.last['bound']:.2g}" for column in measured.columns)
        return f"Bound on the divergence at the largest N, column by column: {told} nats"

    def draw(self, measured: Measured) -> Drawing:
        """A column per experiment: integrand of every N, split of the largest, bound against N."""
        columns = measured.columns
        sizes = sorted({size for column in columns for size in column.integrands})
        below = 0.52 + 0.18 * -(-len(sizes) // _PER_ROW)  # inches, for the legends
        drawing = page_over_legends(6.6 + below, below, self.heading(measured))
        panels = drawing.subplots(3, len(columns), squeeze=False)
        styles = dict(zip(sizes, size_styles(len(sizes)), strict=True))
        looks = _looks()
        for (above, middle, under), column in zip(panels.T, columns, strict=True):
            for size, parts in column.integrands.items():
                draw_band(above, parts["excess"], logarithmic=True, **styles[size])
            _draw_split(middle, column, looks)
            for axes in (above, middle):
                _noise_levels(axes, column, few=len(columns) > 2)
            _draw_bound(under, column, looks)
            size_axis(under, sizes, 0.09 * len(columns))
            above.set_title(column.experiment)
        seen = [parts["excess"] for column in columns for parts in column.integrands.values()]
        for axes in panels[0]:
            log_heights(axes, seen)
        marks = [
            Points.of(column.bounds["set_size"], column.bounds[name], np.nan)
            for column in columns
            for name in ("start", "kl_outside")
        ]
        bounds = [column.bound(part) for column in columns for part in _BOUNDS]
        for axes in panels[2]:
            log_heights(axes, [*bounds, *marks])
        for axes in panels[::2, 1:].flat:
            axes.tick_params(labelleft=False)
        for axes, unit in zip(panels[:, 0], ("nats per e-fold of σ",) * 2 + ("nats",), strict=True):
            axes.set_ylabel(unit)
        if len({column.pixels for column in columns}) == 1:
            _bits(panels[2, -1], columns[0].pixels)
        per_size = [line(f"N = {size}", **style) for size, style in styles.items()]
        kinds = [line(_NAMES[part], **look | {"markersize": 3.6}) for part, look in looks.items()]
        others: list[Any] = [line("start of sampling", **_START)]
        if any(np.isfinite(column.bounds["kl_outside"]).any() for column in columns):
            others.append(patch("σ beyond the trained range", color=_SHADE))
            others.append(line("integral there", **_OUTSIDE))
        legends(drawing, {0.42: per_size, 0.22: kinds, 0.02: others}, _PER_ROW)
        return drawing


def _column(tables: Sequence[Table], densities: Table, experiment: str) -> Column:
    bounds = rows(densities, experiment=experiment).sort_values("set_size")
    for name in ("sigma_low", "sigma_high", "pixels"):
        if bounds[name].nunique() != 1:
            raise ArtifactError(
                f"{densities.path}: {experiment} has several values of {name}; expected one"
            )
    table = table_of(tables, "ensembles", experiment)
    frame = at_last(table)
    sizes, measured = list(bounds["set_size"]), sorted(set(frame["set_size"]))
    if measured != sizes:
        raise ArtifactError(
            f"{densities.path} bounds {experiment} at N = {', '.join(map(str, sizes))}; {table.path} "
            f"has N = {', '.join(map(str, measured))}"
        )
    if not np.isfinite(frame["excess"]).all():
        raise ArtifactError(f"{table.path}: no excess over an exact denoiser for all rows")
    pixels = float(bounds["pixels"].iloc[0])
    integrands: dict[int, dict[str, Points]] = {}
    for size in sizes:
        of_size = frame[frame["set_size"] == size].sort_values("sigma")
        sigma = of_size["sigma"]
        per_efold = pixels / sigma.to_numpy(dtype=float) ** 2
        integrands[int(size)] = {
            part: Points.of(sigma, of_size[part] * per_efold, of_size[f"{part}_se"] * per_efold)
            for part in _BOUNDS
        }
    return Column(experiment, integrands, bounds, table.spec)


def _looks() -> dict[str, dict[str, Any]]:
    """How the integral and its parts are drawn."""
    lighter, darker = two_colours()
    return {
        "excess": {"color": "0.1", "linestyle": "-", "marker": "o", "linewidth": 1.6},
        "variance": {"color": lighter, "linestyle": "--", "marker": "s", "linewidth": 1.2},
        "bias": {"color": darker, "linestyle": ":", "marker": "D", "linewidth": 1.4},
    }


def _draw_split(axes: Axes, column: Column, looks: Mapping[str, dict[str, Any]]) -> None:
    """Variance and bias of the largest N, on a linear scale: areas over ln σ are nats."""
    size, parts = max(column.integrands.items())
    for part, look in looks.items():
        if np.isfinite(parts[part].value).any():
            draw_band(axes, parts[part], **look | {"markersize": 3})
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


def _noise_levels(axes: Axes, column: Column, few: bool) -> None:
    """An axis of noise levels, with few labels or more, and a shade beyond those trained at."""
    sigma_axis(axes, column.sigma)
    if few:  # the lowest, the highest and one halfway
        middle = np.argmin(np.abs(np.log(column.sigma) - np.log(column.sigma[[0, -1]]).mean()))
        ticks = [float(column.sigma[place]) for place in (0, middle, -1)]
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    low, high = column.trained
    left, right = axes.get_xlim()
    if column.sigma[-1] > high * 1.0001:
        axes.axvspan(high, right, color=_SHADE, linewidth=0, zorder=0)
    if column.sigma[0] < low * 0.9999:
        axes.axvspan(left, low, color=_SHADE, linewidth=0, zorder=0)


def _draw_bound(axes: Axes, column: Column, looks: Mapping[str, dict[str, Any]]) -> None:
    for part, look in looks.items():
        points = column.bound(part)
        shown = positive(points)
        if np.isfinite(shown.value).any():
            axes.plot(points.x, shown.value, **look | {"markersize": 3.6})
            draw_bounds(axes, points, look["color"])
    total = positive(column.bound("excess"))
    bars: dict[str, Any] = {"fmt": "none", "color": "0.1"}
    axes.errorbar(total.x, total.value, column.total_error, elinewidth=0.9, capsize=2, **bars)
    axes.errorbar(total.x, total.value, total.high - total.value, elinewidth=2.6, **bars)
    axes.plot(total.x, column.bounds["start"], **_START)
    outside = column.bounds["kl_outside"]
    axes.plot(total.x, outside.where(outside > 0), **_OUTSIDE)


def _bits(axes: Axes, pixels: float) -> None:
    """A second axis, in bits per pixel."""
    scale = 1 / (pixels * np.log(2))
    second = axes.secondary_yaxis("right", functions=(lambda n: n * scale, lambda b: b / scale))
    second.set_ylabel("bits per pixel")
    second.spines["right"].set_visible(True)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} percent" if np.isfinite(part) and whole > 0 else "n/a"
