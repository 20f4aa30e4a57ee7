"""Which training images make up which batch."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from gahb.randomness import generator


class BatchOrder:
    """Which training images make up batch u: a function of (seed, u) alone.

    The set is gone through again and again, each time in a new seeded order, and cut into batches
    without regard to where one pass ends, so that every N gets the same number of updates.
    """

    def __init__(self, seed: int, split: str, set_size: int, batch_size: int) -> None:
        self._names = (seed, "order", split)
        self._set_size = set_size
        self._batch_size = batch_size
        self._pass = lru_cache(maxsize=4)(self._draw)

    def _draw(self, number: int) -> Tensor:
        seed, *keys = self._names
        order = generator(int(seed), *keys, number).permutation(self._set_size)
        return torch.from_numpy(order)

    def __call__(self, update: int) -> Tensor:
        """Positions (batch_size,) in the training set."""
        if self._set_size == 1:  # a pass for each image would take longer than the update
            return torch.zeros(self._batch_size, dtype=torch.int64)
        first = update * self._batch_size
        passes = range(
            first // self._set_size, (first + self._batch_size - 1) // self._set_size + 1
        )
        positions = torch.cat([self._pass(number) for number in passes])
        return positions[first - passes[0] * self._set_size :][: self._batch_size]
