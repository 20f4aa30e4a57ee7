"""The page, put together: ``gahb page``.

Plotly draws the curves: its drawings are SVG, which the style of the page reaches (light and dark), and
its one script goes into the file. Everything else is plain HTML: lists, sliders, check boxes and images
with alternative texts are what keyboards, phones and screen readers know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from gahb.artifacts import ArtifactError, write_text
from gahb.claims.parts.scales import HERE, counted, read_scales
from gahb.figures.parts.markup import taken_apart, unescaped
from gahb.page.bases import read_bases
from gahb.page.curves import read_curves
from gahb.page.pairs import read_samples_of_pairs
from gahb.page.pictures import figure


def results_of(folder: Path) -> list[Path]:
    """The tables, spectra and samples of a folder of results that the page can show.

    Raises:
        gahb.artifacts.ArtifactError: it has none.
    """
    patterns = (
        *("spectra/*/*.h5", "samples/*/N*.h5"),
        *("evaluation/*/N*_S1.csv", "evaluation/references/*/*.csv"),
    )
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    if not found:
        raise ArtifactError(f"{folder} has no spectra, samples or tables of PSNR to show")
    return found


def write_page(
    claims: Path,
    inputs: Sequence[Path],
    figures: Sequence[Path],
    output: Path,
    scales: Sequence[Path] = (),
) -> None:
    """Write the page.

    Args:
        claims: table of :func:`gahb.claims.parts.make.write_claims`.
        inputs: spectra and samples (``.h5``) and tables of PSNR (``.csv``), in any order; a part of the
            page whose files are missing is left out.
        figures: captions, ``<name>.rst`` with ``<name>.png`` beside it; those of claims come first, in
            the order of claims.
        output: ``.html``.
        scales: tables of claims of other runs, each in the folder of its scale's name.

    Raises:
        gahb.artifacts.ArtifactError: a file is missing, damaged or of no known kind.
    """
    from plotly.offline import get_plotlyjs

    judged = read_scales(claims, scales)
    data = {
        "bases": read_bases(inputs),
        "samples": read_samples_of_pairs(inputs),
        "curves": read_curves(inputs),
    }
    order = [claim.figure for claim in judged]
    figures = sorted(figures, key=lambda path: (*order, path.stem).index(path.stem))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = environment.from_string(_beside("page.html")).render(
        data=_json(data),
        parts={name: bool(groups) for name, groups in data.items()},
        claims=judged,
        counted=counted(judged, HERE),
        figures=list(_shown(figures)),
        style=_beside("page.css"),
        script=_beside("page.js"),
        plotly=get_plotlyjs(),
    )
    write_text(output, text)


def _shown(captions: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Name, title, description and picture of each figure."""
    for caption in captions:
        title, blocks = taken_apart(caption)
        picture, width, height = figure(caption.with_suffix(".png"))
        yield {
            "name": caption.stem,
            "title": unescaped(title),
            "description": unescaped(next(iter(blocks), "")),
            "picture": picture,
            "width": width,
            "height": height,
        }


def _json(data: Any) -> str:
    """For a script element, which no text inside may end."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _beside(name: str) -> str:
    return resources.files("gahb.page").joinpath(name).read_text("utf-8")
