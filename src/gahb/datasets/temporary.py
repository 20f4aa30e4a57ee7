"""Arrays larger than memory, in temporary files."""

from __future__ import annotations

import os
import tempfile

import numpy as np
from numpy.typing import NDArray


def on_disk(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A float32 array in a temporary file (in TMPDIR), which goes with it."""
    with tempfile.TemporaryFile() as file:
        if hasattr(
            os, "posix_fallocate"
        ):  # a mapping that the disk has no room for kills the process
            os.posix_fallocate(file.fileno(), 0, 4 * int(np.prod(shape)))
        return np.memmap(file, np.float32, "w+", shape=shape)
