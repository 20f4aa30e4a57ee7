"""Figure "twins": how similar the two disjoint training sets are.

Similarity of every training image of S1 with the most similar one of S2: its distribution at one N, with
the threshold above which two images count as duplicates; what becomes of it as N grows; and the most
similar pairs (Kadkhodaie et al., ICLR 2024, figure 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import NullFormatter
from pydantic import Field

from gahb.artifacts import ArtifactError
from gahb.figures.parts import captions
from gahb.figures.parts.curves import EXACT_COLOUR
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.pairs import MEASURE_TEXT, Pair, read_pairs
from gahb.figures.parts.panels import place, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, two_colours
from gahb.options import Count

_STEPS = 4  # of a histogram, from the threshold to 1
_THRESHOLD: dict[str, Any] = {"color": EXACT_COLOUR, "linestyle": "--", "linewidth": 1.2}

# inches
_LEFT, _RIGHT, _BETWEEN, _TOP, _PLOT = 0.62, 0.1, 0.7, 0.6, 1.9
_PAIRS, _GAP, _WIDEST, _SHOWN = 0.78, 0.08, 1.0, 8


@dataclass(frozen=True)
class _Measured:
    pairs: list[Pair]
    chosen: Pair


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> _Measured:
    asked = dict(spec)
    pairs = read_pairs(inputs, asked["experiment"])
    chosen = [pair for pair in pairs if pair.set_size == asked["set_size"]]
    if not chosen:
        raise ArtifactError(
            f"no samples of {asked['experiment']}, N = {asked['set_size']}, among the inputs: there "
            f"are those of N = {', '.join(str(pair.set_size) for pair in pairs)}"
        )
    return _Measured(pairs, chosen[0])


def _share(pair: Pair, measure: str) -> float:
    return float((pair.twins(measure) > pair.threshold).mean())


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: samples files of the experiment, one per N; those of others are left aside.
        spec: ``title``, ``experiment``, ``set_size`` (of the distribution and the pairs shown),
            ``measure``.
    """
    measured = _measure(inputs, spec)
    measure, chosen = spec["measure"], measured.chosen
    shown = min(chosen.arrays["twin_images"].shape[1], _SHOWN)
    side = min((PAGE_WIDTH - _LEFT - _RIGHT - (shown - 1) * _GAP) / shown, _WIDEST)
    pairs_top = _TOP + _PLOT + _PAIRS
    height = pairs_top + 2 * side + _GAP + 0.06
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    width = (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
    _distribution(place(figure, _LEFT, _TOP, width, _PLOT), chosen, measure)
    _growth(place(figure, _LEFT + width + _BETWEEN, _TOP, width, _PLOT), measured.pairs, measure)
    top_ones = np.sort(chosen.twins("correlation"))[::-1][:shown]
    for row, split in enumerate(("S1", "S2")):
        top = pairs_top + row * (side + _GAP)
        figure.text(
            (_LEFT - 0.1) / PAGE_WIDTH,
            1 - (top + side / 2) / height,
            split,
            ha="right",
            va="center",
        )
        for column in range(shown):
            axes = place(figure, _LEFT + column * (side + _GAP), top, side, side)
            show_image(axes, chosen.arrays["twin_images"][row, column, 0])
            if row == 0:
                axes.set_title(f"{top_ones[column]:.3f}", pad=2, fontsize=8)
    return figure


def _distribution(axes: Axes, pair: Pair, measure: str) -> None:
    values = pair.twins(measure)
    step = (1 - pair.threshold) / _STEPS
    below = int(np.ceil((pair.threshold - min(float(values.min()), 0.9)) / step))
    edges = pair.threshold + step * np.arange(-below, _STEPS + 1)
    heights, _ = np.histogram(values.clip(edges[0], edges[-1]), edges)
    _, darker = two_colours()
    axes.stairs(heights / len(values), edges, fill=True, color=darker, alpha=0.7)
    axes.axvline(pair.threshold, **_THRESHOLD)
    above = int((values > pair.threshold).sum())
    axes.set_xlim(edges[0], 1)
    axes.set_title(f"N = {pair.set_size}: {above} of {len(values)} above {pair.threshold:g}")
    axes.set_xlabel(f"similarity with the closest of S2\n({measure})")
    axes.set_ylabel("share of the images of S1")


def _growth(axes: Axes, pairs: list[Pair], measure: str) -> None:
    pairs = [pair for pair in pairs if pair.set_size > 1] or pairs
    sizes = [pair.set_size for pair in pairs]
    quantiles = np.array([np.quantile(pair.twins(measure), [0.05, 0.5, 0.95]) for pair in pairs])
    highest = [float(pair.twins(measure).max()) for pair in pairs]
    lighter, darker = two_colours()
    axes.fill_between(sizes, quantiles[:, 0], quantiles[:, 2], color=darker, alpha=0.2, linewidth=0)
    axes.plot(sizes, quantiles[:, 1], color=darker, marker="o", label="median, 5 to 95 %")
    axes.plot(sizes, highest, color=lighter, marker="^", linestyle=":", label="largest")
    axes.axhline(pairs[0].threshold, **_THRESHOLD, label=f"threshold {pairs[0].threshold:g}")
    axes.set_xscale("log")
    axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
    ticks = [size for size in sizes if size in (sizes[0], sizes[-1]) or len(sizes) <= 6]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    low = float(quantiles.min())
    axes.set_ylim(low - 0.6 * (1 - low), 1.02)  # room for the legend
    axes.set_title("as N grows")
    axes.set_xlabel("training images N")
    axes.set_ylabel(f"similarity ({measure})")
    axes.legend(loc="lower right")


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    measured = _measure(inputs, spec)
    measure, chosen = spec["measure"], measured.chosen
    lines = []
    for pair in measured.pairs:
        twins = pair.twins(measure)
        low, middle, high = np.quantile(twins, [0.05, 0.5, 0.95])
        lines.append(
            [
                str(pair.set_size),
                *(f"{value:.3f}" for value in (twins.mean(), low, middle, high, twins.max())),
                str(int((twins > pair.threshold).sum())),
                f"{_share(pair, measure):.4f}",
            ]
        )
    header = ("N", "mean", "5 %", "median", "95 %", "largest", "above", "share")
    return captions.caption(
        spec["title"],
        "Similarity of each training image of S1 with the most similar one of S2. Left: its distribution "
        f"at N = {chosen.set_size}; dashed, the threshold {chosen.threshold:g} above which two images "
        f"count as copies of each other: {_share(chosen, measure):.2%} of the images of S1 have such a "
        "twin in S2. Right: the same against N, but for "
        "N = 1, where there is no choice. Similarity is the "
        f"{MEASURE_TEXT[measure]}. Below: the most similar pairs at N = {chosen.set_size}, with their "
        "correlation.".replace("%", r"\%"),
        f"Measured; above and share are of those above {chosen.threshold:g}:",
        captions.grid(header, lines),
        "Sets drawn independently from the class: similarity grows with N because there are more to "
        "choose from. A sample as close as this to a training image need not be copied from it.",
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}, "
                f"N = {', '.join(str(pair.set_size) for pair in measured.pairs)}",
            ]
        )
        + "\n"
        + captions.parameters(pair.spec for pair in measured.pairs),
    )


class TwinsFigure(Figure):
    """How similar two disjoint training sets are (the paper's figure 6)."""

    experiment: str
    """whose training sets are compared"""
    set_size: Count
    """N whose pairs are shown"""
    by: Measure = Field(alias="measure")
    """how alike two images are; correlation removes each image's mean first"""

    def needs(self, params: Params) -> Needs:
        """The samples of every N, which hold the pairs."""
        sizes = params["experiments"][self.experiment]["set_sizes"]
        chosen = dict.fromkeys([*sizes, self.set_size])
        return Needs(samples=tuple((self.experiment, size) for size in chosen))

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json", by_alias=True))
