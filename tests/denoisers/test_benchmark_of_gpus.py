"""The script that fills the table of speeds, on tiny shapes: all of its rows, whatever becomes of one."""

from __future__ import annotations

import json
from typing import Any

import gpu
import pytest


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[0] == "{"]


def test_every_row_is_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu.Rows, "start", lambda self: {"s": 1.0})  # a process of its own
    gpu.main(["--dry"])
    *found, last = rows(capsys)
    assert [row["what"] for row in found] == [what for what, _ in gpu.Rows(True, 0, "cpu")]
    assert not [row for row in found if "error" in row]
    assert all(row["images/s"] > 0 < row["published"] for row in found[:3])
    assert last["what"] == "all of this"


def test_what_a_row_lacks_is_in_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def failing(self: object) -> None:
        raise RuntimeError("CUDA error\nand more")

    monkeypatch.setattr(
        gpu.Rows, "__iter__", lambda self: iter([("a", lambda: failing(self)), ("b", dict)])
    )
    gpu.main(["--dry"])
    first, second, _ = rows(capsys)
    assert first["error"] == "RuntimeError: CUDA error"
    assert second["what"] == "b"
    gpu.main(["--dry", "--limit", "-1"])
    assert ["left out" in row for row in rows(capsys)] == [True, True, False]


def test_spectra_do_not_need_a_training_that_worked():
    assert gpu.Rows(True, 0, "cpu").full()["s"] > 0
