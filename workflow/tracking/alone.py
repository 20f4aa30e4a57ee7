"""One run at a time per working folder, without locks that outlive a killed run.

Snakemake's own locks are files that a ``kill -9`` leaves behind. Here a running Snakemake also holds a lock
of the operating system, which vanishes with the process; while nobody holds it, lock files are stale.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from pathlib import Path
from typing import IO

from snakemake.exceptions import WorkflowError

from gahb.locks import lock

FOLDER = Path(".snakemake")
RUNNING = FOLDER / "running"
_held: list[IO[str]] = []  # open for as long as this process lives
_told: list[OSError] = []  # why there is no lock, once it has been said


def begin() -> bool:
    """When Snakemake starts: remove stale locks; return whether no other run is at work here.

    Under DVC, which runs one command at a time, another run can only be what a killed ``dvc repro``
    left behind: wait for it to end. Where the file system has no locks, Snakemake's lock files are all
    there is: they stay, stale or not.
    """
    if os.environ.get("DVC_STAGE"):
        hold(wait=True)
    try:
        with _open() as file:
            if not _held and not lock(file):
                return False
            for stale in FOLDER.glob("locks/*.lock"):
                stale.unlink(missing_ok=True)
            return True
    except OSError as error:
        _tell(error)
        return not any(FOLDER.glob("locks/*.lock"))


def hold(wait: bool = False) -> None:
    """From here on, and until this process ends, no other run works in this folder."""
    if _held:
        return
    try:
        file = _open()
        if not lock(file):
            other = f"another run (process {file.read().strip() or 'unknown'}) is at work in {Path.cwd()}"
            if not wait:
                raise WorkflowError(
                    f"{other}: wait for it to end, or end it, and give the command again"
                )
            print(f"{other}: waiting for it to end", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        _tell(error)
        return
    _held.append(file)
    with contextlib.suppress(OSError):  # another user's file can be locked, and not written to
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()


def _open() -> IO[str]:
    FOLDER.mkdir(exist_ok=True)
    try:
        return open(RUNNING, "r+" if RUNNING.exists() else "a+")
    except PermissionError:
        return open(RUNNING)


def _tell(error: OSError) -> None:
    """Say once that nothing is locked, and why."""
    if not _told:
        name = errno.errorcode.get(error.errno or 0, "no lock")
        print(
            f"{RUNNING} cannot be locked ({name}: {error.strerror}). Only Snakemake's own lock files keep "
            "a second run out of this folder; a run that is killed leaves them, and snakemake --unlock "
            "removes them",
            file=sys.stderr,
            flush=True,
        )
    _told.append(error)
