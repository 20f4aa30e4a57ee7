"""Points with intervals out of the tables of ensembles and of samples, and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gahb.artifacts import ArtifactError
from gahb.figures.parts.curves import limits
from gahb.figures.parts.tables import Table, one

SPLITS = ("S1", "S2")
BARS = "Bars and bands are one standard error either side."
WILSON = (
    "Those of shares are Wilson's interval of one standard deviation for the samples of one network, "
    "since both networks sample from the same noise."
)
SPREAD = (
    "Standard errors of errors are over test images, for the networks that were trained: what other "
    "training sets would change is not in them. Networks of disjoint sets also start from other weights "
    "and see their images in other orders and noise: variance is that of all of these together."
)
TRIANGLES = (
    "On logarithmic axes, what is not more than one standard error above 0 is an open triangle, two "
    "standard errors above the estimate."
)


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


def ensembles_of(tables: Sequence[Table], experiment: str) -> Table:
    """The table of ensembles of one experiment, or raise what is missing."""
    return _of(tables, "ensembles", experiment)


def samples_over_training_of(tables: Sequence[Table], experiment: str) -> Table:
    """The table of samples against updates of one experiment, or raise what is missing."""
    return _of(tables, "samples_over_training", experiment)


def _of(tables: Sequence[Table], kind: str, experiment: str) -> Table:
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
    """Of each N, the rows of its last update."""
    return frame[frame["update"] == frame.groupby("set_size")["update"].transform("max")]


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


CONTRAST_FREE = (
    "distances between images less their mean and of unit norm, since a bias-free network copies an "
    "image up to a factor; more lenient than by plain distance, the criterion of Gu et al. on the images "
    "as they are"
)


def fraction(
    frames: Sequence[pd.DataFrame],
    path: Any,
    x: Sequence[float],
    quantity: str,
    own: bool,
    measure: str = "correlation_ratio",
) -> Points:
    """A share of the samples of both networks against x, with Wilson intervals; NaN if undefined."""
    found = [summarised(frame, path, quantity, measure, own) for frame in frames]
    share, _, count = np.array(found, dtype=float).T
    low, high = wilson(share, count)
    return Points(np.asarray(x, dtype=float), share, low, high)


def averages(
    frames: Sequence[pd.DataFrame],
    path: Any,
    x: Sequence[float],
    quantity: str,
    own: bool | None = None,
) -> Points:
    """A similarity (correlation) of samples against x, averaged over samples and networks."""
    found = [summarised(frame, path, quantity, "correlation", own) for frame in frames]
    mean, se, _ = np.array(found, dtype=float).T
    return Points.of(x, mean, se)


def wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of one standard deviation for a share of ``count`` independent draws."""
    centre = (share + 0.5 / count) / (1 + 1 / count)
    half = np.sqrt(share * (1 - share) / count + 0.25 / count**2) / (1 + 1 / count)
    return centre - half, centre + half


def draw_points(axes: Axes, points: Points, **style: Any) -> None:
    """A line through points with error bars; see :func:`positive` for a logarithmic axis."""
    shown = np.isfinite(points.value)
    x, value = points.x[shown], points.value[shown]
    bars = np.clip([value - points.low[shown], points.high[shown] - value], 0, None)
    axes.errorbar(x, value, np.nan_to_num(bars), elinewidth=1.0, **style)


def draw_band(axes: Axes, points: Points, **style: Any) -> None:
    """A line through points with a band."""
    axes.fill_between(
        points.x, points.low, points.high, color=style["color"], alpha=0.2, linewidth=0
    )
    axes.plot(points.x, points.value, **style)


def draw_bounds(axes: Axes, points: Points, **style: Any) -> None:
    """Open triangles at the upper bounds of what :func:`positive` leaves out."""
    bounds = _bounds(points)
    shown = np.isfinite(bounds)
    if shown.any():
        axes.plot(
            points.x[shown],
            bounds[shown],
            color=style["color"],
            marker="v",
            markerfacecolor="white",
            linestyle="none",
        )


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
