"""Killed, crowded or locked out: the same command completes, to the bytes of an undisturbed run.

GAHB_KILLS sets how often each of the three is killed (10 are the promise).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from helpers.tracking_project import ROOT, commit, contents, environment, micro, project, run

from gahb.artifacts import canonical_json, digest_file
from gahb.params import network_spec

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("GAHB_KILLS", "1"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run to the networks was never disturbed, and how long it took."""
    params = micro(ROOT)
    params["training"] |= {"updates": 60}
    folder = project(tmp_path_factory.mktemp("undisturbed") / "gahb", params)
    run(folder, "dvc", "repro", "denoisers")
    commit(folder, "the results")
    return folder


@pytest.fixture
def fresh(undisturbed: Path, tmp_path: Path) -> Path:
    """The same project before that run."""
    run(tmp_path, "git", "clone", "-q", str(undisturbed), "gahb")
    run(tmp_path / "gahb", "git", "checkout", "-q", "HEAD~1")
    return tmp_path / "gahb"


def killed(folder: Path, command: list[str], seconds: float, group: bool) -> bool:
    """Start a command in a group of its own and kill it, or all of it; whether it was alive."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment() | {"PYTHONPATH": "src"} if command[0] == "python" else environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        return True
    return False


def training(folder: Path) -> list[str]:
    params = micro(ROOT)
    params["training"] |= {"updates": 60}
    spec = canonical_json(network_spec(params, "alpha1", 2, "S1"))
    out = "results/denoisers/alpha1/N2_S1.safetensors"
    return [
        *("python", "-m", "gahb", "denoisers", "--spec", spec),
        *("--dataset", "results/datasets/alpha1.h5", "--output", out),
        *("--table", "results/training/alpha1/N2_S1.csv"),
        *("--checkpoint", "results/checkpoints/alpha1/N2_S1.safetensors"),
        *("--checkpoint-seconds", "0"),
    ]


@pytest.mark.parametrize("trial", range(KILLS))
@pytest.mark.parametrize("victim", ["trainer", "snakemake", "dvc"])
def test_after_a_kill_the_same_command_completes(
    undisturbed: Path, fresh: Path, victim: str, trial: int
):
    draw = random.Random(f"{victim} {trial}")
    if victim == "trainer":
        shutil.copytree(undisturbed / "results/datasets", fresh / "results/datasets")
        command, wanted = training(fresh), "alpha1/N2"
    else:
        command = (
            ["snakemake", "denoisers"] if victim == "snakemake" else ["dvc", "repro", "denoisers"]
        )
        wanted = ""
    for _ in range(20):
        if not killed(fresh, command, draw.uniform(0.5, 12), group=victim != "dvc"):
            break
        if draw.random() < 0.7:
            break
    source = {"PYTHONPATH": "src"} if victim == "trainer" else {}
    run(fresh, *command, **source)
    expected = {key: value for key, value in contents(undisturbed).items() if wanted in key}
    found = {key: value for key, value in contents(fresh).items() if wanted in key}
    assert found == expected
    assert not list(fresh.rglob("*.partial"))
    if victim != "trainer":
        assert "Nothing to be done" in run(fresh, "snakemake", "denoisers", "-n")


def test_the_second_of_two_runs_is_told_of_the_first(fresh: Path):
    first = subprocess.Popen(
        ["snakemake", "denoisers"], cwd=fresh, env=environment(), stdout=subprocess.DEVNULL
    )
    try:
        lock = fresh / ".snakemake/running"
        for _ in range(2400):
            if lock.exists() and lock.read_text().strip() == str(first.pid):
                break
            assert first.poll() is None
            time.sleep(0.05)
        second = run(fresh, "sh", "-c", "snakemake denoisers; echo status $?", check=False)
        assert "status 1" in second
        assert "cannot be locked" in second or "another run (process" in second
    finally:
        assert first.wait() == 0
    assert "Nothing to be done" in run(fresh, "snakemake", "denoisers", "-n")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("trouble", ["full disk", "read-only folder"])
def test_without_room_to_write_the_previous_artifact_stays(
    undisturbed: Path, tmp_path: Path, trouble: str
):
    mounted = tmp_path / "results/denoisers/alpha1"
    mounted.mkdir(parents=True)
    for name in ("datasets", "checkpoints"):
        if (undisturbed / "results" / name).exists():
            shutil.copytree(undisturbed / "results" / name, tmp_path / "results" / name)
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        output = mounted / "N2_S1.safetensors"
        shutil.copy(undisturbed / "results/denoisers/alpha1/N2_S1.safetensors", output)
        before = digest_file(output)
        if trouble == "full disk":
            with pytest.raises(OSError, match="No space"):
                (mounted / "filler").write_bytes(bytes(100_000))
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
        command = training(tmp_path)
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment() | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        told = "No space left" if trouble == "full disk" else "Read-only file system"
        assert told in done.stderr
        assert "Traceback" not in done.stderr
        assert digest_file(output) == before
        assert {path.name for path in mounted.iterdir()} <= {output.name, "filler"}
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
