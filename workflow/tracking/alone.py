"""One run at a time per working folder, without locks that outlive a killed run.

Snakemake's own locks are files that a ``kill -9`` leaves behind. Here a running Snakemake also holds a lock
of the operating system, which vanishes with the process; while nobody holds it, lock files are stale.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import IO

from snakemake.exceptions import WorkflowError

FOLDER = Path(".snakemake")
_held: list[IO[str]] = []  # open for as long as this process lives


def begin() -> bool:
    """When Snakemake starts: remove stale locks; return whether no other run is at work here.

    Under DVC, which runs one command at a time, another run can only be what a killed ``dvc repro``
    left behind: wait for it to end.
    """
    if os.environ.get("DVC_STAGE"):
        hold(wait=True)
    file = _open()
    try:
        if not _held and not _try(file):
            return False
        for lock in FOLDER.glob("locks/*.lock"):
            lock.unlink(missing_ok=True)
        return True
    finally:
        if not _held:
            file.close()


def hold(wait: bool = False) -> None:
    """From here on, and until this process ends, no other run works in this folder."""
    if _held:
        return
    file = _open()
    if not _try(file):
        other = (
            f"another run (process {file.read().strip() or 'unknown'}) is at work in {Path.cwd()}"
        )
        if not wait:
            raise WorkflowError(
                f"{other}: wait for it to end, or end it, and give the command again"
            )
        print(f"{other}: waiting for it to end", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    _held.append(file)


def _open() -> IO[str]:
    FOLDER.mkdir(exist_ok=True)
    return open(FOLDER / "running", "a+" if not (FOLDER / "running").exists() else "r+")


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
