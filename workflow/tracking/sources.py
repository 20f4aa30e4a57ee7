"""What of the source decides the results of a rule: one digest of the code that its command runs.

It covers the module that the command calls, the modules that its spec names, and all that these import,
directly or not. Comments, docstrings, formatting and line ends have no part in it, so that an edit of those
redoes nothing; nor does it depend on the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import grimp

from gahb import own

PACKAGE = "gahb"
WITHOUT_EFFECT = {PACKAGE, f"{PACKAGE}.version"}  # the list of public names, and the release


class Sources:
    """The modules of the package as they are when the plan is made.

    Args:
        folder: that the package lies in; it is first in ``sys.path``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
        self.watched: dict[str, set[str]] = {}  # digest -> the modules that it covers
        self._public = dict(_public_names(folder / PACKAGE / "__init__.pyi"))
        self._imported = cache(self._find_imported)
        self._module = cache(self._digest_module)
        self._modules = cache(self._digest_modules)

    def digest(self, modules: Iterable[str], data: Iterable[str] = ()) -> str:
        """``sha256:`` and the digest of modules, of all that they import, and of files beside them.

        Args:
            modules: dotted names, and those of classes of one's own (:mod:`gahb.own`).
            data: paths in the package of what is no module, such as templates; the job that needs one
            which is missing will say so.

        Raises:
            ValueError: there is no such module.
        """
        return self._modules(frozenset(modules), tuple(data))

    def closure(self, modules: Iterable[str]) -> set[str]:
        """These modules, their packages, and all that they import: what is loaded when they run."""
        found: set[str] = set()
        pending = set(modules)
        while pending:
            name = pending.pop()
            found.add(name)
            pending |= self._imported(name) - found
        return found

    def _find_imported(self, name: str) -> set[str]:
        if own.is_own(name):
            imported = own.imports(name, PACKAGE)
            imported |= {self._public[one] for one in imported & self._public.keys()}
            return (imported & self.graph.modules) - WITHOUT_EFFECT
        if name not in self.graph.modules:
            raise ValueError(f"there is no module {name}")
        imported = self.graph.find_modules_directly_imported_by(name)
        return (imported | {name.rpartition(".")[0]}) - WITHOUT_EFFECT

    def _digest_modules(self, modules: frozenset[str], data: tuple[str, ...]) -> str:
        watched = self.closure(modules)
        digests = {name: self._module(name) for name in watched}
        for name in data:
            file = self.folder / PACKAGE / name
            digests[name] = _sha256(file.read_text("utf-8").encode()) if file.is_file() else ""
        lines = (f"{name} {digest}\n" for name, digest in sorted(digests.items()))
        digest = f"sha256:{_sha256(''.join(lines).encode())}"
        self.watched[digest] = watched
        return digest

    def _digest_module(self, name: str) -> str:
        if own.is_own(name):
            files = sorted(own.sources(name).items())
            texts = (f"{module} {canonical(file.read_text('utf-8'))}" for module, file in files)
            return _sha256("\n".join(texts).encode())
        path = self.folder.joinpath(*name.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return _sha256(canonical(file.read_text("utf-8")).encode())


def _public_names(stub: Path) -> Iterator[tuple[str, str]]:
    """The public names of the package, dotted, and the modules that they come from."""
    for node in ast.parse(stub.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((f"{PACKAGE}.{one.name}", f"{PACKAGE}.{node.module}") for one in node.names)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def canonical(source: str) -> str:
    """Code as text that comments, docstrings and formatting leave the same.

    The text below a name, which documents it, is a docstring too: every expression that is only a string.
    """
    return _text(ast.parse(source))


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"[{' '.join(map(_text, (item for item in value if not _is_docstring(item))))}]"
    if not isinstance(value, ast.AST):
        return ascii(value)
    if isinstance(value, ast.JoinedStr):  # Python 3.12 keeps empty pieces between others
        value.values = [piece for piece in value.values if getattr(piece, "value", None) != ""]
    fields = ((name, _text(getattr(value, name, None))) for name in value._fields if name != "kind")
    said = (f"{name}={text}" for name, text in fields if text not in ("None", "[]"))
    return f"{type(value).__name__}({' '.join(said)})"


def _is_docstring(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
