"""Weights that `gahb import` put in the place of trained ones: no job made them, they vouch for themselves.

What decides them is the published file, not the code that trains. Their record therefore holds the
dataset that they stand beside and the spec that they were imported for, and no digest of code: Snakemake is
told the one that their rule has now, so that an edit of a module never redoes them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gahb.artifacts import (
    ArtifactError,
    Spec,
    canonical_json,
    check_input,
    digest_file,
    open_hdf5,
    read_attribute,
    read_sidecar,
    read_table,
    read_tensors,
    sidecar_of,
)

RULE = "import"
IMPORTED = {"imported": True}


def imported(results: Path, known: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Result -> record, of all imported weights and of the training tables that belong to them.

    Args:
        results: the folder of results.
        known: result -> rule and SHA-256, of all that is recorded already.

    Returns:
        Records as :class:`snakemake.persistence.MetadataRecord` takes them, of what is not damaged; files
        that are known to be imported, with these bytes, are left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for weights in sorted(results.glob("denoisers/*/*.safetensors")):
        if not _is_imported(weights):
            continue
        table = (
            results / "training" / weights.relative_to(results / "denoisers").with_suffix(".csv")
        )
        files = [weights, table, sidecar_of(table)]
        if all(_is_known(file, known) for file in files):
            continue
        try:
            record = _record(results, weights, table)
        except ArtifactError as error:
            print(f"records: {weights} is imported, but not whole: {error}")
            continue
        found |= {file.as_posix(): record for file in files}
    return found


def _is_known(file: Path, known: Mapping[str, tuple[str, str]]) -> bool:
    return file.is_file() and known.get(file.as_posix()) == (RULE, digest_file(file))


def _is_imported(weights: Path) -> bool:
    """Whether the header says so; it is read without loading torch."""
    try:
        with open(weights, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > weights.stat().st_size:
                return False
            header = json.loads(file.read(length))["__metadata__"]["gahb"]
        return bool(json.loads(header)["computation"] == IMPORTED)
    except (struct.error, ValueError, KeyError, TypeError):
        return False


def _record(results: Path, weights: Path, table: Path) -> dict[str, Any]:
    """The record of weights that are whole, and whose table and dataset are those they were made with."""
    header = read_tensors(weights)[1]
    read_table(table)
    beside = read_sidecar(table)
    for key in ("spec", "inputs", "computation"):
        if beside.get(key) != header[key]:
            raise ArtifactError(f"{table} belongs to other weights: its {key} is not theirs")
    spec: Spec = header["spec"]
    dataset = results / f"datasets/{spec['image_class']}.h5"
    with open_hdf5(dataset, spec["dataset"]) as file:
        check_input(weights, header["inputs"], "dataset", read_attribute(file, "images_sha256"))
    place = weights.relative_to(results / "denoisers")
    checkpoint = (results / "checkpoints" / place).as_posix()
    params = [canonical_json(spec), checkpoint, ""]  # no snapshots, as rule denoiser says it
    return {
        "rule": RULE,
        "code": None,
        "params": sorted(map(repr, params)),
        "input": None,
        "input_checksums": {dataset.as_posix(): f"sha256:{digest_file(dataset)}"},
    }
