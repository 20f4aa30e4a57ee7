"""Figure "shuffled": what a network loses when the pixels of all images are permuted.

One fixed permutation leaves the optimal error as it was: it is an isometry, and white noise stays
white. The network, which expects neighbours to be alike, cannot follow (Kadkhodaie et al., ICLR 2024,
figure 21). What bounds the optimum of the images as they are bounds it for both. Test PSNR and
eigenvalues with and without shuffling; images and eigenvectors of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.figures.parts import captions
from gahb.figures.parts.beside import (
    EXCESS,
    SURROGATE,
    Gap,
    count_of_test_images,
    curve_on_test,
    dataset_of,
    gap_to,
    network_spectra,
    network_table,
    reference_table,
)
from gahb.figures.parts.curves import EXACT, IDENTITY, draw_curve, limits, rank_axis
from gahb.figures.parts.eigenbases import Eigenbasis, psnr, read_eigenbasis
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, Ranks, Uppers
from gahb.figures.parts.panels import EIGENVECTOR_SCALE, place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, two_colours
from gahb.figures.parts.tables import Curve, read_tables
from gahb.options import Count, Index, Sigma, Split

_NAMES = ("as they are", "shuffled")
_BEST: dict[str, Any] = {"color": "0.1", "linewidth": 1.0, "linestyle": "-."}

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.62
_TOP, _PLOT = 0.62, 2.1
_IMAGES = _TOP + _PLOT + 0.92  # top of the first row of images
_TITLE, _GAP = 0.36, 0.06


@dataclass(frozen=True)
class _Measured:
    curves: tuple[Curve, Curve]  # as they are, shuffled
    bases: tuple[Eigenbasis, Eigenbasis]
    lower: Gap  # of the images as they are, like the next
    upper: list[Gap]
    images: int  # test images of each curve
    specs: list[Spec]

    def best_classical(self) -> np.ndarray:
        """PSNR of the best upper bound at each noise level, on the images of the network."""
        return np.max([gap.reference(self.curves[0]).psnr for gap in self.upper], axis=0)

    def loss(self) -> tuple[np.ndarray, np.ndarray]:
        """PSNR lost by shuffling at each noise level, and its standard error, both in dB.

        The error is that of independent measurements: it leaves out that the images are the same.
        """
        plain, shuffled = self.curves
        return plain.psnr - shuffled.psnr, np.hypot(plain.se, shuffled.se)

    def same_pixels(self) -> bool:
        """Whether the two clean images hold the same intensities in another order."""
        plain, shuffled = (np.sort(basis.clean, axis=None) for basis in self.bases)
        return np.array_equal(plain, shuffled)


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> _Measured:
    asked = dict(spec)
    if len(asked["experiments"]) != 2:
        raise ValueError(
            f"figure 'shuffled', option 'experiments': found {asked['experiments']!r}, expected "
            "two, on images as they are and shuffled"
        )
    tables = read_tables(inputs)
    plain, shuffled = (
        network_table(tables, experiment, asked["set_size"], asked["split"])
        for experiment in asked["experiments"]
    )
    if dataset_of(shuffled.spec).get("of") != dataset_of(plain.spec):
        raise ArtifactError(
            f"{shuffled.path} is not of the shuffled images of {plain.path}: the 'of' in the "
            "dataset of its spec is another image class"
        )
    if "alpha" not in dataset_of(plain.spec):
        raise ArtifactError(
            f"{plain.path}: images of class {dataset_of(plain.spec)['class']} have no contour of "
            "regularity alpha; the figure is for C^alpha images"
        )
    network = (asked["experiments"][0], asked["set_size"], asked["split"])
    bounds = [asked["lower"], *asked["upper"]]
    references = [reference_table(tables, plain.value("image_class"), name) for name in bounds]
    lower, *upper = (gap_to(tables, *network, name) for name in bounds)
    first, second = (
        read_eigenbasis(
            network_spectra(inputs, experiment, asked["set_size"], asked["split"]),
            asked["image"],
            asked["sigma"],
        )
        for experiment in asked["experiments"]
    )
    curves = (curve_on_test(plain), curve_on_test(shuffled))
    if not np.array_equal(curves[0].sigma, curves[1].sigma):
        raise ArtifactError(f"{plain.path} and {shuffled.path} hold different noise levels")
    return _Measured(
        curves=curves,
        bases=(first, second),
        lower=lower,
        upper=upper,
        images=count_of_test_images(plain),
        specs=[
            *(plain.spec, shuffled.spec, first.spec, second.spec),
            *(table.spec for table in references),
        ],
    )


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: psnr tables and spectra of the two networks, psnr tables of the bounds on the images
            as they are, and the table of gaps.
        spec: ``title``, ``experiments`` (as they are, shuffled), ``set_size``, ``split``; for the
            spectra ``image`` (position in the test set, from 0), ``sigma``, ``eigenvectors`` (k,
            from 1); ``lower`` and ``upper``, the references that bound the optimum.
    """
    measured = _measure(inputs, spec)
    ks: list[int] = spec["eigenvectors"]
    count = 3 + len(ks)
    left = 0.34
    side = min((PAGE_WIDTH - left - _RIGHT - (count - 1) * _GAP) / count, 1.1)
    figure = Drawing(figsize=(PAGE_WIDTH, _IMAGES + 2 * side + _TITLE + 0.08))
    height = figure.get_figheight()
    figure.suptitle(spec["title"], y=1 - 0.1 / height, va="top")
    width = (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
    lighter, darker = two_colours()
    styles: list[dict[str, Any]] = [
        {"color": darker, "marker": "o", "linestyle": "-"},
        {"color": lighter, "marker": "s", "linestyle": (0, (5, 1.5))},
    ]
    _curves(place(figure, _LEFT, _TOP, width, _PLOT), measured, styles, spec["lower"])
    axes = place(figure, _LEFT + width + _BETWEEN, _TOP, width, _PLOT)
    for basis, style, name in zip(measured.bases, styles, _NAMES, strict=True):
        k = np.arange(1, basis.eigenvalues.size + 1)
        unmarked = style | {"marker": ""}
        axes.plot(k, basis.eigenvalues, label=name, **unmarked)
    axes.axhline(1, **IDENTITY)
    rank_axis(axes, max(basis.eigenvalues.size for basis in measured.bases))
    axes.set_ylabel("eigenvalue λ$_k$")
    axes.set_title(f"eigenvalues, σ = {measured.bases[0].sigma:g}")
    axes.legend(loc="lower left")
    for row, (basis, name, style) in enumerate(zip(measured.bases, _NAMES, styles, strict=True)):
        top = _IMAGES + row * (side + _TITLE)
        figure.text(
            (left - 0.06) / PAGE_WIDTH,
            1 - (top + side / 2) / height,
            name,
            rotation=90,
            ha="right",
            va="center",
            color=style["color"],
            fontweight="bold",
        )
        _row(figure, basis, ks, left, top, side)
    return figure


def _curves(axes: Axes, measured: _Measured, styles: list[dict[str, Any]], lower: str) -> None:
    plain, shuffled = measured.curves
    oracle, classical = measured.lower.reference(plain), measured.best_classical()
    axes.axline((0, 0), slope=1, **IDENTITY)
    axes.fill_between(
        plain.input_psnr,
        shuffled.psnr,
        plain.psnr,
        color="0.9",
        linewidth=0,
        zorder=0.5,
    )
    for curve, style, name in zip(measured.curves, styles, _NAMES, strict=True):
        draw_curve(axes, curve.input_psnr, curve.psnr, curve.se, label=name, **style)
    draw_curve(axes, oracle.input_psnr, oracle.psnr, oracle.se, label=lower, **EXACT)
    axes.plot(plain.input_psnr, classical, label="best classical", **_BEST)
    axes.set_xlim(*limits([plain.input_psnr], 1.0))
    axes.set_ylim(*limits([plain.psnr, shuffled.psnr, oracle.psnr, classical], 1.5))
    axes.set_xlabel("input PSNR (dB)")
    axes.set_ylabel("output PSNR (dB)")
    axes.text(
        *(0.03, 0.97),
        "optimum, equal for both:\nbelow dashed, above the rest",
        transform=axes.transAxes,
        va="top",
    )
    axes.legend(loc="lower right", labelspacing=0.25, borderpad=0.1)
    axes.set_title("on held-out test images")


def _row(
    figure: Drawing, basis: Eigenbasis, ks: list[int], left: float, top: float, side: float
) -> None:
    for number, (name, image) in enumerate(
        (("clean", basis.clean), ("noisy", basis.noisy), ("denoised", basis.denoised))
    ):
        axes = place(figure, left + number * (side + _GAP), top, side, side)
        show_image(axes, image)
        quality = "" if number == 0 else f"\n{psnr(image, basis.clean):.1f} dB"
        axes.set_title(name + quality, pad=2)
    for number, k in enumerate(ks, start=3):
        axes = place(figure, left + number * (side + _GAP), top, side, side)
        show_eigenvector(axes, basis.eigenvector(k))
        axes.set_title(f"k = {k}\nλ = {basis.eigenvalues[k - 1]:.3f}", pad=2)


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    measured = _measure(inputs, spec)
    loss, se = measured.loss()
    plain, shuffled = measured.bases
    ks: list[int] = spec["eigenvectors"]
    same = "the same" if measured.same_pixels() else "not the same"
    return captions.caption(
        spec["title"],
        "Two networks trained alike, on images as they are and on the same images with their pixels "
        "in one fixed random order. The optimal error is equal for both, since a permutation is an "
        "isometry and leaves white noise white; the gray area is therefore lost by the network, at "
        f"the least. Left: output PSNR on {measured.images} test images, with bands of one standard "
        "error, and output = input (dotted). Two curves bound the optimum of the images as they are, "
        f"and with it that of the shuffled: {captions.escape(spec['lower'])} (dashed), a {SURROGATE}, "
        f"which may be beaten by about {EXCESS} dB, and the best of "
        f"{captions.escape(', '.join(spec['upper']))} (dash-dotted), which the optimum is not below. "
        "They are drawn at their gaps to the network on the same noisy images, "
        + ", ".join(str(gap.images) for gap in (measured.lower, *measured.upper))
        + " of them. Right: eigenvalues of the symmetric part of the Jacobian at one "
        "noisy image. Below: that image and eigenvectors, in the order of pixels that each network "
        f"sees. {EIGENVECTOR_SCALE}",
        "The standard error of the loss is that of independent measurements. Test images are the same, "
        "and so is the noise, which is not shuffled with them: what the errors of the two networks on "
        "one image have in common, of either sign, is left out.",
        f"Measured loss by shuffling, {loss.mean():.2f} dB on average over the noise levels, and at "
        "each of them, in dB:",
        captions.grid(
            ("sigma", "as they are", "shuffled", "loss", "standard error"),
            [
                [f"{s:g}", f"{a:.2f}", f"{b:.2f}", f"{lost:.2f}", f"{error:.2f}"]
                for s, a, b, lost, error in zip(
                    measured.curves[0].sigma,
                    measured.curves[0].psnr,
                    measured.curves[1].psnr,
                    loss,
                    se,
                    strict=True,
                )
            ],
        ),
        f"Eigenvalues at sigma = {plain.sigma:g}; trace {plain.scalars['trace']:.1f} and "
        f"{shuffled.scalars['trace']:.1f}, asymmetry {plain.scalars['asymmetry']:.3f} and "
        f"{shuffled.scalars['asymmetry']:.3f} (shuffled):",
        captions.grid(
            ("k", *_NAMES),
            [
                [str(k), f"{plain.eigenvalues[k - 1]:.3f}", f"{shuffled.eigenvalues[k - 1]:.3f}"]
                for k in ks
            ],
        ),
        f"The two clean images hold {same} intensities; the noise is the same draw, not shuffled.",
        "Made with:",
        captions.bullets(
            [
                f"experiments {captions.escape(' and '.join(spec['experiments']))}, split "
                f"{spec['split']}, N = {spec['set_size']}",
                f"test image {spec['image']} (images {plain.image_index} and "
                f"{shuffled.image_index} of the datasets), sigma = {plain.sigma:g}",
            ]
        )
        + "\n"
        + captions.parameters(measured.specs),
    )


class ShuffledFigure(Figure):
    """What is lost when pixels are shuffled (the paper's figure 21)."""

    experiments: Annotated[Experiments, Field(min_length=2, max_length=2)]
    """one on C^alpha images as they are, one on the same images shuffled"""
    set_size: Count
    """N"""
    split: Split
    """of the networks drawn"""
    image: Index
    """position in the test set"""
    sigma: Sigma
    """noise level of the image"""
    eigenvectors: Annotated[Ranks, Field(max_length=5)]
    """which ones to show, counted from 1"""
    lower: str
    """as for bounds, measured on the images as they are"""
    upper: Uppers
    """as for bounds, measured on the images as they are; the best one is drawn"""

    def needs(self, params: Params) -> Needs:
        """Both networks, and the bounds on the images as they are."""
        networks = tuple((name, self.set_size, self.split) for name in self.experiments)
        return Needs(
            tables=("gaps",),
            networks=networks,
            references=tuple((self.experiments[0], one) for one in [self.lower, *self.upper]),
            spectra=networks,
        )

    def problems(self, params: Params) -> Iterator[str]:
        """The second experiment must be on the images of the first, shuffled."""
        first, second = (params["experiments"][name]["image_class"] for name in self.experiments)
        if params["image_classes"][second].get("of") != first:
            yield (
                f"experiments: found {', '.join(self.experiments)}, allowed is a second on shuffled "
                f"images of {first}, the image class of the first"
            )

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
