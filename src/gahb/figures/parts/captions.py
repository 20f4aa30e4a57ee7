"""Captions in reStructuredText: what a figure shows, its measured numbers, its parameters.

A caption is read by ``snakemake --report`` as a Jinja template of reStructuredText. All text that
comes from a spec passes through :func:`escape`, so it is shown as it is by both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from gahb.artifacts import Spec, canonical_json

_LONG = 6  # lists of numbers longer than this are shown by their ends
# sections that describe training sets
_NETWORKS = ("network", "memorising", "first", "second", "ensemble")


def escape(text: str) -> str:
    """Text that neither reStructuredText nor Jinja takes for markup."""
    return re.sub(r"([\\`*_|{}%#<>])", r"\\\1", " ".join(text.split()))


def caption(title: str, *parts: str) -> str:
    """Join the title and the parts of a caption into one text."""
    return "\n\n".join([f"**{escape(title)}**", *(part for part in parts if part)]) + "\n"


def plain(text: str) -> str:
    """A number as a figure prints it, in characters of a table in plain text."""
    return text.replace("±", "+/-").replace("–", "-").replace("\N{MINUS SIGN}", "-")


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


def parameters(specs: Iterable[Spec]) -> str:
    """List every parameter of a figure's inputs; one that differs between them has all its values.

    Args:
        specs: spec of each input.

    Returns:
        A bullet list with one line per section of the specs ("training: updates 3000, ...").
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}  # values of a key, each once, in order
    for spec in specs:
        for path, value in _leaves(spec):
            key = path[path[0] in _NETWORKS :]
            found.setdefault(key, {})[canonical_json(value)] = value
    sections: dict[str, list[str]] = {}
    for key in sorted(found, key=lambda key: (len(key) > 1, key)):
        *section, name = key
        text = " / ".join(_show(value) for value in found[key].values())
        sections.setdefault(" ".join(section) or "settings", []).append(f"{_words(name)} {text}")
    return bullets(
        escape(f"{_words(section)}: {', '.join(entries)}") for section, entries in sections.items()
    )


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _leaves(value[key], (*path, str(key)))
    else:
        yield path, value


def _words(name: str) -> str:
    return name.replace("_", " ")


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        if len(value) > _LONG:
            ends = ", ".join(_show(item) for item in value[:2])
            return f"[{ends}, ..., {_show(value[-1])}] ({len(value)} values)"
        return "[" + ", ".join(_show(item) for item in value) + "]"
    return str(value)


def rendered(name: str, figure: Any, measured: Any) -> str:
    """The caption of a figure: its template, filled in with its options and what it measured."""
    raise NotImplementedError(name)
