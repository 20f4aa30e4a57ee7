"""As many images at once as the memory of a device allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# by which other errors than torch.OutOfMemoryError say it: of the processor, and of CUDA's libraries
_SAID = ("out of memory", "can't allocate memory", "_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice, of a GPU or of the machine."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


class InParts:
    """A function of images, called with half as many at a time whenever memory does not suffice.

    Args:
        function: maps images (B, C, H, W), each on its own, and other arguments to a tensor (B, ...).
        batch: images at once, to begin with.

    Attributes:
        batch: images at once, from here on.
    """

    def __init__(self, function: Callable[..., Tensor], batch: int) -> None:
        self._function = function
        self.batch = batch

    def __call__(self, images: Tensor, *others: Any) -> Tensor:
        """What the function makes of all images."""
        while True:
            try:
                parts = [self._function(part, *others) for part in images.split(self.batch)]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except Exception as error:
                at_once = min(self.batch, len(images))
                if at_once < 2 or not is_out_of_memory(error):
                    raise
            # only here is what the failed call held free again: the error held its frames
            self.batch = at_once // 2
            torch.cuda.empty_cache()
