"""Figure "optimum": networks trained on disks against the exact posterior mean.

Antialiased disks form a manifold of five dimensions, so that the error of the optimal denoiser tends to
5 σ²/d and its Jacobian to the projection on five tangent directions (Kadkhodaie et al., ICLR 2024,
figure 5); of disks with hard edges or integer parameters only the two greys remain. Test PSNR and the
gap to the optimum; eigenvalues of both Jacobians, and how many are too many against σ; the tangent
directions above the network's leading eigenvectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator
from pydantic import Field

from gahb.datasets.classes.disks import Disks
from gahb.datasets.image_class import ImageClass
from gahb.figures.parts import captions
from gahb.figures.parts.beside import Gap
from gahb.figures.parts.curves import (
    EXACT,
    EXACT_COLOUR,
    IDENTITY,
    draw_curve,
    limits,
    sigma_axis,
    size_styles,
)
from gahb.figures.parts.disk_optimum import Measured, measure
from gahb.figures.parts.eigenbases import psnr
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params, all_sizes
from gahb.figures.parts.panels import EIGENVECTOR_SCALE, place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style
from gahb.options import Count, Index, Number, Sigma, Split

_SHOWN = 30  # eigenvalues
_EXACT_POINTS = EXACT | {"marker": "D", "markersize": 3, "markerfacecolor": "white"}
_LIMIT: dict[str, Any] = {"color": "0.1", "linewidth": 1.0, "linestyle": "-."}

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.62
_PANEL = (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
_UPPER, _LOWER = (0.62, 1.75), (3.5, 1.4)  # top and height of the two rows of panels
_IMAGES, _IMAGE, _TILE, _GAP = 5.75, 1.1, 0.78, 0.06  # top of the images; sides
_TITLE = 0.36  # above an image or an eigenvector
_PER_ROW = 5  # eigenvectors


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: psnr tables of the networks and of the exact denoiser, the table of gaps, and the
            spectra of one network and of the exact denoiser at the same noisy images.
        spec: ``title``, ``experiment``, ``split``, ``reference``; for the spectra ``set_size``,
            ``image`` (position in the test set, from 0), ``sigma``, ``eigenvectors`` (how many),
            ``threshold`` (eigenvalues above it are counted).
    """
    measured = measure(inputs, spec)
    shown: int = spec["eigenvectors"]
    rows = -(-measured.dimension // _PER_ROW) - (-shown // _PER_ROW)
    images = max(rows * (_TILE + _TITLE), 2 * (_IMAGE + _TITLE)) - _TITLE
    figure = Drawing(figsize=(PAGE_WIDTH, _IMAGES + images + 0.08))
    figure.suptitle(spec["title"], y=1 - 0.1 / figure.get_figheight(), va="top")
    right = _LEFT + _PANEL + _BETWEEN
    _curves(
        place(figure, _LEFT, _UPPER[0], _PANEL, _UPPER[1]),
        place(figure, right, _UPPER[0], _PANEL, _UPPER[1]),
        measured,
    )
    _curve_legend(figure, measured)
    network = {
        "color": size_styles(1)[0]["color"],
        "marker": "o",
        "markersize": 3,
        "linewidth": 0.9,
    }
    _eigenvalues(place(figure, _LEFT, _LOWER[0], _PANEL, _LOWER[1]), measured, spec, network)
    _counts(place(figure, right, _LOWER[0], _PANEL, _LOWER[1]), measured, spec, network)
    _four_images(figure, measured, 0.12)
    _tiles(figure, measured, PAGE_WIDTH - 0.08 - _PER_ROW * _TILE - (_PER_ROW - 1) * _GAP)
    return figure


def _curves(left: Axes, right: Axes, measured: Measured) -> None:
    """Test PSNR of all networks and of the optimum; the gaps between them."""
    exact = measured.exact
    left.axline((0, 0), slope=1, **IDENTITY)
    left.axline((0, measured.gain), slope=1, **_LIMIT)
    right.axhline(0, **EXACT)
    for learned, gap, style in zip(
        measured.networks, measured.gaps, size_styles(len(measured.networks)), strict=True
    ):
        draw_curve(left, learned.input_psnr, learned.psnr, learned.se, **style)
        draw_curve(right, gap.input_psnr, gap.gap, gap.se, **style)
    draw_curve(left, exact.input_psnr, exact.psnr, exact.se, zorder=3, **EXACT)
    left.set_title("on held-out test images")
    left.set_ylabel("output PSNR (dB)")
    right.set_title("exact minus network")
    right.set_ylabel("PSNR gap (dB)")
    for axes in (left, right):
        axes.set_xlabel("input PSNR (dB)")
        axes.set_xlim(*limits([exact.input_psnr], 1.0))
    left.set_ylim(*limits([exact.psnr, *(c.psnr for c in measured.networks)], 2.0))


def _curve_legend(figure: Drawing, measured: Measured) -> None:
    sizes = [
        Line2D([], [], label=f"N = {learned.set_size}", **style)
        for learned, style in zip(
            measured.networks, size_styles(len(measured.networks)), strict=True
        )
    ]
    lines = [
        Line2D([], [], label="exact posterior mean", **EXACT),
        Line2D([], [], label=f"MSE = {measured.dimension} σ²/d", **_LIMIT),
        Line2D([], [], label="output = input", **IDENTITY),
    ]
    bottom = _UPPER[0] + _UPPER[1]
    for handles, top in ((sizes, bottom + 0.37), (lines, bottom + 0.56)):
        figure.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 1 - top / figure.get_figheight()),
            ncols=len(handles),
            borderpad=0,
        )


def _eigenvalues(
    axes: Axes, measured: Measured, spec: Mapping[str, Any], network: dict[str, Any]
) -> None:
    k = np.arange(1, min(_SHOWN, measured.learned.eigenvalues.size) + 1)
    axes.axhline(spec["threshold"], **IDENTITY)
    axes.axvline(measured.dimension + 0.5, color="0.6", linewidth=0.8)
    name = f"network, N = {spec['set_size']}"
    axes.plot(k, measured.learned.eigenvalues[: k.size], label=name, **network)
    axes.plot(k, measured.optimal.eigenvalues[: k.size], label="exact", **_EXACT_POINTS)
    axes.set_title(f"eigenvalues, σ = {measured.learned.sigma:g}")
    axes.set_xlabel("k")
    axes.set_ylabel("eigenvalue λ$_k$")
    axes.xaxis.set_major_locator(MultipleLocator(5))
    axes.set_xlim(0.3, k.size + 0.7)
    middle = measured.learned.eigenvalues[k.size // 2 : k.size]
    low, high = axes.get_ylim()
    axes.legend(loc="upper right" if middle.mean() < (low + high) / 2 else "lower right")


def _counts(
    axes: Axes, measured: Measured, spec: Mapping[str, Any], network: dict[str, Any]
) -> None:
    limit = f"{measured.dimension}, the dimension of the manifold"
    axes.axhline(measured.dimension, label=limit, **_LIMIT)
    axes.plot(measured.sigma, measured.counts["network"], label="network", **network)
    axes.plot(measured.sigma, measured.counts["exact"], label="exact", **_EXACT_POINTS)
    axes.set_ylim(0, 1.6 * max(*(c.max() for c in measured.counts.values()), measured.dimension))
    sigma_axis(axes, measured.sigma)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_title(f"eigenvalues above {spec['threshold']:g}")
    axes.set_ylabel("how many")
    axes.legend(loc="upper right")


def _four_images(figure: Drawing, measured: Measured, left: float) -> None:
    learned, optimal = measured.learned, measured.optimal
    for number, (name, image) in enumerate(
        (
            ("clean", learned.clean),
            ("noisy", learned.noisy),
            ("network", learned.denoised),
            ("exact", optimal.denoised),
        )
    ):
        row, column = divmod(number, 2)
        at = left + column * (_IMAGE + _GAP)
        axes = place(figure, at, _IMAGES + row * (_IMAGE + _TITLE), _IMAGE, _IMAGE)
        show_image(axes, image)
        quality = "" if number == 0 else f"\n{psnr(image, learned.clean):.1f} dB"
        axes.set_title(name + quality, pad=2)


def _tiles(figure: Drawing, measured: Measured, left: float) -> None:
    """Tangent directions of the exact denoiser, then the network's leading eigenvectors."""
    row = 0
    for name, basis, count, colour in (
        ("exact", measured.optimal, measured.dimension, EXACT_COLOUR),
        ("network", measured.learned, len(measured.shares), size_styles(1)[0]["color"]),
    ):
        for start in range(0, count, _PER_ROW):
            top = _IMAGES + row * (_TILE + _TITLE)
            middle = 1 - (top + _TILE / 2) / figure.get_figheight()
            figure.text(
                (left - 0.06) / PAGE_WIDTH,
                middle,
                name,
                rotation=90,
                color=colour,
                ha="right",
                va="center",
                fontweight="bold",
            )
            for k in range(start, min(start + _PER_ROW, count)):
                at = left + (k - start) * (_TILE + _GAP)
                axes = place(figure, at, top, _TILE, _TILE)
                show_eigenvector(axes, basis.eigenvector(k + 1))
                share = "" if name == "exact" else f"\nshare {measured.shares[k]:.2f}"
                axes.set_title(f"λ$_{{{k + 1}}}$ = {basis.eigenvalues[k]:.3f}{share}", pad=2)
            row += 1


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    measured = measure(inputs, spec)
    n, size = measured.dimension, spec["set_size"]
    learned, optimal = measured.learned, measured.optimal
    height, width = learned.clean.shape
    gaps = [
        [str(c.set_size), *(f"{gap.gap[at]:.2f} +/- {gap.se[at]:.2f}" for at in _ends(gap))]
        for c, gap in zip(measured.networks, measured.gaps, strict=True)
    ]
    levels = [f"sigma = {measured.gaps[0].sigma[at]:g}" for at in _ends(measured.gaps[0])]
    least = int(np.argmin(measured.exact.sigma))
    gain = measured.exact.psnr[least] - measured.exact.input_psnr[least]
    return captions.caption(
        spec["title"],
        f"Above: output PSNR of the exact posterior mean on {measured.exact_images} test images "
        "(dashed), with a band of one standard error, and of networks trained on N images, drawn below "
        "it by their gap on the same noisy images, with the standard error of that; the line "
        f"MSE = {n} sigma^2/d of a manifold of {n} dimensions in d = {height * width} pixels, "
        f"{measured.gain:.2f} dB above the input; output = input (dotted). Right of it, those gaps.",
        f"Middle: eigenvalues of the symmetric part of both Jacobians at the same noisy image "
        f"(vertical line: after {n}), and how many exceed {spec['threshold']:g}, averaged over "
        f"{measured.images} noisy images, against sigma.",
        f"Below: the image, and eigenvectors: the {n} leading ones of the exact denoiser, and "
        f"the {len(measured.shares)} leading ones of the network with N = {size}; share is the "
        f"squared norm of its projection on the span of the exact {n}. {EIGENVECTOR_SCALE}",
        f"Measured gap to the exact denoiser, in dB, of {measured.gaps[0].images} images, with "
        "standard error:",
        captions.grid(("N", *levels), gaps),
        f"The exact denoiser is {gain:.2f} dB above its input at sigma = "
        f"{measured.exact.sigma[least]:g}; {n} sigma^2/d would be {measured.gain:.2f} dB.",
        f"Eigenvalues above {spec['threshold']:g}:",
        captions.grid(
            ("sigma", "network", "exact", "too many"),
            [
                [f"{s:g}", f"{ours:.1f}", f"{best:.1f}", f"{ours - best:.1f}"]
                for s, ours, best in zip(measured.sigma, *measured.counts.values(), strict=True)
            ],
        ),
        f"At this image and sigma = {learned.sigma:g}, output PSNR "
        f"{psnr(learned.denoised, learned.clean):.2f} dB for the network and "
        f"{psnr(optimal.denoised, optimal.clean):.2f} dB for the exact denoiser; asymmetry "
        f"{learned.scalars['asymmetry']:.3f} and {optimal.scalars['asymmetry']:.3f}:",
        captions.grid(
            ("k", "exact", "network", f"share in exact {n}"),
            [
                [
                    str(k + 1),
                    f"{optimal.eigenvalues[k]:.3f}",
                    f"{learned.eigenvalues[k]:.3f}",
                    f"{share:.3f}",
                ]
                for k, share in enumerate(measured.shares)
            ],
        ),
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}, split {spec['split']}, N = "
                + ", ".join(str(c.set_size) for c in measured.networks),
                f"exact denoiser {captions.escape(spec['reference'])}",
                f"test image {learned.position} (image {learned.image_index} of the dataset)",
            ]
        )
        + "\n"
        + captions.parameters(measured.specs),
    )


def _ends(gap: Gap) -> list[int]:
    """The lowest, a middle and the highest noise level."""
    return [int(at) for at in np.unique([0, gap.sigma.size // 2, gap.sigma.size - 1])]


class OptimumFigure(Figure):
    """Networks beside the optimum, on disks (the paper's figure 5)."""

    experiment: str
    """one on disks"""
    split: Split
    """of the networks drawn"""
    reference: str
    """the entry of references that is exact for the image class"""
    set_size: Count
    """the network whose eigenvectors are shown"""
    image: Index
    """position in the test set"""
    sigma: Sigma
    """noise level of the image"""
    eigenvectors: Annotated[Count, Field(le=20)]
    """how many leading ones of the network are shown"""
    threshold: Annotated[Number, Field(gt=0, lt=1)]
    """eigenvalues above it are counted"""

    @classmethod
    def suits(cls, images: type[ImageClass]) -> bool:
        """Disks."""
        return issubclass(images, Disks)

    def needs(self, params: Params) -> Needs:
        """Every N, the optimum, and the spectra of both."""
        reference = ((self.experiment, self.reference),)
        return Needs(
            tables=("gaps",),
            networks=all_sizes(params, self.experiment, self.split),
            references=reference,
            spectra=((self.experiment, self.set_size, self.split),),
            reference_spectra=reference,
        )

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
