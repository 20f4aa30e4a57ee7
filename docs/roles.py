"""Extension of Griffe: docstrings in reStructuredText as the site's Markdown.

A docstring says ``:func:`gahb.params.dataset_spec```. On the site that is a link; a name that does not
exist is an error of the build. Interactive examples become blocks of code.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import AliasResolutionError, Extension, NameResolutionError, Object

_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")


class Roles(Extension):
    """Rewrites the docstring of every object of the package, once all are loaded."""

    def on_package(self, *, pkg: Any, **_: Any) -> None:
        """Walk through a package."""
        self._rewrite(pkg)

    def _rewrite(self, item: Object) -> None:
        if item.docstring:
            text = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", item.docstring.value)
            item.docstring.value = _ROLE.sub(lambda role: _link(item, *role.groups()), text)
        for member in item.members.values():
            if not member.is_alias:
                self._rewrite(member)


def _link(item: Object, short: str, name: str) -> str:
    shown = name.rpartition(".")[2] if short else name
    first, dot, rest = name.partition(".")
    try:
        path = name if first == "gahb" else item.resolve(first) + dot + rest
        target = item.modules_collection[path]
        if not target.has_docstring or target.is_private:  # the site does not show it
            return f"`{shown}`"
        path = target.canonical_path
    except (NameResolutionError, AliasResolutionError, KeyError):
        path = name  # of another library, or an error
    return f"[`{shown}`][{path}]" if path.startswith("gahb.") else f"`{shown}`"
