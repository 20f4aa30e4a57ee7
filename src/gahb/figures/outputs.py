"""Figure "outputs": what two networks of disjoint training sets make of the same noisy test images.

Against noise level, one curve per number of training images N: how alike their denoised images are, and how
alike each is to the closest image of the network's own training set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from gahb.artifacts import Spec
from gahb.figures.parts.captions import ends
from gahb.figures.parts.curves import limits, sigma_axis, size_styles
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.intervals import Points, at_last, draw_band, table_of
from gahb.figures.parts.style import page
from gahb.figures.parts.tables import read_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_SHOWN = {"pair": "output of S1's network – of S2's", "closest": "output – closest training image"}
_COLUMNS = 6  # noise levels of the caption's tables


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        curves: by N, similarity against σ of the pair and of output and closest training image.
        networks: number of disjoint training sets.
        images: number of test images.
        specs: of the table.
    """

    curves: dict[int, dict[str, Points]]
    networks: int
    images: int
    specs: list[Spec]

    @property
    def sigma(self) -> np.ndarray:
        """Noise levels, growing."""
        return next(iter(self.curves.values()))["pair"].x

    @property
    def _told(self) -> np.ndarray:
        count = len(self.sigma)
        spaced = np.linspace(0, count - 1, min(_COLUMNS, count)).round().astype(int)
        return np.unique(spaced)

    @property
    def header(self) -> list[str]:
        """Of the tables: N and noise levels."""
        return ["N", *(f"sigma = {self.sigma[place]:.3g}" for place in self._told)]

    def rows(self, name: str) -> list[list[str]]:
        """N, and one similarity with its standard error at some noise levels."""
        return [
            [str(size), *(points[name].text(place) for place in self._told)]
            for size, points in self.curves.items()
        ]


class OutputsFigure(Figure):
    """Two networks denoise the same images."""

    experiment: str
    """whose networks are drawn, at every N"""
    by: Measure = Field(alias="measure")
    """how alike two images are; correlation removes each image's mean first"""

    def needs(self, params: Params) -> Needs:
        """The ensembles."""
        return Needs(ensembles=(self.experiment,))

    def measure(self, inputs: Inputs) -> Measured:
        """Read both similarities after the last update, by growing N and σ."""
        table = table_of(read_tables(inputs), "ensembles", self.experiment)
        frame = at_last(table).sort_values(["set_size", "sigma"])
        curves = {
            size: {
                name: Points.of(rows["sigma"], rows[column], rows[f"{column}_se"])
                for name, column in (("pair", self.by), ("closest", f"closest_{self.by}"))
            }
            for size in map(int, frame["set_size"].unique())
            for rows in [frame[frame["set_size"] == size]]
        }
        networks, images = (int(frame[name].max()) for name in ("networks", "images"))
        return Measured(curves, networks, images, [table.spec])

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        middle = len(measured.sigma) // 2
        told = ", ".join(
            f"{curves['pair'].value[middle]:.2f} at N = {size}"
            for size, curves in ends(list(measured.curves.items()))
        )
        level = f"{measured.sigma[middle]:.2g}"
        return f"{self.by.capitalize()} of two networks' outputs, σ = {level}: {told}"

    def draw(self, measured: Measured) -> Drawing:
        """Two panels, between the networks and with the training images, one curve per N."""
        drawing = page(3.3, self.heading(measured))
        drawing.set_layout_engine("constrained")
        panels = drawing.subplots(1, 2, sharey=True)
        styles = size_styles(len(measured.curves))
        for axes, (name, title) in zip(panels, _SHOWN.items(), strict=True):
            for (size, points), style in zip(measured.curves.items(), styles, strict=True):
                draw_band(axes, points[name], label=f"N = {size}", **style)
            axes.set_title(title)
            sigma_axis(axes, measured.sigma)
        heights = [points.value for both in measured.curves.values() for points in both.values()]
        low, high = limits(heights, 0.04)
        panels[0].set_ylim(low, min(high, 1.04))
        panels[0].set_ylabel(f"mean {self.by}")
        handles, labels = panels[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside lower center", ncols=6)
        return drawing
