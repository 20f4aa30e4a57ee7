"""Captions in reStructuredText: what a figure shows, its measured numbers, and what it was made from.

The caption of a figure is the Jinja template ``figures/captions/<name>.rst``, which knows ``figure``, the
options, ``m``, what was measured, ``imported``, whether all networks are, and ``eigenvector_scale``, how
eigenvectors are drawn. The title goes before it; after it goes what the networks were made from, with the
training only where it differs from the default: the rest is in every file's spec.

``snakemake --report`` reads the caption as a Jinja template again. All text that comes from a spec
therefore passes through the filter ``e`` (:func:`gahb.figures.parts.markup.escape`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gahb.artifacts import Spec, canonical_json
from gahb.datasets.image_class import image_class
from gahb.denoisers.architecture import OWN_REMARK
from gahb.denoisers.options import Training
from gahb.figures.parts.markup import escape, headed
from gahb.figures.parts.panels import EIGENVECTOR_SCALE
from gahb.own import is_own

if TYPE_CHECKING:
    from jinja2 import Environment

Item = TypeVar("Item")
TEMPLATES = Path(__file__).parents[1] / "captions"
# sections of a spec that describe a training set, or networks
_NETWORKS = ("network", "memorising", "first", "second", "ensemble")


def span(numbers: Sequence[int]) -> str:
    """The lowest and the highest of some numbers: ``1 to 1024``."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def ends(items: Sequence[Item]) -> list[Item]:
    """The first and the last of some items, which may be one."""
    return [items[0], *items[1:][-1:]]


def plain(text: str) -> str:
    """A number as a figure prints it, in characters of a table in plain text."""
    for sign, words in {"±": "+/-", "–": "-", "\N{MINUS SIGN}": "-", "β": "beta"}.items():
        text = text.replace(sign, words)
    return text


def bullets(items: Iterable[str]) -> str:
    """A bullet list of lines that are already reStructuredText."""
    return "\n".join(f"- {item}" for item in items)


def grid(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A simple table, right-aligned as text; cells are plain numbers or words."""
    table = [list(header), *(list(line) for line in lines)]
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    rule = "  ".join("=" * width for width in widths)
    body = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in table]
    return "\n".join([rule, body[0], rule, *body[1:], rule])


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # of HTML, which this is not
    )
    environment.filters |= {
        "e": lambda value: escape(str(value)),
        "grid": lambda lines, *header: grid(header, lines),
        "plain": plain,
        "listed": lambda values: ", ".join(map(str, values)),
        "span": span,
    }
    environment.globals["eigenvector_scale"] = EIGENVECTOR_SCALE
    return environment


def rendered(name: str, figure: Any, measured: Any) -> str:
    """The caption of a figure: heading, its template filled in, and what its inputs were made from.

    Args:
        name: of the figure.
        figure: its options.
        measured: what it measured; ``measured.specs`` are the specs of its inputs.
    """
    body = (
        _environment()
        .get_template(f"{name}.rst")
        .render(figure=figure, m=measured, imported=_all_imported(measured.specs))
    )
    paragraphs = re.sub(r"\n{3,}", "\n\n", body.strip())
    made = bullets(map(escape, made_from(measured.specs)))
    return f"{headed(figure.heading(measured))}\n\n{paragraphs}\n\nMade from:\n\n{made}\n"


def made_from(specs: Iterable[Spec]) -> list[str]:
    """What networks and images the inputs of a figure were made from, one line each.

    Of the training only what differs from the defaults of :class:`~gahb.denoisers.options.Training`; of
    imported networks, that they are.
    """
    images: dict[str, None] = {}
    networks: dict[str, dict[int, list[str]]] = {}  # how made: splits by N
    for spec in specs:
        for section in _sections(spec):
            if "dataset" in section:
                images[_images(section)] = None
            if "training" in section or "imported" in section:
                sets = networks.setdefault(_trained(section), {})
                for size in section.get("set_sizes", [section.get("set_size")]):
                    splits = section.get("splits", [section.get("split")])
                    known = sets.setdefault(size, [])
                    known += [split for split in splits if split not in known]
    return [*images, *(f"{how}: {_training_sets(sets)}" for how, sets in networks.items())]


def _all_imported(specs: Iterable[Spec]) -> bool:
    """Whether networks are among what specs describe, and none of them was trained here."""
    sections = [section for spec in specs for section in _sections(spec)]
    trained = any("training" in section for section in sections)
    return not trained and any("imported" in section for section in sections)


def _sections(spec: Spec) -> Iterator[Spec]:
    yield from (spec[name] for name in _NETWORKS if name in spec)
    if "dataset" in spec:
        yield spec


def _images(section: Spec) -> str:
    dataset = section["dataset"]
    words = image_class(dataset).words
    return f"images {section['image_class']}: {words}, {dataset['size']} x {dataset['size']} pixels"


def _trained(section: Spec) -> str:
    parts = [f"networks {section['experiment']}"]
    network = section["architecture"]
    options = {key: value for key, value in network.items() if key != "network"}
    remark = f" ({OWN_REMARK})" if is_own(network["network"]) else ""
    parts.append(network["network"] + remark)
    parts += [
        f"{key} {value}" if isinstance(value, str) else f"{value} {key}"
        for key, value in options.items()
    ]
    if "imported" in section:
        return ", ".join([*parts, "imported"])
    default = {key: field.default for key, field in Training.model_fields.items()}
    for key, value in sorted(section["training"].items()):
        if canonical_json(value) != canonical_json(default[key]):
            shown = f"{value:g}" if isinstance(value, float) else value
            parts.append(f"{key.replace('_', ' ')} {shown}")
    return ", ".join(parts)


def _training_sets(splits_of: dict[int, list[str]]) -> str:
    sizes: dict[str, list[str]] = {}
    for size, splits in splits_of.items():
        sizes.setdefault(", ".join(splits), []).append(str(size))
    return "; ".join(f"N = {', '.join(of)} of {splits}" for splits, of in sizes.items())
