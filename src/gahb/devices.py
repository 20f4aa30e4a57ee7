"""Which device a process computes on: of several GPUs the one that fewest others hold.

A device is held by a lock of the operating system on a file, which goes back with the process however that
ends. Nobody waits for one: where there are more processes than devices, which Snakemake's
``--resources gpu=`` decides, they are shared evenly.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import IO, Any

from gahb.locks import lock

JOBS = (
    4  # at once on each device, unless --resources says otherwise: while one starts, others compute
)
_chosen: list[str] = []  # of this process, the last one first
_held: list[IO[str]] = []  # open for as long as this process lives


def visible() -> list[str]:
    """Names of the GPUs that this process may use, in the order of their numbers, without asking torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in re.split(r"\s*,\s*", named.strip()) if name not in ("", "-1")]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def asked_of(network: Mapping[str, Any]) -> str:
    """The device that the spec of a network asks for; of one that was imported, none in particular."""
    return str(network.get("training", {}).get("device", "auto"))


def choose_device(asked: str = "auto") -> str:
    """Where this process computes from here on: ``cpu``, or ``cuda``, the device that it holds then.

    Args:
        asked: ``cpu``, ``cuda``, or ``auto``, that is CUDA where present.
    """
    import torch

    names = visible()
    if asked != "cpu" and len(names) > 1 and not _held and not torch.cuda.is_initialized():
        number, lease = hold(names)
        _held.append(lease)
        # the only one in sight: what is compiled for one device then serves all
        os.environ["CUDA_VISIBLE_DEVICES"] = names[number]
    present = asked == "cuda" or (asked != "cpu" and torch.cuda.is_available())
    _chosen[:] = ["cuda" if present else "cpu"]
    return _chosen[0]


def device_in_use() -> str:
    """What :func:`choose_device` came to last; ``cpu`` where nothing has asked it."""
    return _chosen[0] if _chosen else "cpu"


def hold(names: list[str]) -> tuple[int, IO[str]]:
    """Take the first of the devices that fewest processes hold.

    Args:
        names: of all devices, the same for every process of this machine.

    Returns:
        Its position, and the open file whose lock is given back when it is closed.
    """
    folder = Path(tempfile.gettempdir(), f"gahb-devices-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True)
    for others in count():
        for number, name in enumerate(names):
            file = open(folder / f"{name.replace('/', '-')}.{others}", "a")  # noqa: SIM115
            try:
                free = lock(file)
            except (ImportError, OSError) as error:
                print(f"{folder} has no locks ({error}): using device {name}, whoever else does")
                return number, file
            if free:
                return number, file
            file.close()
    raise AssertionError
