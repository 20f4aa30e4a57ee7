"""Folders on file systems without locks, files of other users, containers with limits, merges."""

from __future__ import annotations

import errno
import fcntl
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.tracking_project import ROOT, copied, fails, micro, run, write_params
from snakemake.exceptions import WorkflowError

from gahb.artifacts import ArtifactError
from gahb.provenance.verify import disagreements

sys.path.insert(0, str(ROOT / "workflow"))
from tracking import alone, limits
from tracking.records import Records

# ---------------------------------------------------------------------------------------------
# Locks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setattr(alone, "_held", [])
    monkeypatch.setattr(alone, "_told", [])
    return tmp_path


def without_locks(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def refused(*_: object) -> None:
        raise OSError(getattr(errno, code), "not here")

    monkeypatch.setattr(fcntl, "flock", refused)


@pytest.mark.parametrize("code", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
@pytest.mark.parametrize("under_dvc", [False, True])
def test_a_file_system_without_locks_will_do(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: str,
    under_dvc: bool,
):
    without_locks(monkeypatch, code)
    if under_dvc:
        monkeypatch.setenv("DVC_STAGE", "datasets")
    assert alone.begin()
    alone.hold()
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert ".snakemake/running cannot be locked (E" in told


def test_without_locks_those_of_snakemake_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch):
    lock = folder / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    without_locks(monkeypatch, "ENOLCK")
    assert not alone.begin()
    assert lock.exists()
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert alone.begin()
    assert not lock.exists()


def test_a_file_of_another_user_is_locked_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    running = folder / ".snakemake/running"
    running.parent.mkdir()
    running.write_text("77\n")
    opened = open

    def read_only(path: Path, mode: str = "r") -> object:
        if mode != "r":
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path)

    monkeypatch.setattr(alone, "open", read_only, raising=False)
    assert alone.begin()
    alone.hold()
    assert running.read_text() == "77\n"
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(alone, "_held", held := [])
    assert not alone.begin()  # whoever holds it
    with pytest.raises(WorkflowError, match=r"another run \(process 77\) is at work"):
        alone.hold()
    assert held == []


# ---------------------------------------------------------------------------------------------
# What a container grants

GIB = 2**30
GRANTED = {  # the process's groups, the files of the control groups, cores, MB
    "no groups": ("", {}, None, None),
    "no limit": ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
    "a container": (
        "0::/\n",
        {"cpu.max": "250000 100000\n", "memory.max": f"{4 * GIB}\n"},
        2,
        4294,
    ),
    "less than a core": ("0::/\n", {"cpu.max": "50000 100000\n"}, 1, None),
    "a group in a group": (
        "0::/batch/job\n",
        {"batch/cpu.max": "300000 100000\n", "batch/job/cpu.max": "max 100000\n"},
        3,
        None,
    ),
    "version 1": (
        "3:cpuset:/\n2:cpu,cpuacct:/docker/x\n1:memory:/docker/x\n0::/\n",
        {
            "cpu/cpu.cfs_quota_us": "400000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "memory/docker/x/memory.limit_in_bytes": f"{GIB}\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
        4,
        1073,
    ),
    "version 1, no limit": (
        "2:cpu,cpuacct:/\n",
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
        None,
        None,
    ),
}


@pytest.mark.parametrize("case", GRANTED)
def test_a_run_takes_no_more_than_it_is_granted(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    mine, files, cores, megabytes = GRANTED[case]
    monkeypatch.setattr(limits, "MINE", tmp_path / "mine")
    monkeypatch.setattr(limits, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(limits, "MEMORY", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\nMemTotal:       67108864 kB\nx: 2 kB\n")
    if mine:
        (tmp_path / "mine").write_text(mine)
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content)
    assert (limits.granted_cores(), limits.granted_mb()) == (cores, megabytes)
    given: dict[str, int] = {}
    settings = SimpleNamespace(cores=64, resources={})
    workflow = SimpleNamespace(resource_settings=settings, register_resource=given.__setitem__)
    limits.keep(workflow)
    expected = {"_cores": cores, "mem_mb": megabytes}
    assert given == {name: value for name, value in expected.items() if value}
    told = capsys.readouterr().err
    assert (f"{cores} of 64 cores are used" in told) == bool(cores)
    given.clear()
    settings.cores, settings.resources = 1, {"mem_mb": 100}  # what somebody asks for stays
    limits.keep(workflow)
    assert given == {}


# ---------------------------------------------------------------------------------------------
# A merge that is not finished

CONFLICT = "[\n<<<<<<< HEAD\n 1\n=======\n 2\n>>>>>>> theirs\n]\n"
CURE = "take the results of one side (docs/tracking.md, Merging branches)"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = copied(tmp_path / "gahb")
    write_params(folder, micro(ROOT))
    (folder / "results/records").mkdir(parents=True)
    return folder


@pytest.mark.slow
def test_snakemake_stops_in_the_middle_of_a_merge(project: Path):
    record = project / "results/records/denoisers.json"
    record.write_text(CONFLICT)
    told = fails(project, "snakemake", "-n")
    assert (
        f"results/records/denoisers.json holds both sides of a merge (<<<<<<< HEAD, line 2): {CURE}"
        in told
    )
    assert "Traceback" not in told
    record.write_text("[]\n")
    assert "This was a dry-run" in run(project, "snakemake", "-n")


@pytest.mark.parametrize("name", ["results/records/denoisers.json", "dvc.lock"])
def test_verify_stops_in_the_middle_of_a_merge(project: Path, name: str):
    (project / name).write_text(CONFLICT)
    with pytest.raises(ArtifactError, match=rf"{name} holds both sides of a merge"):
        disagreements(project)


def test_a_record_that_cannot_be_read_stops_a_run(folder: Path):
    """It vouches for what took days to make."""
    file = folder / "results/records/denoisers.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps([{"rule": "denoiser"}])[:-3])
    records = Records(Path("results"))
    with pytest.raises(WorkflowError, match=r"denoisers.json is damaged or edited: .*git checkout"):
        records.read()
