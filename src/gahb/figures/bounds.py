"""Figure "bounds": networks between what no denoiser and what known denoisers can do on C^α images.

One column per regularity α. Above, what the denoisers gain over their input: with the contour known, a
lower bound on the error under the Gaussian surrogate (:mod:`gahb.denoisers.exact.known_contour`); the network;
classical denoisers, which bound the optimal error from above. Below, how far the network is from each of
them, in dB, and the fitted slopes beside those of theory. All curves are of the network's images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts import captions
from gahb.figures.parts.beside import (
    EXCESS,
    SURROGATE,
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
from gahb.figures.parts.curves import EXACT, draw_curve, limits, text_rows
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, Uppers
from gahb.figures.parts.panels import place
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, ordered_colours
from gahb.figures.parts.tables import Curve, read_tables
from gahb.options import Count, Split

NETWORK = "network"
_PATTERNS = (("s", (0, (5, 1))), ("^", (0, (3, 1, 1, 1))), ("D", (0, (1, 1))), ("v", (0, (6, 2))))

# inches
_LEFT, _RIGHT, _BETWEEN = 1.24, 0.1, 0.1
_WIDEST = 2.2  # column
_NARROWEST = 3.6  # page
_TOP, _GAINS, _SPACE, _GAPS = 0.62, 2.0, 0.12, 1.7  # title, heights of the two rows of panels
_BELOW, _PITCH, _NAMES = 0.46, 0.165, 0.06  # labels of the lower axis; rows of slopes, their left


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
    asked = dict(spec)
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
        others = [reference_table(tables, image_class, name) for name in references]
        gaps = {name: gap_to(tables, *network, name) for name in references}
        learned = curve_on_test(table)
        columns.append(
            _Column(
                experiment=experiment,
                alpha=float(dataset["alpha"]),
                curves={NETWORK: learned}
                | {name: gap.reference(learned) for name, gap in gaps.items()},
                slopes={NETWORK: network_slope(tables, *network)}
                | {name: reference_slope(tables, image_class, name) for name in references},
                gaps=gaps,
                images=count_of_test_images(table),
                specs=[table.spec, *(other.spec for other in others)],
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
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: psnr tables of the networks and of the references of their image classes, the
            table of gaps, the summary and the table of references.
        spec: ``title``, ``experiments``, ``set_size``, ``split``, ``lower`` (the reference
            whose error is a lower bound under the Gaussian surrogate), ``upper`` (those that bound
            the optimal error from above).
    """
    columns = _measure(inputs, spec)
    styles = _styles(spec)
    room = PAGE_WIDTH - _LEFT - _RIGHT
    width = min((room - (len(columns) - 1) * _BETWEEN) / len(columns), _WIDEST)
    lower_top = _TOP + _GAINS + _SPACE
    table_top = lower_top + _GAPS + _BELOW
    height = table_top + (2 * len(styles) + 2.4) * _PITCH + 0.04
    content = _LEFT + len(columns) * (width + _BETWEEN) - _BETWEEN + _RIGHT
    page = min(max(content, _NARROWEST), PAGE_WIDTH)
    figure = Drawing(figsize=(page, height))
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
    middle = (lefts[0] + lefts[-1] + width) / 2 / page
    below = lower_top + _GAPS + 0.22
    figure.text(middle, 1 - below / height, "input PSNR (dB)", ha="center", va="top")
    _slope_rows(
        figure, columns, spec["lower"], styles, [left + width / 2 for left in lefts], table_top
    )
    return figure


def _slope_rows(
    figure: Drawing,
    columns: list[_Column],
    lower: str,
    styles: dict[str, dict[str, Any]],
    centres: list[float],
    top: float,
) -> None:
    """Slopes, fitted and of theory, of every denoiser in every column; the legend as well."""
    lines: list[tuple[str, dict[str, Any] | None, list[str]]] = [
        ("slope of output against input PSNR:", None, [""] * len(columns))
    ]
    for name, style in styles.items():
        slopes = [column.slopes[name] for column in columns]
        lines.append((name, style, [slope.fitted() for slope in slopes]))
        theory = "   minimax" if name == NETWORK else "   in theory"
        lines.append((theory, None, [slope.of_theory() for slope in slopes]))
    text_rows(figure, lines, centres, _NAMES, top, _PITCH)
    note = f"{lower}: {SURROGATE}"
    y = top + (len(lines) + 0.7) * _PITCH
    figure.text(_NAMES / figure.get_figwidth(), 1 - y / figure.get_figheight(), note, va="center")


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    columns = _measure(inputs, spec)
    names = list(_styles(spec))
    lower = captions.escape(spec["lower"])
    low, high = columns[0].slopes[NETWORK].window
    behind = ", ".join(f"{captions.escape(n)} {g.images}" for n, g in columns[0].gaps.items())
    header = ("denoiser", *(f"alpha = {column.alpha:g}" for column in columns))
    return captions.caption(
        spec["title"],
        f"Above: output minus input PSNR, one column per regularity alpha. The network is measured on "
        f"{columns[0].images} test images, with a band of one standard error; every other denoiser is "
        "drawn above or below it by its gap to the network on the same noisy images, with a band of "
        f"one standard error of the gap (images behind the gap: {behind}). Below: those gaps.",
        f"Dashed: {lower}, a {SURROGATE}: the error of the optimal linear filter of an oracle that "
        "knows contour and scales, which is the oracle's least error if the backgrounds are Gaussian "
        "given those. They are sums of many uniform numbers, of known range; on the images drawn, that "
        f"filter, clipped to [0, 1], was seen to err less than the bound by up to about {EXCESS} dB. "
        f"{captions.escape(', '.join(spec['upper']))} are upper bounds on the error of the optimal "
        "denoiser, as is the network.",
        "A curve below 0 is a denoiser that the network beats; the optimal denoiser lies between the "
        f"best of the others and, within the {EXCESS} dB of the surrogate, the dashed curve.",
        "PSNR above the network in dB, averaged over the noise levels; in brackets the smallest and "
        "the largest, and the largest standard error of one:",
        captions.grid(
            header,
            [
                [name, *(column.gaps[name].text() for column in columns)]
                for name in names
                if name != NETWORK
            ],
        ),
        f"Slopes fitted by least squares for sigma from {low:g} to {high:g}, with standard error, "
        "each on all images that its denoiser was measured on; in brackets that of theory:",
        captions.grid(
            header,
            [[name, *(captions.plain(c.slopes[name].text()) for c in columns)] for name in names],
        ),
        "In theory, for small noise and up to logarithms: for the network alpha/(alpha+1), the minimax "
        "rate over the class of images, which is not the optimal slope for the images drawn from it; "
        f"for {lower} (beta-1)/beta, beta being the regularity of the backgrounds; 1/2 for wavelets; "
        "a/(a+1) for bandlets, a being alpha, but at most their number of vanishing moments.",
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

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
