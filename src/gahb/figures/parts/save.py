"""Write a figure as PNG and PDF: atomically, and with the same bytes every time.

Neither file holds a date or a software version. Both hold, as metadata, the spec the figure was
drawn from and the digests of the files it was drawn from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gahb.artifacts import atomic, canonical_json
from gahb.figures.parts.style import PAGE_WIDTH, figure_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, path: Path | str, title: str, made_from: Mapping[str, Any]) -> None:
    """Write ``figure`` to ``path``; its suffix, ``.png`` (200 dpi) or ``.pdf``, says which.

    Args:
        figure: at most 7 inches wide.
        path: replaced atomically.
        title: kept in the metadata.
        made_from: spec and input digests, kept in the metadata as one JSON text.

    Raises:
        ValueError: another suffix, or a figure wider than a page.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    path = Path(path)
    if figure.get_figwidth() > PAGE_WIDTH:
        raise ValueError(f"{path}: the figure is {figure.get_figwidth()} inches wide, a page 7")
    record = canonical_json(dict(made_from))
    with figure_style(), atomic(path) as partial:
        if path.suffix == ".png":
            FigureCanvasAgg(figure).print_figure(
                partial,
                format="png",
                metadata={"Software": None, "Title": title, "Description": record},
            )
        elif path.suffix == ".pdf":
            FigureCanvasPdf(figure).print_figure(
                partial,
                format="pdf",
                metadata={
                    "Creator": "gahb",
                    "Producer": None,
                    "CreationDate": None,
                    "Title": title,
                    "Subject": record,
                },
            )
        else:
            raise ValueError(f"{path}: figures are written as .png or .pdf")
