"""Figure "regularity": how fast the error falls with the noise, against the regularity of images.

One column per class of C^α images. Output PSNR on test images against input PSNR with the fitted
slope and that of theory, the lesser of α/(α+1) and the (β−1)/β of the backgrounds; below, the clean
image and leading eigenvectors of the denoiser's Jacobian (Kadkhodaie et al., ICLR 2024, figure 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.artifacts import Spec
from gahb.figures.parts.beside import (
    Slope,
    alpha_of,
    count_of_test_images,
    curve_on_test,
    dataset_of,
    network_slope,
    network_table,
)
from gahb.figures.parts.captions import plain
from gahb.figures.parts.curves import EXACT
from gahb.figures.parts.eigenbases import Eigenbasis, find_spectra, read_eigenbasis
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, Ranks
from gahb.figures.parts.over_images import OverImages, SpectraTables, read_over_images
from gahb.figures.parts.panels import name_row, place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, line, markers, ordered_colours, page
from gahb.figures.parts.tables import Curve, read_tables
from gahb.options import Count, Index, Sigma, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_FITTED: dict[str, Any] = {"color": "0.1", "linewidth": 1.2}

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.1
_WIDEST = 2.0  # column
_TALLEST = 9.0  # figure
_TOP, _PLOT, _BELOW = 0.86, 1.8, 0.76  # of the plots: title, height, labels and legend
_TITLE = 0.22  # above an eigenvector


@dataclass(frozen=True)
class Column:
    """One class of images.

    Attributes:
        alpha: regularity of the contour.
        beta: that of the backgrounds.
        curve: PSNR of the network on test images.
        slope: of the curve, of theory, and of an oracle on the same images.
        images: of the test set.
        basis: of the Jacobian at one noisy image, where there is a spectra file.
        over: the same network at all images of that file.
        specs: of the inputs.
    """

    alpha: float
    beta: float
    curve: Curve
    slope: Slope
    images: int
    basis: Eigenbasis | None
    over: OverImages | None
    specs: list[Spec]

    @property
    def regularity(self) -> str:
        """Of the images: of contour and backgrounds, where these differ."""
        return f"{self.alpha:g}" + (f", β = {self.beta:g}" if self.beta != self.alpha else "")

    @property
    def lines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Over the window: input PSNR at its ends; the fitted line, through the centre of the
        curve's points; a line of the slope of theory that meets it at the highest noise level.
        """
        x, y = self.slope.inside(self.curve)
        ends = np.array([x.min(), x.max()])
        fitted = y.mean() + self.slope.slope * (ends - x.mean())
        return ends, fitted, fitted[0] + self.slope.theory * (ends - ends[0])


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        columns: by growing regularity.
        ks: numbers of the eigenvectors shown, from 1; none without any spectra file.
    """

    columns: list[Column]
    ks: list[int]

    @property
    def specs(self) -> list[Spec]:
        """Specs of the inputs."""
        return [spec for column in self.columns for spec in column.specs]

    @property
    def rows(self) -> list[list[str]]:
        """alpha, slope with standard error, that of an oracle and of theory, and the window of the fit."""
        return [
            [
                plain(column.regularity),
                *(f"{n:.3f}" for n in (column.slope.slope, column.slope.se)),
                plain(column.slope.of_oracle()),
                f"{column.slope.theory:.3f}",
                "{:g} to {:g}".format(*column.slope.window),
            ]
            for column in self.columns
        ]

    @property
    def bases(self) -> list[Eigenbasis]:
        """Those of the columns."""
        return [column.basis for column in self.columns if column.basis is not None]

    @property
    def tables(self) -> SpectraTables:
        """What the caption says of the networks over the images of their spectra."""
        named = [(plain(c.regularity), c.over) for c in self.columns if c.over is not None]
        return SpectraTables("alpha", named)

    @property
    def outputs(self) -> list[str]:
        """Output PSNR of the images whose eigenvectors are shown."""
        return [f"{basis.output_psnr:.2f} dB" for basis in self.bases]


class RegularityFigure(Figure):
    """Slopes and bases against the regularity of the images (the paper's figure 4)."""

    experiments: Experiments
    """one column each"""
    set_size: Count
    """N"""
    split: Split
    """of the networks drawn"""
    image: Index
    """position in the test set"""
    sigma: Sigma
    """noise level of the image"""
    eigenvectors: Ranks
    """which ones to show, counted from 1"""

    def needs(self, params: Params) -> Needs:
        """One network of each experiment."""
        networks = tuple((name, self.set_size, self.split) for name in self.experiments)
        return Needs(tables=("summary",), networks=networks, spectra=networks)

    def measure(self, inputs: Inputs) -> Measured:
        """Read the curve, the slope and, where there are spectra, the eigenbasis of each network."""
        tables = read_tables(inputs)
        columns = []
        for experiment in self.experiments:
            network = (experiment, self.set_size, self.split)
            table = network_table(tables, *network)
            path = find_spectra(inputs, experiment, self.split, self.set_size)
            dataset = dataset_of(table.spec)
            basis = None if path is None else read_eigenbasis(path, self.image, self.sigma)
            over = None if path is None else read_over_images(path, self.sigma)
            columns.append(
                Column(
                    alpha=alpha_of(dataset),
                    beta=float(dataset["background_alpha"]),
                    curve=curve_on_test(table),
                    slope=network_slope(tables, *network),
                    images=count_of_test_images(table),
                    basis=basis,
                    over=over,
                    specs=[table.spec] + ([] if basis is None else [basis.spec]),
                )
            )
        columns.sort(key=lambda column: (column.alpha, column.beta))
        return Measured(columns, self.eigenvectors if any(c.basis for c in columns) else [])

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        columns = measured.columns
        slopes = ", ".join(f"{column.slope.slope:.2f}" for column in columns)
        told = [("α", [column.alpha for column in columns])]
        if any(column.beta != column.alpha for column in columns):
            told.append(("β", [column.beta for column in columns]))
        of = " and ".join(f"{name} = {', '.join(f'{n:g}' for n in each)}" for name, each in told)
        return f"Slope of the network: {slopes} for {of}"

    def draw(self, measured: Measured) -> Drawing:
        """One column per class: PSNR and slopes; below, the image and eigenvectors."""
        columns, ks = measured.columns, measured.ks
        room = PAGE_WIDTH - _LEFT - _RIGHT
        width = min((room - (len(columns) - 1) * _BETWEEN) / len(columns), _WIDEST)
        left = _LEFT + (room - len(columns) * (width + _BETWEEN) + _BETWEEN) / 2
        top = _TOP + _PLOT + _BELOW  # of the clean images
        side = min(width, (_TALLEST - top - len(ks) * _TITLE - 0.05) / (len(ks) + 1))
        height = top + (side + len(ks) * (side + _TITLE) + 0.05 if ks else 0)
        drawing = page(height, self.heading(measured), below=0.1)
        plots = []
        for number, (column, colour, marker) in enumerate(
            zip(columns, ordered_colours(len(columns)), markers(len(columns)), strict=True)
        ):
            at = left + number * (width + _BETWEEN)
            axes = place(drawing, at, _TOP, width, _PLOT)
            plots.append(axes)
            axes.set_title(
                f"α = {column.regularity}\nfit {column.slope.fitted()}\n"
                + (
                    f"oracle {column.slope.of_oracle()}, "
                    if np.isfinite(column.slope.oracle)
                    else ""
                )
                + f"theory {column.slope.theory:.2f}",
                pad=3,
            )
            x, y = column.curve.input_psnr, column.curve.psnr
            axes.plot(x, y, color=colour, marker=marker, linewidth=0.8)
            ends, fitted, minimax = column.lines
            axes.plot(ends, fitted, **_FITTED)
            axes.plot(ends, minimax, **EXACT)
            if column.basis is not None:
                _eigenvectors(drawing, column.basis, ks, at + (width - side) / 2, top, side)
        for row, name in enumerate(["clean", *(f"k = {k}" for k in ks)] if ks else []):
            middle = top + side / 2 + row * (side + _TITLE)
            name_row(drawing, name, left + (width - side) / 2 - 0.08, middle)
        _finish(drawing, plots, columns)
        return drawing


def _eigenvectors(
    drawing: Drawing, basis: Eigenbasis, ks: list[int], left: float, top: float, side: float
) -> None:
    show_image(place(drawing, left, top, side, side), basis.clean)
    for row, k in enumerate(ks, start=1):
        axes = place(drawing, left, top + row * (side + _TITLE), side, side)
        show_eigenvector(axes, basis.eigenvector(k), f"λ = {basis.eigenvalues[k - 1]:.3f}")


def _finish(drawing: Drawing, plots: list[Axes], columns: list[Column]) -> None:
    """Give all columns the same axes and label them once."""
    inputs = np.concatenate([column.curve.input_psnr for column in columns])
    outputs = np.concatenate([y for c in columns for y in (c.curve.psnr, *c.lines[1:])])
    for axes in plots:
        axes.set_xlim(inputs.min() - 2, inputs.max() + 2)
        axes.set_ylim(outputs.min() - 2, outputs.max() + 2)
        if axes is not plots[0]:
            axes.tick_params(labelleft=False)
    plots[0].set_ylabel("output PSNR on test (dB)")
    middle = (plots[0].get_position().x0 + plots[-1].get_position().x1) / 2
    bottom = plots[0].get_position().y0
    height = drawing.get_figheight()
    drawing.text(middle, bottom - 0.22 / height, "input PSNR (dB)", ha="center", va="top")
    drawing.legend(
        handles=[
            line("network", color="0.4", marker="o", linewidth=0.8),
            line("fit, over its window", **_FITTED),
            line("slope of theory", **EXACT),
        ],
        loc="upper center",
        bbox_to_anchor=(middle, bottom - 0.34 / height),
        ncols=3,
    )
