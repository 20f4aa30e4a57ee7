"""Figure "basis": the bases in which a memorising and a generalising network shrink one image.

For two networks trained on few and on many images, side by side on the same noisy image: the
image before and after; the eigenvalues λ_k of the Jacobian's symmetric part and the clean image's
coefficients |<x, e_k>| against k; and a choice of eigenvectors e_k (Kadkhodaie et al., ICLR 2024,
figures 3 to 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, NullFormatter

from gahb.artifacts import ArtifactError
from gahb.figures.parts import captions
from gahb.figures.parts.eigenbases import Eigenbasis, find_spectra, psnr, read_eigenbasis
from gahb.figures.parts.figure import Figure, Inputs, Needs, Params, Ranks, TwoSizes
from gahb.figures.parts.panels import EIGENVECTOR_SCALE, place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, two_colours
from gahb.options import Index, Sigma, Split

# inches
_LEFT, _RIGHT, _MIDDLE = 0.66, 0.08, 0.2
_COLUMN = (PAGE_WIDTH - _LEFT - _RIGHT - _MIDDLE) / 2  # of one network
_PLOT = 1.25
_PER_ROW = 4
_GAP = 0.08


def _measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> list[Eigenbasis]:
    """The eigenbases of the two networks, the one trained on fewer images first."""
    asked = dict(spec)
    bases = []
    for size in sorted(asked["set_sizes"]):
        path = find_spectra(inputs, asked["experiment"], asked["split"], size)
        if path is None:
            raise ArtifactError(
                f"no spectra file of {asked['experiment']}, N = {size}, {asked['split']} among the "
                f"inputs: {', '.join(map(str, inputs)) or 'none'}"
            )
        bases.append(read_eigenbasis(path, asked["image"], asked["sigma"]))
    few, many = bases
    for name in ("clean", "noisy"):
        if not np.array_equal(getattr(few, name), getattr(many, name)):
            raise ArtifactError(
                f"{few.path} and {many.path} do not hold the same {name} image for test image "
                f"{asked['image']}: they were computed from other images or other noise"
            )
    return bases


@figure_style()
def draw(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Drawing:
    """Draw the figure.

    Args:
        inputs: spectra files of the two networks; those of others are left aside.
        spec: ``title``, ``experiment``, ``set_sizes`` (two), ``split``, ``image`` (position in
            the test set, from 0), ``sigma``, ``eigenvectors`` (numbers k, from 1).
    """
    bases = _measure(inputs, spec)
    ks: list[int] = spec["eigenvectors"]
    rows = -(-len(ks) // _PER_ROW)
    photo = (_COLUMN - 2 * _GAP) / 3
    mode = (_COLUMN - (_PER_ROW - 1) * _GAP) / _PER_ROW
    tops = [0.86]  # images, eigenvalues, coefficients, eigenvectors
    tops.append(tops[0] + photo + 0.2)
    tops.append(tops[1] + _PLOT + 0.15)
    tops.append(tops[2] + _PLOT + 0.78)
    pitch = mode + 0.34
    figure = Drawing(figsize=(PAGE_WIDTH, tops[3] + rows * pitch - 0.28))
    figure.suptitle(spec["title"], y=1 - 0.1 / figure.get_figheight(), va="top")
    colours = two_colours()
    spectra, coefficients = [], []
    for column, (basis, colour) in enumerate(zip(bases, colours, strict=True)):
        left = _LEFT + column * (_COLUMN + _MIDDLE)
        _images(figure, basis, left, tops[0], photo)
        middle = (left + _COLUMN / 2) / PAGE_WIDTH
        figure.text(
            middle,
            1 - 0.34 / figure.get_figheight(),
            f"N = {basis.spec['network']['set_size']}",
            ha="center",
            va="top",
            fontsize=9,
            fontweight="bold",
        )
        k = np.arange(1, basis.eigenvalues.size + 1)
        upper = place(figure, left, tops[1], _COLUMN, _PLOT)
        upper.plot(k, basis.eigenvalues, color=colour)
        upper.axhline(1, color="0.45", linewidth=0.8, linestyle=":")
        spectra.append(upper)
        lower = place(figure, left, tops[2], _COLUMN, _PLOT)
        lower.plot(k, np.abs(basis.coefficients), ".", color=colour, markersize=2.5)
        lower.axhline(basis.sigma, color="0.45", linewidth=0.8, linestyle=":")
        coefficients.append(lower)
        for number, which in enumerate(ks):
            row, position = divmod(number, _PER_ROW)
            axes = place(figure, left + position * (mode + _GAP), tops[3] + row * pitch, mode, mode)
            show_eigenvector(axes, basis.eigenvector(which))
            axes.set_title(f"k = {which}\nλ = {basis.eigenvalues[which - 1]:.3f}", pad=2)
    _finish(spectra, coefficients, bases)
    return figure


def _images(figure: Drawing, basis: Eigenbasis, left: float, top: float, side: float) -> None:
    clean = basis.clean
    for position, (name, image) in enumerate(
        (("clean", clean), ("noisy", basis.noisy), ("denoised", basis.denoised))
    ):
        axes = place(figure, left + position * (side + _GAP), top, side, side)
        show_image(axes, image)
        quality = "" if image is clean else f"\n{psnr(image, clean):.1f} dB"
        axes.set_title(name + quality, pad=2)


def _finish(spectra: list[Axes], coefficients: list[Axes], bases: list[Eigenbasis]) -> None:
    """Give both networks the same axes, and label them once."""
    count = max(basis.eigenvalues.size for basis in bases)
    values = np.concatenate([basis.eigenvalues for basis in bases])
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


def caption(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> str:
    """The caption of the figure, in reStructuredText, with its parameters and measured numbers."""
    bases = _measure(inputs, spec)
    ks: list[int] = spec["eigenvectors"]
    sizes = [str(basis.spec["network"]["set_size"]) for basis in bases]
    lines = [
        [
            size,
            f"{psnr(basis.noisy, basis.clean):.2f}",
            f"{psnr(basis.denoised, basis.clean):.2f}",
            _trace(basis.scalars),
            f"{basis.scalars['effective_rank']:.1f}",
            f"{basis.scalars['asymmetry']:.3f}",
            f"{basis.scalars['homogeneity_residual']:.1e}",
        ]
        for size, basis in zip(sizes, bases, strict=True)
    ]
    responses = ", ".join(
        f"{basis.scalars['leading_response']:.3f} and {basis.scalars['null_response']:.3f} for "
        f"N = {size}"
        for size, basis in zip(sizes, bases, strict=True)
        if np.isfinite(basis.scalars["null_response"])
    )
    header = ("N", "input dB", "output dB", "trace", "effective rank", "asymmetry", "residual")
    few, many = bases
    height, width = few.clean.shape
    return captions.caption(
        spec["title"],
        "The Jacobian of two networks at the same noisy image: few training images on the left, "
        "many on the right. From the top: the image; eigenvalues of the symmetric part of the "
        "Jacobian, largest first (dotted: 1); magnitude of the clean image's coefficients in the "
        "eigenvectors (dotted: sigma, the noise in each coefficient); eigenvectors with k and "
        f"eigenvalue. {EIGENVECTOR_SCALE}",
        "Measured:",
        captions.grid(header, lines),
        "Trace is the sum of all eigenvalues; asymmetry is the norm of J minus its transpose over "
        "the norm of their sum; residual is the norm of f(y) - J y over that of f(y).",
        "Change of the output per change of the input, along leading eigenvectors and along those "
        f"of the smallest eigenvalues: {responses}."
        if responses
        else "",
        captions.grid(
            ("k", *(f"N = {size}" for size in sizes)),
            [
                [str(k), f"{few.eigenvalues[k - 1]:.3f}", f"{many.eigenvalues[k - 1]:.3f}"]
                for k in ks
            ],
        ),
        "Made with:",
        captions.bullets(
            [
                f"experiment {captions.escape(spec['experiment'])}, split {spec['split']}, "
                f"N = {' and '.join(sizes)}",
                f"test image {few.position} (image {few.image_index} of the dataset), {height} by "
                f"{width} pixels, sigma = {few.sigma:g}",
            ]
        )
        + "\n"
        + captions.parameters(basis.spec for basis in bases),
    )


def _trace(scalars: Mapping[str, float]) -> str:
    """The trace, with its standard error where it is an estimate."""
    se = scalars["trace_se"]
    return f"{scalars['trace']:.1f}" + (f" +/- {se:.1f}" if se else "")


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

    def measure(self, inputs: Inputs) -> Inputs:
        """See :func:`draw`."""
        return inputs

    def draw(self, measured: Inputs) -> Drawing:
        """See :func:`draw`."""
        return draw(measured, self.model_dump(mode="json"))
