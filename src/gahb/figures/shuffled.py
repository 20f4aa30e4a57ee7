"""Figure "shuffled": what a network loses when the pixels of all images are permuted.

One fixed permutation leaves the optimal error as it was: it is an isometry, and white noise stays
white. The network, which expects neighbours to be alike, cannot follow (Kadkhodaie et al., ICLR 2024,
figure 21). What bounds the optimum of the images as they are bounds it for both. Test PSNR and
eigenvalues with and without shuffling; images and eigenvectors of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from gahb.artifacts import ArtifactError, Spec
from gahb.datasets.image_class import image_class
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
from gahb.figures.parts.eigenbases import Eigenbasis, read_eigenbasis
from gahb.figures.parts.figure import Experiments, Figure, Inputs, Needs, Params, Ranks, Uppers
from gahb.figures.parts.panels import place, show_eigenvector, show_image, write
from gahb.figures.parts.style import PAGE_WIDTH, page, two_colours
from gahb.figures.parts.tables import Curve, read_tables
from gahb.options import Count, Index, Sigma, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_NAMES = ("as they are", "shuffled")
_BEST: dict[str, Any] = {"color": "0.1", "linewidth": 1.0, "linestyle": "-."}

# inches
_LEFT, _RIGHT, _BETWEEN = 0.62, 0.1, 0.62
_TOP, _PLOT = 0.62, 2.1
_IMAGES = _TOP + _PLOT + 0.92  # top of the first row of images
_FIRST, _TITLE, _GAP = 0.34, 0.36, 0.06  # of the images: their left, title and distance


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure; pairs are of the images as they are, and shuffled.

    Attributes:
        curves: of the networks, on test images.
        bases: eigenbases of the networks at one noisy image.
        ks: numbers of the eigenvectors shown, from 1.
        lower: of the images as they are, from the network to the bound below the optimal error.
        upper: to those above it.
        images: test images of each curve.
        specs: of the inputs.
    """

    curves: tuple[Curve, Curve]
    bases: tuple[Eigenbasis, Eigenbasis]
    ks: list[int]
    lower: Gap
    upper: list[Gap]
    images: int
    specs: list[Spec]

    excess = EXCESS
    surrogate = SURROGATE

    @property
    def best_classical(self) -> np.ndarray:
        """PSNR of the best upper bound at each noise level, on the images of the network."""
        bounds = [gap.reference(self.curves[0]).psnr for gap in self.upper]
        best: np.ndarray = np.max(bounds, axis=0)
        return best

    @property
    def loss(self) -> np.ndarray:
        """PSNR lost by shuffling at each noise level, in dB."""
        plain, shuffled = self.curves
        lost: np.ndarray = plain.psnr - shuffled.psnr
        return lost

    @property
    def rows(self) -> list[list[str]]:
        """σ, PSNR of both, the loss and its standard error.

        The error is that of independent measurements: it leaves out that the images are the same.
        """
        plain, shuffled = self.curves
        columns = (plain.psnr, shuffled.psnr, self.loss, np.hypot(plain.se, shuffled.se))
        return [
            [f"{sigma:g}", *(f"{number:.2f}" for number in numbers)]
            for sigma, *numbers in zip(plain.sigma, *columns, strict=True)
        ]

    @property
    def eigenvalues(self) -> list[list[str]]:
        """k, and the eigenvalues of both."""
        return [
            [str(k), *(f"{basis.eigenvalues[k - 1]:.3f}" for basis in self.bases)] for k in self.ks
        ]

    @property
    def same_pixels(self) -> bool:
        """Whether the two clean images hold the same intensities in another order."""
        plain, shuffled = (np.sort(basis.clean, axis=None) for basis in self.bases)
        return np.array_equal(plain, shuffled)


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

    def measure(self, inputs: Inputs) -> Measured:
        """Read curves and eigenbases of both networks, and the bounds beside the first."""
        tables = read_tables(inputs)
        networks = [(name, self.set_size, self.split) for name in self.experiments]
        plain, shuffled = (network_table(tables, *network) for network in networks)
        images = dataset_of(plain.spec)
        if dataset_of(shuffled.spec).get("of") != images:
            raise ArtifactError(
                f"{shuffled.path} is not of the shuffled images of {plain.path}: the 'of' in the "
                "dataset of its spec is another image class"
            )
        if not image_class(images).has_contour:
            raise ArtifactError(
                f"{plain.path}: images of class {images['class']} have no contour of regularity "
                "alpha; the figure is for C^alpha images"
            )
        bounds = [self.lower, *self.upper]
        references = [reference_table(tables, plain.value("image_class"), name) for name in bounds]
        lower, *upper = (gap_to(tables, *networks[0], name) for name in bounds)
        first, second = (
            read_eigenbasis(network_spectra(inputs, *network), self.image, self.sigma)
            for network in networks
        )
        curves = (curve_on_test(plain), curve_on_test(shuffled))
        if not np.array_equal(curves[0].sigma, curves[1].sigma):
            raise ArtifactError(f"{plain.path} and {shuffled.path} hold different noise levels")
        return Measured(
            curves=curves,
            bases=(first, second),
            ks=self.eigenvectors,
            lower=lower,
            upper=upper,
            images=count_of_test_images(plain),
            specs=[
                *(table.spec for table in (plain, shuffled, *references)),
                *(first.spec, second.spec),
            ],
        )

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        loss = measured.loss
        return f"Shuffled pixels cost {loss.min():.1f} to {loss.max():.1f} dB; the optimum stays the same"

    def draw(self, measured: Measured) -> Drawing:
        """Curves and eigenvalues above; images and eigenvectors below, one row per network."""
        count = 3 + len(measured.ks)
        side = min((PAGE_WIDTH - _FIRST - _RIGHT - (count - 1) * _GAP) / count, 1.1)
        drawing = page(_IMAGES + 2 * side + _TITLE + 0.08, self.heading(measured), below=0.1)
        width = (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
        lighter, darker = two_colours()
        styles: list[dict[str, Any]] = [
            {"color": darker, "marker": "o", "linestyle": "-"},
            {"color": lighter, "marker": "s", "linestyle": (0, (5, 1.5))},
        ]
        _curves(place(drawing, _LEFT, _TOP, width, _PLOT), measured, styles, self.lower)
        axes = place(drawing, _LEFT + width + _BETWEEN, _TOP, width, _PLOT)
        for basis, style, name in zip(measured.bases, styles, _NAMES, strict=True):
            k = np.arange(1, basis.eigenvalues.size + 1)
            axes.plot(k, basis.eigenvalues, label=name, **style | {"marker": ""})
        axes.axhline(1, **IDENTITY)
        rank_axis(axes, max(basis.eigenvalues.size for basis in measured.bases))
        axes.set_ylabel("eigenvalue λ$_k$")
        axes.set_title(f"eigenvalues, σ = {measured.bases[0].sigma:g}")
        axes.legend(loc="lower left")
        at: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "center", "fontweight": "bold"}
        for row, (basis, name, style) in enumerate(
            zip(measured.bases, _NAMES, styles, strict=True)
        ):
            top = _IMAGES + row * (side + _TITLE)
            write(drawing, _FIRST - 0.06, top + side / 2, name, color=style["color"], **at)
            _row(drawing, basis, measured.ks, top, side)
        return drawing


def _curves(axes: Axes, measured: Measured, styles: list[dict[str, Any]], lower: str) -> None:
    plain, shuffled = measured.curves
    oracle, classical = measured.lower.reference(plain), measured.best_classical
    axes.axline((0, 0), slope=1, **IDENTITY)
    lost: dict[str, Any] = {"color": "0.9", "linewidth": 0, "zorder": 0.5}
    axes.fill_between(plain.input_psnr, shuffled.psnr, plain.psnr, **lost)
    for curve, style, name in zip(measured.curves, styles, _NAMES, strict=True):
        draw_curve(axes, curve.input_psnr, curve.psnr, curve.se, label=name, **style)
    draw_curve(axes, oracle.input_psnr, oracle.psnr, oracle.se, label=lower, **EXACT)
    axes.plot(plain.input_psnr, classical, label="best classical", **_BEST)
    axes.set_xlim(*limits([plain.input_psnr], 1.0))
    axes.set_ylim(*limits([plain.psnr, shuffled.psnr, oracle.psnr, classical], 1.5))
    axes.set_xlabel("input PSNR (dB)")
    axes.set_ylabel("output PSNR (dB)")
    optimum = "optimum, equal for both:\nbelow dashed, above the rest"
    axes.text(0.03, 0.97, optimum, transform=axes.transAxes, va="top")
    axes.legend(loc="lower right", labelspacing=0.25, borderpad=0.1)
    axes.set_title("on held-out test images")


def _row(drawing: Drawing, basis: Eigenbasis, ks: list[int], top: float, side: float) -> None:
    images = {
        "clean": basis.clean,
        f"noisy\n{basis.input_psnr:.1f} dB": basis.noisy,
        f"denoised\n{basis.output_psnr:.1f} dB": basis.denoised,
    }
    for number, (title, image) in enumerate(images.items()):
        axes = place(drawing, _FIRST + number * (side + _GAP), top, side, side)
        show_image(axes, image)
        axes.set_title(title, pad=2)
    for number, k in enumerate(ks, start=len(images)):
        axes = place(drawing, _FIRST + number * (side + _GAP), top, side, side)
        show_eigenvector(axes, basis.eigenvector(k))
        axes.set_title(f"k = {k}\nλ = {basis.eigenvalues[k - 1]:.3f}", pad=2)
