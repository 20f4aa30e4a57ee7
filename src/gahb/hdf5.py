"""HDF5 files whose datasets are laid down in a schema: one table, followed by writer, reader and page.

A schema is a mapping from the names of datasets to :class:`Field`. Axes of the same name have the same
length throughout a file. An axis whose name is in brackets is absent where its length is 1: [C], the
channels, of what has none in files of gray images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gahb.artifacts import ArtifactError, Spec, create_hdf5, open_hdf5, read_attribute

Arrays = dict[str, NDArray[Any]]
IMAGE = ("C", "H", "W")
PIXELS = ("[C]", "H", "W")
INTENSITY = "intensity, 0 to 1"


@dataclass(frozen=True)
class Field:
    """One dataset of a file.

    Attributes:
        dims: names of its axes; a number stands for itself.
        dtype: numpy name of its type.
        units: of its numbers; ``1`` for pure numbers.
        description: one sentence.
    """

    dims: tuple[str, ...]
    dtype: str
    units: str
    description: str


Schema = Mapping[str, Field]


def schema_table(schema: Schema) -> str:
    """A schema as a Markdown table."""
    rows = [
        f"| `{name}` | ({', '.join(field.dims)}) | {field.dtype} | {field.units} "
        f"| {field.description.replace('|', chr(92) + '|')} |"
        for name, field in schema.items()
    ]
    heading = ["| dataset | dims | type | units | content |", "|---|---|---|---|---|"]
    return "\n".join(heading + rows)


def write_arrays(
    path: Path | str,
    schema: Schema,
    arrays: Mapping[str, Any],
    fixed: Mapping[str, int],
    made_from: Mapping[str, Any],
    outer: Sequence[str] = (),
) -> None:
    """Write a file, atomically, compressed without loss, with a checksum on every chunk.

    Args:
        path: file to write.
        schema: what it is to hold.
        arrays: one for each dataset.
        fixed: lengths of axes that are always the same.
        made_from: from :func:`gahb.artifacts.provenance`; attributes of the file.
        outer: leading axes that chunks do not reach across.

    Raises:
        ValueError: an array is missing, superfluous, or does not fit the others.
    """
    if arrays.keys() != schema.keys():
        odd = ", ".join(sorted(arrays.keys() ^ schema.keys()))
        raise ValueError(f"the datasets {odd} are missing or not in the schema")
    typed = {name: np.asarray(arrays[name], field.dtype) for name, field in schema.items()}
    problem = _misshapen(schema, typed, fixed)
    if problem:
        raise ValueError(f"arrays that do not fit together: {problem}")
    with create_hdf5(path, made_from) as file:
        for name, field in schema.items():
            alone = sum(dim in outer for dim in field.dims[:-1])
            _store(file, name, field, typed[name], (1,) * alone + typed[name].shape[alone:])


def _store(
    file: h5py.File, name: str, field: Field, array: NDArray[Any], chunks: tuple[int, ...]
) -> None:
    """Write one dataset, and close it, which decides where in the file the next one goes."""
    dataset = file.create_dataset(
        name,
        data=array,
        chunks=chunks,
        shuffle=True,
        compression="gzip",
        fletcher32=True,
        track_times=False,
    )
    dataset.attrs["units"] = field.units
    dataset.attrs["description"] = field.description


@contextmanager
def open_arrays(
    path: Path | str,
    schema: Schema,
    fixed: Mapping[str, int],
    names: Iterable[str] | None = None,
    expected_spec: Spec | None = None,
) -> Iterator[h5py.File]:
    """Open a file for reading, its datasets checked against a schema; see :func:`read_arrays`."""
    wanted = {name: schema[name] for name in (schema if names is None else names)}
    try:
        with open_hdf5(path, expected_spec) as file:
            missing = [name for name in wanted if name not in file]
            if missing:
                raise ArtifactError(
                    f"{path} lacks the datasets {', '.join(missing)}; found {', '.join(sorted(file))}"
                )
            for name, field in wanted.items():
                if file[name].dtype != field.dtype:
                    raise ArtifactError(
                        f"{path}: {name} has type {file[name].dtype}, expected {field.dtype}"
                    )
            problem = _misshapen(wanted, file, fixed)
            if problem:
                raise ArtifactError(f"{path}: {problem}")
            yield file
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # what h5py makes of damage
        raise ArtifactError(f"{path} is damaged: {error}") from error


def read_arrays(
    path: Path | str,
    schema: Schema,
    fixed: Mapping[str, int],
    names: Iterable[str] | None = None,
    expected_spec: Spec | None = None,
) -> tuple[Arrays, dict[str, Any]]:
    """Read and verify a file.

    Args:
        path: file to read.
        schema: what it must hold.
        fixed: lengths of axes that are always the same.
        names: datasets to read; by default all.
        expected_spec: refuse a file made from another spec.

    Returns:
        The datasets by name, and the provenance (:func:`gahb.artifacts.provenance`).

    Raises:
        ArtifactError: the file is missing, damaged, made from another spec, or a dataset is missing
            or has the wrong type or shape.
    """
    wanted = list(schema if names is None else names)
    with open_arrays(path, schema, fixed, wanted, expected_spec) as file:
        made_from = {key: read_attribute(file, key) for key in file.attrs}
        return {name: file[name][()] for name in wanted}, made_from


def with_section(paths: Iterable[Path | str], section: str) -> Iterator[tuple[Path, Spec]]:
    """The HDF5 files among ``paths`` whose spec has a section of this name, and their specs."""
    for path in map(Path, paths):
        if path.suffix == ".h5":
            with open_hdf5(path) as file:
                spec = read_attribute(file, "spec")
            if section in spec:
                yield path, spec


def _misshapen(schema: Schema, arrays: Mapping[str, Any], fixed: Mapping[str, int]) -> str | None:
    """The first dataset whose shape contradicts its dims or the lengths found before it."""
    lengths = dict(fixed)
    for name, field in schema.items():
        shape = arrays[name].shape
        lengths |= {dim: int(dim) for dim in field.dims if dim.isdigit()}
        axes, absent = _axes(field, len(shape))
        agrees = len(shape) == len(axes) and all(
            lengths.setdefault(dim, length) == length
            for dim, length in [*zip(axes, shape, strict=True), *absent]
        )
        if not agrees:
            axes, _ = _axes(field, len(field.dims) - (lengths.get("C") == 1))
            expected = ", ".join(f"{dim}={lengths.get(dim, '?')}" for dim in axes)
            return f"{name} has shape {shape}, expected ({expected})"
    return None


def _axes(field: Field, count: int) -> tuple[list[str], list[tuple[str, int]]]:
    """Names of the axes of a dataset that has so many, and those that it lacks, of length 1."""
    optional = [dim.strip("[]") for dim in field.dims if dim.startswith("[")]
    if optional and count < len(field.dims):
        kept = [dim for dim in field.dims if not dim.startswith("[")]
        return kept, [(dim, 1) for dim in optional]
    return [dim.strip("[]") for dim in field.dims], []
