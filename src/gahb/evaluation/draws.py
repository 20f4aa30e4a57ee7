"""Tables and, beside each table ``X.csv``, in ``X.h5``, the numbers of every single draw behind it.

From them come standard errors of averages over noise levels, of fitted slopes and of differences, which
have to account for the draws that their parts share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gahb.artifacts import (
    ArtifactError,
    Spec,
    check_input,
    create_hdf5,
    digest_file,
    open_hdf5,
    read_attribute,
    read_sidecar,
    read_table,
    write_table,
)

Draws = dict[str, Any]  # arrays by name, or by name in groups
_KINDS = {  # of tables, by a key of their spec
    "network": "the evaluation of a network",
    "reference": "the evaluation of a reference",
    "first": "a comparison of networks",
    "ensemble": "a table of ensembles",
}


def draws_of(table: Path | str) -> Path:
    """Where the numbers of single draws behind a table are kept."""
    return Path(table).with_suffix(".h5")


def write_measured(
    output: Path | str,
    table: pd.DataFrame,
    draws: Mapping[str, tuple[NDArray[np.generic], str]],
    made_from: Mapping[str, Any],
) -> None:
    """Write a table and the draws behind it.

    Args:
        output: table to write, ``.csv``.
        table: its rows.
        draws: arrays with their units, by ``<name>`` or ``<group>/<name>``.
        made_from: from :func:`gahb.artifacts.provenance`.
    """
    with create_hdf5(draws_of(output), made_from) as file:
        for name, (values, units) in draws.items():
            group, _, quantity = name.rpartition("/")
            home = file.require_group(group or "/")
            home.create_dataset(
                quantity, data=values, chunks=values.shape, fletcher32=True, track_times=False
            )
            home[quantity].attrs["units"] = units
    write_table(output, table, made_from)


def read_draws(table: Path | str, expected: Mapping[str, Spec] | None = None) -> Draws:
    """The draws behind a table, as :func:`write_measured` was given them; errors in float64.

    Args:
        table: the ``.csv`` beside them.
        expected: the table's own provenance; draws of another spec or other inputs are refused.

    Returns:
        Arrays by name, those in groups by group and name.
    """
    path = draws_of(table)
    with open_hdf5(path, None if expected is None else expected["spec"]) as file:
        if expected is not None:
            found = read_attribute(file, "inputs")
            for name, digest in expected["inputs"].items():
                check_input(path, found, name, digest)
        return {
            name: {key: _in_float64(item[key][:]) for key in item}
            if hasattr(item, "keys")
            else item[:]
            for name, item in file.items()
        }


def read_measured(path: Path, kind: str) -> tuple[Spec, Draws]:
    """The spec of a verified table of a kind, and the draws behind it.

    Args:
        path: the table.
        kind: ``network``, ``reference``, ``first`` (of two networks compared) or ``ensemble``.

    Raises:
        ArtifactError: it is of another kind, damaged, or the draws beside it are not its.
    """
    spec = spec_of(path, kind)
    read_table(path)
    return spec, read_draws(path, read_sidecar(path))


def spec_of(path: Path, kind: str) -> Spec:
    """The spec of a table of a kind; see :func:`read_measured`."""
    spec: Spec = read_sidecar(path)["spec"]
    if kind not in spec:
        raise ArtifactError(f"{path} is not {_KINDS[kind]}: it was made from {', '.join(spec)}")
    return spec


def paired_errors(table: Path, reference: Path) -> tuple[Draws, Draws, Spec]:
    """Errors of a network and of a reference denoiser on the test images and the noise that both got.

    Args:
        table: the evaluation of a network.
        reference: that of an exact or classical denoiser.

    Returns:
        ``mse`` (levels, draws) and ``image`` (draws,) of the network and of the reference, as many as
        both have, and the spec of the reference.

    Raises:
        ArtifactError: they were measured on other datasets, noise levels, noise or images.
    """
    of_network, learned = read_measured(table, "network")
    of_reference, exact = read_measured(reference, "reference")
    if of_network["network"]["dataset"] != of_reference["dataset"]:
        raise ArtifactError(f"{table} and {reference} were measured on different datasets")
    for key in ("sigmas", "seed"):
        asked, other = of_network["evaluation"][key], of_reference["evaluation"][key]
        if asked != other:
            raise ArtifactError(
                f"{table} and {reference} were not measured on the same draws: {key} {asked} and {other}"
            )
    both = learned["test"], exact["test"]
    count = min(len(one["image"]) for one in both)
    first, second = ({"mse": one["mse"][:, :count], "image": one["image"][:count]} for one in both)
    if not np.array_equal(first["image"], second["image"]):
        raise ArtifactError(f"{table} and {reference} were not measured on the same images")
    return first, second, of_reference


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of files, by their paths: the inputs of a table made from tables."""
    return {path.as_posix(): digest_file(path) for path in paths}


def _in_float64(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float64) if values.dtype.kind == "f" else values
