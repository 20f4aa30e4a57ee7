"""One picture file to grey intensities: decode, turn upright, weigh the colours, crop, downsample, cut.

Pillow only decodes; all arithmetic is here, in double precision, and the same for every version of it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue as encoded: luma of ITU-R BT.601
LARGEST = 2**26  # pixels; a small file can claim more than any memory holds
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
# What the JPEG decoder says where it goes on, with grey in the place of what is lost. Up to three bytes
# before the end are no damage: some cameras fill up the last word.
DAMAGE = re.compile(
    r"Premature end|Corrupt JPEG data(?!: [123] extraneous bytes before marker 0xd9)"
)


class RefusedError(Exception):
    """A file that cannot be used. ``reason`` is one of few, to be counted by."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


def read_picture(path: Path) -> tuple[Float64, str]:
    """Grey intensities (H, W) in [0, 1] of a PNG or JPEG file, upright, and the file's SHA-256.

    Colour is weighed by GREY as encoded, without undoing gamma or colour profiles; CMYK, palettes
    and 16 bits are converted; an opaque alpha channel is dropped.

    Raises:
        RefusedError: the file is no PNG or JPEG image, damaged, animated, transparent, too large, or may
            not be read.
        OSError: the system cannot read it now: another time the same folder would give other images.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with open(path, "rb") as file:
            try:
                picture: Image.Image = Image.open(file, formats=("PNG", "JPEG"))
            except UnidentifiedImageError:
                raise RefusedError("not a PNG or JPEG image") from None
            width, height = picture.size
            if width * height > LARGEST:
                raise RefusedError(
                    "too large", f"{width}x{height}, at most {LARGEST} pixels are read"
                )
            if picture.format == "PNG" and getattr(picture, "is_animated", False):
                raise RefusedError("animated")
            picture.load()
            intensities = _grey(ImageOps.exif_transpose(picture))
            file.seek(0)
            content = file.read()
            if picture.format != "PNG":
                _must_be_whole(content)
            return intensities, hashlib.sha256(content).hexdigest()
    except (RefusedError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise RefusedError("too large", str(error)) from error
    except (PermissionError, FileNotFoundError) as error:
        raise RefusedError("unreadable", str(error.strerror)) from error
    except Exception as error:  # decoders of damaged files fail with errors of any type
        if isinstance(error, OSError) and error.errno:  # not of the decoder
            raise
        raise RefusedError("damaged", f"{type(error).__name__}: {error}") from error


def _must_be_whole(jpeg: bytes) -> None:
    """Refuse a JPEG file of which a part is lost; Pillow does not say so, the decoder underneath does.

    The file is decoded once more, at an eighth of its size: all of its data is read.
    """
    import simplejpeg

    try:
        stored = simplejpeg.decode_jpeg_header(jpeg)[2]
        colours = "CMYK" if stored in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(jpeg, colours, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        if DAMAGE.match(str(error)):
            raise RefusedError("damaged", str(error)) from error


def _grey(picture: Image) -> Float64:
    if picture.mode in SIXTEEN_BITS:
        return np.asarray(picture, np.float64) / 65535
    if picture.mode in WITH_ALPHA or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if np.asarray(picture)[..., 3].min() < 255:
            raise RefusedError("transparent")
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"), np.float64) / 255
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue) / 255


def central(picture: Float64, height: int, width: int) -> Float64:
    """The central part of this size."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def area_average(picture: Float64, factor: float) -> Float64:
    """Shrink by ``factor`` >= 1: every new pixel is the mean over the square of that side it covers.

    This is what a camera with larger pixels records: nothing aliases beyond what such pixels do, no
    overshoot. As many whole new pixels as fit, centred.
    """
    return _average_rows(_average_rows(picture, factor).T, factor).T


def _average_rows(picture: Float64, factor: float) -> Float64:
    if factor == 1:
        return picture
    count = int(len(picture) / factor + 1e-9)
    edges = (len(picture) - count * factor) / 2 + factor * np.arange(count + 1)
    edges = edges.clip(0, len(picture))
    whole = np.minimum(edges.astype(np.int64), len(picture) - 1)
    integral = np.concatenate([np.zeros((1, picture.shape[1])), np.cumsum(picture, axis=0)])
    at_edges = integral[whole] + (edges - whole)[:, None] * picture[whole]
    return np.asarray(np.diff(at_edges, axis=0) / factor)


def prepare(picture: Float64, size: int, crop: int | str, downsample: float | str) -> Float64:
    """Crop a picture (H, W) centrally and shrink it, for images of side ``size``.

    Args:
        picture: intensities.
        size: side of the images to be cut.
        crop: side of the central square that is kept; ``square``: the largest there is; ``whole``.
        downsample: factor; ``fit``: so that the shorter side becomes ``size``.

    Raises:
        RefusedError: too small for the crop or for one image.
    """
    height, width = picture.shape
    shorter = min(height, width)
    if crop != "whole":
        side = shorter if crop == "square" else int(crop)
        if side > shorter:
            raise RefusedError("too small", f"{width}x{height}, the crop is {side}x{side}")
        picture = central(picture, side, side)
    factor = min(picture.shape) / size if downsample == "fit" else float(downsample)
    if int(min(picture.shape) / factor + 1e-9) < size or factor < 1:
        raise RefusedError(
            "too small", f"{width}x{height}, less than {size}x{size} once cropped and downsampled"
        )
    return area_average(picture, factor)


def tiles(picture: Float64, size: int) -> Float32:
    """Cut a picture into a centred grid of images side by side: (tiles, size, size) float32."""
    rows, columns = picture.shape[0] // size, picture.shape[1] // size
    grid = central(picture, rows * size, columns * size).reshape(rows, size, columns, size)
    cut = grid.transpose(0, 2, 1, 3).reshape(-1, size, size)
    return cut.astype(np.float32).clip(0, 1)
