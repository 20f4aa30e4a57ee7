"""Figures of what the library returns, in one call: an eigenbasis, and curves of PSNR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.asked import is_whole, must_be_whole
from gahb.datasets.gathering import gathered
from gahb.figures.parts.curves import IDENTITY, draw_curve, noise_scale, rank_axis, size_styles
from gahb.figures.parts.eigenbases import psnr
from gahb.figures.parts.panels import place, show_eigenvector, show_image
from gahb.figures.parts.style import PAGE_WIDTH, figure_style, page, two_colours

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gahb.datasets.gathering import Images
    from gahb.spectra.analysis import Analysis

# inches
_LEFT, _RIGHT, _GAP = 0.6, 0.08, 0.08
_PER_ROW = 6
_SIDE = (PAGE_WIDTH - _LEFT - _RIGHT - (_PER_ROW - 1) * _GAP) / _PER_ROW  # of an eigenvector
_PLOT = 1.5
_RANKS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)


def plot_basis(analysis: Analysis, ranks: int | Sequence[int] | None = None) -> Figure:
    """Draw the basis in which a denoiser shrinks the noise of one image.

    From the top: the clean, noisy and denoised image; the eigenvalues λ_k of the Jacobian's symmetric part,
    by which the coefficients on the eigenvectors e_k are shrunk, and the clean image's coefficients
    |<x, e_k>|; and some of the eigenvectors.

    Args:
        analysis: from :func:`gahb.analyse`.
        ranks: number k of the eigenvector that is drawn, or several, from 1; by default up to a dozen.

    Raises:
        ValueError: an eigenvector is asked for that was not kept.
    """
    kept = len(analysis.eigenvectors)
    chosen = [k for k in _RANKS if k <= kept] if ranks is None else np.atleast_1d(ranks).tolist()
    if not chosen or not all(is_whole(k, most=kept) for k in chosen):
        raise ValueError(f"ranks: found {chosen}; the analysis keeps the eigenvectors 1 to {kept}")
    lines = -(-len(chosen) // _PER_ROW)
    pitch = _SIDE + 0.36
    photo = 1.3
    plots = 0.42 + photo
    vectors = plots + 0.2 + _PLOT + 0.85
    with figure_style():
        drawing = page(vectors + lines * pitch - 0.2)
        photos = {
            "clean": analysis.clean,
            f"noisy, {psnr(analysis.noisy, analysis.clean):.1f} dB": analysis.noisy,
            f"denoised, {psnr(analysis.denoised, analysis.clean):.1f} dB": analysis.denoised,
        }
        margin = (PAGE_WIDTH - 3 * photo - 2 * 0.5) / 2
        for number, (title, image) in enumerate(photos.items()):
            show_image(
                place(drawing, margin + number * (photo + 0.5), 0.25, photo, photo), image, title
            )
        half = (PAGE_WIDTH - 2 * _LEFT - _RIGHT - 0.1) / 2
        count = len(analysis.eigenvalues)
        k = np.arange(1, count + 1)
        lighter, darker = two_colours()
        left = place(drawing, _LEFT, plots + 0.2, half, _PLOT)
        left.plot(k, analysis.eigenvalues, color=darker)
        left.axhline(1, **IDENTITY)
        left.set_ylabel("eigenvalue λ$_k$")
        right = place(drawing, 2 * _LEFT + 0.1 + half, plots + 0.2, half, _PLOT)
        right.plot(k, np.abs(analysis.clean_coefficients), ".", color=lighter, markersize=2.5)
        right.set_yscale("log")
        right.set_ylabel("|⟨x, e$_k$⟩|")
        for axes in (left, right):
            rank_axis(axes, count)
        for number, rank in enumerate(chosen):
            row, column = divmod(number, _PER_ROW)
            axes = place(
                drawing, _LEFT + column * (_SIDE + _GAP), vectors + row * pitch, _SIDE, _SIDE
            )
            title = f"k = {rank}\nλ = {analysis.eigenvalues[rank - 1]:.3f}"
            show_eigenvector(axes, analysis.eigenvectors[rank - 1], title)
    return drawing


def plot_images(images: Images, titles: Sequence[str] = (), columns: int = 8) -> Figure:
    """Draw images side by side, all on the scale from 0 to 1.

    Args:
        images: (N, C, H, W), or a list; see :func:`gahb.datasets.gathering.gathered`.
        titles: above the images, as many as there are, or none.
        columns: images in a row, at most.

    Raises:
        ValueError: there is no image, or the titles are not as many.
    """
    must_be_whole(columns=columns)
    shown = gathered(images)
    if titles and len(titles) != len(shown):
        raise ValueError(f"titles: found {len(titles)}, expected {len(shown)}, one an image")
    across = min(columns, len(shown))
    side = (PAGE_WIDTH - (across - 1) * _GAP) / max(across, 4)
    pitch = side + (0.24 if titles else _GAP)
    with figure_style():
        height = -(-len(shown) // across) * pitch
        drawing = page(height, width=across * (side + _GAP) - _GAP)
        for number, image in enumerate(shown):
            row, column = divmod(number, across)
            top = row * pitch + pitch - side
            title = titles[number] if titles else None
            axes = place(drawing, column * (side + _GAP), top, side, side)
            show_image(axes, image.numpy(), title)
    return drawing


def plot_psnr(
    curves: pd.DataFrame | Mapping[str, pd.DataFrame], aggregation: str = "psnr_of_mean_mse"
) -> Figure:
    """Draw output PSNR against input PSNR, with a band of one standard error.

    Args:
        curves: from :func:`gahb.psnr_curve`, one or several by the names that the legend has.
        aggregation: ``psnr_of_mean_mse`` or ``mean_psnr``.

    Raises:
        ValueError: there is no curve, or one lacks a column.
    """
    named = dict(curves) if isinstance(curves, Mapping) else {"": curves}
    wanted = ("input_psnr", aggregation, f"{aggregation}_se")
    for name, table in named.items():
        missing = [column for column in wanted if column not in getattr(table, "columns", ())]
        if missing:
            raise ValueError(f"curves: {name or 'the table'} has no {', '.join(missing)}")
    if not named:
        raise ValueError("curves: found none")
    with figure_style():
        drawing = page(3.6, width=4.6)
        drawing.set_layout_engine("constrained")
        axes = drawing.subplots()
        axes.axline((0, 0), slope=1, label="output = input", **IDENTITY)
        styles: list[dict[str, Any]] = size_styles(len(named))
        for style, (name, table) in zip(styles, named.items(), strict=True):
            found = table.sort_values("input_psnr")
            x, height, se = (found[column].to_numpy() for column in wanted)
            draw_curve(axes, x, height, np.nan_to_num(se), label=name or "denoiser", **style)
        axes.set_xlabel("input PSNR (dB)")
        axes.set_ylabel("output PSNR (dB)")
        noise_scale(axes)
        axes.legend()
    return drawing
