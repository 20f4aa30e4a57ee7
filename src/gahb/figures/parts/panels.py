"""Small panels placed by hand: images, eigenvectors, and where on the page they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_QUANTILE = 0.995
EIGENVECTOR_SCALE = (
    "Each eigenvector has its own gray scale: 0 is mid-gray, and the 99.5th percentile of its "
    "magnitudes, or more, is black or white. Its sign is arbitrary."
)


def show_image(axes: Axes, image: np.ndarray, title: str | None = None) -> None:
    """Draw an image of intensities in [0, 1], see :func:`picture`, without ticks."""
    axes.imshow(picture(image), vmin=0, vmax=1)
    _bare(axes, title)


def show_eigenvector(axes: Axes, eigenvector: np.ndarray, title: str | None = None) -> None:
    """Draw an eigenvector on its own scale, as :data:`EIGENVECTOR_SCALE` says; see :func:`picture`."""
    largest = largest_shown(eigenvector)
    if eigenvector.ndim == 3 and len(eigenvector) == 3:  # colours have no limits but 0 and 1
        axes.imshow(picture(0.5 + eigenvector / (2 * largest or 1.0)))
    else:
        axes.imshow(picture(eigenvector), vmin=-largest, vmax=largest)
    _bare(axes, title)


def largest_shown(eigenvector: np.ndarray) -> float:
    """The magnitude from which on an eigenvector is black or white: see :data:`EIGENVECTOR_SCALE`."""
    return float(np.quantile(np.abs(eigenvector), _QUANTILE))


def picture(image: np.ndarray) -> np.ndarray:
    """What is drawn of an image (H, W) or (C, H, W).

    Three channels are colours, (H, W, 3) within [0, 1]; others stand beside each other in gray,
    (H, C W), as those of latents.
    """
    if image.ndim == 2:
        return image
    if len(image) == 3:
        return np.moveaxis(image, 0, -1).clip(0, 1)
    return np.concatenate(list(image), axis=1)


def _bare(axes: Axes, title: str | None) -> None:
    if title is not None:
        axes.set_title(title, pad=2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the figure's upper left corner."""
    page_width, page_height = figure.get_size_inches()
    axes: Axes = figure.add_axes(
        (
            left / page_width,
            1 - (top + height) / page_height,
            width / page_width,
            height / page_height,
        )
    )
    return axes


def write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Text at a place given in inches from the figure's upper left corner."""
    page_width, page_height = figure.get_size_inches()
    figure.text(left / page_width, 1 - top / page_height, text, **style)


def name_row(figure: Figure, name: str, right: float, middle: float, **style: Any) -> None:
    """Write the name of a row of panels upright, ending at its left; places as in :func:`write`."""
    write(figure, right, middle, name, rotation=90, ha="right", va="center", **style)


def share_axes(
    rows: Sequence[Sequence[Axes]],
    span: tuple[float, float],
    heights: Sequence[tuple[float, float]],
    labels: Sequence[str],
) -> None:
    """Give panels one horizontal axis and each row of them one vertical axis, labelled once.

    Args:
        rows: from the top, panels from the left.
        span: limits of the horizontal axis.
        heights: limits of the vertical axis of each row.
        labels: of those.
    """
    for row, limits, label in zip(rows, heights, labels, strict=True):
        for axes in row:
            axes.set_xlim(*span)
            axes.set_ylim(*limits)
            axes.tick_params(labelleft=axes is row[0], labelbottom=row is rows[-1])
        row[0].set_ylabel(label)
