"""Figure "samples": what two networks of disjoint training sets sample from the same noise.

One row per number of training images N; for a few samples each: the closest image of S1, the sample of
S1's network, the sample of S2's, the closest image of S2, with their similarities below (Kadkhodaie et
al., ICLR 2024, figure 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from matplotlib.figure import Figure as Drawing
from pydantic import Field

from gahb.artifacts import ArtifactError
from gahb.figures.parts import captions
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.pairs import (
    MEASURE_TEXT,
    MEASURES,
    Pair,
    mean_and_error,
    measured_text,
    pooled,
    read_pairs,
    sampler_text,
)
from gahb.figures.parts.panels import place, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style
from gahb.options import Count

_COLUMNS = ("closest\nin S1", "sample\nof S1", "sample\nof S2", "closest\nin S2")

# inches
_LEFT, _RIGHT, _BETWEEN, _GAP = 0.8, 0.08, 0.24, 0.05
_WIDEST, _TOP, _NUMBERS, _HIGHEST = 0.95, 0.72, 0.21, 9.4


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[Pair]:
    asked = dict(spec)
    pairs = read_pairs(inputs, asked["experiment"])
    for pair in pairs:
        if pair.shown < asked["shown"]:
            raise ArtifactError(
                f"{pair.path} holds the closest images of {pair.shown} samples; the figure 'samples' "
                f"asks for {asked['shown']}"
            )
    return pairs


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: samples files of the experiment, one per N; those of others are left aside.
        spec: ``title``, ``experiment``, ``measure``, ``shown`` (samples per N).
    """
    pairs = _measure(inputs, spec)
    shown: int = spec["shown"]
    measure = MEASURES.index(spec["measure"])
    room = PAGE_WIDTH - _LEFT - _RIGHT - (shown - 1) * _BETWEEN - 3 * shown * _GAP
    side = min(
        room / (4 * shown), _WIDEST, (_HIGHEST - _TOP) / len(pairs) - _NUMBERS
    )  # of an image
    pitch = side + _GAP
    group = 4 * side + 3 * _GAP
    page = _LEFT + shown * (group + _BETWEEN) - _BETWEEN + _RIGHT
    height = _TOP + len(pairs) * (side + _NUMBERS) + 0.05
    figure = Drawing(figsize=(page, height))
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    for row, pair in enumerate(pairs):
        top = _TOP + row * (side + _NUMBERS)
        figure.text(0.08 / page, 1 - (top + side / 2) / height, f"N = {pair.set_size}", va="center")
        samples = pair.arrays["samples"]
        closest = pair.arrays["closest_images"][:, measure]
        similarity = pair.arrays["closest_similarity"][:, :, measure]
        for number in range(shown):
            left = _LEFT + number * (group + _BETWEEN)
            images = (closest[0], samples[0], samples[1], closest[1])
            for column, images_of in enumerate(images):
                axes = place(figure, left + column * pitch, top, side, side)
                show_image(axes, images_of[number, 0])
                if row == 0:
                    axes.set_title(_COLUMNS[column], pad=3, fontsize=8)
            numbers = (
                similarity[0, 0, number],
                pair.between(spec["measure"])[number],
                similarity[1, 1, number],
            )
            for column, value in enumerate(numbers, start=1):
                figure.text(
                    (left + column * pitch - _GAP / 2) / page,
                    1 - (top + side + 0.03) / height,
                    f"{value:.2f}".replace("-", "\N{MINUS SIGN}"),
                    ha="center",
                    va="top",
                    fontweight="bold" if column == 2 else "normal",
                )
    return figure


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    pairs = _measure(inputs, spec)
    measure, threshold = spec["measure"], pairs[0].threshold
    lines = []
    for pair in pairs:
        between = pair.between(measure)
        lines.append(
            [
                str(pair.set_size),
                captions.plain(measured_text(*mean_and_error(between))),
                f"{(between > threshold).mean():.2f}",
                captions.plain(measured_text(*pooled(pair, measure, own=True))),
                f"{(pair.with_closest(measure, own=True) > threshold).mean():.2f}",
                captions.plain(measured_text(*pooled(pair, measure, own=False))),
                f"{pair.twins(measure).mean():.3f}",
                f"{pair.arrays['samples'].std(axis=(2, 3, 4)).mean():.3f}",
                f"{pair.arrays['closest_images'].std(axis=(3, 4, 5)).mean():.3f}",
            ]
        )
    header = (
        *("N", "S1 - S2", "alike", "own closest", "copies", "other's closest"),
        *("images", "std", "std of closest"),
    )
    return captions.caption(
        spec["title"],
        "What the networks trained on the disjoint sets S1 and S2 sample from the same noise, for each "
        f"number of training images N: the first {spec['shown']} samples, not chosen. In each group of "
        "four: the image of S1 closest to the sample of S1's network, that sample, the sample of S2's "
        "network, the image of S2 closest to it; below, the similarity of neighbours (bold: of the "
        f"two samples): {MEASURE_TEXT[measure]}. Intensities below 0 and above 1 are shown black and "
        "white.",
        "Over all samples, mean with the standard error of one network's samples; alike and copies are "
        f"shares above {threshold:g}; "
        "other's closest is the closest image of the training set of the other network; images is "
        "the mean similarity of the images of S1 with the closest of S2; std is the standard deviation "
        "over the pixels of a sample, and of the closest training images that are kept:",
        captions.grid(header, lines),
        "A network at N copies when its samples resemble its closest training image and not the other "
        "network's sample; it generalises when the reverse holds and the samples are images "
        "of the class. Samples that are less like their closest training image than images of S1 are "
        "like those of S2 are novel without being quite of the class yet. All this is a statement about "
        "N, number of updates and width of network together.",
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}, "
                f"N = {', '.join(str(pair.set_size) for pair in pairs)}",
                sampler_text(pairs[0]),
            ]
        )
        + "\n"
        + captions.parameters(pair.spec for pair in pairs),
    )


class SamplesFigure(Figure):
    """Pairs of samples and their closest training images (the paper's figure 2)."""

    experiment: str
    """whose networks sampled"""
    by: Measure = Field(alias="measure")
    """how alike two images are; correlation removes each image's mean first"""
    shown: Annotated[Count, Field(le=3)]
    """samples shown for each set size"""

    def needs(self, params: Params) -> Needs:
        """The samples of every N."""
        sizes = params["experiments"][self.experiment]["set_sizes"]
        return Needs(samples=tuple((self.experiment, size) for size in sizes))

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json", by_alias=True))
