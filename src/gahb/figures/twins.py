"""Figure "twins": how similar the two disjoint training sets are.

Similarity of every training image of S1 with the most similar one of S2: its distribution at one N, with
the threshold above which two images count as duplicates; what becomes of it as N grows; and the most
similar pairs (Kadkhodaie et al., ICLR 2024, figure 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from gahb.artifacts import ArtifactError
from gahb.figures.parts.curves import EXACT_COLOUR
from gahb.figures.parts.figure import Figure, Inputs, Measure, Needs, Params
from gahb.figures.parts.pairs import Pair, Sampled, read_pairs
from gahb.figures.parts.panels import place, show_image, write
from gahb.figures.parts.style import PAGE_WIDTH, page, two_colours
from gahb.options import Count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_STEPS = 4  # of a histogram, from the threshold to 1
_THRESHOLD: dict[str, Any] = {"color": EXACT_COLOUR, "linestyle": "--", "linewidth": 1.2}

# inches
_LEFT, _RIGHT, _BETWEEN, _TOP, _PLOT = 0.62, 0.1, 0.7, 0.6, 1.9
_PAIRS, _GAP, _WIDEST, _SHOWN = 0.78, 0.08, 1.0, 8


@dataclass(frozen=True)
class Twins:
    """Similarity of the training images of S1 at one N, each with the most similar one of S2.

    Attributes:
        set_size: N.
        similarity: (N,).
        quantiles: of it, 5 %, 50 % and 95 %.
        above: how many exceed the threshold.
    """

    set_size: int
    similarity: np.ndarray
    quantiles: np.ndarray
    above: int

    @classmethod
    def of(cls, pair: Pair, by: str) -> Twins:
        """Those of the training sets of a pair of networks."""
        similarity = pair.twins(by)
        quantiles = np.quantile(similarity, [0.05, 0.5, 0.95])
        return cls(pair.set_size, similarity, quantiles, int((similarity > pair.threshold).sum()))

    @property
    def share(self) -> float:
        """Of the images whose similarity exceeds the threshold."""
        return self.above / len(self.similarity)

    @property
    def row(self) -> list[str]:
        """N, mean, quantiles, the largest; how many exceed the threshold, and their share."""
        similarity = self.similarity
        numbers = (similarity.mean(), *self.quantiles, similarity.max())
        cells = (f"{number:.3f}" for number in numbers)
        return [str(self.set_size), *cells, str(self.above), f"{self.share:.4f}"]


@dataclass(frozen=True)
class Measured(Sampled):
    """All numbers of the figure.

    Attributes:
        twins: by growing N.
        chosen: those at the N shown.
        closest: the most similar pairs there, images of S1 and S2: (2, p, H, W).
        correlations: of those, falling: (p,).
    """

    twins: list[Twins]
    chosen: Twins
    closest: np.ndarray
    correlations: np.ndarray


class TwinsFigure(Figure):
    """How similar two disjoint training sets are (the paper's figure 6)."""

    experiment: str
    """whose training sets are compared"""
    set_size: Count
    """N whose pairs are shown"""
    by: Measure = Field(alias="measure")
    """how alike two images are; correlation removes each image's mean first"""

    def needs(self, params: Params) -> Needs:
        """The samples of every N, which hold the pairs."""
        sizes = params["experiments"][self.experiment]["set_sizes"]
        chosen = dict.fromkeys([*sizes, self.set_size])
        return Needs(samples=tuple((self.experiment, size) for size in chosen))

    def measure(self, inputs: Inputs) -> Measured:
        """Compare the training sets at every N."""
        pairs = read_pairs(inputs, self.experiment)
        sizes = [pair.set_size for pair in pairs]
        if self.set_size not in sizes:
            raise ArtifactError(
                f"no samples of {self.experiment}, N = {self.set_size}, among the inputs: there are "
                f"those of N = {', '.join(map(str, sizes))}"
            )
        twins, at = [Twins.of(pair, self.by) for pair in pairs], sizes.index(self.set_size)
        closest = pairs[at].arrays["twin_images"][:, :_SHOWN, 0]
        correlations = np.sort(pairs[at].twins("correlation"))[::-1][: closest.shape[1]]
        return Measured(pairs, self.by, twins, twins[at], closest, correlations)

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        chosen = measured.chosen
        return f"At N = {chosen.set_size}, {chosen.share:.1%} of the images of S1 have a twin in S2"

    def draw(self, measured: Measured) -> Drawing:
        """The distribution at one N, what becomes of it as N grows, and the most similar pairs."""
        shown = len(measured.correlations)
        side = min((PAGE_WIDTH - _LEFT - _RIGHT - (shown - 1) * _GAP) / shown, _WIDEST)
        pairs_top = _TOP + _PLOT + _PAIRS
        drawing = page(pairs_top + 2 * side + _GAP + 0.06, self.heading(measured), below=0.1)
        width = (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
        self._distribution(place(drawing, _LEFT, _TOP, width, _PLOT), measured)
        self._growth(place(drawing, _LEFT + width + _BETWEEN, _TOP, width, _PLOT), measured)
        for row, (split, images) in enumerate(zip(("S1", "S2"), measured.closest, strict=True)):
            top = pairs_top + row * (side + _GAP)
            write(drawing, _LEFT - 0.1, top + side / 2, split, ha="right", va="center")
            for column, image in enumerate(images):
                axes = place(drawing, _LEFT + column * (side + _GAP), top, side, side)
                show_image(axes, image)
                if row == 0:
                    title = f"{measured.correlations[column]:.3f}"
                    axes.set_title(title, pad=2, fontsize=8)
        return drawing

    def _distribution(self, axes: Axes, measured: Measured) -> None:
        chosen, threshold = measured.chosen, measured.threshold
        values = chosen.similarity
        step = (1 - threshold) / _STEPS
        below = int(np.ceil((threshold - min(float(values.min()), 0.9)) / step))
        edges = threshold + step * np.arange(-below, _STEPS + 1)
        heights, _ = np.histogram(values.clip(edges[0], edges[-1]), edges)
        _, darker = two_colours()
        axes.stairs(heights / len(values), edges, fill=True, color=darker, alpha=0.7)
        axes.axvline(threshold, **_THRESHOLD)
        axes.set_xlim(edges[0], 1)
        axes.set_title(
            f"N = {chosen.set_size}: {chosen.above} of {len(values)} above {threshold:g}"
        )
        axes.set_xlabel(f"similarity with the closest of S2\n({self.by})")
        axes.set_ylabel("share of the images of S1")

    def _growth(self, axes: Axes, measured: Measured) -> None:
        from matplotlib.ticker import NullFormatter

        several = [twins for twins in measured.twins if twins.set_size > 1] or measured.twins
        sizes = [twins.set_size for twins in several]
        low, middle, high = np.transpose([twins.quantiles for twins in several])
        highest = [float(twins.similarity.max()) for twins in several]
        lighter, darker = two_colours()
        axes.fill_between(sizes, low, high, color=darker, alpha=0.2, linewidth=0)
        axes.plot(sizes, middle, color=darker, marker="o", label="median, 5 to 95 %")
        axes.plot(sizes, highest, color=lighter, marker="^", linestyle=":", label="largest")
        axes.axhline(measured.threshold, **_THRESHOLD, label=f"threshold {measured.threshold:g}")
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
        ticks = [size for size in sizes if size in (sizes[0], sizes[-1]) or len(sizes) <= 6]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        lowest = float(low.min())
        axes.set_ylim(lowest - 0.6 * (1 - lowest), 1.02)  # room for the legend
        axes.set_title("as N grows")
        axes.set_xlabel("training images N")
        axes.set_ylabel(f"similarity ({self.by})")
        axes.legend(loc="lower right")
