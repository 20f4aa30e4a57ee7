"""Classes of one's own, named by where they are: ``my_images.py:Mine``, or ``package.module:Mine``.

A file is found from the working directory; a module as ``import`` finds it, or in the working directory.
What can be known from the source alone is read from it: a plan that names a network loads no torch.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATTERN = r"^[^:]+:[A-Za-z_]\w*$"
EXAMPLE = "my_file.py:Mine"


def is_own(name: str) -> bool:
    """Whether a name is that of a class of one's own, and not that of a module of a package."""
    return ":" in name


def load(name: str) -> Any:
    """The class, or whatever has that name.

    Raises:
        ValueError: there is no such file, module or class, or it cannot be imported; says why.
    """
    place, attribute = _parts(name)
    path = source(name)
    folder = str(path.parent if _is_file(place) else Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)  # for what it imports from beside it, now or later
    try:
        module = _of_file(path) if _is_file(place) else importlib.import_module(place)
    except Exception as error:  # it is anybody's code
        told = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{path} cannot be imported ({type(error).__name__}: {told})") from error
    if not hasattr(module, attribute):
        public = (key for key, item in vars(module).items() if isinstance(item, type))
        raise ValueError(f"{path} has no {attribute}; its classes are {', '.join(sorted(public))}")
    return getattr(module, attribute)


def source(name: str) -> Path:
    """The file that holds it.

    Raises:
        ValueError: there is none.
    """
    place, _ = _parts(name)
    if not _is_file(place):
        found = _find(place, Path.cwd())
        if found is None:
            raise ValueError(
                f"no module {place} is installed or in {Path.cwd()}; a file is named with its ending, "
                f"as in {EXAMPLE}"
            )
        return found
    path = Path(place).absolute()
    if not path.is_file():
        raise ValueError(f"{path} is no file")
    return path


def sources(name: str) -> dict[str, Path]:
    """The files that decide what it is: its own, and all of one's own that this imports, by module."""
    return _watched(name)[0]


def digest(name: str) -> str:
    """SHA-256 over the names and bytes of its sources."""
    found = hashlib.sha256()
    for module, path in sorted(sources(name).items()):
        found.update(f"{module} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def imports(name: str, package: str) -> set[str]:
    """Dotted names that its sources import from a package: modules, and what may be names in these."""
    return {one for one in _watched(name)[1] if f"{one}.".startswith(f"{package}.")}


def parameters(name: str) -> dict[str, bool] | None:
    """The arguments of a class, as its source tells, and whether each has to be given.

    None where the source does not tell: with ``**options``, or a class that is made otherwise.
    """
    place, attribute = _parts(name)
    return _parameters(source(name), attribute, _root(name), "" if _is_file(place) else place)


# ---------------------------------------------------------------------------------------------
# Files and modules


def _parts(name: str) -> tuple[str, str]:
    place, _, attribute = name.rpartition(":")
    if not place or not attribute.isidentifier():
        raise ValueError(f"{name!r} is not written as {EXAMPLE} or package.module:Mine")
    return place, attribute


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _root(name: str) -> Path:
    """Where the modules beside it are found."""
    place, _ = _parts(name)
    return source(name).parent if _is_file(place) else Path.cwd()


def _of_file(path: Path) -> Any:
    """The module of a file, executed once."""
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _find(dotted: str, root: Path) -> Path | None:
    """The source of a module, without importing it or its packages; None if it has none or is none."""
    parts = dotted.split(".")
    folders: list[str] | None = None
    origin = None
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        found = (finder.find_spec(name, folders) for finder in sys.meta_path)
        spec = next((one for one in found if one is not None), None)
        if spec is None and depth == 1:
            spec = importlib.machinery.PathFinder.find_spec(name, [str(root)])
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations or [])
        origin = spec.origin
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def _watched(name: str) -> tuple[dict[str, Path], set[str]]:
    """Sources by module, and all dotted names that they import."""
    place, _ = _parts(name)
    root, first = _root(name), "" if _is_file(place) else place
    sources: dict[str, Path] = {}
    imported: set[str] = set()
    pending = {first: source(name)}
    while pending:
        module, path = pending.popitem()
        sources[module] = path
        for dotted in _imported(path, module):
            imported.add(dotted)
            if dotted not in sources and dotted.split(".")[0] not in sys.stdlib_module_names:
                found = _find(dotted, root)
                if found is not None and _is_watched(dotted, found, first):
                    pending[dotted] = found
    return sources, imported


def _is_watched(dotted: str, path: Path, first: str) -> bool:
    """One's own: not gahb, which knows its modules, nor what is installed, but the package itself."""
    if path.is_relative_to(Path(__file__).parent):
        return False
    installed = (sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))
    same = dotted.split(".")[0] == first.split(".")[0]
    return same or not any(path.is_relative_to(folder) for folder in installed)


def _imported(path: Path, module: str) -> Iterator[str]:
    """Dotted names that a file imports, at any depth: modules, and names that may be modules."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, module)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, path: Path, module: str) -> str:
    """The module that ``from ... import`` names."""
    if not node.level:
        return node.module or ""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return ".".join(part for part in (package, node.module) if part)


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text("utf-8"))
    except SyntaxError as error:
        raise ValueError(f"{path} is no Python: {error.msg} (line {error.lineno})") from error


# ---------------------------------------------------------------------------------------------
# Arguments


def _parameters(path: Path, name: str, root: Path, module: str) -> dict[str, bool] | None:
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _of_function(node, skipped=0)
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _of_class(node, path, root, module)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    other = _absolute(node, path, module)
                    found = _find(other, root)
                    return None if found is None else _parameters(found, alias.name, root, other)
    return None


def _of_class(node: ast.ClassDef, path: Path, root: Path, module: str) -> dict[str, bool] | None:
    if node.decorator_list:
        return None
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return _of_function(part, skipped=1)
    if not node.bases:
        return {}
    base = ast.unparse(node.bases[0])
    if base.split(".")[-1] == "Module":
        return {}
    return _parameters(path, base, root, module) if base.isidentifier() else None


def _of_function(node: ast.FunctionDef, skipped: int) -> dict[str, bool] | None:
    given = node.args
    if given.kwarg is not None or given.posonlyargs or node.decorator_list:
        return None
    places = given.args[skipped:]
    required = len(places) - len(given.defaults)
    found = {one.arg: place < required for place, one in enumerate(places)}
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        found[one.arg] = default is None
    return found
