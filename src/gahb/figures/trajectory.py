"""Figure "trajectory": the way from noise to an image, by two networks from the same noise.

For a small and a large number of training images N, side by side, against the noise level: the forward
process x + σ z of the closest training image with the noise z that sampling starts from; the reverse of
the networks of S1 and of S2, noisy y and denoised f(y); and the correlation of the two networks' images,
which shows where their ways part (Kadkhodaie et al., ICLR 2024, figure 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from gahb.artifacts import ArtifactError
from gahb.figures.parts import captions
from gahb.figures.parts.curves import EXACT_COLOUR
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params, TwoSizes
from gahb.figures.parts.pairs import MEASURES, Pair, read_pairs, sampler_text
from gahb.figures.parts.panels import place, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, two_colours
from gahb.options import Index

_CORRELATION = MEASURES.index("correlation")
_ROWS = ("x + σz", "S1: y", "f(y)", "S2: y", "f(y)")

# inches
_LEFT, _RIGHT, _MIDDLE, _TOP = 0.66, 0.1, 0.2, 0.74
_COLUMN = (PAGE_WIDTH - _LEFT - _RIGHT - _MIDDLE) / 2  # of one N
_SPACE, _PLOT, _BELOW = 0.14, 1.7, 0.72


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[Pair]:
    """The pairs of networks at the two N, the smaller first."""
    asked = dict(spec)
    pairs = read_pairs(inputs, asked["experiment"], asked["set_sizes"])
    for pair in pairs:
        if asked["sample"] >= pair.shown:
            raise ArtifactError(
                f"{pair.path} holds the ways of {pair.shown} samples; the figure 'trajectory' asks for "
                f"that at position {asked['sample']}, counted from 0"
            )
    return pairs


def _levels(pair: Pair, sample: int) -> np.ndarray:
    """Noise levels (K,) at the calls kept of S1's network for one sample."""
    return np.asarray(pair.arrays["trajectory_kept_sigma"][0, sample])


def _mean_levels(pair: Pair) -> np.ndarray:
    """Noise levels (K,) of the axis: geometric means over networks and samples shown."""
    kept = pair.arrays["trajectory_kept_sigma"]
    return np.asarray(np.exp(np.nanmean(np.log(kept), axis=(0, 1))))


def _forward(pair: Pair, sample: int) -> np.ndarray:
    """x + σ z at the levels kept, (K, H, W): the training image of S1 closest to S1's sample."""
    clean = pair.arrays["closest_images"][0, _CORRELATION, sample, 0]
    noise = pair.arrays["start_noise"][sample, 0]
    return np.asarray(clean + _levels(pair, sample)[:, None, None] * noise)


def _similar(pair: Pair, kind: str) -> np.ndarray:
    """Correlation of the two networks' y (``noisy``) or f(y) (``denoised``): (f, K)."""
    return np.asarray(pair.arrays[f"{kind}_similarity"][_CORRELATION])


def _mean_and_errors(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over the first axis."""
    count = np.isfinite(values).sum(axis=0)
    error = np.nanstd(values, axis=0, ddof=1) / np.sqrt(count) if len(values) > 1 else 0 * values[0]
    return np.nanmean(values, axis=0), error


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: samples files of the experiment; those of other N and experiments are left aside.
        spec: ``title``, ``experiment``, ``set_sizes`` (two), ``sample`` (position among the samples
            shown, from 0).
    """
    pairs = _measure(inputs, spec)
    sample: int = spec["sample"]
    levels = max(pair.arrays["trajectory_kept_sigma"].shape[2] for pair in pairs)
    side = min(_COLUMN / levels - 0.02, 0.8)
    plot_top = _TOP + 5 * (side + 0.02) + 2 * 0.06 + _SPACE
    height = plot_top + _PLOT + _BELOW
    figure = Drawing(figsize=(PAGE_WIDTH, height))
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    plots = []
    for column, pair in enumerate(pairs):
        left = _LEFT + column * (_COLUMN + _MIDDLE)
        figure.text(
            (left + _COLUMN / 2) / PAGE_WIDTH,
            1 - 0.34 / height,
            f"N = {pair.set_size}",
            ha="center",
            va="top",
            fontsize=9,
            fontweight="bold",
        )
        _images(figure, pair, sample, left, side, label=column == 0)
        axes = place(figure, left, plot_top, _COLUMN, _PLOT)
        _curves(axes, pair, sample)
        plots.append(axes)
    figure.text(
        (_LEFT - 0.06) / PAGE_WIDTH, 1 - (_TOP - 0.03) / height, "σ", ha="right", va="bottom"
    )
    lowest = min(0.0, *(float(np.nanmin(_similar(pair, "denoised"))) for pair in pairs))
    for axes in plots:
        axes.set_ylim(lowest - 0.05, 1.04)
        axes.set_xlabel("noise level σ")
        axes.tick_params(labelleft=axes is plots[0])
    plots[0].set_ylabel("correlation, S1 – S2")
    _legend(figure)
    return figure


def _images(
    figure: Drawing, pair: Pair, sample: int, left: float, side: float, label: bool
) -> None:
    height = figure.get_figheight()
    noisy = pair.arrays["trajectory_noisy"][:, sample, :, 0]
    denoised = pair.arrays["trajectory_denoised"][:, sample, :, 0]
    levels = _levels(pair, sample)
    rows = (_forward(pair, sample), noisy[0], denoised[0], noisy[1], denoised[1])
    pitch = _COLUMN / len(levels)
    for row, images in enumerate(rows):
        top = _TOP + row * (side + 0.02) + 0.06 * ((row > 0) + (row > 2))
        if label:
            figure.text(
                (_LEFT - 0.06) / PAGE_WIDTH,
                1 - (top + side / 2) / height,
                _ROWS[row],
                ha="right",
                va="center",
            )
        for column, image in enumerate(images):
            if not np.isfinite(image).all():
                continue
            axes = place(figure, left + column * pitch, top, side, side)
            show_image(axes, image)
            if row == 0:
                axes.set_title(f"{levels[column]:.2g}", pad=2, fontsize=8)


def _curves(axes: Axes, pair: Pair, sample: int) -> None:
    sigma = _mean_levels(pair)
    lighter, darker = two_colours()
    denoised, noisy = _similar(pair, "denoised"), _similar(pair, "noisy")
    for other in denoised[: pair.shown]:
        axes.plot(sigma, other, color="0.65", linewidth=0.7)
    mean, error = _mean_and_errors(denoised)
    axes.fill_between(sigma, mean - error, mean + error, color=darker, alpha=0.25, linewidth=0)
    axes.plot(sigma, mean, color=darker, marker="o", markersize=3.5)
    axes.plot(sigma, _mean_and_errors(noisy)[0], color=lighter, linestyle="--")
    axes.plot(sigma, denoised[sample], color=EXACT_COLOUR, linewidth=1.1)
    axes.axhline(0, color="0.45", linewidth=0.8)
    axes.set_xscale("log")
    high, low = sigma.max(), sigma.min()
    beyond = (high / low) ** (0.5 / max(len(sigma) - 1, 1))  # so that levels lie below their images
    axes.set_xlim(high * beyond, low / beyond)
    shown = (10, 3, 1, 0.3, 0.1, 0.03, 0.01)
    ticks = [tick for tick in shown if low * 0.999 <= tick <= high * 1.001]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _legend(figure: Drawing) -> None:
    lighter, darker = two_colours()
    handles = [
        Line2D([], [], color=darker, marker="o", markersize=3.5, label="f(y), mean over all"),
        Line2D([], [], color=lighter, linestyle="--", label="y, mean over all"),
        Line2D([], [], color=EXACT_COLOUR, linewidth=1.1, label="f(y), pair above"),
        Line2D([], [], color="0.65", linewidth=0.7, label="f(y), others"),
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.02 / figure.get_figheight()),
        ncols=4,
    )


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    pairs = _measure(inputs, spec)
    sample: int = spec["sample"]
    tables = []
    for pair in pairs:
        denoised, noisy = _similar(pair, "denoised"), _similar(pair, "noisy")
        mean, error = _mean_and_errors(denoised)
        lines = [
            [
                f"{sigma:.3g}",
                f"{_mean_and_errors(noisy)[0][place]:.3f}",
                f"{mean[place]:.3f} +/- {error[place]:.3f}",
                f"{np.nanmin(denoised[:, place]):.3f}",
                f"{np.nanmax(denoised[:, place]):.3f}",
                f"{denoised[sample, place]:.3f}",
            ]
            for place, sigma in enumerate(_mean_levels(pair))
        ]
        header = ("sigma", "y, mean", "f(y), mean", "lowest", "highest", "pair above")
        tables += [
            f"N = {pair.set_size}, over all {len(denoised)} pairs:",
            captions.grid(header, lines),
        ]
    return captions.caption(
        spec["title"],
        "The way between noise (left) and image (right) of one pair, at the noise levels written above, "
        "for few and for many training images. From the top: the forward process, the image x of S1 "
        "closest to the sample of S1's network (by correlation) with the noise z that sampling starts "
        "from; the reverse process of the network of S1, noisy image y and denoised f(y); the same of "
        "the network of S2 from the same noise. Intensities below 0 and above 1 are shown black and "
        "white.",
        "Below: correlation of the two networks' images at the same noise level. Circles: of f(y), mean "
        "over all pairs with one standard error; dashed: of y, mean; orange: of f(y), the pair above; "
        "gray: the other pairs whose images are kept. A pair that parts ends with a low correlation. y "
        "is the same at the start, and stays alike as long as noise makes up most of it.",
        f"The pair above is the one at position {sample} of the {pairs[0].shown} kept. "
        + "; ".join(_standing(pair, sample) for pair in pairs)
        + ". Correlation:",
        *tables,
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}, "
                f"N = {' and '.join(str(pair.set_size) for pair in pairs)}, sample {sample}",
                sampler_text(pairs[0]),
            ]
        )
        + "\n"
        + captions.parameters(pair.spec for pair in pairs),
    )


def _standing(pair: Pair, sample: int) -> str:
    """Where one pair of samples ends among all of them."""
    last = _similar(pair, "denoised")[:, -1]
    return (
        f"at N = {pair.set_size} it ends with a correlation of {last[sample]:.3f}, "
        f"{int((last < last[sample]).sum())} of the {len(last)} pairs with a lower one and "
        f"{int((last > last[sample]).sum())} with a higher"
    )


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

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
