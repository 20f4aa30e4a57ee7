"""Arrays of images in files: found in them, and turned into grey intensities, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
BLOCK = 512  # images read together
ROUNDING = 1e-6  # by which intensities may leave [0, 1]
WHOLE = {"uint8": 255, "uint16": 65535, "bool": 1}  # types whose largest value is white


@contextmanager
def open_images(path: Path, key: str | None, size: int) -> Iterator[Any]:
    """What a file holds, as something with ``shape`` and ``dtype`` that gives (n, size, size) in slices.

    Args:
        path: a .npy, .npz, .h5 or .hdf5 file, or the .pt or .pth of a tensor or a dictionary of them.
        key: name of the array, where there are several.
        size: side of the images.

    Raises:
        ValueError: the file is none of these, cannot be read, has no such array, or not of such images.
    """
    opened = _READERS.get(path.suffix.lower())
    if opened is None:
        raise ValueError(
            f"{path}: found the ending {path.suffix!r}, expected {', '.join(_READERS)}"
        )
    try:
        arrays, file = opened(path)
    except Exception as error:  # of damaged files: of any type
        raise ValueError(f"{path} cannot be read as {path.suffix}: {error}") from error
    try:
        name = _chosen(path, arrays, key)
        told = f"{path}: {name}" if name else str(path)
        yield _Images(told, arrays[name], size)
    finally:
        if file is not None:
            file.close()


class _Images:
    """The images of an array, as they are stored.

    Args:
        told: file and name of the array.
        array: of shape (n, size, size), (n, 1, size, size) or (n, size, size, 1).
        size: side of the images.
    """

    def __init__(self, told: str, array: Any, size: int) -> None:
        shape, kind = tuple(array.shape), str(array.dtype)
        allowed = ((size, size), (1, size, size), (size, size, 1))
        if shape[1:] not in allowed:
            raise ValueError(
                f"{told}: found shape {shape}, expected grey images of size {size}: "
                + " or ".join(str(("n", *one)).replace("'", "") for one in allowed)
            )
        if kind not in WHOLE and not kind.startswith("float"):
            raise ValueError(
                f"{told}: found values of type {kind}, expected {', '.join(WHOLE)} or floats from 0 to 1"
            )
        self.told, self._array, self._size = told, array, size
        self._white = WHOLE.get(kind)

    def __len__(self) -> int:
        return int(self._array.shape[0])

    def blocks(self) -> Iterator[tuple[int, Float32]]:
        """Position of the first, and up to BLOCK images (n, size, size) float32 in [0, 1].

        Raises:
            ValueError: intensities are not from 0 to 1, or not finite; names the images.
        """
        for first in range(0, len(self), BLOCK):
            stored = np.asarray(self._array[first : first + BLOCK])
            images = stored.reshape(len(stored), self._size, self._size).astype(np.float32)
            if self._white is not None:
                images /= np.float32(self._white)
            least, most = images.min(), images.max()
            if not (least >= -ROUNDING and most <= 1 + ROUNDING):  # nan is neither
                raise ValueError(
                    f"{self.told}: found values from {least:g} to {most:g} in images {first} to "
                    f"{first + len(images) - 1}, expected floats from 0 to 1"
                )
            yield first, images.clip(0, 1)


def _chosen(path: Path, arrays: Mapping[str, Any], key: str | None) -> str:
    if key is None and len(arrays) == 1:
        return next(iter(arrays))
    if key is not None and key in arrays:
        return key
    found = ", ".join(f"{name} {tuple(arrays[name].shape)}" for name in arrays if name)
    if not found:
        found = "no name" if arrays else "no array"
    expected = "key to name one of them" if key is None else f"key: {key}"
    raise ValueError(f"{path}: found {found}, expected {expected}")


# ---------------------------------------------------------------------------------------------
# Files: their arrays by name, "" where they have none, and what is to be closed

_Opened = tuple[Mapping[str, Any], Any]


def _npy(path: Path) -> _Opened:
    return {"": np.load(path, mmap_mode="r", allow_pickle=False)}, None


def _npz(path: Path) -> _Opened:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}, None


def _hdf5(path: Path) -> _Opened:
    file = h5py.File(path)
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim > 0:
            found[name] = item

    file.visititems(visit)
    return found, file


def _torch(path: Path) -> _Opened:
    import torch

    held = torch.load(path, map_location="cpu", weights_only=True)
    named = {"": held} if isinstance(held, torch.Tensor) else held
    if not isinstance(named, dict):
        raise ValueError(
            f"it holds a {type(held).__name__}, not a tensor or a dictionary of tensors"
        )
    tensors = {str(name): one for name, one in named.items() if isinstance(one, torch.Tensor)}
    return {
        name: (one.float() if one.dtype == torch.bfloat16 else one).detach().numpy()
        for name, one in tensors.items()
    }, None


_READERS: dict[str, Callable[[Path], _Opened]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".pt": _torch,
    ".pth": _torch,
}
ENDINGS = tuple(_READERS)
