"""Files of weights that other programs wrote: named tensors out of them, without running any code.

Read are files of ``torch.save`` (new and old format) and safetensors. In one of ``torch.save`` the state
dict may be all of it or lie under a key, in a list too: ``model.0``. A prefix that all names share
(``module.``, ``_orig_mod.`` ...) is dropped. What cannot be read is named for what it is.
"""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb.artifacts import ArtifactError

State = dict[str, Tensor]

# Beside tensors and Python's own types these are unpickled, which hold values and run nothing: arguments of
# a training, and NumPy's numbers, under the names that both of its major versions write
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("bool", "int32", "int64", "float32", "float64")),
    *(
        (np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar")
        for core in ("_core", "core")
    ),
]
_COUNTS = {"n_averaged"}  # what torch's averaged models keep beside their network's names


@dataclass(frozen=True)
class WeightFile:
    """Named tensors of a file.

    Attributes:
        tensors: by name, without the prefix.
        key: where in the file, empty if it holds nothing else.
        prefix: what was in front of every name.
    """

    tensors: State
    key: str = ""
    prefix: str = ""

    @property
    def told(self) -> str:
        """Which tensors of the file these are, empty where all are and with their names."""
        parts = [f"{self.key!r} of the file"] * bool(self.key)
        parts += [f"names without {self.prefix!r}"] * bool(self.prefix)
        return ", ".join(parts)


def read_weight_file(path: Path | str, key: str | None = None) -> WeightFile:
    """The named tensors of a file; nothing in it is executed.

    Args:
        path: a file of ``torch.save``, or ``.safetensors``.
        key: which state dict, where there are several: ``ema``, ``model.0``.

    Raises:
        ArtifactError: there is none, or several and no key; or it is another kind of file, which is named.
    """
    if not Path(path).is_file():
        raise ArtifactError(f"{path} does not exist or is not a file")
    if is_ours(path):
        raise ArtifactError(f"{path} is a file of gahb's own, which load_denoiser reads as it is")
    found = described(path)
    if found is not None:
        raise ArtifactError(f"{path} is {found}, from which no weights are read")
    content = _safetensors(path) if _is_safetensors(path) else _pickled(path)
    states = dict(_states(content))
    if not states:
        raise ArtifactError(
            f"{path} holds {_told(content)}, and nowhere in that names of tensors with a convolution "
            "(a tensor of four axes) among them"
        )
    if key is None and len(states) > 1:
        raise ArtifactError(
            f"{path} holds several networks: choose one by --key: {_listed(states)}"
        )
    if key is not None and key not in states:
        raise ArtifactError(f"{path}: found no {key!r}, allowed is one of {_listed(states)}")
    chosen = next(iter(states)) if key is None else key
    names = [name for name in states[chosen] if name not in _COUNTS]
    prefix = _prefix(names)
    tensors = {name.removeprefix(prefix): states[chosen][name] for name in names}
    return WeightFile(tensors, chosen, prefix)


def _listed(states: Mapping[str, State]) -> str:
    return ", ".join(
        f"{key or '(all of it)'} ({len(state)} tensors)" for key, state in states.items()
    )


def _prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to a dot: the one tensor of a file keeps its last word."""
    parts = [name.split(".")[:-1] for name in names]
    shared = 0
    while all(len(words) > shared and words[shared] == parts[0][shared] for words in parts):
        shared += 1
    return "".join(f"{word}." for word in parts[0][:shared])


def _states(content: Any, key: str = "") -> Iterator[tuple[str, State]]:
    """State dicts of a network in what a file holds, each under its place, dots between keys."""
    if isinstance(content, list | tuple):
        content = {str(place): item for place, item in enumerate(content)}
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        return  # such as the state of an optimiser, whose keys are numbers
    values = content.values()
    if any(isinstance(value, Tensor) and value.ndim == 4 for value in values):
        if all(isinstance(value, Tensor) for value in values):
            yield key, dict(content)
        return
    for name, value in content.items():
        yield from _states(value, f"{key}.{name}" if key else name)


# ---------------------------------------------------------------------------------------------
# Reading


def _is_safetensors(path: Path | str) -> bool:
    """Whether a file begins as safetensors does: the length of a JSON text, and that text."""
    with open(path, "rb") as file:
        return file.read(10)[8:] in (b'{"', b"{ ", b"{}")


def _safetensors(path: Path | str) -> State:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{path} is a damaged safetensors file: {error}") from error


def _pickled(path: Path | str) -> Any:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ArtifactError(
            f"{path} is a pickle{_of_what(path, str(error))}: more than named tensors. Unpickling it would "
            "run code that comes with it or that its classes are made of, so nothing is read from it"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError) as error:
        raise ArtifactError(f"{path} is damaged or no file of torch.save: {error}") from error


def _of_what(path: Path | str, told: str) -> str:
    """The classes and functions that unpickling asks for and that are not allowed."""
    found = re.findall(r"GLOBAL ([\w.]+)", told)[:1]
    allowed = torch.serialization.safe_globals(_HARMLESS)
    with suppress(Exception), allowed:  # an old file, or not one of torch.save
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path) or found
    return f" of {', '.join(sorted(found)[:5])}" if found else ""


# ---------------------------------------------------------------------------------------------
# What a file is that holds no weights to be read

_STARTS = {  # first bytes, and what begins with them
    b"version https://git-lfs": "a pointer of Git LFS: the file itself comes with `git lfs pull`",
    b"\x89HDF": "an HDF5 file, as Keras writes weights",
    b"\x93NUMPY": "a NumPy array",
    b"model_checkpoint_path": "the list of a TensorFlow checkpoint",
    b"\x1f\x8b": "compressed by gzip",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"GGUF": "a GGUF file of a language model",
}
_ENDINGS = {  # of names, of files that their first bytes do not tell
    ".onnx": "an ONNX network",
    ".pb": "a TensorFlow graph",
    ".tflite": "a TensorFlow Lite network",
    ".index": "part of a TensorFlow checkpoint",
    ".meta": "part of a TensorFlow checkpoint",
}


def described(path: Path | str) -> str | None:
    """What a file is that no weights can be read from; None if there may be some in it."""
    path = Path(path)
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        return "an empty file"
    if zipfile.is_zipfile(path):
        return _archive(path)
    if b"ustar" in start[257:265]:
        return "a tar archive"
    for first, what in _STARTS.items():
        if start.startswith(first):
            return what
    if path.suffix in _ENDINGS:
        return _ENDINGS[path.suffix]
    if re.search(r"\.data-\d+-of-\d+$", path.name):
        return "part of a TensorFlow checkpoint"
    if re.match(rb"\s*<(!doctype|html|\?xml)", start, re.IGNORECASE):
        return "a web page"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        return "text"
    return None


def _archive(path: Path) -> str | None:
    """What a zip archive is; None for one of ``torch.save``."""
    names = zipfile.ZipFile(path).namelist()
    inside = {name.partition("/")[2] for name in names}
    if any(name.startswith("code/") for name in inside):
        return "a TorchScript program"
    if "data.pkl" in inside:
        return None
    if names and all(name.endswith(".npy") for name in names):
        return f"a NumPy archive of {', '.join(names[:5])}"
    if "model.weights.h5" in names:
        return "a Keras network"
    if "archive_format" in inside:
        return "a program of torch.export"
    return f"a zip archive of {', '.join(names[:5]) or 'nothing'}"


def is_ours(path: Path | str) -> bool:
    """Whether gahb wrote a file of weights, whole or not: its record is in the header."""
    with open(path, "rb") as file:
        return _is_safetensors(path) and b'"__metadata__":{"gahb"' in file.read(1 << 20)


def in_words(path: Path | str) -> str:
    """What a file is that is not of gahb, for one who took it for such."""
    kind = (
        "a safetensors file" if _is_safetensors(path) else "a file of torch.save or another pickle"
    )
    return described(path) or f"{kind}, which gahb has not written"


def _told(content: Any) -> str:
    """What a file holds, in one line: types of a mapping's values."""
    if isinstance(content, Mapping):
        kinds = [f"{name} ({type(value).__name__})" for name, value in content.items()]
        return f"{type(content).__name__} of {', '.join(kinds[:8]) or 'nothing'}"
    return f"a {type(content).__name__}"
