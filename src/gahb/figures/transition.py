"""Figure "transition": from memorising to generalising as the training set grows.

Output PSNR against input PSNR, on the networks' own training sets and on held-out test images, one
curve per training set size N (Kadkhodaie et al., ICLR 2024, figure 1). A network that memorises
follows the dashed curve of the denoiser that is optimal for its training set; one that
generalises has the same curve in both panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts.captions import ends
from gahb.figures.parts.curves import draw_curve, limits, noise_scale, size_styles
from gahb.figures.parts.figure import Aggregation, Figure, Inputs, Needs, Params, all_sizes
from gahb.figures.parts.style import legends, line, page_over_legends, patch
from gahb.figures.parts.tables import Curve, choose, curve, one, read_tables, rows, summary_of
from gahb.options import Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_PER_ROW = 6  # entries of the legend
PANELS = {"own": "own training set", "test": "held-out test images"}


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        sizes: N, growing.
        network: curves of the networks by panel, then by growing N.
        memorising: those of the memorising denoisers.
        images: number of images behind the curves of a panel.
        between: standard deviation between trainings of the mean gap, dB, by growing N.
        specs: of the inputs.
    """

    sizes: list[int]
    network: dict[str, list[Curve]]
    memorising: dict[str, list[Curve]]
    images: dict[str, list[int]]
    between: list[float]
    specs: list[Spec]

    @property
    def heights(self) -> tuple[float, float]:
        """Range of output PSNR shown: of the networks, and room to see the memorising optimum leave."""
        low, high = limits([curve.psnr for panel in PANELS for curve in self.network[panel]], 2.0)
        soaring = any(curve.psnr.max() > high for curve in self.memorising["own"])
        return low, high + 0.25 * (high - low) * soaring

    @property
    def outside(self) -> dict[str, list[int]]:
        """N of the memorising denoisers that leave the axes, by words of the panel, where any do."""
        hidden = {
            words: [
                int(size)
                for size, exact in zip(self.sizes, self.memorising[panel], strict=True)
                if not np.isfinite(exact.psnr).all() or exact.psnr.max() > self.heights[1]
            ]
            for panel, words in PANELS.items()
        }
        return {words: sizes for words, sizes in hidden.items() if sizes}

    @property
    def rows(self) -> list[list[str]]:
        """N, mean PSNR on own and test images, their difference, what other trainings would change of it,
        the largest one and its sigma.
        """
        lines = []
        curves = self.network.values()
        for size, own, test, between in zip(self.sizes, *curves, self.between, strict=True):
            gap = own.psnr - test.psnr
            worst = int(np.abs(gap).argmax())
            numbers = (own.psnr.mean(), test.psnr.mean(), gap.mean(), between, gap[worst])
            lines.append([str(size), *(f"{n:.2f}" for n in numbers), f"{test.sigma[worst]:g}"])
        return lines

    @property
    def least_gain(self) -> tuple[float, float]:
        """Least improvement of test images at the largest N, in dB, and the input PSNR where it is."""
        largest = self.network["test"][-1]
        gain = largest.psnr - largest.input_psnr
        least = int(gain.argmin())
        return float(gain[least]), float(largest.input_psnr[least])


class TransitionFigure(Figure):
    """PSNR in and out, on training and test images, one curve per N (the paper's figure 1)."""

    experiment: str
    """whose networks are drawn, at every N"""
    split: Split
    """of the networks drawn"""
    aggregation: Aggregation
    """dB of the mean squared error, or mean over images of each one's dB"""

    def needs(self, params: Params) -> Needs:
        """Every N of one split, and the optimum for its training set."""
        networks = all_sizes(params, self.experiment, self.split)
        return Needs(tables=("summary",), networks=networks, memorising=networks)

    def measure(self, inputs: Inputs) -> Measured:
        """Read PSNR of the networks and of the memorising denoisers, by growing N."""
        place = {"experiment": self.experiment, "split": self.split}
        given = read_tables(inputs)
        tables = choose(given, "psnr", **place)
        sizes = sorted({int(table.value("set_size")) for table in tables})
        curves: dict[str, dict[str, list[Curve]]] = {
            denoiser: {panel: [] for panel in PANELS} for denoiser in ("network", "memorising")
        }
        images: dict[str, list[int]] = {panel: [] for panel in PANELS}
        for size in sizes:
            for denoiser, found in curves.items():
                table = one(
                    [
                        table
                        for table in tables
                        if table.value("set_size") == size
                        and denoiser in set(table.frame["denoiser"])
                    ],
                    f"the {denoiser} denoiser for N = {size}, {self.experiment}, {self.split}",
                )
                for panel in PANELS:
                    found[panel].append(curve(table, denoiser, panel, self.aggregation))
                    shown = table.frame[table.frame["evaluated_on"] == panel]
                    images[panel].append(int(shown["images"].max()))
        network = curves["network"]
        broken = [c for panel in PANELS for c in network[panel] if not np.isfinite(c.psnr).all()]
        if broken:
            raise ArtifactError(
                f"the network table of N = {broken[0].set_size}, {self.experiment}, "
                f"{self.split} holds a PSNR that is not a finite number"
            )
        specs = [table.spec for table in tables]
        summary = rows(summary_of(given), **place).set_index("set_size")
        between = summary.loc[sizes, "gap_between"].tolist()
        return Measured(sizes, network, curves["memorising"], images, between, specs)

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        gaps = [
            (own.psnr - test.psnr).mean()
            for own, test in zip(*measured.network.values(), strict=True)
        ]
        pairs = ends(list(zip(measured.sizes, gaps, strict=True)))
        told = ", ".join(f"{gap:.1f} dB at N = {size}" for size, gap in pairs)
        return f"PSNR on own training images less that on test images: {told}"

    def draw(self, measured: Measured) -> Drawing:
        """Two panels, own training set and test images, one curve per N."""
        below = 0.33 + 0.18 * -(-len(measured.sizes) // _PER_ROW)  # inches, for the legends
        drawing = page_over_legends(3.7 + below, below, self.heading(measured))
        panels: Sequence[Axes] = drawing.subplots(1, 2, sharex=True, sharey=True)
        styles = size_styles(len(measured.sizes))
        for axes, (panel, words) in zip(panels, PANELS.items(), strict=True):
            axes.set_title(f"on {words}" if panel == "test" else f"on its {words}", pad=4)
            axes.axline((0, 0), slope=1, color="0.45", linewidth=0.9, linestyle=":")
            for place, style in enumerate(styles):
                colour = style["color"]
                exact, learned = measured.memorising[panel][place], measured.network[panel][place]
                axes.plot(exact.input_psnr, exact.psnr, color=colour, linestyle="--", linewidth=1)
                draw_curve(axes, learned.input_psnr, learned.psnr, learned.se, **style)
            axes.set_xlabel("input PSNR (dB)")
            noise_scale(axes)
        panels[0].set_ylabel("output PSNR (dB)")
        panels[0].set_xlim(*limits([c.input_psnr for c in measured.network["own"]], 1.0))
        panels[0].set_ylim(*measured.heights)
        _legend(drawing, measured.sizes, styles)
        return drawing


def _legend(drawing: Drawing, sizes: list[int], styles: list[dict[str, Any]]) -> None:
    per_size = [line(f"N = {size}", **style) for size, style in zip(sizes, styles, strict=True)]
    kinds = [
        line("network", color="0.3"),
        patch("± 1 standard error", color="0.3", alpha=0.25, linewidth=0),
        line("memorising denoiser", color="0.3", linestyle="--", linewidth=1),
        line("output = input", color="0.45", linestyle=":", linewidth=0.9),
    ]
    legends(drawing, {0.24: per_size, 0.02: kinds}, _PER_ROW)
