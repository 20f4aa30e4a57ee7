"""Figure "gap": when a network stops remembering its training set, and what becomes of its twin.

Against the number of training images N: the difference between PSNR on the own training set and on
test images, and the PSNR between the outputs of the two networks trained on the disjoint splits S1
and S2, given the same noisy test images (Kadkhodaie et al., ICLR 2024, figures 2 and 15).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts import captions
from gahb.figures.parts.curves import size_axis
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, ordered_colours, spread, two_colours
from gahb.figures.parts.tables import Table, choose, read_tables, rows, summary_of

_LEVELS = 4  # noise levels shown one by one, spread evenly over those measured
_SPLITS = {"S1": ("o", "-", 1.1), "S2": ("s", "--", 1 / 1.1)}  # marker, line, shift along log N


@dataclass(frozen=True)
class _Measured:
    summary: pd.DataFrame  # one row per network of the experiment, by growing N
    agreement: dict[float, list[tuple[int, float, float]]]  # sigma: (N, PSNR between, se)
    specs: list[Spec]
    images: int


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> _Measured:
    asked = dict(spec)
    tables = read_tables(inputs)
    table = summary_of(tables)
    networks = rows(table, experiment=asked["experiment"]).sort_values(["split", "set_size"])
    pairs = choose(tables, "agreement", experiment=asked["experiment"])
    compared = [int(pair.value("set_size")) for pair in pairs]
    if compared != list(_pairs(networks)["set_size"]):
        raise ArtifactError(
            f"{table.path} compares the splits of {asked['experiment']} at N = "
            f"{', '.join(map(str, _pairs(networks)['set_size'])) or 'none'}; the agreement tables "
            f"given are for N = {', '.join(map(str, compared))}"
        )
    agreement: dict[float, list[tuple[int, float, float]]] = {}
    for sigma in _levels(pairs[0]):
        for pair in pairs:
            near = pair.frame[np.isclose(pair.frame["sigma"], sigma, rtol=1e-4, atol=0)]
            if len(near) != 1:
                found = ", ".join(f"{s:g}" for s in pair.frame["sigma"])
                raise ArtifactError(
                    f"{pair.path} has {len(near)} rows with sigma = {sigma:g}; it has {found}"
                )
            point = (
                int(pair.value("set_size")),
                float(near["psnr_between"].iloc[0]),
                float(near["psnr_between_se"].iloc[0]),
            )
            agreement.setdefault(sigma, []).append(point)
    return _Measured(
        networks,
        agreement,
        [pair.spec for pair in pairs],
        int(max(pair.frame["images"].max() for pair in pairs)),
    )


def _levels(pair: Table) -> list[float]:
    """The noise levels shown one by one: evenly spread, the lowest and the highest among them."""
    sigmas = np.unique(pair.frame["sigma"].to_numpy(dtype=float))
    places = np.unique(np.linspace(0, sigmas.size - 1, min(_LEVELS, sigmas.size)).round())
    return [float(sigmas[int(place)]) for place in places]


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: the summary table and the experiment's agreement tables, one per N; tables of other
            experiments are left aside.
        spec: ``title``, ``experiment``.
    """
    measured = _measure(inputs, spec)
    figure = Drawing(figsize=(PAGE_WIDTH, 3.4), layout="constrained")
    figure.suptitle(spec["title"])
    left, right = figure.subplots(1, 2)
    _draw_gap(left, measured.summary)
    _draw_agreement(right, measured)
    sizes = sorted({int(size) for size in measured.summary["set_size"]})
    for axes in (left, right):
        size_axis(axes, sizes)
    return figure


def _draw_gap(axes: Axes, summary: pd.DataFrame) -> None:
    means, largest = [], []
    lighter, darker = two_colours()
    for (split, (marker, line, shift)), colour in zip(
        _SPLITS.items(), (darker, lighter), strict=True
    ):
        networks = summary[summary["split"] == split]
        if networks.empty:
            continue
        size = networks["set_size"].to_numpy(dtype=float) * shift
        drawn = axes.errorbar(
            size,
            networks["gap"].to_numpy(dtype=float),
            networks["gap_se"].to_numpy(dtype=float),
            color=colour,
            marker=marker,
            linestyle=line,
            label=f"{split}, mean over σ",
        )
        means.append(drawn)
        largest += axes.plot(
            size,
            networks["largest_gap"].to_numpy(dtype=float),
            color=colour,
            marker=marker,
            markerfacecolor="white",
            linestyle=":",
            linewidth=0.9,
            label=f"{split}, largest over σ",
        )
    axes.axhline(0, color="0.45", linewidth=0.8)
    axes.set_title("own training set minus test")
    axes.set_ylabel("PSNR gap (dB)")
    axes.legend(handles=[*means, *largest], loc="best")


def _draw_agreement(axes: Axes, measured: _Measured) -> None:
    pairs = _pairs(measured.summary)
    colours = ordered_colours(len(measured.agreement) + 1)[:-1]
    ends = []
    for colour, (sigma, points) in zip(colours, measured.agreement.items(), strict=True):
        size, between, se = np.array(points).T
        axes.fill_between(size, between - se, between + se, color=colour, alpha=0.25, linewidth=0)
        axes.plot(size, between, color=colour, linewidth=0.9, marker=".", markersize=4)
        ends.append((float(between[-1]), f"σ = {sigma:.2g}"))
    axes.errorbar(
        pairs["set_size"].to_numpy(dtype=float),
        pairs["agreement"].to_numpy(dtype=float),
        pairs["agreement_se"].to_numpy(dtype=float),
        color="0.1",
        marker="o",
        linewidth=1.8,
    )
    ends.append((float(pairs["agreement"].iloc[-1]), "mean over σ"))
    low, high = axes.get_ylim()
    heights = spread([height for height, _ in ends], 0.065 * (high - low))
    for height, (end, name) in zip(heights, ends, strict=True):
        axes.annotate(
            name,
            (pairs["set_size"].iloc[-1], end),
            xytext=(1.06, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": "0.6",
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )
    axes.set_ylim(low, high)
    axes.set_title("output of S1's network against S2's")
    axes.set_ylabel("PSNR between outputs (dB)")


def _pairs(summary: pd.DataFrame) -> pd.DataFrame:
    """One row per N that has networks of both splits."""
    return summary.dropna(subset=["agreement"]).drop_duplicates("set_size").sort_values("set_size")


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    measured = _measure(inputs, spec)
    gaps = [
        [
            str(int(row["set_size"])),
            str(row["split"]),
            str(int(row["updates"])),
            f"{row['gap']:.2f}",
            f"{row['gap_se']:.2f}",
            f"{row['largest_gap']:.2f}",
        ]
        for _, row in measured.summary.sort_values(["set_size", "split"]).iterrows()
    ]
    levels = list(measured.agreement)
    between = {
        (sigma, size): value
        for sigma, points in measured.agreement.items()
        for size, value, _ in points
    }
    pairs = [
        [
            str(int(row["set_size"])),
            f"{row['agreement']:.2f}",
            f"{row['agreement_se']:.2f}",
            *(f"{between[sigma, int(row['set_size'])]:.2f}" for sigma in levels),
        ]
        for _, row in _pairs(measured.summary).iterrows()
    ]
    return captions.caption(
        spec["title"],
        "Left: output PSNR on the own training set minus output PSNR on held-out test images (PSNR "
        "of the squared error averaged over images): averaged over noise levels (filled, with one "
        "standard error) and the largest over noise levels (open), against the number of training "
        "images N; the two splits are drawn a little apart. Right: PSNR between the outputs of the "
        "networks trained on the disjoint splits S1 and S2, given the same noisy test images: mean "
        "over noise levels (black, with one standard error) and single noise levels.",
        "The N at which the gap closes is a statement about N, number of updates and width of "
        "network together, not about N alone: more updates memorise more images.",
        "Measured gap, in dB:",
        captions.grid(("N", "split", "updates", "gap", "standard error", "largest"), gaps),
        "Measured PSNR between the two outputs, in dB:",
        captions.grid(
            ("N", "mean", "standard error", *(f"sigma = {sigma:.2g}" for sigma in levels)), pairs
        ),
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}",
                f"images of the test set: {measured.images}",
            ]
        )
        + "\n"
        + captions.parameters(measured.specs),
    )


class GapFigure(Figure):
    """Train-test gap and agreement against N."""

    experiment: str
    """whose networks are drawn, at every N"""

    def needs(self, params: Params) -> Needs:
        """The two networks of every N."""
        sizes = params["experiments"][self.experiment]["set_sizes"]
        return Needs(
            tables=("summary",), agreements=tuple((self.experiment, size) for size in sizes)
        )

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
