"""Which device a process computes on: of several GPUs a job takes the one that fewest others hold.

A device is held by a lock of the operating system on a file, which goes back with the process however that
ends. Nobody waits for one: where there are more processes than devices, which Snakemake's
``--resources gpu=`` decides, they are shared evenly. Jobs are what the command line starts: a call of the
library holds no device, leaves the process's environment alone, and computes on the device that is torch's
current one.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

from gahb.locks import lock

JOBS = 8  # at once on each device, at most: while one starts, others compute
UNKNOWN = 4  # likewise, where the memory of the devices is not known
_chosen: list[str] = []  # of this process, the last one first
_jobs: list[contextlib.ExitStack] = []  # the job that this process is, and what it gives back


def visible() -> list[str]:
    """Names of the GPUs that this process may use, in the order of their numbers, without asking torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in re.split(r"\s*,\s*", named.strip()) if name not in ("", "-1")]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def jobs_at_once(largest_mb: int) -> int:
    """How many jobs share a device, while its memory suffices for as many of the largest.

    Args:
        largest_mb: memory of a device that the largest job takes, in MB.
    """
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    asked += [f"--id={name}" for name in [",".join(visible())] if name]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout
        least = min(map(int, told.split()))
    except (OSError, ValueError, subprocess.SubprocessError):
        return UNKNOWN
    return max(1, min(JOBS, least // largest_mb))


def none_in_sight() -> bool:
    """Whether this machine surely has no device for CUDA, by its files, without asking torch."""
    others = ("/dev/dxg", "/dev/kfd")  # of Windows' Linux, and of AMD
    return not visible() and not any(Path(name).exists() for name in others)


def asked_of(network: Mapping[str, Any]) -> str:
    """The device that the spec of a network asks for; of one that was imported, none in particular."""
    return str(network.get("training", {}).get("device", "auto"))


def choose_device(asked: str = "auto") -> str:
    """Where this process computes from here on: ``cpu``, or ``cuda``, of which a job holds one.

    Args:
        asked: ``cpu``, ``cuda``, or ``auto``, that is CUDA where present.

    Raises:
        ValueError: there is no such device here.
    """
    import torch

    if asked not in ("auto", "cpu", "cuda"):
        raise ValueError(f"training.device: found {asked}, allowed is one of auto, cpu, cuda")
    names = visible()
    if _jobs and asked != "cpu" and len(names) > 1 and not torch.cuda.is_initialized():
        number, lease = hold(names)
        _jobs[-1].enter_context(lease)
        # the only one in sight: what is compiled for one device then serves all
        _jobs[-1].enter_context(_visible_alone(names[number]))
    if asked == "cuda":
        must_be_present(asked, "training.device", "auto or cpu")
    _chosen[:] = ["cpu" if asked == "cpu" or not torch.cuda.is_available() else "cuda"]
    return _chosen[0]


@contextlib.contextmanager
def job() -> Iterator[None]:
    """Within, this process is a job of its own: it holds the device that it chooses, until the end."""
    with contextlib.ExitStack() as given_back:
        _jobs.append(given_back)
        try:
            yield
        finally:
            _jobs.pop()


def must_be_present(device: str | torch.device, key: str, allowed: str = "cpu") -> None:
    """Refuse a CUDA device that this process does not see.

    Args:
        device: of any type.
        key: what asks for it.
        allowed: what is told to ask for where there is no CUDA at all.

    Raises:
        ValueError: it is a CUDA device, and not there.
    """
    import torch

    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"{key}: found {device}, which is no device of torch: {error}") from error
    if wanted.type != "cuda":
        return
    if not torch.cuda.is_available():
        built = "sees no GPU" if torch.backends.cuda.is_built() else "is built without CUDA"
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        named = "" if hidden is None else f", with CUDA_VISIBLE_DEVICES={hidden!r}"
        raise ValueError(
            f"{key}: found {device}, but torch {torch.__version__} {built}{named}; "
            f"allowed here is {allowed}"
        )
    known = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if wanted.index is not None and wanted.index >= len(known):
        raise ValueError(f"{key}: found {device}, allowed here is one of {', '.join(known)}")


@contextlib.contextmanager
def _visible_alone(name: str) -> Iterator[None]:
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


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
