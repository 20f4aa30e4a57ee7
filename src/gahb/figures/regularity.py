"""Figure "regularity": how fast the error falls with the noise, against the regularity of images.

One column per class of C^α images. Output PSNR on test images against input PSNR with the fitted
slope and the slope α/(α+1) of the minimax rate over the class; below, the clean image and leading
eigenvectors of the denoiser's Jacobian (Kadkhodaie et al., ICLR 2024, figure 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts import captions
from gahb.figures.parts.eigenbases import Eigenbasis, find_spectra, psnr, read_eigenbasis
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, Ranks
from gahb.figures.parts.panels import EIGENVECTOR_SCALE, place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, markers, ordered_colours
from gahb.figures.parts.tables import Curve, choose, curve, one, read_tables, rows, summary_of
from gahb.options import Count, Index, Sigma, Split

AGGREGATION = "psnr_of_mean_mse"  # the slope of theory is that of the expected squared error
_FITTED: dict[str, Any] = {"color": "0.1", "linewidth": 1.2}
_MINIMAX: dict[str, Any] = {"color": "#e06c00", "linewidth": 1.2, "linestyle": "--"}

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.1
_WIDEST = 2.0  # column
_TALLEST = 9.0  # figure
_TOP, _PLOT, _BELOW = 0.86, 1.8, 0.76  # of the plots: title, height, labels and legend
_TITLE = 0.22  # above an eigenvector


@dataclass(frozen=True)
class _Column:
    experiment: str
    alpha: float
    curve: Curve
    slope: float
    slope_se: float
    window: tuple[float, float]  # noise levels of the fit
    theory: float
    images: int
    basis: Eigenbasis | None
    specs: list[Spec]

    def lines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Over the window: input PSNR at its ends; the fitted line, through the centre of the
        curve's points; a line of slope α/(α+1) that meets it at the highest noise level.
        """
        low, high = self.window
        inside = (self.curve.sigma >= low * 0.9999) & (self.curve.sigma <= high * 1.0001)
        x, y = self.curve.input_psnr[inside], self.curve.psnr[inside]
        ends = np.array([x.min(), x.max()])
        fitted = y.mean() + self.slope * (ends - x.mean())
        return ends, fitted, fitted[0] + self.theory * (ends - ends[0])


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[_Column]:
    asked = dict(spec)
    tables = read_tables(inputs)
    summary = summary_of(tables)
    network = {"set_size": asked["set_size"], "split": asked["split"]}
    columns = []
    for experiment in asked["experiments"]:
        table = one(
            [
                table
                for table in choose(tables, "psnr", experiment=experiment, **network)
                if "network" in set(table.frame["denoiser"])
            ],
            f"the network of {experiment}, N = {asked['set_size']}, {asked['split']}",
        )
        row = rows(summary, experiment=experiment, **network).iloc[0]
        numbers = {
            name: float(row[name])
            for name in ("alpha", "slope", "slope_se", "sigma_low", "sigma_high")
        }
        unknown = [name for name, value in numbers.items() if not np.isfinite(value)]
        if unknown:
            raise ArtifactError(
                f"{summary.path}: no {', '.join(unknown)} for {experiment}, N = "
                f"{asked['set_size']}, {asked['split']}; the figure is for C^alpha images with a "
                "fitted slope"
            )
        test = curve(table, "network", "test", AGGREGATION)
        low, high = numbers["sigma_low"], numbers["sigma_high"]
        if np.sum((test.sigma >= low * 0.9999) & (test.sigma <= high * 1.0001)) < 2:
            raise ArtifactError(
                f"{table.path} has fewer than two noise levels in the window of the fit, "
                f"{low:g} to {high:g}, stated by {summary.path}"
            )
        path = find_spectra(inputs, experiment, asked["split"], asked["set_size"])
        basis = None if path is None else read_eigenbasis(path, asked["image"], asked["sigma"])
        columns.append(
            _Column(
                experiment=experiment,
                alpha=numbers["alpha"],
                curve=test,
                slope=numbers["slope"],
                slope_se=numbers["slope_se"],
                window=(low, high),
                theory=float(row["theoretical_slope"]),
                images=int(rows(table, evaluated_on="test")["images"].max()),
                basis=basis,
                specs=[table.spec] + ([] if basis is None else [basis.spec]),
            )
        )
    return sorted(columns, key=lambda column: column.alpha)


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: the summary table, one network's psnr table per experiment, and, where there is
            one, its spectra file. Without any spectra file the rows of eigenvectors are left out.
        spec: ``title``, ``experiments``, ``set_size``, ``split``; for the eigenvectors ``image``
            (position in the test set, from 0), ``sigma``, ``eigenvectors`` (k, from 1).
    """
    columns = _measure(inputs, spec)
    ks: list[int] = spec["eigenvectors"] if any(c.basis for c in columns) else []
    room = PAGE_WIDTH - _LEFT - _RIGHT
    width = min((room - (len(columns) - 1) * _BETWEEN) / len(columns), _WIDEST)
    left = _LEFT + (room - len(columns) * (width + _BETWEEN) + _BETWEEN) / 2
    top = _TOP + _PLOT + _BELOW  # of the clean images
    side = min(width, (_TALLEST - top - len(ks) * _TITLE - 0.05) / (len(ks) + 1))
    height = top + (side + len(ks) * (side + _TITLE) + 0.05 if ks else 0)
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    plots = []
    for number, (column, colour, marker) in enumerate(
        zip(columns, ordered_colours(len(columns)), markers(len(columns)), strict=True)
    ):
        at = left + number * (width + _BETWEEN)
        axes = place(figure, at, _TOP, width, _PLOT)
        plots.append(axes)
        axes.set_title(
            f"α = {column.alpha:g}\nfit {column.slope:.3f} ± {column.slope_se:.3f}\n"
            f"α/(α+1) = {column.theory:.2f}",
            pad=3,
        )
        axes.plot(
            column.curve.input_psnr,
            column.curve.psnr,
            color=colour,
            marker=marker,
            linewidth=0.8,
        )
        ends, fitted, minimax = column.lines()
        axes.plot(ends, fitted, **_FITTED)
        axes.plot(ends, minimax, **_MINIMAX)
        if column.basis is not None:
            _eigenvectors(figure, column.basis, ks, at + (width - side) / 2, top, side)
    for row, name in enumerate(["clean", *(f"k = {k}" for k in ks)] if ks else []):
        middle = top + side / 2 + row * (side + _TITLE)
        figure.text(
            (left + (width - side) / 2 - 0.08) / PAGE_WIDTH,
            1 - middle / height,
            name,
            rotation=90,
            ha="right",
            va="center",
        )
    _finish(figure, plots, columns)
    return figure


def _eigenvectors(
    figure: Drawing, basis: Eigenbasis, ks: list[int], left: float, top: float, side: float
) -> None:
    show_image(place(figure, left, top, side, side), basis.clean)
    for row, k in enumerate(ks, start=1):
        axes = place(figure, left, top + row * (side + _TITLE), side, side)
        show_eigenvector(axes, basis.eigenvector(k))
        axes.set_title(f"λ = {basis.eigenvalues[k - 1]:.3f}", pad=2)


def _finish(figure: Drawing, plots: list[Axes], columns: list[_Column]) -> None:
    """Give all columns the same axes and label them once."""
    inputs = np.concatenate([column.curve.input_psnr for column in columns])
    outputs = np.concatenate([y for c in columns for y in (c.curve.psnr, *c.lines()[1:])])
    for axes in plots:
        axes.set_xlim(inputs.min() - 2, inputs.max() + 2)
        axes.set_ylim(outputs.min() - 2, outputs.max() + 2)
        if axes is not plots[0]:
            axes.tick_params(labelleft=False)
    plots[0].set_ylabel("output PSNR on test (dB)")
    middle = (plots[0].get_position().x0 + plots[-1].get_position().x1) / 2
    bottom = plots[0].get_position().y0
    height = figure.get_figheight()
    figure.text(middle, bottom - 0.22 / height, "input PSNR (dB)", ha="center", va="top")
    figure.legend(
        handles=[
            Line2D([], [], color="0.4", marker="o", linewidth=0.8, label="network"),
            Line2D([], [], label="fit, over its window", **_FITTED),
            Line2D([], [], label="slope α/(α+1)", **_MINIMAX),
        ],
        loc="upper center",
        bbox_to_anchor=(middle, bottom - 0.34 / height),
        ncols=3,
    )


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    columns = _measure(inputs, spec)
    lines = [
        [
            f"{column.alpha:g}",
            f"{column.slope:.3f}",
            f"{column.slope_se:.3f}",
            f"{column.theory:.3f}",
            f"{column.window[0]:g} to {column.window[1]:g}",
        ]
        for column in columns
    ]
    bases = [column.basis for column in columns if column.basis is not None]
    eigenvectors = ""
    if bases:
        eigenvectors = (
            "Below, for one test image per class: the clean image and eigenvectors of the "
            "symmetric part of the Jacobian at the noisy image, "
            f"sigma = {bases[0].sigma:g}, with eigenvalue. "
            f"{EIGENVECTOR_SCALE} Output PSNR of these images: "
            + ", ".join(f"{psnr(basis.denoised, basis.clean):.2f} dB" for basis in bases)
            + "."
        )
    return captions.caption(
        spec["title"],
        "Output PSNR of the squared error averaged over test images, against input PSNR, one "
        "column per regularity alpha. Solid line: slope fitted by least squares over the stated "
        "window of noise levels. Dashed line: slope alpha/(alpha+1), the minimax rate over the "
        "class of images, drawn to meet the fit at the highest noise level of the window; it is "
        "not the optimal slope for the images drawn from it.",
        captions.grid(
            ("alpha", "slope", "standard error", "alpha/(alpha+1)", "window of sigma"), lines
        ),
        eigenvectors,
        "Made with:",
        captions.bullets(
            [
                f"N = {spec['set_size']}, split {spec['split']}, experiments "
                + captions.escape(", ".join(column.experiment for column in columns)),
                f"images of the test set: {columns[0].images}",
            ]
        )
        + "\n"
        + captions.parameters(spec for column in columns for spec in column.specs),
    )


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

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
