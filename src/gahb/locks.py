"""Locks of the operating system, which go back with the process, however that ends."""

from __future__ import annotations

from typing import IO


def lock(file: IO[str]) -> bool:
    """Lock an open file, until it is closed; return False if somebody else has.

    Raises:
        OSError: its file system has no locks.
        ImportError: this system has none.
    """
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
