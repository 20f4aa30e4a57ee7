"""Figure "cones": rays and sines, where the optimum has slope 1 and a known intercept.

Images on a cone of n dimensions in d pixels: for small noise the optimal denoiser projects on it, MSE
= n σ²/d, so that output PSNR is input PSNR + 10 log10(d/n) (Kadkhodaie et al., ICLR 2024, figures 19
and 20; n = 1 for rays, 2 for sines). One column per experiment: output PSNR, and its gain over the
input, of the network and of the exact denoiser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from gahb.artifacts import Spec
from gahb.datasets.classes.rays import Rays
from gahb.datasets.classes.sines import Sines
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts import captions
from gahb.figures.parts.beside import (
    Gap,
    Slope,
    count_of_test_images,
    curve_on_test,
    dataset_of,
    gap_to,
    network_slope,
    network_table,
    reference_slope,
    reference_table,
    small_noise_gain,
)
from gahb.figures.parts.curves import EXACT, IDENTITY, draw_curve, limits, noise_scale, text_rows
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params
from gahb.figures.parts.panels import place
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, two_colours
from gahb.figures.parts.tables import Curve, read_tables
from gahb.options import Count, Split

_LIMIT: dict[str, Any] = {"color": "0.1", "linewidth": 1.0, "linestyle": "-."}

# inches
_LEFT, _RIGHT, _BETWEEN = 1.42, 0.12, 0.3
_WIDEST = 2.7
_TOP, _CURVES, _SPACE, _GAINS = 0.92, 1.9, 0.12, 1.5
_BELOW, _PITCH = 0.46, 0.19


@dataclass(frozen=True)
class _Column:
    experiment: str
    name: str  # of the class of images
    dimension: int
    pixels: int
    gain: float  # 10 log10(d/n), dB
    learned: Curve
    exact: Curve
    fits: dict[str, Slope]  # network, exact
    gap: Gap
    images: int  # test images of the network
    specs: list[Spec]

    def intercepts(self) -> dict[str, float]:
        """Of the fitted lines, in dB, at an input PSNR of 0."""
        curves = {"network": self.learned, "exact": self.exact}
        return {name: fit.intercept(curves[name]) for name, fit in self.fits.items()}


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[_Column]:
    asked = dict(spec)
    tables = read_tables(inputs)
    columns = []
    for experiment in asked["experiments"]:
        network = (experiment, asked["set_size"], asked["split"])
        table = network_table(tables, *network)
        image_class = table.value("image_class")
        reference = reference_table(tables, image_class, asked["reference"])
        dimension, gain = small_noise_gain(table.spec)
        learned = curve_on_test(table)
        gap = gap_to(tables, *network, asked["reference"])
        dataset = dataset_of(table.spec)
        columns.append(
            _Column(
                experiment=experiment,
                name=dataset["class"],
                dimension=dimension,
                pixels=dataset["size"] ** 2,
                gain=gain,
                learned=learned,
                exact=gap.reference(learned),
                fits={
                    "network": network_slope(tables, *network),
                    "exact": reference_slope(tables, image_class, asked["reference"]),
                },
                gap=gap,
                images=count_of_test_images(table),
                specs=[table.spec, reference.spec],
            )
        )
    return columns


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: psnr tables of the networks and of the exact denoisers of their image classes, the
            summary, the table of gaps and the table of references.
        spec: ``title``, ``experiments``, ``set_size``, ``split``, ``reference``.
    """
    columns = _measure(inputs, spec)
    room = PAGE_WIDTH - _LEFT - _RIGHT
    width = min((room - (len(columns) - 1) * _BETWEEN) / len(columns), _WIDEST)
    lower_top = _TOP + _CURVES + _SPACE
    table_top = lower_top + _GAINS + _BELOW
    height = table_top + 5 * _PITCH + 0.06
    page = min(_LEFT + len(columns) * (width + _BETWEEN) - _BETWEEN + _RIGHT, PAGE_WIDTH)
    figure = Drawing(figsize=(page, height))
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    network = {"color": two_colours()[1], "marker": "o", "markersize": 3.5}
    lefts = [_LEFT + number * (width + _BETWEEN) for number in range(len(columns))]
    outputs, gains = [], []
    for column, left in zip(columns, lefts, strict=True):
        upper = place(figure, left, _TOP, width, _CURVES)
        lower = place(figure, left, lower_top, width, _GAINS)
        noise_scale(upper)
        upper.set_title(f"{column.name}, d = {column.pixels}", pad=4)
        upper.axline((0, 0), slope=1, **IDENTITY)
        upper.axline((0, column.gain), slope=1, **_LIMIT)
        lower.axhline(column.gain, **_LIMIT)
        for curve, style in ((column.learned, network), (column.exact, EXACT)):
            draw_curve(upper, curve.input_psnr, curve.psnr, curve.se, **style)
            draw_curve(lower, curve.input_psnr, curve.psnr - curve.input_psnr, curve.se, **style)
        upper.tick_params(labelbottom=False)
        outputs.append(upper)
        gains.append(lower)
    curves = [curve for column in columns for curve in (column.learned, column.exact)]
    limit = np.array([column.gain for column in columns])
    heights = (
        limits([curve.psnr for curve in curves], 2.0),
        limits([limit, *(curve.psnr - curve.input_psnr for curve in curves)], 1.0),
    )
    for row, shown in zip((outputs, gains), heights, strict=True):
        for axes in row:
            axes.set_xlim(*limits([curve.input_psnr for curve in curves], 1.0))
            axes.set_ylim(*shown)
            axes.tick_params(labelleft=axes is row[0])
    outputs[0].set_ylabel("output PSNR (dB)")
    gains[0].set_ylabel("output − input (dB)")
    middle = (lefts[0] + lefts[-1] + width) / 2 / page
    below = lower_top + _GAINS + 0.22
    figure.text(middle, 1 - below / height, "input PSNR (dB)", ha="center", va="top")
    _fits(figure, columns, network, [left + width / 2 for left in lefts], table_top)
    return figure


def _fits(
    figure: Drawing,
    columns: list[_Column],
    network: dict[str, Any],
    centres: list[float],
    top: float,
) -> None:
    """Slope and intercept of both denoisers and of their limit, which is the legend as well."""
    fitted = {
        name: [
            f"{column.fits[name].slope:.3f} ± {column.fits[name].se:.3f},  "
            f"{column.intercepts()[name]:.2f} dB"
            for column in columns
        ]
        for name in ("network", "exact")
    }
    text_rows(
        figure,
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


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    columns = _measure(inputs, spec)
    low, high = columns[0].fits["network"].window
    lines = []
    for column in columns:
        for name, fit in column.fits.items():
            lines.append(
                [
                    column.experiment,
                    name,
                    f"{fit.slope:.3f}",
                    f"{fit.se:.3f}",
                    captions.plain(fit.of_theory()),
                    f"{column.intercepts()[name]:.2f}",
                    f"{column.gain:.2f}",
                ]
            )
    return captions.caption(
        spec["title"],
        "Above: output PSNR of the network on test images ("
        + ", ".join(f"{c.images} for {captions.escape(c.name)}" for c in columns)
        + "), with a band of one standard error, and of the exact denoiser (dashed), drawn above it "
        "by its gap on the same noisy images ("
        + ", ".join(f"{c.gap.images}" for c in columns)
        + "), with the standard error of that. Below: the same minus the input PSNR. Dash-dotted: "
        "slope 1 and intercept 10 log10(d/n), to which the optimum tends for small noise, for images "
        "that are a cone of n dimensions in d pixels: "
        + ", ".join(f"n = {c.dimension} for {captions.escape(c.name)}" for c in columns)
        + ". Dotted: output = input.",
        f"Lines fitted by least squares for sigma from {low:g} to {high:g}; intercepts, at an input "
        "PSNR of 0 dB, in dB:",
        captions.grid(
            (
                *("experiment", "denoiser", "slope", "standard error", "in theory", "intercept"),
                "10 log10(d/n)",
            ),
            lines,
        ),
        "PSNR of the exact denoiser minus that of the network on the same noisy images, in dB, "
        "averaged over the noise levels (smallest to largest; largest standard error of one): "
        + ", ".join(f"{c.gap.text()} for {captions.escape(c.experiment)}" for c in columns)
        + ".",
        "Made with:",
        captions.bullets(
            [
                f"N = {spec['set_size']}, split {spec['split']}, experiments "
                + captions.escape(", ".join(column.experiment for column in columns)),
            ]
        )
        + "\n"
        + captions.parameters(spec for column in columns for spec in column.specs),
    )


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

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
