"""Figure "bounds": networks between what no denoiser and what known denoisers can do on C^α images.

One column per regularity α. Above, what the denoisers gain over their input: with the contour known, a
lower bound on the error under the Gaussian surrogate (:mod:`gahb.denoisers.exact.known_contour`); the
network; classical denoisers, which bound the optimal error from above. Below, how far the network is from
each of them, in dB, and the fitted slopes beside those of theory. All curves are of the network's images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from gahb.artifacts import Spec
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts.beside import (
    EXCESS,
    NETWORK,
    SURROGATE,
    Beside,
    network_beside,
)
from gahb.figures.parts.captions import plain
from gahb.figures.parts.curves import EXACT, draw_curve, limits, text_rows
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, Uppers
from gahb.figures.parts.panels import place, share_axes, write
from gahb.figures.parts.style import PAGE_WIDTH, ordered_colours, page
from gahb.figures.parts.tables import read_tables
from gahb.options import Count, Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_PATTERNS = (("s", (0, (5, 1))), ("^", (0, (3, 1, 1, 1))), ("D", (0, (1, 1))), ("v", (0, (6, 2))))

# inches
_LEFT, _RIGHT, _BETWEEN = 1.24, 0.1, 0.1
_WIDEST = 2.2  # column
_NARROWEST = 3.6  # page
_TOP, _GAINS, _SPACE, _GAPS = 0.62, 2.0, 0.12, 1.7  # title, heights of the two rows of panels
_BELOW, _PITCH, _NAMES = 0.46, 0.165, 0.06  # labels of the lower axis; rows of slopes, their left


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        columns: by growing regularity.
        names: of the denoisers, from the lower bound on the error up.
        excess: dB by which the lower bound may be beaten.
    """

    excess: ClassVar[float] = EXCESS
    columns: list[Beside]
    names: list[str]

    @property
    def specs(self) -> list[Spec]:
        """Specs of the inputs."""
        return [spec for column in self.columns for spec in column.specs]

    @property
    def header(self) -> list[str]:
        """What is in the columns of the tables below."""
        return ["denoiser", *(f"alpha = {column.alpha:g}" for column in self.columns)]

    @property
    def behind(self) -> list[str]:
        """Each reference and the images behind its gap."""
        return [f"{name} {gap.images}" for name, gap in self.columns[0].gaps.items()]

    @property
    def window(self) -> tuple[float, float]:
        """Noise levels of the fits."""
        return self.columns[0].slopes[NETWORK].window

    @property
    def gap_rows(self) -> list[list[str]]:
        """Each reference and its gaps to the network."""
        return [
            [name, *(column.gaps[name].text() for column in self.columns)]
            for name in self.names
            if name != NETWORK
        ]

    @property
    def oracle_rows(self) -> list[list[str]]:
        """The network's slope, and the oracle's on the same images."""
        slopes = [column.slopes[NETWORK] for column in self.columns]
        return [
            [NETWORK, *(plain(slope.fitted()) for slope in slopes)],
            ["oracle", *(plain(slope.of_oracle()) for slope in slopes)],
        ]

    @property
    def slope_rows(self) -> list[list[str]]:
        """Each denoiser and its slopes."""
        return [
            [name, *(plain(column.slopes[name].text()) for column in self.columns)]
            for name in self.names
        ]


class BoundsFigure(Figure):
    """Networks between bounds on the least error, on C^alpha images."""

    experiments: Annotated[Experiments, Field(max_length=5)]
    """on C^alpha images, one column each"""
    set_size: Count
    """N"""
    split: Split
    """of the networks drawn"""
    lower: str
    """the entry of references whose error is a lower bound under the Gaussian surrogate"""
    upper: Uppers
    """the entries of references that bound the error from above"""

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Those with a contour."""
        return images.has_contour

    def needs(self, params: Params) -> Needs:
        """One network of each experiment, and all bounds."""
        bounds = [self.lower, *self.upper]
        return Needs(
            tables=("summary", "references", "gaps"),
            networks=tuple((name, self.set_size, self.split) for name in self.experiments),
            references=tuple((name, bound) for name in self.experiments for bound in bounds),
        )

    def measure(self, inputs: Inputs) -> Measured:
        """Read curves, gaps and slopes of the network and of all bounds, for each experiment."""
        tables = read_tables(inputs)
        references = [self.lower, *self.upper]
        columns = [
            network_beside(tables, name, self.set_size, self.split, references)
            for name in self.experiments
        ]
        columns.sort(key=lambda column: column.alpha)
        return Measured(columns, [self.lower, NETWORK, *self.upper])

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        lower = [column.gaps[self.lower].gap for column in measured.columns]
        best = [
            np.max([column.gaps[name].gap for name in self.upper], axis=0)
            for column in measured.columns
        ]
        return (
            f"The network is {-np.max(best):.1f} to {-np.min(best):.1f} dB above classical methods, "
            f"{np.min(lower):.1f} to {np.max(lower):.1f} dB below the known contour"
        )

    def draw(self, measured: Measured) -> Drawing:
        """One column per class: gains over the input, gaps to the network, and the slopes."""
        columns, styles = measured.columns, self._styles
        room = PAGE_WIDTH - _LEFT - _RIGHT
        width = min((room - (len(columns) - 1) * _BETWEEN) / len(columns), _WIDEST)
        lower_top = _TOP + _GAINS + _SPACE
        table_top = lower_top + _GAPS + _BELOW
        height = table_top + (2 * len(styles) + 2.4) * _PITCH + 0.04
        content = _LEFT + len(columns) * (width + _BETWEEN) - _BETWEEN + _RIGHT
        page_width = min(max(content, _NARROWEST), PAGE_WIDTH)
        drawing = page(height, self.heading(measured), below=0.1, width=page_width)
        lefts = [_LEFT + number * (width + _BETWEEN) for number in range(len(columns))]
        gains, gaps = [], []
        for column, left in zip(columns, lefts, strict=True):
            upper = place(drawing, left, _TOP, width, _GAINS)
            lower = place(drawing, left, lower_top, width, _GAPS)
            upper.set_title(f"α = {column.alpha:g}", pad=4)
            lower.axhline(0, **{key: styles[NETWORK][key] for key in ("color", "linewidth")})
            for name, style in styles.items():
                curve = column.curves[name]
                gain = curve.psnr - curve.input_psnr
                draw_curve(upper, curve.input_psnr, gain, curve.se, **style)
                if name != NETWORK:
                    gap = column.gaps[name]
                    draw_curve(lower, gap.input_psnr, gap.gap, gap.se, **style)
            gains.append(upper)
            gaps.append(lower)
        every = [curve for column in columns for curve in column.curves.values()]
        shown = [np.zeros(1), *(gap.gap for column in columns for gap in column.gaps.values())]
        heights = (limits([c.psnr - c.input_psnr for c in every], 0.7), limits(shown, 0.4))
        labels = ("output − input PSNR (dB)", "PSNR above\nthe network (dB)")
        share_axes((gains, gaps), limits([c.input_psnr for c in every], 1.5), heights, labels)
        middle = (lefts[0] + lefts[-1] + width) / 2
        below = lower_top + _GAPS + 0.22
        write(drawing, middle, below, "input PSNR (dB)", ha="center", va="top")
        self._slope_rows(drawing, columns, [left + width / 2 for left in lefts], table_top)
        return drawing

    @property
    def _styles(self) -> dict[str, dict[str, Any]]:
        """The style of each denoiser, from the lower bound on the error up."""
        *colours, darkest = ordered_colours(len(self.upper) + 2)[1:]
        classical = {
            name: {
                "color": colour,
                "marker": marker,
                "markersize": 3,
                "linewidth": 1.0,
                "linestyle": line,
            }
            for name, colour, (marker, line) in zip(self.upper, colours, _PATTERNS, strict=False)
        }
        network = {"color": darkest, "marker": "o", "markersize": 3.5, "linewidth": 1.5}
        return {self.lower: EXACT, NETWORK: network} | classical

    def _slope_rows(
        self, drawing: Drawing, columns: list[Beside], centres: list[float], top: float
    ) -> None:
        """Slopes, fitted and of theory, of every denoiser in every column; the legend as well."""
        lines: list[tuple[str, dict[str, Any] | None, list[str]]] = [
            ("slope of output against input PSNR:", None, [""] * len(columns))
        ]
        for name, style in self._styles.items():
            slopes = [column.slopes[name] for column in columns]
            lines.append((name, style, [slope.fitted() for slope in slopes]))
            lines.append(("   in theory", None, [slope.of_theory() for slope in slopes]))
        text_rows(drawing, lines, centres, _NAMES, top, _PITCH)
        note = f"{self.lower}: {SURROGATE}"
        y = top + (len(lines) + 0.7) * _PITCH
        write(drawing, _NAMES, y, note, va="center")
