"""Figure "basis": the bases in which a memorising and a generalising network shrink one image.

For two networks trained on few and on many images, side by side on the same noisy image: the
image before and after; the eigenvalues λ_k of the Jacobian's symmetric part, averaged over images;
the clean image's coefficients |<x, e_k>| against k; and a choice of eigenvectors e_k (Kadkhodaie et
al., ICLR 2024, figures 3 to 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.artifacts import Spec
from gahb.figures.parts.beside import network_spectra, same_noisy_image
from gahb.figures.parts.curves import draw_curve
from gahb.figures.parts.eigenbases import Eigenbasis
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params, Ranks, TwoSizes
from gahb.figures.parts.over_images import (
    OverImages,
    SpectraTables,
    mean_and_se,
    mean_text,
    read_over_images,
)
from gahb.figures.parts.panels import place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, page, two_colours
from gahb.options import Index, Sigma, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

# inches
_LEFT, _RIGHT, _MIDDLE = 0.66, 0.08, 0.2
_COLUMN = (PAGE_WIDTH - _LEFT - _RIGHT - _MIDDLE) / 2  # of one network
_PLOT = 1.25
_PER_ROW = 4
_GAP = 0.08


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        bases: the eigenbases of the two networks, the one trained on fewer images first.
        over: the same two networks at all images of their spectra.
        ks: numbers of the eigenvectors shown, from 1.
    """

    bases: tuple[Eigenbasis, Eigenbasis]
    over: tuple[OverImages, OverImages]
    ks: list[int]

    @property
    def tables(self) -> SpectraTables:
        """What the caption says of both over their images."""
        named = zip(self.bases, self.over, strict=True)
        return SpectraTables("N", [(str(basis.set_size), one) for basis, one in named])

    @property
    def specs(self) -> list[Spec]:
        """Specs of the inputs."""
        return [basis.spec for basis in self.bases]

    @property
    def rows(self) -> list[list[str]]:
        """N, input and output PSNR, and what the Jacobian is like as a whole."""
        return [
            [
                str(basis.set_size),
                f"{basis.input_psnr:.2f}",
                f"{basis.output_psnr:.2f}",
                _trace(basis.scalars),
                f"{basis.scalars['effective_rank']:.1f}",
                f"{basis.scalars['homogeneity_residual']:.1e}",
            ]
            for basis in self.bases
        ]

    @property
    def responses(self) -> list[list[str]]:
        """N, and the change of the output in the leading span and in the null space."""
        return [
            [name, *(one.text(f"{part}_response", ".3f") for part in ("leading", "null"))]
            for name, one in self.tables.named
        ]

    @property
    def eigenvalues(self) -> list[list[str]]:
        """k, and the eigenvalues of both networks, averaged over images."""
        return [
            [str(k), *(mean_text(one.eigenvalues[:, k - 1], ".3f") for one in self.over)]
            for k in self.ks
        ]


class BasisFigure(Figure):
    """Eigenvalues, coefficients and eigenvectors of two networks (the paper's figure 3)."""

    experiment: str
    """whose networks are drawn"""
    split: Split
    """of the networks drawn"""
    set_sizes: TwoSizes
    """the two networks shown, memorising and generalising"""
    image: Index
    """position in the test set"""
    sigma: Sigma
    """noise level of the image"""
    eigenvectors: Ranks
    """which ones to show, counted from 1"""

    def needs(self, params: Params) -> Needs:
        """The spectra of both."""
        return Needs(spectra=tuple((self.experiment, n, self.split) for n in self.set_sizes))

    def measure(self, inputs: Inputs) -> Measured:
        """Read the eigenbases of both networks at the same noisy image, and means over images."""
        few, many = (
            network_spectra(inputs, self.experiment, size, self.split)
            for size in sorted(self.set_sizes)
        )
        return Measured(
            bases=same_noisy_image((few, many), self.image, self.sigma),
            over=(read_over_images(few, self.sigma), read_over_images(many, self.sigma)),
            ks=self.eigenvectors,
        )

    def finding(self, measured: Measured) -> str:
        """What was measured, in one line."""
        few, many = (
            f"{over.numbers['effective_rank'].mean():.0f} at N = {basis.set_size}"
            for basis, over in zip(measured.bases, measured.over, strict=True)
        )
        return f"Eigenvectors that let noise through, by effective rank: {few}, {many}"

    def draw(self, measured: Measured) -> Drawing:
        """One column per network: images, eigenvalues, coefficients and eigenvectors."""
        rows = -(-len(measured.ks) // _PER_ROW)
        photo = (_COLUMN - 2 * _GAP) / 3
        mode = (_COLUMN - (_PER_ROW - 1) * _GAP) / _PER_ROW
        tops = [0.86]  # images, eigenvalues, coefficients, eigenvectors
        tops.append(tops[0] + photo + 0.2)
        tops.append(tops[1] + _PLOT + 0.15)
        tops.append(tops[2] + _PLOT + 0.78)
        pitch = mode + 0.34
        height = tops[3] + rows * pitch - 0.28
        drawing = page(height, self.heading(measured), below=0.1)
        spectra, coefficients = [], []
        columns = zip(measured.bases, measured.over, two_colours(), strict=True)
        for column, (basis, over, colour) in enumerate(columns):
            left = _LEFT + column * (_COLUMN + _MIDDLE)
            _images(drawing, basis, left, tops[0], photo)
            middle = (left + _COLUMN / 2) / PAGE_WIDTH
            heading: dict[str, Any] = {
                "ha": "center",
                "va": "top",
                "fontsize": 9,
                "fontweight": "bold",
            }
            drawing.text(middle, 1 - 0.34 / height, f"N = {basis.set_size}", **heading)
            k = np.arange(1, basis.eigenvalues.size + 1)
            upper = place(drawing, left, tops[1], _COLUMN, _PLOT)
            draw_curve(upper, k, *mean_and_se(over.eigenvalues), color=colour)
            upper.axhline(1, color="0.45", linewidth=0.8, linestyle=":")
            spectra.append(upper)
            lower = place(drawing, left, tops[2], _COLUMN, _PLOT)
            lower.plot(k, np.abs(basis.coefficients), ".", color=colour, markersize=2.5)
            lower.axhline(basis.sigma, color="0.45", linewidth=0.8, linestyle=":")
            coefficients.append(lower)
            for number, which in enumerate(measured.ks):
                row, position = divmod(number, _PER_ROW)
                at = left + position * (mode + _GAP)
                axes = place(drawing, at, tops[3] + row * pitch, mode, mode)
                title = f"k = {which}\nλ = {basis.eigenvalues[which - 1]:.3f}"
                show_eigenvector(axes, basis.eigenvector(which), title)
        _finish(spectra, coefficients, measured.bases)
        return drawing


def _images(drawing: Drawing, basis: Eigenbasis, left: float, top: float, side: float) -> None:
    for position, (title, image) in enumerate(
        (
            ("clean", basis.clean),
            (f"noisy\n{basis.input_psnr:.1f} dB", basis.noisy),
            (f"denoised\n{basis.output_psnr:.1f} dB", basis.denoised),
        )
    ):
        axes = place(drawing, left + position * (side + _GAP), top, side, side)
        show_image(axes, image, title)


def _finish(
    spectra: list[Axes], coefficients: list[Axes], bases: tuple[Eigenbasis, Eigenbasis]
) -> None:
    """Give both networks the same axes, and label them once."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    count = max(basis.eigenvalues.size for basis in bases)
    values = np.concatenate([line.get_ydata() for upper in spectra for line in upper.lines])
    sizes = np.concatenate([np.abs(basis.coefficients) for basis in bases])
    lowest = max(float(sizes[sizes > 0].min()), 1e-3 * bases[0].sigma)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for axes in (*spectra, *coefficients):
        axes.set_xscale("log")
        axes.set_xlim(0.9, 1.1 * count)
        axes.xaxis.set_major_formatter(plain)
        axes.xaxis.set_minor_formatter(NullFormatter())
    for upper, lower in zip(spectra, coefficients, strict=True):
        upper.set_ylim(min(float(values.min()), 0) - 0.06, max(float(values.max()), 1) + 0.06)
        upper.tick_params(labelbottom=False)
        lower.set_yscale("log")
        lower.set_ylim(lowest, 2 * float(sizes.max()))
        lower.yaxis.set_major_formatter(plain)
        lower.yaxis.set_minor_formatter(NullFormatter())
        lower.set_xlabel("k")
        if upper is not spectra[0]:
            upper.tick_params(labelleft=False)
            lower.tick_params(labelleft=False)
    spectra[0].set_ylabel("eigenvalue λ$_k$")
    coefficients[0].set_ylabel("|⟨x, e$_k$⟩|")
    coefficients[0].text(1, bases[0].sigma, "σ", va="bottom", ha="left", color="0.3")


def _trace(scalars: dict[str, float]) -> str:
    """The trace, with its standard error where it is an estimate."""
    se = scalars["trace_se"]
    return f"{scalars['trace']:.1f}" + (f" +/- {se:.1f}" if se else "")
