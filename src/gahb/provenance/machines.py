"""Which machines computed the results of a tree, and in which precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gahb.artifacts import (
    ArtifactError,
    open_hdf5,
    read_attribute,
    read_sidecar,
    read_tensors,
    sidecar_of,
)


def in_words(computation: Mapping[str, Any]) -> str:
    """The key ``computation`` of a provenance: processor, device, precision, compiled or not."""
    if computation.get("imported"):
        return "whoever published their weights"
    words = [computation["processor"]]
    words += [computation[key] for key in ("device", "precision") if key in computation]
    return ", ".join(words + ["compiled"] * bool(computation.get("compiled")))


def differences(root: Path, paths: Iterable[str], results: Path) -> list[str]:
    """Where results of one tree were computed by several processors, or those of one phase in several ways.

    A way is a device and a precision. Imported weights count as none; what cannot be read is left out.

    Args:
        root: the project.
        paths: its results, relative to it.
        results: their folder, in which each phase has one of its own.

    Returns:
        One line for each thing that differs.
    """
    processors: dict[str, list[str]] = defaultdict(list)
    ways: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, computation in _computations(root, sorted(paths)):
        processors[computation["processor"]].append(path)
        if "precision" in computation:
            phase = Path(path).relative_to(results).parts[0]
            ways[phase][f"{computation['precision']} on {computation['device']}"].append(path)
    lines = [_told("results were computed by", processors)]
    lines += [_told(f"{phase} were computed in", found) for phase, found in sorted(ways.items())]
    return [line for line in lines if line]


def _told(words: str, found: Mapping[str, list[str]]) -> str:
    """A line if there is more than one, with an example of each."""
    if len(found) < 2:
        return ""
    told = (f"{name} ({len(paths)}, as {paths[0]})" for name, paths in sorted(found.items()))
    return f"{words} " + "; ".join(told)


def _computations(root: Path, paths: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in paths:
        file = root / path
        try:
            if file.suffix == ".safetensors":
                found = read_tensors(file)[1].get("computation", {})
            elif file.suffix == ".csv" and sidecar_of(file).is_file():
                found = read_sidecar(file).get("computation", {})
            elif file.suffix == ".h5":
                with open_hdf5(file) as opened:
                    found = read_attribute(opened, "computation")
            else:
                continue
        except ArtifactError:  # verifying tells of it
            continue
        if "processor" in found:
            yield path, found
