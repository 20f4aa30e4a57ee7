"""Figures made from synthetic results, and what they and their captions are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from gahb.figures.parts.captions import rendered
from gahb.figures.parts.figure import FIGURES, Figure
from gahb.figures.parts.make import make_figure
from gahb.figures.parts.markup import headed
from gahb.figures.parts.style import figure_style
from gahb.options import model

KINDS = ("png", "pdf", "rst")
OF_A_USER = {"font.size": 20, "lines.linewidth": 9, "savefig.dpi": 50}


def figure(name: str, spec: Mapping[str, Any]) -> Figure:
    """A figure with its options."""
    found: Figure = model(FIGURES, name).model_validate(dict(spec))
    return found


def drawn(name: str, inputs: Sequence[Path], spec: Mapping[str, Any]) -> Any:
    """The figure as matplotlib has it."""
    chosen = figure(name, spec)
    with figure_style():
        return chosen.draw(chosen.measure(inputs))


def told(name: str, inputs: Sequence[Path], spec: Mapping[str, Any]) -> str:
    """Its caption."""
    chosen = figure(name, spec)
    return rendered(name, chosen, chosen.measure(inputs))


def check_same_bytes(
    name: str, inputs: Sequence[Path], spec: Mapping[str, Any], folder: Path
) -> None:
    """Its files are the same whatever the order of the inputs and a user's settings."""
    made = []
    for run, given in enumerate((inputs, inputs[::-1])):
        outputs = [folder / f"{run}/{name}.{kind}" for kind in KINDS]
        with matplotlib.rc_context(OF_A_USER if run else {}):
            make_figure(name, given, spec, outputs)
        made.append([path.read_bytes() for path in outputs])
    assert made[0] == made[1]
    assert b"CreationDate" not in made[0][KINDS.index("pdf")]


def check_caption(name: str, inputs: Sequence[Path], spec: Mapping[str, Any]) -> None:
    """Its caption is reStructuredText as snakemake reads it, whatever the title."""
    core = pytest.importorskip("docutils.core")
    from docutils import nodes
    from jinja2 import Template

    title = "odd |title| with *stars*, `ticks`, under_ {{ braces }} {% %} {# #}"
    caption = Template(told(name, inputs, {**spec, "title": title})).render()
    document = core.publish_doctree(caption, settings_overrides={"report_level": 5})
    assert not list(document.findall(nodes.system_message))
    assert title in document.astext()
    check_finding(name, inputs, spec)


def check_finding(name: str, inputs: Sequence[Path], spec: Mapping[str, Any]) -> None:
    """Without a title the figure and its caption are headed by what was measured, in numbers."""
    untitled = {key: value for key, value in spec.items() if key != "title"}
    chosen = figure(name, untitled)
    finding = chosen.finding(chosen.measure(inputs))
    assert any(character.isdigit() for character in finding), finding
    assert "nan" not in finding, finding
    assert "\n" not in finding, finding
    assert drawn(name, inputs, untitled).get_suptitle() == finding
    assert told(name, inputs, untitled).startswith(headed(finding))


def images_of(page: Any) -> list[np.ndarray]:
    """All images on it."""
    return [np.asarray(image.get_array()) for axes in page.axes for image in axes.get_images()]


def texts_of(page: Any) -> list[str]:
    """All text on it."""
    return [text.get_text() for text in page.findobj(matplotlib.text.Text)]
