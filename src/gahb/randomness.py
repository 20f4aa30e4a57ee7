"""Every random number of the project: derived from a seed and from what it is for, never from order.

Two kinds of stream. :func:`generator` hashes ``(seed, key, key, ...)`` into an independent numpy
generator: "the noise of test image 17 at the third noise level". :func:`uniform_rows` is one long
counter-based stream cut into rows: row i can be had without drawing rows 0 to i - 1, which is how
image i of a dataset is the same however many images are made and in whatever chunks.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gahb.asked import is_whole, must_be_whole

_WORDS_PER_COUNTER = 8  # one Philox 4x64 counter yields four 64-bit words, hence eight of 32 bits


def seed_of(seed: int, *keys: str | int) -> int:
    """A 63-bit seed for the stream named by ``keys`` under ``seed``, for torch and numpy alike."""
    name = "/".join([str(seed), *map(str, keys)])
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """An independent numpy generator for the stream named by ``keys`` under ``seed``."""
    return np.random.Generator(np.random.Philox(key=seed_of(seed, *keys)))


@contextmanager
def seeded(seed: int, gpus: Sequence[int] = ()) -> Iterator[None]:
    """The global generators of torch, numpy and Python, from a seed here, and as they were afterwards.

    For code of one's own, which may draw from any of them.

    Args:
        seed: below 2^63.
        gpus: numbers of the CUDA devices whose generators are meant too.
    """
    import torch

    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


def uniform_rows(seed: int, key: str, first: int, count: int, width: int) -> NDArray[np.float32]:
    """Rows ``first`` to ``first + count - 1`` of an endless table of U(0, 1) numbers.

    Args:
        seed, key: name the table.
        first: index of the first row wanted.
        count: number of rows wanted.
        width: numbers per row; part of the table's definition.

    Returns:
        (count, width) float32, multiples of 2**-24 in [0, 1).
    """
    must_be_whole(0, first=first, count=count)
    counters = -(-width // _WORDS_PER_COUNTER)
    bits = np.random.Philox(key=seed_of(seed, key))
    bits.advance(first * counters)
    raw = bits.random_raw(count * counters * (_WORDS_PER_COUNTER // 2))
    words = raw.astype("<u8", copy=False).view("<u4").reshape(count, -1)[:, :width]
    return (words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


Size = int | tuple[int, ...]


def image_shape(size: Size) -> tuple[int, ...]:
    """(C, H, W) of images: of square ones of one channel, if only their side is given."""
    sides: Any = (1, size, size) if is_whole(size) else size
    if np.ndim(sides) != 1 or len(sides) != 3 or not all(map(is_whole, sides)):
        raise ValueError(
            f"shape: found {size!r}, allowed is a side of at least 1, or the shape (C, H, W)"
        )
    return tuple(map(int, sides))


def image_noise(seed: int, image: int, level: int, repeat: int, size: Size) -> NDArray[np.float32]:
    """The standard normal draw z of one image at one noise level: the same for every denoiser.

    Args:
        seed: seed of the evaluation.
        image: index of the image in its dataset.
        level: index of the noise level in its grid.
        repeat: 0 for the first draw of this image at this level, 1 for the second ...
        size: side of a square image of one channel in pixels, or the shape (C, H, W) of any.

    Returns:
        (C, H, W) float32.
    """
    draws = generator(seed, "noise", image, level, repeat)
    return draws.standard_normal(image_shape(size), dtype=np.float32)
