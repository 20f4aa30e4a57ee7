"""Figure "gap": when a network stops remembering its training set, and what becomes of its twin.

Against the number of training images N: the difference between PSNR on the own training set and on
test images, and the PSNR between the outputs of the two networks trained on the disjoint splits S1
and S2, given the same noisy test images (Kadkhodaie et al., ICLR 2024, figures 2 and 15). Beside it, where
``evaluation.controls`` has a pair, that between two networks of the same set and other seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts.curves import EXACT_COLOUR, size_axis
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params
from gahb.figures.parts.style import ordered_colours, page, spread, two_colours
from gahb.figures.parts.tables import Table, choose, read_tables, rows, summary_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_LEVELS = 4  # noise levels shown one by one, spread evenly over those measured
_SPLITS = {"S1": ("o", "-", 1.1), "S2": ("s", "--", 1 / 1.1)}  # marker, line, shift along log N


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        summary: one row per network of the experiment, by split and growing N.
        agreement: N, PSNR between the outputs of two networks and its standard error, by sigma.
        images: of the test set.
        specs: of the inputs.
    """

    summary: pd.DataFrame
    agreement: dict[float, list[tuple[int, float, float]]]
    images: int
    specs: list[Spec]

    @property
    def pairs(self) -> pd.DataFrame:
        """One row of the summary per N that has networks of both splits."""
        return _pairs(self.summary)

    @property
    def controlled(self) -> bool:
        """Whether two networks of one set were compared."""
        return bool(self.summary["agreement_same_set"].notna().any())

    @property
    def levels(self) -> list[str]:
        """The noise levels shown one by one, in words."""
        return [f"sigma = {sigma:.2g}" for sigma in self.agreement]

    @property
    def gaps(self) -> list[list[str]]:
        """N, split, updates, mean gap, its errors over images and between trainings, the largest gap."""
        return [
            [
                str(int(row["set_size"])),
                str(row["split"]),
                "imported" if np.isnan(row["updates"]) else str(int(row["updates"])),
                *(f"{row[name]:.2f}" for name in ("gap", "gap_se", "gap_between", "largest_gap")),
                str(int(row["pooled_cells"])),
            ]
            for _, row in self.summary.sort_values(["set_size", "split"]).iterrows()
        ]

    @property
    def between(self) -> list[list[str]]:
        """N, mean PSNR between two outputs with standard error, that of one set, and at each level."""
        single = zip(*self.agreement.values(), strict=True)
        return [
            [
                str(int(row["set_size"])),
                *(f"{row[name]:.2f}" for name in ("agreement", "agreement_se")),
                _or_dash(row["agreement_same_set"]),
                *(f"{value:.2f}" for _, value, _ in levels),
            ]
            for (_, row), levels in zip(self.pairs.iterrows(), single, strict=True)
        ]


class GapFigure(Figure):
    """Train-test gap and agreement against N."""

    experiment: str
    """whose networks are drawn, at every N"""

    def needs(self, params: Params) -> Needs:
        """The two networks of every N; their agreement with a third is in the summary."""
        sizes = params["experiments"][self.experiment]["set_sizes"]
        return Needs(
            tables=("summary",), agreements=tuple((self.experiment, size) for size in sizes)
        )

    def measure(self, inputs: Inputs) -> Measured:
        """Read the gaps out of the summary, and PSNR between two networks at some noise levels."""
        tables = read_tables(inputs)
        table = summary_of(tables)
        networks = rows(table, experiment=self.experiment).sort_values(["split", "set_size"])
        pairs = choose(tables, "agreement", experiment=self.experiment)
        compared = [int(pair.value("set_size")) for pair in pairs]
        if compared != list(_pairs(networks)["set_size"]):
            raise ArtifactError(
                f"{table.path} compares the splits of {self.experiment} at N = "
                f"{', '.join(map(str, _pairs(networks)['set_size'])) or 'none'}; the agreement "
                f"tables given are for N = {', '.join(map(str, compared))}"
            )
        levels = _levels(pairs[0])
        return Measured(
            networks,
            {sigma: [_point(pair, sigma) for pair in pairs] for sigma in levels},
            int(max(pair.frame["images"].max() for pair in pairs)),
            [pair.spec for pair in pairs],
        )

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        few, many = (
            row for _, row in measured.pairs.sort_values("set_size").iloc[[0, -1]].iterrows()
        )
        gap, alike = (f"{few[name]:.1f} to {many[name]:.1f} dB" for name in ("gap", "agreement"))
        sizes = f"N = {few['set_size']:.0f} to {many['set_size']:.0f}"
        return f"From {sizes} the gap goes from {gap}, agreement from {alike}"

    def draw(self, measured: Measured) -> Drawing:
        """Left, the gap of both splits; right, the agreement of the two networks of every N."""
        drawing = page(3.4, self.heading(measured))
        drawing.set_layout_engine("constrained")
        left, right = drawing.subplots(1, 2)
        _draw_gap(left, measured.summary)
        _draw_agreement(right, measured)
        sizes = sorted({int(size) for size in measured.summary["set_size"]})
        for axes in (left, right):
            size_axis(axes, sizes)
        return drawing


def _or_dash(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _pairs(summary: pd.DataFrame) -> pd.DataFrame:
    return summary.dropna(subset=["agreement"]).drop_duplicates("set_size").sort_values("set_size")


def _point(pair: Table, sigma: float) -> tuple[int, float, float]:
    near = pair.frame[np.isclose(pair.frame["sigma"], sigma, rtol=1e-4, atol=0)]
    if len(near) != 1:
        found = ", ".join(f"{s:g}" for s in pair.frame["sigma"])
        raise ArtifactError(
            f"{pair.path} has {len(near)} rows with sigma = {sigma:g}; it has {found}"
        )
    value, se = (float(near[name].iloc[0]) for name in ("psnr_between", "psnr_between_se"))
    return int(pair.value("set_size")), value, se


def _levels(pair: Table) -> list[float]:
    """The noise levels shown one by one: evenly spread, the lowest and the highest among them."""
    sigmas = np.unique(pair.frame["sigma"].to_numpy(dtype=float))
    places = np.unique(np.linspace(0, sigmas.size - 1, min(_LEVELS, sigmas.size)).round())
    return [float(sigmas[int(place)]) for place in places]


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
            np.asarray(np.fmax(networks["gap_se"], networks["gap_between"]), dtype=float),
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
    axes.legend(handles=[*means, *largest], loc="upper right")


def _draw_agreement(axes: Axes, measured: Measured) -> None:
    pairs = measured.pairs
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
    control = pairs.dropna(subset=["agreement_same_set"])
    if len(control):
        axes.errorbar(
            control["set_size"].to_numpy(dtype=float),
            control["agreement_same_set"].to_numpy(dtype=float),
            control["agreement_same_set_se"].to_numpy(dtype=float),
            color=EXACT_COLOUR,
            marker="^",
            linestyle="--",
            label="same set, other seed",
        )
        axes.legend(loc="best")
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
