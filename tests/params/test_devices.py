"""Of several GPUs each process holds one, pretended here by names and a fake torch.cuda."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gahb import devices

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
    for name in ("_held", "_chosen"):
        monkeypatch.setattr(devices, name, [])


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


def test_a_process_takes_one_device_for_good(monkeypatch: pytest.MonkeyPatch):
    """It sees that one alone, so that what is compiled for the first device serves on any."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    other = devices.hold(devices.visible())[1]
    assert devices.device_in_use() == "cpu"
    assert devices.choose_device("cpu") == "cpu"
    assert devices.visible() == ["4", "7"]
    assert devices.choose_device() == devices.choose_device("cuda") == "cuda"
    assert devices.visible() == ["7"]
    assert devices.device_in_use() == "cuda"
    other.close()


def test_without_cuda_the_processor_computes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose_device() == "cpu"
    assert devices.choose_device("cuda") == "cuda"  # torch will say that there is none
