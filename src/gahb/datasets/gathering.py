"""Images as people have them (arrays, tensors, lists, files, a folder) as a list of tensors (C, H, W)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gahb.datasets.folders import list_files
from gahb.datasets.intensities import as_image
from gahb.datasets.pictures import RefusedError, read_picture

if TYPE_CHECKING:
    from torch import Tensor

    One = Tensor | NDArray[Any] | Path | str
    Images = One | Sequence[One]


def gathered(images: Images) -> list[Tensor]:
    """Images of any sizes as float32 tensors (C, H, W) on the processor, without gradients.

    Args:
        images: (N, H, W) or (N, C, H, W), a tensor or an array of floating-point intensities; a list of
            images (H, W) or (C, H, W) of any sizes; a PNG or JPEG file, or a list of them; or a folder,
            of which all such files are read, in the order of their names. Files are read as grey
            intensities from 0 to 1.

    Raises:
        ValueError: there is no image, or one is no image; the message says which.
    """
    return [image for _, image in named(images)]


def named(images: Images) -> list[tuple[str, Tensor]]:
    """What :func:`gathered` makes of images, each with its file, or its place among them."""
    several: Any = images
    if isinstance(images, (str, Path)):
        several = _files(Path(images))
    elif not isinstance(images, (list, tuple)):
        shape = getattr(images, "shape", None)
        if shape is None or len(shape) not in (3, 4):
            what = type(images).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(f"images: found {what}; expected {_EXPECTED}")
    found = [
        (str(one), _read(Path(one)))
        if isinstance(one, (str, Path))
        else (f"images[{place}]", _image(one, f"images[{place}]"))
        for place, one in enumerate(several)
    ]
    if not found:
        raise ValueError(f"images: found none; expected {_EXPECTED}")
    return found


_EXPECTED = "(N, H, W) or (N, C, H, W), a list of images, or a folder of PNG or JPEG files"


def stacked(images: Images) -> Tensor:
    """Images of one size, (N, C, H, W) float32; as for :func:`gathered`.

    Raises:
        ValueError: their shapes differ.
    """
    import torch

    found = gathered(images)
    shapes = {tuple(one.shape) for one in found}
    if len(shapes) > 1:
        raise ValueError(
            f"images: found the shapes {', '.join(map(str, sorted(shapes)))}; expected one size"
        )
    return torch.stack(found)


def by_shape(images: Iterable[Tensor]) -> dict[tuple[int, ...], list[int]]:
    """Positions of images, by their shape."""
    positions: dict[tuple[int, ...], list[int]] = {}
    for position, image in enumerate(images):
        positions.setdefault(tuple(image.shape), []).append(position)
    return positions


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise ValueError(f"images: there is no {str(path)!r}")
    if not path.is_dir():
        return [path]
    return [path / name for name, _ in list_files(path)]


def _read(path: Path) -> Tensor:
    import torch

    try:
        return torch.from_numpy(read_picture(path)[0].astype(np.float32))[None]
    except RefusedError as error:
        raise ValueError(f"images: {path}: {error}") from error


def _image(image: Any, name: str) -> Tensor:
    """One image as float32, on the processor."""
    found = as_image(image, name).float().cpu()
    if not found.isfinite().all():
        raise ValueError(f"{name}: found intensities beyond what float32 holds")
    return found
