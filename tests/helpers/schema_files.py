"""What is asked of every reader of files that follow a schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gahb.artifacts import ArtifactError
from gahb.hdf5 import Schema, schema_table

Read = Callable[..., Any]  # (path, expected_spec) -> (arrays, made_from)


def check_table(schema: Schema) -> None:
    """The Markdown table names every dataset, its axes and its type."""
    rows = schema_table(schema).splitlines()
    assert len(rows) == 2 + len(schema)
    for row, (name, field) in zip(rows[2:], schema.items(), strict=True):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
        assert cells[1:4] == [f"`{name}`", f"({', '.join(field.dims)})", field.dtype]
        assert len(cells) == 7


def check_stored(path: Path, schema: Schema) -> None:
    """The file holds the datasets of the schema, each with its units, words and a checksum."""
    with h5py.File(path) as file:
        assert set(file) == set(schema)
        for name, field in schema.items():
            assert file[name].dtype == field.dtype, name
            assert file[name].fletcher32, name
            assert file[name].attrs["units"] == field.units
            assert file[name].attrs["description"] == field.description


def check_truncated(path: Path, read: Read) -> None:
    """A file that ends early is refused by name."""
    whole = path.read_bytes()
    for length in (0, 40, 500, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=re.escape(str(path))):
            read(path)


def check_flipped_bits(path: Path, read: Read, flips: int, least: int) -> None:
    """A file with one flipped bit is refused by name, or the bit was in bytes nobody uses."""
    expected, made_from = read(path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for position in random.integers(len(whole), size=flips):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            found, provenance = read(path)
        except ArtifactError as error:
            refused += str(path) in str(error)
        else:
            assert provenance == made_from
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name])
    assert refused > least


def check_misshapen(path: Path, read: Read, name: str, change: Any, message: str) -> None:
    """A file with a dataset replaced, or removed, is refused with a message."""
    with h5py.File(path, "r+") as file:
        del file[name]
        if change is not None:
            file[name] = change
    with pytest.raises(ArtifactError, match=rf"{path}.*{message}"):
        read(path)
