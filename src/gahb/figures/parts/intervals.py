"""Points with intervals out of the tables of ensembles and of samples, and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gahb.artifacts import ArtifactError
from gahb.figures.parts.curves import limits
from gahb.figures.parts.tables import Table, one

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPLITS = ("S1", "S2")


@dataclass(frozen=True)
class Points:
    """Values with intervals; arrays over growing x, which is a set size, an update or a σ."""

    x: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, x: Any, value: Any, se: Any) -> Points:
        """From standard errors, one either side."""
        x, value, se = (np.asarray(item, dtype=float) for item in (x, value, se))
        return cls(x, value, value - se, value + se)

    def up_to(self, x: float) -> Points:
        """Those up to some x."""
        here = self.x <= x
        return Points(self.x[here], self.value[here], self.low[here], self.high[here])

    def text(self, place: int) -> str:
        """Value and half of its interval, in characters of a table in plain text."""
        return with_error(float(self.value[place]), float(self.high[place] - self.low[place]) / 2)


def with_error(value: float, *errors: float) -> str:
    """A number and its errors, with two digits of the smallest error, in plain text."""
    if not math.isfinite(value):
        return "n/a"
    known = [error for error in errors if math.isfinite(error) and error > 0]
    least = min(known, default=abs(value) / 10)
    if least > 0 and (least < 1e-5 or abs(value) >= 1e6):
        numbers = [f"{value:.2e}", *(f"{error:.0e}" for error in errors)]
    else:
        places = max(1 - math.floor(math.log10(least)), 0) if least > 0 else 1
        numbers = [f"{number:.{places}f}" for number in (value, *errors)]
    return " +/- ".join("n/a" if number == "nan" else number for number in numbers)


def table_of(tables: Sequence[Table], kind: str, experiment: str) -> Table:
    """The one table of a kind (ensembles, samples over training) of one experiment."""
    found = [table for table in tables if table.kind == kind and table.where(experiment=experiment)]
    return one(found, f"{kind.replace('_', ' ')} of {experiment}")


def at_level(table: Table, sigma: float) -> pd.DataFrame:
    """Rows of a table of ensembles at one noise level, by growing N and update.

    Raises:
        ArtifactError: none, or several for one N and update.
    """
    frame = table.frame[np.isclose(table.frame["sigma"], sigma, rtol=1e-4, atol=0)]
    if frame.empty:
        levels = ", ".join(f"{level:g}" for level in np.unique(table.frame["sigma"]))
        raise ArtifactError(f"{table.path} has no row with sigma = {sigma:g}; it has {levels}")
    if frame.duplicated(["set_size", "update"]).any():
        raise ArtifactError(f"{table.path} has several rows for one N and update at {sigma:g}")
    return frame.sort_values(["set_size", "update"])


def at_last(table: Table) -> pd.DataFrame:
    """Rows of a table of ensembles after the last update of each N."""
    frame = last_updates(table.frame)
    if frame.duplicated(["set_size", "sigma"]).any():
        raise ArtifactError(f"{table.path} has several rows for one N and sigma")
    return frame


def last_updates(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each N, the rows of its last update; of imported networks none is known, and all are the last."""
    update = frame["update"].fillna(0)
    return frame[update == update.groupby(frame["set_size"]).transform("max")]


def relative(frame: pd.DataFrame, column: str, x: str) -> Points:
    """A squared error per pixel as a multiple of σ², against another column."""
    variance = frame["sigma"].to_numpy(dtype=float) ** 2
    value, se = (frame[name].to_numpy(dtype=float) / variance for name in (column, f"{column}_se"))
    return Points.of(frame[x], value, se)


def summarised(
    frame: pd.DataFrame, path: Any, quantity: str, measure: str, own: bool | None = None
) -> tuple[float, float, int]:
    """Mean, standard error and count of a quantity of samples, averaged over the two networks.

    Args:
        frame: rows of one pair of networks, in the form of :func:`gahb.samples.comparison.summary_table`.
        path: of the table, for messages.
        quantity: of the table.
        measure: of the table.
        own: against the own training set, the other's, or None where neither is meant.

    The standard error is the mean of the two networks' own, which bounds that of the average from
    above: they sample from the same noise.
    """
    chosen = frame[(frame["quantity"] == quantity) & (frame["measure"] == measure)]
    if own is not None:
        chosen = chosen[(chosen["network"] == chosen["training_set"]) == own]
    wanted = 1 if own is None else len(SPLITS)
    if len(chosen) != wanted:
        sets = "" if own is None else f", of the {'own' if own else 'other'} training set"
        raise ArtifactError(
            f"{path} has {len(chosen)} rows of {quantity} ({measure}{sets}); expected {wanted}"
        )
    mean, se = (float(chosen[name].mean(skipna=False)) for name in ("mean", "se"))
    return mean, se, int(chosen["count"].min())


def of_samples(frames: Sequence[pd.DataFrame], path: Any, x: Sequence[float]) -> dict[str, Points]:
    """What tables of samples say against x, one table each, over the samples of both networks.

    Args:
        frames: rows of one pair of networks each.
        path: of the table, for messages.
        x: set sizes, or updates.

    Returns:
        By name: the shares ``memorised``, ``plain`` (the same by plain distance), ``control`` (in the
        other network's set) and ``copied``, NaN if undefined; the mean correlations ``pair`` (between
        the networks), ``closest`` and ``closest_other`` (with the closest image of the own set and of
        the other).
    """

    def found(*asked: Any) -> np.ndarray:
        return np.array([summarised(frame, path, *asked) for frame in frames], dtype=float).T

    def share(*asked: Any) -> Points:
        mean, _, count = found(*asked)
        return Points(np.asarray(x, dtype=float), mean, *wilson(mean, count))

    def average(quantity: str, own: bool | None = None) -> Points:
        mean, se, _ = found(quantity, "correlation", own)
        return Points.of(x, mean, se)

    return {
        "memorised": share("memorised", "scaled_ratio", True),
        "plain": share("memorised", "distance_ratio", True),
        "control": share("memorised", "scaled_ratio", False),
        "copied": share("copied", "correlation", True),
        "pair": average("pair_similarity"),
        "closest": average("closest_similarity", True),
        "closest_other": average("closest_similarity", False),
    }


def drawn_by(table: Table) -> tuple[int, str]:
    """Number of samples of each network behind a table of samples, and the sampler in words."""
    memorised = table.frame["quantity"] == "memorised"
    sampler = dict(table.value("sampling")["sampler"])
    options = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sampler.items())
    return int(table.frame.loc[memorised, "count"].max()), options.removeprefix("kind ")


def wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of one standard deviation for a share of ``count`` independent draws."""
    centre = (share + 0.5 / count) / (1 + 1 / count)
    half = np.sqrt(share * (1 - share) / count + 0.25 / count**2) / (1 + 1 / count)
    return centre - half, centre + half


def draw_points(axes: Axes, points: Points, logarithmic: bool = False, **style: Any) -> None:
    """A line through points with error bars; for a logarithmic axis, through :func:`positive` ones."""
    resolved = positive(points) if logarithmic else points
    shown = np.isfinite(resolved.value)
    x, value, low, high = (
        array[shown] for array in (resolved.x, resolved.value, resolved.low, resolved.high)
    )
    bars = np.clip([value - low, high - value], 0, None)
    axes.errorbar(x, value, np.nan_to_num(bars), elinewidth=1.0, **style)
    if logarithmic:
        draw_bounds(axes, points, style["color"])


def draw_band(axes: Axes, points: Points, logarithmic: bool = False, **style: Any) -> None:
    """A line through points with a band; for a logarithmic axis, through :func:`positive` ones."""
    shown = positive(points) if logarithmic else points
    axes.fill_between(shown.x, shown.low, shown.high, color=style["color"], alpha=0.2, linewidth=0)
    axes.plot(shown.x, shown.value, **style)
    if logarithmic:
        draw_bounds(axes, points, style["color"])


def draw_bounds(axes: Axes, points: Points, colour: Any) -> None:
    """Open triangles at the upper bounds of what :func:`positive` leaves out."""
    bounds = _bounds(points)
    shown = np.isfinite(bounds)
    if shown.any():
        style = {"color": colour, "markerfacecolor": "white"}
        axes.plot(points.x[shown], bounds[shown], marker="v", linestyle="none", **style)


def positive(points: Points) -> Points:
    """For a logarithmic axis: NaN for what is not more than one standard error above 0."""
    shown = _resolved(points)
    return Points(
        points.x, *(np.where(shown, y, np.nan) for y in (points.value, points.low, points.high))
    )


def log_heights(axes: Axes, many: Sequence[Points], margin: float = 1.5) -> None:
    """A logarithmic vertical axis that holds all that is above 0, and upper bounds of the rest."""
    values = [points.value[_resolved(points)] for points in many]
    heights = np.concatenate([*values, *(_bounds(points) for points in many)])
    heights = heights[np.isfinite(heights)]
    axes.set_yscale("log")
    if heights.size:
        low, high = limits([np.log(heights)], math.log(margin))
        axes.set_ylim(math.exp(low), math.exp(high))


def _resolved(points: Points) -> np.ndarray:
    """Whether each value is above 0, and its interval with it where it has one."""
    shown: np.ndarray = (points.value > 0) & ~(points.low <= 0)
    return shown


def _bounds(points: Points) -> np.ndarray:
    """Two standard errors above values that are not resolved; NaN where that is not above 0."""
    bound = points.high + (points.high - points.value)
    return np.where(~_resolved(points) & (bound > 0), bound, np.nan)
