"""Of several GPUs each process holds one, pretended here by names and a fake torch.cuda."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import gahb
from gahb import cli, devices

HOLD = """
import sys
from gahb import devices
number, held = devices.hold(["0", "1"])
print(number, flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "_chosen", [])


def test_devices_are_shared_evenly_and_given_back():
    held = [devices.hold(["a", "b", "c"]) for _ in range(5)]
    assert [number for number, _ in held] == [0, 1, 2, 0, 1]
    held[1][1].close()
    assert devices.hold(["a", "b", "c"])[0] == 1


def test_a_killed_process_gives_its_device_back(
    tmp_path: Path, root: Path, environment: dict[str, str]
):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env=environment | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    assert devices.hold(["0", "1"])[0] == 1
    process.kill()
    process.wait()
    assert devices.hold(["0", "1"])[0] == 0


def test_where_there_are_no_locks_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refuse(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert devices.hold(["0", "1"])[0] == 0
    assert capsys.readouterr().out.count("no locks available") == 1


@pytest.mark.parametrize(
    ("named", "expected"), [("", []), ("-1", []), ("3, 5", ["3", "5"]), ("GPU-7a", ["GPU-7a"])]
)
def test_visible_devices_are_those_named(
    monkeypatch: pytest.MonkeyPatch, named: str, expected: list[str]
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert devices.visible() == expected


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two devices, numbers 4 and 7 of the machine."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")


def test_a_job_takes_one_device_until_it_ends(two: None):
    """It sees that one alone, so that what is compiled for the first device serves on any."""
    other = devices.hold(devices.visible())[1]
    assert devices.device_in_use() == "cpu"
    with devices.job():
        assert devices.choose_device("cpu") == "cpu"
        assert devices.visible() == ["4", "7"]
        assert devices.choose_device() == devices.choose_device("cuda") == "cuda"
        assert devices.visible() == ["7"]
        assert devices.device_in_use() == "cuda"
        assert devices.hold(["4", "7"])[0] == 0  # once more, since both are held once
    assert devices.visible() == ["4", "7"]
    assert devices.hold(["4", "7"])[0] == 1
    other.close()


def test_a_job_that_sees_all_devices_sees_all_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices.Path, "glob", lambda folder, pattern: ["nvidia0", "nvidia1"])
    with devices.job():
        devices.choose_device()
        assert devices.visible() == ["0"]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_call_of_the_library_changes_nothing_of_its_process(two: None, tmp_path: Path):
    before = dict(os.environ)
    assert devices.choose_device() == devices.choose_device("cuda") == "cuda"
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []  # no lease


def test_commands_are_jobs(two: None, monkeypatch: pytest.MonkeyPatch):
    seen: list[list[str]] = []

    def chosen(options: object) -> None:
        devices.choose_device()
        seen.append(devices.visible())

    monkeypatch.setattr(cli.people, "pretrained", chosen)
    cli.main(["pretrained"])
    assert seen == [["4"]]
    assert devices.visible() == ["4", "7"]


def test_without_cuda_the_processor_computes_unless_cuda_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.choose_device() == "cpu"
    with pytest.raises(
        ValueError,
        match=r"training\.device: found cuda, but torch .*''; allowed here is auto or cpu",
    ):
        devices.choose_device("cuda")
    assert devices.device_in_use() == "cpu"
    for asked in ("cuda:7", "gpu"):
        with pytest.raises(ValueError, match=f"found {asked}, allowed is one of auto, cpu, cuda"):
            devices.choose_device(asked)
    with pytest.raises(ValueError, match=r"training\.device: found cuda, but torch"):
        gahb.train("a folder that is not read", device="cuda")
    with pytest.raises(ValueError, match='device: found "cuda:7", allowed is one of'):
        gahb.train(torch.rand(8, 1, 8, 8), device="cuda:7")


@pytest.mark.parametrize(
    ("device", "told"),
    [("cuda:7", "allowed here is one of cuda:0, cuda:1"), ("gpu", "no device of torch")],
)
def test_a_device_that_is_not_there_is_refused_at_once(two: None, device: str, told: str):
    sampler = gahb.Ancestral((1.0, 0.1))
    with pytest.raises(ValueError, match=f"device: found {device}, .*{told}"):
        gahb.draw_samples(lambda y: y, sampler, range(2), 8, 0, device=device)
    devices.must_be_present("cuda:1", "device")


@pytest.mark.parametrize(
    ("told", "largest", "jobs"),
    [("81559", 6000, 8), ("81559", 36000, 2), ("81559\n24564", 5000, 4), ("8192", 36000, 1)],
)
def test_as_many_jobs_share_a_device_as_its_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, largest: int, jobs: int
):
    asked = tmp_path / "nvidia-smi"
    asked.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho "{told}"\n')
    asked.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert devices.jobs_at_once(largest) == jobs
    assert "--id=0,1" in (tmp_path / "asked").read_text()
    asked.write_text("#!/bin/sh\necho no devices were found; exit 6\n")
    assert devices.jobs_at_once(largest) == devices.UNKNOWN
