"""Figure "similarity": how alike two networks' samples are, and how like their training images.

One panel per number of training images N, on a shared axis: histograms of the similarity of the samples
of two networks of disjoint training sets from the same noise, and of a sample with the closest image of
its network's training set; as a control, with the closest of the other (Kadkhodaie et al., ICLR 2024,
figure 2). Beside them stands the same of fresh images: test images, with the closest of either set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from gahb.figures.parts.captions import plain
from gahb.figures.parts.curves import EXACT_COLOUR
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.pairs import (
    Pair,
    Sampled,
    fresh_mean,
    mean_and_error,
    measured_text,
    pooled,
    read_pairs,
)
from gahb.figures.parts.panels import place, write
from gahb.figures.parts.style import PAGE_WIDTH, line, page, patch, two_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_BINS = 40
_LEVELS = {"between": 1.33, "own": 1.22, "other": 1.11}  # of the points, over the highest bin

# inches
_LEFT, _NUMBERS, _TOP, _BELOW = 0.62, 1.5, 0.95, 0.42
_TALLEST, _SPACE, _HIGHEST = 0.9, 0.12, 9.4


@dataclass(frozen=True)
class Similarities:
    """Similarities at one N: of the two samples, of a sample with the closest image of a training set.

    Attributes:
        set_size: N.
        values: of all samples, by ``between`` (the two samples), ``own`` and ``other`` (set).
        means: of those, with their standard errors, and of ``fresh``, test images with the closest
            image of either set.
        spread: the middle half of the similarities of ``fresh``, from the lower quartile to the upper.
        shares: of the values above the threshold.
    """

    set_size: int
    values: dict[str, np.ndarray]
    means: dict[str, tuple[float, float]]
    spread: tuple[float, float]
    shares: dict[str, float]

    @classmethod
    def of(cls, pair: Pair, by: str) -> Similarities:
        """Those of a pair of networks."""
        values = {
            "between": pair.between(by),
            "own": pair.with_closest(by, own=True),
            "other": pair.with_closest(by, own=False),
        }
        means = {
            "between": mean_and_error(values["between"]),
            "own": pooled(pair, by, own=True),
            "other": pooled(pair, by, own=False),
            "fresh": fresh_mean(pair, by),
        }
        low, high = np.quantile(pair.fresh(by), [0.25, 0.75])
        shares = {name: pair.share(found) for name, found in values.items()}
        return cls(pair.set_size, values, means, (float(low), float(high)), shares)


@dataclass(frozen=True)
class Measured(Sampled):
    """All numbers of the figure.

    Attributes:
        panels: by growing N.
    """

    panels: list[Similarities]

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins of all histograms: from 0, or below, to 1."""
        lowest = min(float(part.min()) for at in self.panels for part in at.values.values())
        return np.linspace(np.floor(10 * min(0.0, lowest)) / 10, 1.0, _BINS + 1)

    @property
    def rows(self) -> list[list[str]]:
        """N, means and shares."""
        return [
            [
                str(at.set_size),
                *(plain(measured_text(*mean)) for mean in at.means.values()),
                *(f"{share:.2f}" for share in at.shares.values()),
            ]
            for at in self.panels
        ]


class SimilarityFigure(Figure):
    """Similarities of samples with each other and with training images (the paper's figure 2)."""

    experiment: str
    """whose networks sampled"""
    by: Measure = Field(alias="measure")
    """how alike two images are; correlation removes each image's mean first"""

    def needs(self, params: Params) -> Needs:
        """The samples of every N."""
        sizes = params["experiments"][self.experiment]["set_sizes"]
        return Needs(samples=tuple((self.experiment, size) for size in sizes))

    def measure(self, inputs: Inputs) -> Measured:
        """Compare the samples of every N."""
        pairs = read_pairs(inputs, self.experiment)
        return Measured(pairs, self.by, [Similarities.of(pair, self.by) for pair in pairs])

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        most = measured.panels[-1]
        between, own, fresh = (most.means[name][0] for name in ("between", "own", "fresh"))
        return (
            f"N = {most.set_size}: two samples alike by {between:.2f}, sample and closest training image "
            f"by {own:.2f}, fresh image by {fresh:.2f}"
        )

    def draw(self, measured: Measured) -> Drawing:
        """One panel of histograms per N."""
        count, edges = len(measured.panels), measured.edges
        tall = min(_TALLEST, (_HIGHEST - _TOP - _BELOW) / count - _SPACE)
        height = _TOP + count * (tall + _SPACE) - _SPACE + _BELOW
        drawing = page(height, self.heading(measured), below=0.1)
        width = PAGE_WIDTH - _LEFT - _NUMBERS
        for row, at in enumerate(measured.panels):
            axes = place(drawing, _LEFT, _TOP + row * (tall + _SPACE), width, tall)
            _histograms(axes, at, edges)
            axes.set_xlim(edges[0], 1.02)
            _numbers(axes, at)
            axes.tick_params(labelbottom=row == count - 1)
        axes.set_xlabel(f"similarity ({self.by})")
        middle = _TOP + (height - _TOP - _BELOW) / 2
        write(drawing, 0.06, middle, "share of samples", rotation=90, va="center", ha="left")
        _legend(drawing)
        return drawing


def _styles() -> dict[str, dict[str, Any]]:
    lighter, darker = two_colours()
    return {
        "between": {"color": darker},
        "own": {"color": lighter},
        "other": {"color": EXACT_COLOUR},
        "fresh": {"color": "0.35", "linestyle": ":", "linewidth": 1.1},
    }


def _histograms(axes: Axes, at: Similarities, edges: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    styles = _styles()
    peak = 0.0
    for name in ("own", "between", "other"):
        values = at.values[name]
        heights = np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / len(values)
        peak = max(peak, float(heights.max()))
        if name != "other":
            axes.stairs(heights, edges, fill=True, alpha=0.45, **styles[name])
        axes.stairs(heights, edges, linewidth=0.9, **styles[name])
    axes.set_ylim(0, 1.42 * peak)
    for name, level in _LEVELS.items():
        mean, error = at.means[name]
        xerr = None if np.isnan(error) else [error]
        axes.errorbar([mean], [level * peak], xerr=xerr, fmt="o", **styles[name])
    axes.axvspan(*at.spread, color="0.5", alpha=0.15, linewidth=0, zorder=0)
    axes.axvline(at.means["fresh"][0], **styles["fresh"])
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _numbers(axes: Axes, at: Similarities) -> None:
    """N and the means, to the right of the panel, in the colours of the histograms."""
    beside: dict[str, Any] = {"transform": axes.transAxes, "va": "top"}
    axes.text(1.03, 0.97, f"N = {at.set_size}", weight="bold", **beside)
    pitch = len(at.means) + 1
    for row, (name, style) in enumerate(_styles().items(), start=1):
        text = measured_text(*at.means[name])
        axes.text(1.03, 0.97 - row / pitch, text, color=style["color"], **beside)


def _legend(drawing: Drawing) -> None:
    styles = _styles()
    drawing.legend(
        handles=[
            patch("sample of S1 – sample of S2", alpha=0.6, linewidth=0, **styles["between"]),
            patch("sample – closest in own set", alpha=0.6, linewidth=0, **styles["own"]),
            line("sample – closest in other's set", linewidth=0.9, **styles["other"]),
            line("fresh image – closest in either set", **styles["fresh"]),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.3 / drawing.get_figheight()),
        ncols=2,
    )
