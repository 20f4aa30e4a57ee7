"""Figure "trajectory": the way from noise to an image, by two networks from the same noise.

For a small and a large number of training images N, side by side, against the noise level: the forward
process x + σ z of the closest training image with the noise z that sampling starts from; the reverse of
the networks of S1 and of S2, noisy y and denoised f(y); and the correlation of the two networks' images,
which shows where their ways part (Kadkhodaie et al., ICLR 2024, figure 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.artifacts import ArtifactError
from gahb.figures.parts.curves import EXACT_COLOUR
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params, TwoSizes
from gahb.figures.parts.pairs import MEASURES, Pair, Sampled, read_pairs
from gahb.figures.parts.panels import place, show_image, write
from gahb.figures.parts.style import PAGE_WIDTH, line, page, two_colours
from gahb.options import Index

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_CORRELATION = MEASURES.index("correlation")
_ROWS = ("x + σz", "S1: y", "f(y)", "S2: y", "f(y)")

# inches
_LEFT, _RIGHT, _MIDDLE, _TOP = 0.66, 0.1, 0.2, 0.74
_COLUMN = (PAGE_WIDTH - _LEFT - _RIGHT - _MIDDLE) / 2  # of one N
_SPACE, _PLOT, _BELOW = 0.14, 1.7, 0.72


@dataclass(frozen=True)
class Ways:
    """From noise to images, by the networks of S1 and S2 at one N, at K noise levels.

    Attributes:
        set_size: N.
        levels: σ at the calls kept of S1's network for the sample shown: (K,).
        axis: σ of the axis, geometric means over networks and the samples whose images are kept: (K,).
        images: rows of the figure: (5, K, H, W).
        noisy: correlation of the two networks' y, of f samples: (f, K).
        denoised: of their f(y): (f, K).
        kept: samples whose images are kept, the first ones.
        sample: position of the one shown.
    """

    set_size: int
    levels: np.ndarray
    axis: np.ndarray
    images: np.ndarray
    noisy: np.ndarray
    denoised: np.ndarray
    kept: int
    sample: int

    @classmethod
    def of(cls, pair: Pair, sample: int) -> Ways:
        """Those of a pair of networks."""
        arrays = pair.arrays
        sigma = arrays["trajectory_kept_sigma"]
        levels = sigma[0, sample]
        clean = arrays["closest_images"][0, _CORRELATION, sample, 0]
        forward = clean + levels[:, None, None] * arrays["start_noise"][sample, 0]
        noisy, denoised = (
            arrays[f"trajectory_{kind}"][:, sample, :, 0] for kind in ("noisy", "denoised")
        )
        return cls(
            set_size=pair.set_size,
            levels=levels,
            axis=np.exp(np.nanmean(np.log(sigma), axis=(0, 1))),
            images=np.stack([forward, noisy[0], denoised[0], noisy[1], denoised[1]]),
            noisy=arrays["noisy_similarity"][_CORRELATION],
            denoised=arrays["denoised_similarity"][_CORRELATION],
            kept=pair.shown,
            sample=sample,
        )

    @property
    def mean_and_error(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean correlation of f(y) over samples, and its standard error: (K,) each."""
        count = np.isfinite(self.denoised).sum(axis=0)
        if len(self.denoised) == 1:
            return self.denoised[0], 0 * self.denoised[0]
        error = np.nanstd(self.denoised, axis=0, ddof=1) / np.sqrt(count)
        return np.nanmean(self.denoised, axis=0), error

    @property
    def noisy_mean(self) -> np.ndarray:
        """Mean correlation of y over samples: (K,)."""
        return np.asarray(np.nanmean(self.noisy, axis=0))

    @property
    def rows(self) -> list[list[str]]:
        """σ, correlation of y and of f(y) over all samples, and of the one shown."""
        columns = (
            *(self.axis, self.noisy_mean, *self.mean_and_error),
            *(np.nanmin(self.denoised, axis=0), np.nanmax(self.denoised, axis=0)),
            self.denoised[self.sample],
        )
        return [
            [
                f"{s:.3g}",
                f"{y:.3f}",
                f"{mean:.3f} +/- {se:.3f}",
                *(f"{value:.3f}" for value in rest),
            ]
            for s, y, mean, se, *rest in zip(*columns, strict=True)
        ]

    @property
    def standing(self) -> tuple[float, int, int, int]:
        """Where the sample shown ends: its correlation, and how many are lower, all, and higher."""
        last = self.denoised[:, -1]
        end = last[self.sample]
        return float(end), int((last < end).sum()), len(last), int((last > end).sum())


@dataclass(frozen=True)
class Measured(Sampled):
    """All numbers of the figure.

    Attributes:
        ways: at the two N, the smaller first.
    """

    ways: list[Ways]


class TrajectoryFigure(Figure):
    """Where the ways of two networks part (the paper's figure 8)."""

    experiment: str
    """whose networks sampled"""
    set_sizes: TwoSizes
    """one small, one large"""
    sample: Index
    """position among the samples shown"""

    def needs(self, params: Params) -> Needs:
        """The samples of both N."""
        return Needs(samples=tuple((self.experiment, size) for size in self.set_sizes))

    def measure(self, inputs: Inputs) -> Measured:
        """Read the ways of the networks at both N."""
        pairs = read_pairs(inputs, self.experiment, self.set_sizes)
        for pair in pairs:
            if self.sample >= pair.shown:
                raise ArtifactError(
                    f"{pair.path} holds the ways of {pair.shown} samples; the figure 'trajectory' "
                    f"asks for that at position {self.sample}, counted from 0"
                )
        return Measured(pairs, "correlation", [Ways.of(pair, self.sample) for pair in pairs])

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        told = ", ".join(
            f"{w.mean_and_error[0][-1]:.2f} at N = {w.set_size}" for w in measured.ways
        )
        return f"Two networks from one noise end with the correlation {told}"

    def draw(self, measured: Measured) -> Drawing:
        """One column per N: images above, correlations below."""
        side = min(_COLUMN / max(len(ways.levels) for ways in measured.ways) - 0.02, 0.8)
        plot_top = _TOP + 5 * (side + 0.02) + 2 * 0.06 + _SPACE
        drawing = page(plot_top + _PLOT + _BELOW, self.heading(measured), below=0.1)
        heading: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 9}
        plots = []
        for column, ways in enumerate(measured.ways):
            left = _LEFT + column * (_COLUMN + _MIDDLE)
            size = f"N = {ways.set_size}"
            write(drawing, left + _COLUMN / 2, 0.34, size, fontweight="bold", **heading)
            _images(drawing, ways, left, side, label=column == 0)
            plots.append(place(drawing, left, plot_top, _COLUMN, _PLOT))
            _curves(plots[-1], ways)
        write(drawing, _LEFT - 0.06, _TOP - 0.03, "σ", ha="right", va="bottom")
        lowest = min(0.0, *(float(np.nanmin(ways.denoised)) for ways in measured.ways))
        for axes in plots:
            axes.set_ylim(lowest - 0.05, 1.04)
            axes.set_xlabel("noise level σ")
            axes.tick_params(labelleft=axes is plots[0])
        plots[0].set_ylabel("correlation, S1 – S2")
        _legend(drawing)
        return drawing


def _images(drawing: Drawing, ways: Ways, left: float, side: float, label: bool) -> None:
    pitch = _COLUMN / len(ways.levels)
    for row, images in enumerate(ways.images):
        top = _TOP + row * (side + 0.02) + 0.06 * ((row > 0) + (row > 2))
        if label:
            write(drawing, _LEFT - 0.06, top + side / 2, _ROWS[row], ha="right", va="center")
        for column, image in enumerate(images):
            if not np.isfinite(image).all():
                continue
            axes = place(drawing, left + column * pitch, top, side, side)
            show_image(axes, image)
            if row == 0:
                axes.set_title(f"{ways.levels[column]:.2g}", pad=2, fontsize=8)


def _curves(axes: Axes, ways: Ways) -> None:
    lighter, darker = two_colours()
    for other in ways.denoised[: ways.kept]:
        axes.plot(ways.axis, other, color="0.65", linewidth=0.7)
    mean, error = ways.mean_and_error
    band: dict[str, Any] = {"color": darker, "alpha": 0.25, "linewidth": 0}
    axes.fill_between(ways.axis, mean - error, mean + error, **band)
    axes.plot(ways.axis, mean, color=darker, marker="o", markersize=3.5)
    axes.plot(ways.axis, ways.noisy_mean, color=lighter, linestyle="--")
    axes.plot(ways.axis, ways.denoised[ways.sample], color=EXACT_COLOUR, linewidth=1.1)
    axes.axhline(0, color="0.45", linewidth=0.8)
    axes.set_xscale("log")
    high, low = ways.axis.max(), ways.axis.min()
    beyond = (high / low) ** (0.5 / max(len(ways.axis) - 1, 1))  # levels lie below their images
    axes.set_xlim(high * beyond, low / beyond)
    shown = (10, 3, 1, 0.3, 0.1, 0.03, 0.01)
    ticks = [tick for tick in shown if low * 0.999 <= tick <= high * 1.001]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _legend(drawing: Drawing) -> None:
    lighter, darker = two_colours()
    drawing.legend(
        handles=[
            line("f(y), mean over all", color=darker, marker="o", markersize=3.5),
            line("y, mean over all", color=lighter, linestyle="--"),
            line("f(y), pair above", color=EXACT_COLOUR, linewidth=1.1),
            line("f(y), others", color="0.65", linewidth=0.7),
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 0.02 / drawing.get_figheight()),
        ncols=4,
    )
