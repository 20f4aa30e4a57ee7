"""Files that know what made them, are never half-written, and are refused when not what is asked.

Every artifact carries a *provenance*: the resolved spec it was made from, SHA-256 digests of its
inputs, the processor that computed it and the versions of packages. HDF5 files hold it in
attributes, safetensors files as one JSON string in their metadata, tables in a sidecar of the same
name ending in ``.json``. Readers name the spec they expect; a mismatch raises
:class:`ArtifactError`, which names the file and every key that differs.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb.version import __version__

if TYPE_CHECKING:
    import h5py
    import pandas as pd

Spec = dict[str, Any]
_METADATA_KEY = "gahb"  # a single key: several would be written in random order


class ArtifactError(Exception):
    """A file is missing, damaged, or was made from other settings than the ones asked for."""


# ---------------------------------------------------------------------------------------------
# Provenance


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces. Equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_arrays(arrays: Mapping[str, Any]) -> str:
    """SHA-256 over names, types, shapes and bytes of named arrays, independent of their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def provenance(
    spec: Spec,
    inputs: Mapping[str, str] | None = None,
    computation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What an artifact carries: its spec, digests of its inputs, what computed it, package versions.

    Args:
        spec: what it is made from, out of params.yaml.
        inputs: SHA-256 of what it is made from, by name.
        computation: ``processor`` and, where networks compute, device and precision; by default the
            processor of this machine alone.
    """
    packages = ("gahb", "h5py", "numpy", "pandas", "torch")
    return {
        "spec": spec,
        "inputs": dict(inputs or {}),
        "computation": {"processor": processor()} if computation is None else dict(computation),
        "versions": {"python": platform.python_version()}
        | {package: _version(package) for package in packages},
    }


@cache
def processor() -> str:
    """The model of this machine's processor and its widest arithmetic, which decides the last bits."""
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    flags = told.split()
    widest = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags]
    return ", ".join([model[1] if model else platform.machine(), *widest[:1]])


def _version(package: str) -> str:
    if package == "gahb":  # the metadata may be those of an earlier installation, or of none
        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _digest_record(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _check_record(path: Path | str, record: Any, needed: Iterable[str]) -> None:
    """Refuse provenance that lacks a key or has not the digest that it records of itself."""
    missing = set(needed) - set(record if isinstance(record, dict) else {})
    if missing:
        raise ArtifactError(
            f"{path} lacks the keys {', '.join(sorted(missing))}: it was not written by gahb"
        )
    if record.pop("record_sha256", None) != _digest_record(record):
        raise ArtifactError(f"{path} is damaged or edited: its provenance is not what was written")


def check_spec(path: Path | str, found: Spec, expected: Spec | None) -> None:
    """Refuse a stale file: raise :class:`ArtifactError` naming every key that differs."""
    if expected is None or canonical_json(found) == canonical_json(expected):
        return
    differences = [
        f"{key}: the file has {_show(mine)}, params.yaml asks for {_show(asked)}"
        for key, mine, asked in _differences(found, expected)
    ]
    raise ArtifactError(
        f"{path} was made from other settings.\n  "
        + "\n  ".join(differences)
        + "\nRun snakemake (or the command that makes this file) again."
    )


def check_input(path: Path | str, recorded: Mapping[str, str], name: str, digest: str) -> None:
    """Refuse ``path`` unless it was made from the input of this name and digest."""
    if recorded.get(name) != digest:
        raise ArtifactError(
            f"{path} was made from another {name}: it records SHA-256 "
            f"{recorded.get(name, 'nothing')}, the {name} given has {digest}"
        )


_ABSENT = object()


def _show(value: Any) -> str:
    return "nothing" if value is _ABSENT else canonical_json(value)


def _differences(found: Any, expected: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in sorted(found.keys() | expected.keys()):
            inner = f"{key}.{name}" if key else name
            yield from _differences(found.get(name, _ABSENT), expected.get(name, _ABSENT), inner)
    elif (
        found is _ABSENT or expected is _ABSENT or canonical_json(found) != canonical_json(expected)
    ):
        yield key or "spec", found, expected


# ---------------------------------------------------------------------------------------------
# Writing: under a temporary name in the same folder, flushed to disk, then renamed


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there on success, remove it on failure.

    It is this process's own: a job that a killed run has left on a cluster may write the same file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    here = f".{path.name}.{platform.node()}-"
    partial = path.with_name(f"{here}{os.getpid()}.partial")
    for left in path.parent.glob(f"{glob.escape(here)}[0-9]*.partial"):
        if not _is_alive(int(left.stem.rpartition("-")[2])):
            left.unlink(missing_ok=True)  # its process was killed
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # of a full disk, where Python names none
        raise


def check_output(path: Path | str, *endings: str) -> None:
    """Refuse, before there is anything to write, what cannot be written.

    Args:
        path: the file; a folder that does not exist is made when it is written.
        *endings: with the dot, one of which its name must have; any, if there is none.

    Raises:
        ArtifactError: it has another ending, is a folder, or lies where nothing can be written.
    """
    path = Path(path)
    if endings and path.suffix not in endings:
        found = f"the ending {path.suffix!r}" if path.suffix else "no ending"
        raise ArtifactError(f"{path}: found {found}, expected {', '.join(endings)}")
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder, expected the name of a file")
    folder = next(above for above in path.absolute().parents if above.exists())
    if not folder.is_dir():
        raise ArtifactError(f"{path} cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ArtifactError(f"{path} cannot be written: the folder {folder} is not writable")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def write_text(path: Path | str, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as partial:
        partial.write_text(text)


# ---------------------------------------------------------------------------------------------
# HDF5


@contextmanager
def create_hdf5(path: Path | str, made_from: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Open a new HDF5 file for writing, atomically, with its provenance in attributes."""
    import h5py

    with atomic(path) as partial:
        try:
            with h5py.File(partial, "w", libver="v110", locking=False) as file:
                for key, value in made_from.items():
                    write_attribute(file, key, value)
                yield file
        except (OSError, RuntimeError) as error:  # HDF5 may meet a full disk as late as it closes
            if "write failed" not in str(error):
                raise
            told = re.search("error message = '([^']*)'", str(error))
            raise OSError(f"{path} cannot be written: {told[1] if told else error}") from error


@contextmanager
def open_hdf5(path: Path | str, expected: Spec | None = None) -> Iterator[h5py.File]:
    """Open an artifact for reading; damage anywhere in it surfaces as :class:`ArtifactError`."""
    _must_open(path)
    try:
        with _locked_or_not(path) as file:
            check_spec(path, read_attribute(file, "spec"), expected)
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        # h5py has no exception of its own; what HDF5 refuses to read begins like this
        if not isinstance(error, OSError) and "Unable to" not in str(error):
            raise
        raise _not_read(path, error) from error


def _locked_or_not(path: Path | str) -> h5py.File:
    """A file opened for reading, without HDF5's lock where none is to be had.

    Some file systems have none, and another program may hold it. An artifact is replaced as a whole, so
    that a lock protects from nothing; a mark in the file tells if somebody is changing it all the same.
    """
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "unable to lock file" not in str(error):
            raise
        return h5py.File(path, "r", locking=False)


def write_attribute(file: h5py.File, key: str, value: Any) -> None:
    """Store a value as JSON of fixed length: inside the header, which HDF5 keeps a checksum of.

    Text of variable length would lie outside it, where a flipped bit goes unnoticed.
    """
    file.attrs[key] = np.bytes_(canonical_json(value).encode())


def read_attribute(file: h5py.File, key: str) -> Any:
    """A JSON attribute written by :func:`write_attribute`."""
    try:
        return json.loads(file.attrs[key])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{file.filename} holds no readable attribute {key!r}: it was not written by gahb or is damaged"
        ) from error


# ---------------------------------------------------------------------------------------------
# safetensors


def write_tensors(
    path: Path | str, tensors: Mapping[str, Any], made_from: Mapping[str, Any]
) -> None:
    """Write torch tensors and their provenance; digests of both go into the metadata."""
    from safetensors.torch import save

    tensors = _apart({name: one.detach().cpu().contiguous() for name, one in tensors.items()})
    header = dict(made_from) | {"tensors_sha256": _digest_tensors(tensors)}
    header["record_sha256"] = _digest_record(header)
    content = save(tensors, metadata={_METADATA_KEY: canonical_json(header)})
    with atomic(path) as partial:  # its save_file would have a temporary file of its own beside
        partial.write_bytes(content)


def _apart(tensors: dict[str, Any]) -> dict[str, Any]:
    """Each with memory of its own: what two names share, as tied weights do, is written twice."""
    taken: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if place in taken else tensor
        taken.add(place)
    return tensors


def read_tensors(
    path: Path | str, expected: Spec | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read tensors and provenance, verifying the digests of both and the spec.

    Returns:
        ``(tensors, provenance)``; the latter includes ``tensors_sha256``.
    """
    from safetensors import SafetensorError, safe_open

    _must_open(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {})[_METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _not_read(path, error) from error
    except KeyError as error:
        raise ArtifactError(f"{path} carries no provenance: it was not written by gahb") from error
    _check_record(path, header, ("tensors_sha256", "spec"))
    found = _digest_tensors(tensors)
    if found != header["tensors_sha256"]:
        raise ArtifactError(
            f"{path} is damaged: its tensors have SHA-256 {found}, "
            f"its header records {header['tensors_sha256']}"
        )
    check_spec(path, header["spec"], expected)
    return tensors, header


def _digest_tensors(tensors: Mapping[str, Any]) -> str:
    return digest_arrays({name: tensor.numpy() for name, tensor in tensors.items()})


# ---------------------------------------------------------------------------------------------
# Tables


def sidecar_of(path: Path | str) -> Path:
    """Where a table keeps its provenance: the same name ending in ``.json``."""
    return Path(path).with_suffix(".json")


def write_table(path: Path | str, table: pd.DataFrame, made_from: Mapping[str, Any]) -> None:
    """Write a CSV with nine significant digits, and its sidecar."""
    write_text(path, table.to_csv(index=False, float_format="%.9g"))
    record = dict(made_from) | {"sha256": digest_file(path)}
    record["record_sha256"] = _digest_record(record)
    write_text(sidecar_of(path), json.dumps(record, sort_keys=True, indent=1) + "\n")


def read_table(path: Path | str, expected: Spec | None = None) -> pd.DataFrame:
    """Read a CSV, verifying its digest and its spec against the sidecar."""
    import pandas as pd

    record = read_sidecar(path)
    found = digest_file(path)
    if found != record["sha256"]:
        raise ArtifactError(
            f"{path} is damaged or edited: it has SHA-256 {found}, "
            f"{sidecar_of(path).name} records {record['sha256']}"
        )
    check_spec(path, record["spec"], expected)
    return pd.read_csv(path)


def read_sidecar(path: Path | str) -> dict[str, Any]:
    """The provenance of a table."""
    _must_open(path)
    sidecar = sidecar_of(path)
    _must_open(sidecar)
    try:
        record: dict[str, Any] = json.loads(sidecar.read_text())
    except ValueError as error:
        raise _not_read(sidecar, error) from error
    _check_record(sidecar, record, ("sha256", "spec"))
    return record


def _must_open(path: Path | str) -> None:
    """Refuse what is no file, or cannot be opened now, which is no damage."""
    try:
        if Path(path).is_file():
            with open(path, "rb"):
                return
    except OSError as error:
        raise _not_read(path, error) from error
    raise ArtifactError(f"{path} does not exist or is not a file")


def _not_read(path: Path | str, error: Exception) -> ArtifactError:
    """What to say of a file that could not be read: whether it is in use, out of reach, or damaged."""
    if "is already open for write" in str(error):  # a mark in the file, which closing it takes away
        return ArtifactError(
            f"{path} is open for writing in another program, or was when that was killed: close it there, "
            f"and open it only for reading; what was changed in it is refused. {error}"
        )
    if isinstance(error, OSError) and error.errno:
        name = errno.errorcode.get(error.errno, str(error.errno))
        return ArtifactError(f"{path} cannot be read ({name}: {os.strerror(error.errno)})")
    return ArtifactError(f"{path} is damaged or truncated ({_size(path)}): {error}")


def refuse_conflict(path: Path | str, text: str, cure: str) -> None:
    """Refuse a text file in which git has left both sides of a merge.

    Raises:
        ArtifactError: naming the file, the line, and ``cure``.
    """
    mark = re.search("^<{7} .*", text, re.MULTILINE)
    if mark:
        line = text.count("\n", 0, mark.start()) + 1
        raise ArtifactError(f"{path} holds both sides of a merge ({mark[0]}, line {line}): {cure}")


def _size(path: Path | str) -> str:
    return f"{Path(path).stat().st_size} bytes"
