"""A Slurm cluster of one node in a folder, started by hand: no systemd, no cgroups, no database.

It needs root, and the Debian packages slurm-wlm and munge. While it runs, /etc/slurm/slurm.conf links to
its own: the job step of Snakemake's plugin drops SLURM_CONF, and its srun looks in the default place alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DEFAULT = Path("/etc/slurm/slurm.conf")
DAEMONS = ("munged", "slurmctld", "slurmd")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
CONFIGURATION = """
ClusterName=one
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
ReturnToService=2
NodeName={node} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={megabytes} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES DefMemPerCPU=1000 MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no cluster can be started here; empty if one can."""
    if os.geteuid() != 0:
        return "Slurm is started by root"
    absent = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=PATH) is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install slurm-wlm munge"
    if os.path.lexists(DEFAULT):
        return f"{DEFAULT} is there: this machine belongs to a cluster"
    return ""


@contextmanager
def cluster() -> Iterator[Path]:
    """A cluster that accepts jobs, until the block ends; its jobs end with it. Yields its folder."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # munge wants one that everybody may enter
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 1024
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            node=socket.gethostname().split(".")[0],
            folder=folder,
            ports=_free_ports(),
            cores=os.cpu_count(),
            megabytes=memory,
        )
    )
    DEFAULT.parent.mkdir(parents=True, exist_ok=True)
    DEFAULT.symlink_to(configuration)
    names = ("key-file=munge.key", "socket=munge.socket", "pid-file=munged.pid")
    names += ("log-file=munged.log", "seed-file=munged.seed")
    munge = [f"--{option.replace('=', f'={folder}/')}" for option in names]
    try:
        _run("munged", "--num-threads=2", *munge)
        _run("slurmctld", "-c")
        _run("slurmd")
        for _ in range(120):
            if _told("sinfo", "--noheader", "--format=%t") in ("idle", "mix", "alloc"):
                break
            time.sleep(0.5)
        else:
            logs = "\n".join(log.read_text() for log in folder.glob("*.log"))
            raise RuntimeError(f"the node takes no jobs:\n{logs}")
        yield folder
    finally:
        _stop(folder)
        DEFAULT.unlink()
        shutil.rmtree(folder)


def queued() -> list[str]:
    """The jobs that wait or run, by number."""
    return _told("squeue", "--noheader", "--format=%i").split()


def _free_ports() -> list[int]:
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in (first, second)]


def _run(*command: str) -> None:
    subprocess.run(command, env=os.environ | {"PATH": PATH}, check=True)


def _told(*command: str) -> str:
    environment = os.environ | {"PATH": PATH}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout.strip()


def _stop(folder: Path) -> None:
    """End the jobs, then the daemons, each by the number that it wrote."""
    if jobs := queued():
        _told("scancel", *jobs)
        for _ in range(40):
            if not queued():
                break
            time.sleep(0.5)
    for daemon in reversed(DAEMONS):
        written = folder / f"{daemon}.pid"
        if not written.exists():
            continue
        process = int(written.read_text())
        running = Path(f"/proc/{process}/comm")
        with suppress(OSError):
            if running.read_text().strip() == daemon:
                os.kill(process, 15)
        for _ in range(60):
            if not running.exists():
                break
            time.sleep(0.5)
