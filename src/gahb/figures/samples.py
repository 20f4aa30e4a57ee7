"""Figure "samples": what two networks of disjoint training sets sample from the same noise.

One row per number of training images N; for a few samples each: the closest image of S1, the sample of
S1's network, the sample of S2's, the closest image of S2, with their similarities below (Kadkhodaie et
al., ICLR 2024, figure 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gahb.artifacts import ArtifactError
from gahb.figures.parts.captions import ends, plain
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.pairs import (
    MEASURES,
    Pair,
    Sampled,
    fresh_mean,
    mean_and_error,
    measured_text,
    pooled,
    principal_variance,
    read_pairs,
    start_variance,
)
from gahb.figures.parts.panels import place, show_image, write
from gahb.figures.parts.style import PAGE_WIDTH, page
from gahb.options import Count

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_COLUMNS = ("closest\nin S1", "sample\nof S1", "sample\nof S2", "closest\nin S2")

_FRESH = "0.35"

# inches
_LEFT, _RIGHT, _BETWEEN, _GAP = 0.8, 0.08, 0.24, 0.05
_WIDEST, _TOP, _NUMBERS, _HIGHEST = 0.95, 0.72, 0.21, 9.4


class Measured(Sampled):
    """All numbers of the figure."""

    @property
    def rows(self) -> list[list[str]]:
        """N, and means and shares over all samples."""
        return [self._row(pair) for pair in self.pairs]

    def _row(self, pair: Pair) -> list[str]:
        between, own = pair.between(self.by), pair.with_closest(self.by, own=True)
        return [
            str(pair.set_size),
            plain(measured_text(*mean_and_error(between))),
            f"{pair.share(between):.2f}",
            plain(measured_text(*pooled(pair, self.by, own=True))),
            f"{pair.share(own):.2f}",
            plain(measured_text(*pooled(pair, self.by, own=False))),
            plain(measured_text(*fresh_mean(pair, self.by))),
            plain(measured_text(*principal_variance(pair))),
            plain(measured_text(*start_variance(pair))),
        ]


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

    def measure(self, inputs: Inputs) -> Measured:
        """Read the samples of every N."""
        pairs = read_pairs(inputs, self.experiment)
        for pair in pairs:
            if pair.shown < self.shown:
                raise ArtifactError(
                    f"{pair.path} holds the closest images of {pair.shown} samples; the figure "
                    f"'samples' asks for {self.shown}"
                )
        return Measured(pairs, self.by)

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        told = ", ".join(
            f"{pair.between(self.by).mean():.2f} at N = {pair.set_size}"
            for pair in ends(measured.pairs)
        )
        return f"Two networks, one noise: the {self.by} of their samples is {told}"

    def draw(self, measured: Measured) -> Drawing:
        """One row per N, one group of four images per sample."""
        room = PAGE_WIDTH - _LEFT - _RIGHT - (self.shown - 1) * _BETWEEN - 3 * self.shown * _GAP
        count = len(measured.pairs)
        side = min(room / (4 * self.shown), _WIDEST, (_HIGHEST - _TOP) / count - _NUMBERS)
        group = 4 * side + 3 * _GAP
        width = _LEFT + self.shown * (group + _BETWEEN) - _BETWEEN + _RIGHT
        height = _TOP + count * (side + _NUMBERS) + 0.05
        drawing = page(height, self.heading(measured), below=0.1, width=width)
        for row, pair in enumerate(measured.pairs):
            top = _TOP + row * (side + _NUMBERS)
            write(drawing, 0.08, top + side / 2, f"N = {pair.set_size}", va="bottom")
            fresh = f"fresh {fresh_mean(pair, self.by)[0]:.2f}"
            write(drawing, 0.08, top + side / 2 + 0.02, fresh, va="top", color=_FRESH)
            for number in range(self.shown):
                left = _LEFT + number * (group + _BETWEEN)
                self._group(drawing, pair, number, left, top, side, titled=row == 0)
        return drawing

    def _group(
        self,
        drawing: Drawing,
        pair: Pair,
        number: int,
        left: float,
        top: float,
        side: float,
        titled: bool,
    ) -> None:
        measure, pitch = MEASURES.index(self.by), side + _GAP
        samples = pair.arrays["samples"]
        closest = pair.arrays["closest_images"][:, measure]
        similarity = pair.arrays["closest_similarity"][:, :, measure]
        for column, images in enumerate((closest[0], samples[0], samples[1], closest[1])):
            axes = place(drawing, left + column * pitch, top, side, side)
            show_image(axes, images[number, 0])
            if titled:
                axes.set_title(_COLUMNS[column], pad=3, fontsize=8)
        numbers = (
            similarity[0, 0, number],
            pair.between(self.by)[number],
            similarity[1, 1, number],
        )
        for column, value in enumerate(numbers, start=1):
            write(
                drawing,
                left + column * pitch - _GAP / 2,
                top + side + 0.03,
                f"{value:.2f}".replace("-", "\N{MINUS SIGN}"),
                ha="center",
                va="top",
                fontweight="bold" if column == 2 else "normal",
            )
