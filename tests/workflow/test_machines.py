"""A tree says where its results were computed by several machines, or in several precisions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from gahb.artifacts import create_hdf5, provenance, write_table, write_tensors
from gahb.provenance.machines import differences

HERE = {"processor": "A CPU", "device": "cpu", "precision": "float32", "compiled": False}
THERE = HERE | {"precision": "bfloat16", "compiled": True}


def told(root: Path) -> list[str]:
    paths = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return differences(root, paths, Path("results"))


def test_machines_and_precisions_that_differ_are_told(tmp_path: Path):
    results = tmp_path / "results"
    tensors = {"a": torch.zeros(1)}
    write_tensors(results / "denoisers/N1.safetensors", tensors, provenance({}, {}, HERE))
    write_tensors(
        results / "denoisers/N2.safetensors", tensors, provenance({}, {}, {"imported": True})
    )
    write_table(results / "evaluation/N1.csv", pd.DataFrame({"a": [1]}), provenance({}, {}, THERE))
    with create_hdf5(results / "spectra/N1.h5", provenance({}, {}, {"processor": "A CPU"})):
        pass
    (results / "figures").mkdir()
    (results / "figures/gap.png").write_bytes(b"")
    assert told(tmp_path) == []  # training and evaluating are not done alike, and need not be
    compiled = HERE | {"compiled": True}
    write_tensors(results / "denoisers/N3.safetensors", tensors, provenance({}, {}, compiled))
    assert told(tmp_path) == []
    write_tensors(results / "denoisers/N4.safetensors", tensors, provenance({}, {}, THERE))
    assert told(tmp_path) == [
        "denoisers were computed in bfloat16 on cpu (1, as results/denoisers/N4.safetensors); "
        "float32 on cpu (2, as results/denoisers/N1.safetensors)"
    ]
    other = {"processor": "B CPU"}
    with create_hdf5(results / "spectra/N2.h5", provenance({}, {}, other)):
        pass
    assert told(tmp_path)[0] == (
        "results were computed by A CPU (5, as results/denoisers/N1.safetensors); "
        "B CPU (1, as results/spectra/N2.h5)"
    )
    (results / "spectra/N2.h5").write_bytes(b"damaged")
    assert len(told(tmp_path)) == 1
