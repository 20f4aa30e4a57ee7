"""Figure "cones": rays and sines, where the optimum has slope 1 and a known intercept.

Images on a cone of n dimensions in d pixels: for small noise the optimal denoiser projects on it, MSE
= n σ²/d, so that output PSNR is input PSNR + 10 log10(d/n) (Kadkhodaie et al., ICLR 2024, figures 19
and 20; n = 1 for rays, 2 for sines). One column per experiment: output PSNR, and its gain over the
input, of the network and of the exact denoiser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from gahb.artifacts import Spec
from gahb.datasets.classes.rays import Rays
from gahb.datasets.classes.sines import Sines
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts.beside import Beside, Gap, Slope, network_beside, small_noise_gain
from gahb.figures.parts.captions import plain
from gahb.figures.parts.curves import EXACT, IDENTITY, draw_curve, limits, noise_scale, text_rows
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params
from gahb.figures.parts.panels import place, share_axes, write
from gahb.figures.parts.style import PAGE_WIDTH, page, two_colours
from gahb.figures.parts.tables import Curve, read_tables
from gahb.options import Count, Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_LIMIT: dict[str, Any] = {"color": "0.1", "linewidth": 1.0, "linestyle": "-."}

# inches
_LEFT, _RIGHT, _BETWEEN = 1.42, 0.12, 0.3
_WIDEST = 2.7
_TOP, _CURVES, _SPACE, _GAINS = 0.92, 1.9, 0.12, 1.5
_BELOW, _PITCH = 0.46, 0.19


@dataclass(frozen=True)
class Column:
    """What one column shows.

    Attributes:
        found: the network, and the exact denoiser beside it.
        dimension: n.
        gain: 10 log10(d/n), dB.
    """

    found: Beside
    dimension: int
    gain: float

    @property
    def name(self) -> str:
        """Of the class of images."""
        return str(self.found.dataset["class"])

    @property
    def pixels(self) -> int:
        """d."""
        return int(self.found.dataset["size"] ** 2)

    @property
    def gap(self) -> Gap:
        """From the network to the exact denoiser."""
        return next(iter(self.found.gaps.values()))

    @property
    def lines(self) -> dict[str, tuple[Curve, Slope]]:
        """The curve of each denoiser and the line fitted to it."""
        fitted = zip(self.found.curves.values(), self.found.slopes.values(), strict=True)
        return dict(zip(("network", "exact"), fitted, strict=True))


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        columns: in the order of the experiments.
    """

    columns: list[Column]

    @property
    def specs(self) -> list[Spec]:
        """Of the inputs."""
        return [spec for column in self.columns for spec in column.found.specs]

    @property
    def window(self) -> tuple[float, float]:
        """Lowest and highest noise level of the fits."""
        return self.columns[0].lines["network"][1].window

    @property
    def rows(self) -> list[list[str]]:
        """Experiment, denoiser, slope, its error, that of theory, intercept and its limit."""
        return [
            [
                *(column.found.experiment, name, f"{fit.slope:.3f}", f"{fit.se:.3f}"),
                *(plain(fit.of_theory()), f"{fit.intercept(curve):.2f}", f"{column.gain:.2f}"),
            ]
            for column in self.columns
            for name, (curve, fit) in column.lines.items()
        ]


class ConesFigure(Figure):
    """Networks beside the optimum on rays and sines (the paper's figures 19 and 20)."""

    experiments: Annotated[Experiments, Field(max_length=3)]
    """on rays or sines, one column each"""
    set_size: Count
    """N"""
    split: Split
    """of the networks drawn"""
    reference: str
    """the entry of references that is exact for the image class"""

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Rays and sines."""
        return issubclass(images, Rays | Sines)

    def needs(self, params: Params) -> Needs:
        """One network of each experiment, and its optimum."""
        return Needs(
            tables=("summary", "references", "gaps"),
            networks=tuple((name, self.set_size, self.split) for name in self.experiments),
            references=tuple((name, self.reference) for name in self.experiments),
        )

    def measure(self, inputs: Inputs) -> Measured:
        """Read the network of each experiment, and the exact denoiser beside it."""
        tables = read_tables(inputs)
        columns = []
        for name in self.experiments:
            found = network_beside(tables, name, self.set_size, self.split, [self.reference])
            columns.append(Column(found, *small_noise_gain(found.specs[0])))
        return Measured(columns)

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        slopes = {
            column.name: [fit.slope for _, fit in column.lines.values()]
            for column in measured.columns
        }
        told = ", ".join(
            f"{ours:.2f} on {name} ({best:.2f})" for name, (ours, best) in slopes.items()
        )
        return f"The slope of the network (and of the optimum): {told}"

    def draw(self, measured: Measured) -> Drawing:
        """Output PSNR above its gain over the input, one column per experiment; lines below."""
        columns = measured.columns
        room = PAGE_WIDTH - _LEFT - _RIGHT
        width = min((room - (len(columns) - 1) * _BETWEEN) / len(columns), _WIDEST)
        lower_top = _TOP + _CURVES + _SPACE
        table_top = lower_top + _GAINS + _BELOW
        whole = min(_LEFT + len(columns) * (width + _BETWEEN) - _BETWEEN + _RIGHT, PAGE_WIDTH)
        drawing = page(
            table_top + 5 * _PITCH + 0.06, self.heading(measured), below=0.1, width=whole
        )
        network = {"color": two_colours()[1], "marker": "o", "markersize": 3.5}
        lefts = [_LEFT + number * (width + _BETWEEN) for number in range(len(columns))]
        outputs, gains = [], []
        for column, left in zip(columns, lefts, strict=True):
            upper = place(drawing, left, _TOP, width, _CURVES)
            lower = place(drawing, left, lower_top, width, _GAINS)
            noise_scale(upper)
            upper.set_title(f"{column.name}, d = {column.pixels}", pad=4)
            upper.axline((0, 0), slope=1, **IDENTITY)
            upper.axline((0, column.gain), slope=1, **_LIMIT)
            lower.axhline(column.gain, **_LIMIT)
            for curve, style in zip(column.found.curves.values(), (network, EXACT), strict=True):
                x, gain = curve.input_psnr, curve.psnr - curve.input_psnr
                draw_curve(upper, x, curve.psnr, curve.se, **style)
                draw_curve(lower, x, gain, curve.se, **style)
            outputs.append(upper)
            gains.append(lower)
        curves = [curve for column in columns for curve in column.found.curves.values()]
        limit = np.array([column.gain for column in columns])
        heights = (
            limits([curve.psnr for curve in curves], 2.0),
            limits([limit, *(curve.psnr - curve.input_psnr for curve in curves)], 1.0),
        )
        span = limits([curve.input_psnr for curve in curves], 1.0)
        labels = ("output PSNR (dB)", "output − input (dB)")
        share_axes((outputs, gains), span, heights, labels)
        middle, below = (lefts[0] + lefts[-1] + width) / 2, lower_top + _GAINS + 0.22
        write(drawing, middle, below, "input PSNR (dB)", ha="center", va="top")
        _fits(drawing, columns, network, [left + width / 2 for left in lefts], table_top)
        return drawing


def _fits(
    drawing: Drawing,
    columns: list[Column],
    network: dict[str, Any],
    centres: list[float],
    top: float,
) -> None:
    """Slope and intercept of both denoisers and of their limit, which is the legend as well."""
    fitted: dict[str, list[str]] = {"network": [], "exact": []}
    for column in columns:
        for name, (curve, fit) in column.lines.items():
            fitted[name].append(f"{fit.fitted()},  {fit.intercept(curve):.2f} dB")
    text_rows(
        drawing,
        [
            ("fitted line:", None, ["slope,  intercept at 0 dB"] * len(columns)),
            ("network", network, fitted["network"]),
            ("exact", EXACT, fitted["exact"]),
            ("MSE = n σ²/d", _LIMIT, [f"1,  {column.gain:.2f} dB" for column in columns]),
            ("output = input", IDENTITY, ["1,  0 dB"] * len(columns)),
        ],
        centres,
        0.1,
        top,
        _PITCH,
    )
