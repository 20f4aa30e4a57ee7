"""The one call that makes a figure: ``gahb figures <name> ...``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gahb.artifacts import digest_file, write_text
from gahb.figures.parts.captions import rendered
from gahb.figures.parts.figure import FIGURES, Figure, Inputs
from gahb.figures.parts.save import save
from gahb.figures.parts.style import figure_style
from gahb.options import model, names


def make_figure(
    name: str, inputs: Inputs, spec: Mapping[str, Any], outputs: Sequence[Path | str]
) -> None:
    """Draw the figure ``name`` and write it with its caption.

    Args:
        name: of a module in :mod:`gahb.figures`.
        inputs: tables (``.csv``, each with its ``.json`` sidecar), spectra and samples files
            (``.h5``), in any order.
        spec: the figure's options.
        outputs: files to write: ``.png``, ``.pdf`` and, for the caption, ``.rst``.

    Raises:
        ValueError: no such figure, a wrong option, or an output of another kind.
        gahb.artifacts.ArtifactError: an input is missing, damaged or not what the figure needs.
    """
    if name not in names(FIGURES):
        raise ValueError(f"there is no figure {name!r}; there are {', '.join(names(FIGURES))}")
    figure: Figure = model(FIGURES, name).model_validate(dict(spec))
    paths = [Path(path) for path in inputs]
    targets = [Path(path) for path in outputs]
    for path in paths:
        if path.suffix not in (".csv", ".h5"):
            raise ValueError(
                f"{path}: a figure is drawn from tables (.csv), spectra and samples (.h5)"
            )
    for path in targets:
        if path.suffix not in (".png", ".pdf", ".rst"):
            raise ValueError(f"{path}: a figure is written as .png, .pdf and .rst")
    measured = figure.measure(paths)
    with figure_style():
        drawing = figure.draw(measured)
    digests = {"/".join(path.parts[-2:]): digest_file(path) for path in sorted(paths)}
    for path in targets:
        if path.suffix == ".rst":
            write_text(path, rendered(name, figure, measured))
        else:
            save(drawing, path, figure.heading(measured), {"spec": dict(spec), "inputs": digests})
