"""Images as text inside the page: WebP, lossless after rounding to few levels of gray, in base64."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gahb.figures.parts.panels import largest_shown, picture

LEVELS = 64  # of gray: neighbours are told apart by no eye, and take two thirds of the room of 256
COLOURS = 128  # of a figure


def intensities(image: NDArray[np.floating]) -> str:
    """An image of intensities from 0 to 1, (C, H, W); others are cut off."""
    return _encoded(np.asarray(image, np.float64))


def signed(image: NDArray[np.floating]) -> str:
    """An image whose zero is mid-gray, (C, H, W), such as an eigenvector, on its own scale."""
    exact = np.asarray(image, np.float64)
    return _encoded(0.5 + 0.5 * exact / (largest_shown(exact) or 1.0))


def _encoded(image: NDArray[np.float64]) -> str:
    shown = picture(np.clip(np.nan_to_num(image), 0, 1))
    steps = np.rint(shown * (LEVELS - 1))
    bytes_ = np.rint(steps * (255 / (LEVELS - 1))).astype(np.uint8)
    return _webp(Image.fromarray(bytes_))


def figure(path: Path) -> tuple[str, int, int]:
    """A drawn figure on white with fewer colours: picture, width and height in pixels."""
    with Image.open(path) as image:
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
        fewer = flat.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")
        return _webp(fewer), *image.size


def _webp(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, quality=80)
    return base64.b64encode(file.getvalue()).decode("ascii")
