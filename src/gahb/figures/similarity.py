"""Figure "similarity": how alike two networks' samples are, and how like their training images.

One panel per number of training images N, on a shared axis: histograms of the similarity of the samples
of two networks of disjoint training sets from the same noise, and of a sample with the closest image of
its network's training set; as a control, with the closest of the other (Kadkhodaie et al., ICLR 2024,
figure 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from pydantic import Field

from gahb.figures.parts import captions
from gahb.figures.parts.curves import EXACT_COLOUR
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.pairs import (
    MEASURE_TEXT,
    Pair,
    mean_and_error,
    measured_text,
    pooled,
    read_pairs,
    sampler_text,
)
from gahb.figures.parts.panels import place
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, two_colours

_BINS = 40

# inches
_LEFT, _NUMBERS, _TOP, _BELOW = 0.62, 1.5, 0.95, 0.42
_TALLEST, _SPACE, _HIGHEST = 0.9, 0.12, 9.4


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[Pair]:
    asked = dict(spec)
    return read_pairs(inputs, asked["experiment"])


def _means(pair: Pair, measure: str) -> list[tuple[float, float]]:
    """Of sample-sample, sample-closest in its own set, and in the other's."""
    return [
        mean_and_error(pair.between(measure)),
        pooled(pair, measure, own=True),
        pooled(pair, measure, own=False),
    ]


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: samples files of the experiment, one per N; those of others are left aside.
        spec: ``title``, ``experiment``, ``measure``.
    """
    pairs = _measure(inputs, spec)
    measure: str = spec["measure"]
    tall = min(_TALLEST, (_HIGHEST - _TOP - _BELOW) / len(pairs) - _SPACE)
    height = _TOP + len(pairs) * (tall + _SPACE) - _SPACE + _BELOW
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    values = [
        np.concatenate(
            [
                pair.between(measure),
                pair.with_closest(measure, own=True),
                pair.with_closest(measure, own=False),
            ]
        )
        for pair in pairs
    ]
    low = min(0.0, float(min(part.min() for part in values)))
    edges = np.linspace(np.floor(10 * low) / 10, 1.0, _BINS + 1)
    for row, pair in enumerate(pairs):
        axes = place(
            figure, _LEFT, _TOP + row * (tall + _SPACE), PAGE_WIDTH - _LEFT - _NUMBERS, tall
        )
        _histograms(axes, pair, measure, edges)
        axes.set_xlim(edges[0], 1.02)
        if row < len(pairs) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel(f"similarity ({measure})")
        _numbers(axes, pair, measure)
    middle = 1 - (_TOP + (height - _TOP - _BELOW) / 2) / height
    figure.text(0.06 / PAGE_WIDTH, middle, "share of samples", rotation=90, va="center", ha="left")
    _legend(figure, height)
    return figure


def _styles() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    lighter, darker = two_colours()
    return (
        {"color": darker},
        {"color": lighter},
        {"color": EXACT_COLOUR},
        {"color": "0.35", "linestyle": ":", "linewidth": 1.1},
    )


def _histograms(axes: Axes, pair: Pair, measure: str, edges: np.ndarray) -> None:
    between, own, other, fresh = _styles()
    parts = (
        (pair.with_closest(measure, own=True), own, True),
        (pair.between(measure), between, True),
        (pair.with_closest(measure, own=False), other, False),
    )
    peak = 0.0
    for values, style, filled in parts:
        heights = np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / len(values)
        peak = max(peak, float(heights.max()))
        if filled:
            axes.stairs(heights, edges, fill=True, alpha=0.45, **style)
        axes.stairs(heights, edges, linewidth=0.9, **style)
    axes.set_ylim(0, 1.42 * peak)
    for (mean, error), style, level in zip(
        _means(pair, measure), (between, own, other), (1.33, 1.22, 1.11), strict=True
    ):
        axes.errorbar(
            [mean], [level * peak], xerr=None if np.isnan(error) else [error], fmt="o", **style
        )
    axes.axvline(float(pair.twins(measure).mean()), **fresh)
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _numbers(axes: Axes, pair: Pair, measure: str) -> None:
    """N and the means, to the right of the panel, in the colours of the histograms."""
    axes.text(1.03, 0.97, f"N = {pair.set_size}", transform=axes.transAxes, va="top", weight="bold")
    means = [*_means(pair, measure), (float(pair.twins(measure).mean()), float("nan"))]
    count = len(means)
    for row, ((mean, error), style) in enumerate(zip(means, _styles(), strict=True), start=1):
        axes.text(
            1.03,
            0.97 - row / (count + 1),
            measured_text(mean, error),
            transform=axes.transAxes,
            va="top",
            color=style["color"],
        )


def _legend(figure: Drawing, height: float) -> None:
    between, own, other, fresh = _styles()
    handles = [
        Patch(alpha=0.6, linewidth=0, label="sample of S1 – sample of S2", **between),
        Patch(alpha=0.6, linewidth=0, label="sample – closest in own set", **own),
        Line2D([], [], linewidth=0.9, label="sample – closest in other's set", **other),
        Line2D([], [], label="image of S1 – closest of S2, mean", **fresh),
    ]
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.3 / height),
        ncols=2,
    )


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    pairs = _measure(inputs, spec)
    measure, threshold = spec["measure"], pairs[0].threshold
    lines = []
    for pair in pairs:
        between, own, other = (
            captions.plain(measured_text(*found)) for found in _means(pair, measure)
        )
        lines.append(
            [
                str(pair.set_size),
                between,
                own,
                other,
                f"{pair.twins(measure).mean():.3f}",
                f"{(pair.between(measure) > threshold).mean():.2f}",
                f"{(pair.with_closest(measure, own=True) > threshold).mean():.2f}",
                f"{(pair.with_closest(measure, own=False) > threshold).mean():.2f}",
            ]
        )
    header = (
        "N",
        "S1 - S2",
        "own closest",
        "other's closest",
        "images",
        "alike",
        "copies",
        "control",
    )
    return captions.caption(
        spec["title"],
        "Similarity, for each number of training images N, of the samples that the networks of the "
        "disjoint sets S1 and S2 make from the same noise (dark), of a sample with the closest image "
        "of its network's training set (light, both networks), and, as a control, with the closest "
        "image of the other training set (thin line). Points: means with one standard error, over the "
        "numbers of the samples. Dotted: mean similarity of the training images of S1 with the closest "
        "of S2, which is what images drawn anew from the class have. Similarity is the "
        f"{MEASURE_TEXT[measure]}.",
        f"Means, and the shares above {threshold:g} of sample-sample (alike), sample-closest in the own "
        "(copies) and in the other set (control):",
        captions.grid(header, lines),
        "A mean of sample-closest below the dotted line says that samples are less like training "
        "images than images of the class are: novel, and not yet of the class. Where copying ends is a "
        "statement about N, number of updates and width of network together.",
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}, "
                f"N = {', '.join(str(pair.set_size) for pair in pairs)}",
                sampler_text(pairs[0]),
            ]
        )
        + "\n"
        + captions.parameters(pair.spec for pair in pairs),
    )


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

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json", by_alias=True))
