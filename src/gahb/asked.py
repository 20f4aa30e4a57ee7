"""Counts and noise levels that a call of the library is given: as meant, or refused by name."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any


def is_whole(value: Any, least: int = 1, most: float = math.inf) -> bool:
    """Whether it is a whole number, of whatever type, from ``least`` to ``most``."""
    try:
        return least <= operator.index(value) <= most
    except TypeError:
        return False


def must_be_whole(least: int = 1, **named: Any) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in named.items():
        if not is_whole(value, least):
            found = f"{name}: found {value!r}"
            raise ValueError(f"{found}, allowed is a whole number of at least {least}")


def noise_level(sigma: Any, name: str = "sigma") -> float:
    """One noise level.

    Raises:
        ValueError: it is not a number above 0.
    """
    try:
        found = float(sigma)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 < found < math.inf:
        raise ValueError(f"{name}: found {sigma!r}, allowed are levels above 0")
    return found


def noise_levels(sigmas: float | Sequence[float], name: str = "sigmas") -> list[float]:
    """Some noise levels, or one that is not in a list.

    Raises:
        ValueError: there is none, or one is not a number above 0.
    """
    is_one = isinstance(sigmas, (int, float)) or getattr(sigmas, "ndim", 1) == 0
    try:
        several: list[Any] = [sigmas] if is_one else list(sigmas)  # type: ignore[arg-type]
    except TypeError:
        several = []
    if not several:
        raise ValueError(f"{name}: found {sigmas!r}, expected noise levels above 0")
    return [noise_level(one, name) for one in several]
