"""Figure "bounds": networks between what no denoiser and what known denoisers can do on C^α images.

One column per regularity α. Above, what the denoisers gain over their input: with the contour known,
which bounds the error from below; the network; classical denoisers, which bound the optimal error
from above. Below, how far the network is from each of them, in dB, and the fitted slopes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gahb.artifacts import ArtifactError, Spec
from gahb.figures import captions
from gahb.figures.compared import (
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
)
from gahb.figures.curves import EXACT, draw_curve, limits, text_rows
from gahb.figures.options import check_options
from gahb.figures.panels import place
from gahb.figures.style import PAGE_WIDTH, figure_style, ordered_colours
from gahb.figures.tables import Curve, read_tables

OPTIONS = ("title", "experiments", "set_size", "split", "lower", "upper")
NETWORK = "network"
_PATTERNS = (("s", (0, (5, 1))), ("^", (0, (3, 1, 1, 1))), ("D", (0, (1, 1))), ("v", (0, (6, 2))))

# inches
_LEFT, _RIGHT, _BETWEEN = 1.24, 0.1, 0.1
_WIDEST = 2.2  # column
_TOP, _GAINS, _SPACE, _GAPS = 0.62, 2.0, 0.12, 1.7  # title, heights of the two rows of panels
_BELOW, _PITCH = 0.46, 0.19  # labels of the lower axis; rows of slopes


@dataclass(frozen=True)
class _Column:
    experiment: str
    alpha: float
    curves: dict[str, Curve]  # by denoiser
    slopes: dict[str, Slope]  # by denoiser
    gaps: dict[str, Gap]  # by reference
    images: int  # test images of the network
    specs: list[Spec]


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[_Column]:
    asked = check_options("bounds", spec, OPTIONS)
    tables = read_tables(inputs)
    references = [asked["lower"], *asked["upper"]]
    columns = []
    for experiment in asked["experiments"]:
        network = (experiment, asked["set_size"], asked["split"])
        table = network_table(tables, *network)
        dataset = dataset_of(table.spec)
        if "alpha" not in dataset:
            raise ArtifactError(
                f"{table.path}: images of class {dataset['class']} have no regularity alpha; the "
                "figure is for C^alpha images"
            )
        image_class = table.value("image_class")
        others = {name: reference_table(tables, image_class, name) for name in references}
        columns.append(
            _Column(
                experiment=experiment,
                alpha=float(dataset["alpha"]),
                curves={NETWORK: curve_on_test(table)}
                | {name: curve_on_test(other) for name, other in others.items()},
                slopes={NETWORK: network_slope(tables, *network)}
                | {name: reference_slope(tables, image_class, name) for name in references},
                gaps={name: gap_to(tables, *network, name) for name in references},
                images=count_of_test_images(table),
                specs=[table.spec, *(other.spec for other in others.values())],
            )
        )
    return sorted(columns, key=lambda column: column.alpha)


def _styles(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The style of each denoiser, from the lower bound on the error up."""
    upper: list[str] = spec["upper"]
    *colours, darkest = ordered_colours(len(upper) + 2)[1:]
    classical = {
        name: {
            "color": colour,
            "marker": marker,
            "markersize": 3,
            "linewidth": 1.0,
            "linestyle": line,
        }
        for name, colour, (marker, line) in zip(upper, colours, _PATTERNS, strict=False)
    }
    network = {"color": darkest, "marker": "o", "markersize": 3.5, "linewidth": 1.5}
    return {spec["lower"]: EXACT, NETWORK: network} | classical


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Figure:
    """Draw the figure.

    Args:
        inputs: psnr tables of the networks and of the references of their image classes, the
            table of gaps, the summary and the table of references.
        spec: ``title``, ``experiments``, ``set_size``, ``split``, ``lower`` (the reference that
            bounds the error from below), ``upper`` (those that bound the optimal error from above).
    """
    columns = _measure(inputs, spec)
    styles = _styles(spec)
    room = PAGE_WIDTH - _LEFT - _RIGHT
    width = min((room - (len(columns) - 1) * _BETWEEN) / len(columns), _WIDEST)
    lower_top = _TOP + _GAINS + _SPACE
    table_top = lower_top + _GAPS + _BELOW
    height = table_top + (len(styles) + 2) * _PITCH + 0.06
    figure = Figure(figsize=(PAGE_WIDTH, height))
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    lefts = [_LEFT + number * (width + _BETWEEN) for number in range(len(columns))]
    gains, gaps = [], []
    for column, left in zip(columns, lefts, strict=True):
        upper = place(figure, left, _TOP, width, _GAINS)
        lower = place(figure, left, lower_top, width, _GAPS)
        upper.set_title(f"α = {column.alpha:g}", pad=4)
        lower.axhline(0, color=styles[NETWORK]["color"], linewidth=styles[NETWORK]["linewidth"])
        for name, style in styles.items():
            curve = column.curves[name]
            draw_curve(upper, curve.input_psnr, curve.psnr - curve.input_psnr, curve.se, **style)
            if name != NETWORK:
                gap = column.gaps[name]
                draw_curve(lower, gap.input_psnr, gap.gap, gap.se, **style)
        upper.tick_params(labelbottom=False)
        gains.append(upper)
        gaps.append(lower)
    every = [curve for column in columns for curve in column.curves.values()]
    span = limits([curve.input_psnr for curve in every], 1.5)
    heights = (
        limits([curve.psnr - curve.input_psnr for curve in every], 0.7),
        limits([np.zeros(1), *(g.gap for column in columns for g in column.gaps.values())], 0.4),
    )
    for row, shown in zip((gains, gaps), heights, strict=True):
        for axes in row:
            axes.set_xlim(*span)
            axes.set_ylim(*shown)
            if axes is not row[0]:
                axes.tick_params(labelleft=False)
    gains[0].set_ylabel("output − input PSNR (dB)")
    gaps[0].set_ylabel("PSNR above\nthe network (dB)")
    middle = (lefts[0] + lefts[-1] + width) / 2 / PAGE_WIDTH
    below = lower_top + _GAPS + 0.22
    figure.text(middle, 1 - below / height, "input PSNR (dB)", ha="center", va="top")
    _slope_rows(figure, columns, styles, [left + width / 2 for left in lefts], table_top)
    return figure


def _slope_rows(
    figure: Figure,
    columns: list[_Column],
    styles: dict[str, dict[str, Any]],
    centres: list[float],
    top: float,
) -> None:
    """The fitted slope of every denoiser in every column, which is the legend as well."""
    text_rows(
        figure,
        [
            ("slope of output against input PSNR:", None, [""] * len(columns)),
            *(
                (name, style, [_with_error(column.slopes[name]) for column in columns])
                for name, style in styles.items()
            ),
            ("α/(α+1)", None, [f"{column.alpha / (column.alpha + 1):.3f}" for column in columns]),
        ],
        centres,
        0.06,
        top,
        _PITCH,
    )


def _with_error(slope: Slope) -> str:
    return f"{slope.slope:.3f} ± {slope.se:.3f}"


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    columns = _measure(inputs, spec)
    names = list(_styles(spec))
    low, high = columns[0].slopes[NETWORK].window
    return captions.caption(
        spec["title"],
        "Above: output minus input PSNR on test images, one column per regularity alpha, with "
        "bands of one standard error. Dashed: "
        f"{captions.escape(spec['lower'])}, a lower bound on the error of every denoiser as far as "
        "the backgrounds are Gaussian fields; "
        f"{captions.escape(', '.join(spec['upper']))} are upper bounds on the error of the optimal "
        "one, as is the network. Below: PSNR of each of them minus that of the network, on the same "
        "noisy images.",
        "A curve below 0 is a denoiser that the network beats; the optimal denoiser lies between the "
        "dashed curve and the best of the others.",
        "PSNR above the network in dB, averaged over the noise levels; in brackets the smallest and "
        "the largest, and the largest standard error of one:",
        captions.grid(
            ("denoiser", *(f"alpha = {column.alpha:g}" for column in columns)),
            [
                [name, *(column.gaps[name].text() for column in columns)]
                for name in names
                if name != NETWORK
            ],
        ),
        f"Slopes fitted by least squares for sigma from {low:g} to {high:g}, with standard error:",
        captions.grid(
            ("denoiser", *(f"alpha = {column.alpha:g}" for column in columns)),
            [
                *(
                    [name, *(_with_error(c.slopes[name]).replace("±", "+/-") for c in columns)]
                    for name in names
                ),
                ["alpha/(alpha+1)", *(f"{c.alpha / (c.alpha + 1):.3f}" for c in columns)],
            ],
        ),
        "The slope alpha/(alpha+1) is the minimax rate over the class of images; it is not the "
        "optimal slope for the images drawn from it.",
        "Made with:",
        captions.bullets(
            [
                f"N = {spec['set_size']}, split {spec['split']}, experiments "
                + captions.escape(", ".join(column.experiment for column in columns)),
                f"test images: network {columns[0].images}, and behind each gap "
                + ", ".join(f"{captions.escape(n)} {g.images}" for n, g in columns[0].gaps.items()),
            ]
        )
        + "\n"
        + captions.parameters(spec for column in columns for spec in column.specs),
    )
