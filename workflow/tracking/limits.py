"""What a container or a batch system grants of the machine: ``cores: all`` takes the machine's.

Linux's control groups limit the processor time and the memory of a process and of all that it starts.
Python and Snakemake count the cores that it may run on, not the time that it gets on them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GROUPS = Path("/sys/fs/cgroup")
MINE = Path("/proc/self/cgroup")
MEMORY = Path("/proc/meminfo")
MB = 10**6


def keep(workflow: Any) -> None:
    """Let a run on this machine start no more jobs together than the limits allow, and say so."""
    cores, memory = granted_cores(), granted_mb()
    asked = workflow.resource_settings.cores
    if cores is not None and asked is not None and cores < asked:
        workflow.register_resource("_cores", cores)
        _say(f"{cores} of {asked} cores are used: this process is granted no more time on them")
    if memory is not None and "mem_mb" not in workflow.resource_settings.resources:
        workflow.register_resource("mem_mb", memory)
        _say(
            f"jobs that run together keep below {memory} MB, the memory that this process is granted"
        )


def granted_cores() -> int | None:
    """How many cores' time the process may use; none, if there is no limit."""
    quotas = []
    for folder in _folders("cpu"):
        told = _numbers(folder / "cpu.max")  # version 2
        if len(told) != 2:
            told = [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]
        if len(told) == 2 and told[0] > 0 and told[1] > 0:
            quotas.append(told[0] / told[1])
    return max(1, math.floor(min(quotas))) if quotas else None


def granted_mb() -> int | None:
    """How much memory the process may use, in 10^6 bytes; none, if no more than the machine's is asked."""
    machine = [1024 * kilobytes for kilobytes in _numbers(MEMORY, "MemTotal:")]
    limits = [
        limit
        for folder in _folders("memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        for limit in _numbers(folder / name)
        if limit < min(machine, default=math.inf)
    ]
    return min(limits) // MB if limits else None


def _folders(controller: str) -> Iterator[Path]:
    """The groups of this process that may limit it, and those around them; inside a container, its root."""
    try:
        lines = MINE.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = GROUPS / controller if controllers else GROUPS
        inner = root / place.lstrip("/")
        while inner.is_relative_to(root):
            yield inner
            inner = inner.parent


def _numbers(file: Path, after: str = "") -> list[int]:
    """The numbers of a file, or of what follows a word in it; none, if it is not there or has no limit."""
    try:
        told = file.read_text()
    except OSError:
        return []
    words = told.partition(after)[2].splitlines()[:1] if after else [told]
    return [int(word) for line in words for word in line.split() if word.lstrip("-").isdigit()]


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
