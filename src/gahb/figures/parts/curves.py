"""How curves of PSNR are drawn in every figure that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.figures.parts.style import markers, ordered_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

EXACT_COLOUR = "#e06c00"
EXACT: dict[str, Any] = {"color": EXACT_COLOUR, "linewidth": 1.2, "linestyle": "--"}
IDENTITY: dict[str, Any] = {"color": "0.45", "linewidth": 0.9, "linestyle": ":"}


def size_styles(count: int) -> list[dict[str, Any]]:
    """One style per N; larger N is drawn later and thinner, so that equal curves all show."""
    slimmer = np.linspace(1, 0, count) if count > 1 else np.zeros(1)
    return [
        {
            "color": colour,
            "marker": marker,
            "linewidth": 1.1 + 1.0 * slim,
            "markersize": 3.4 + 2.2 * slim,
        }
        for colour, marker, slim in zip(
            ordered_colours(count), markers(count), slimmer, strict=True
        )
    ]


def noise_scale(axes: Axes) -> None:
    """Mark noise levels along the upper edge: input PSNR = -20 log10 σ."""
    levels = (1.0, 0.3, 0.1, 0.03, 0.01)
    upper = axes.secondary_xaxis("top")
    upper.set_xticks([-20 * np.log10(s) for s in levels], [f"{s:g}" for s in levels])
    upper.set_xlabel("noise level σ")
    upper.spines["top"].set_visible(True)


def sigma_axis(axes: Axes, sigma: np.ndarray) -> None:
    """A logarithmic axis of noise levels, labelled at those of ``sigma`` that are far enough apart."""
    levels = np.sort(sigma)
    ticks = [levels[0]]
    for level in levels[1:]:
        if np.log(level / ticks[-1]) >= 0.15 * np.log(levels[-1] / levels[0]):
            ticks.append(level)
    axes.set_xscale("log")
    axes.set_xlim(levels[0] / 1.15, levels[-1] * 1.15)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("noise level σ")


def size_axis(
    axes: Axes, sizes: Sequence[int], distance: float = 0.17, labelled: Sequence[int] | None = None
) -> None:
    """A logarithmic axis of training set sizes, labelled at those that are far enough apart.

    Args:
        axes: to label.
        sizes: growing.
        distance: smallest one between labels, as a share of the axis.
        labelled: numbers, growing, to choose the labels from, instead of the sizes.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    apart = distance * np.log(sizes[-1] / sizes[0])
    ticks: list[int] = []
    for size in sizes if labelled is None else labelled:
        if not ticks or np.log(size / ticks[-1]) >= apart:
            ticks.append(size)
    axes.set_xscale("log")
    axes.set_xlabel("training images N")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.set_xlim(sizes[0] / 1.6, sizes[-1] * 1.6)


def rank_axis(axes: Axes, count: int) -> None:
    """A logarithmic axis of ranks k = 1 to ``count``, labelled at powers of ten away from its end."""
    from matplotlib.ticker import NullFormatter

    ticks = [10**power for power in range(6) if 2 * 10**power <= count]
    axes.set_xscale("log")
    axes.set_xlim(0.9, 1.1 * count)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("k")


def draw_curve(
    axes: Axes, x: np.ndarray, height: np.ndarray, se: np.ndarray, **style: Any
) -> Line2D:
    """A curve, with a band of one standard error either side."""
    axes.fill_between(x, height - se, height + se, color=style["color"], alpha=0.25, linewidth=0)
    return axes.plot(x, height, **style)[0]


def text_rows(
    figure: Figure,
    rows: Sequence[tuple[str, dict[str, Any] | None, Sequence[str]]],
    centres: Sequence[float],
    left: float,
    top: float,
    pitch: float = 0.18,
) -> None:
    """A table under the columns of a figure that is also the legend of its lines.

    Args:
        figure: to draw on.
        rows: a name, the style of the line it stands for (None for no line), one cell per column.
        centres: of the columns, in inches from the left edge.
        left: of the names, in inches from the left edge.
        top: of the first row, in inches from the upper edge.
        pitch: from row to row, in inches.
    """
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    for number, (name, style, cells) in enumerate(rows):
        y = 1 - (top + (number + 0.5) * pitch) / height
        if style is not None:
            ends = np.array([left, left + 0.15, left + 0.3]) / width
            line = Line2D(ends, [y, y, y], transform=figure.transFigure, markevery=[1], **style)
            figure.add_artist(line)
        figure.text((left + 0.35) / width, y, name, va="center")
        for centre, cell in zip(centres, cells, strict=True):
            figure.text(centre / width, y, cell, ha="center", va="center")


def limits(values: Sequence[np.ndarray], margin: float) -> tuple[float, float]:
    """The range of all values with a margin; numbers that are not finite are left aside."""
    together = np.concatenate([np.ravel(value) for value in values])
    together = together[np.isfinite(together)]
    return float(together.min()) - margin, float(together.max()) + margin
