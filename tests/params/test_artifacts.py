"""Files are written whole or not at all, say what made them, and are refused when damaged or stale."""

from __future__ import annotations

import errno
import json
import os
import platform
import random
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from gahb import artifacts
from gahb.artifacts import (
    ArtifactError,
    atomic,
    canonical_json,
    check_input,
    check_spec,
    create_hdf5,
    digest_arrays,
    digest_file,
    open_hdf5,
    processor,
    provenance,
    read_attribute,
    read_sidecar,
    read_table,
    read_tensors,
    refuse_conflict,
    sidecar_of,
    write_table,
    write_tensors,
    write_text,
)
from gahb.version import __version__

SPEC = {"training": {"updates": 1500, "seed": 0}, "set_size": 10}
MADE_FROM = provenance(SPEC, {"dataset": "ab" * 32})
TENSORS = {"weight": torch.arange(12.0).reshape(3, 4), "gain": torch.ones(2), "n": torch.tensor(3)}
TABLE = pd.DataFrame({"sigma": [0.1, 1 / 3], "psnr": [20.0, 9.5], "where": ["own", "test"]})
IMAGES = np.random.default_rng(0).random((40, 1, 4, 4), dtype=np.float32)
INDEX = np.arange(7)


def write_hdf5(path: Path) -> Path:
    with create_hdf5(path, MADE_FROM) as file:
        file.create_dataset("images", data=IMAGES, chunks=(16, 1, 4, 4), fletcher32=True)
        file.create_dataset("index", data=INDEX, chunks=INDEX.shape, fletcher32=True)
    return path


def write_weights(path: Path) -> Path:
    write_tensors(path, TENSORS, MADE_FROM)
    return path


def write_csv(path: Path) -> Path:
    write_table(path, TABLE, MADE_FROM)
    return path


def content_of_hdf5(path: Path) -> tuple:
    with open_hdf5(path) as file:
        attributes = [canonical_json(read_attribute(file, key)) for key in MADE_FROM]
        return attributes, file["images"][:].tolist(), file["index"][:].tolist()


# ---------------------------------------------------------------------------------------------
# Atomic writes


def failing_writers() -> dict[str, Callable[[Path], None]]:
    class Unwritable:
        def detach(self) -> torch.Tensor:
            raise RuntimeError("interrupted")

    def hdf5(path: Path) -> None:
        with create_hdf5(path, MADE_FROM) as file:
            file.create_dataset("images", data=IMAGES)
            raise RuntimeError("interrupted")

    def interrupted(path: Path) -> None:
        with atomic(path) as partial:
            partial.write_text("half of")
            raise KeyboardInterrupt("interrupted")

    def never_written(path: Path) -> None:
        with atomic(path):
            pass  # nothing was written, so there is nothing to rename

    return {
        "hdf5": hdf5,
        "tensors": lambda path: write_tensors(path, {"w": Unwritable()}, MADE_FROM),
        "metadata": lambda path: write_tensors(path, TENSORS, {"spec": float("nan")}),
        "attribute": lambda path: create_hdf5(path, {"spec": {1, 2}}).__enter__(),
        "interrupted": interrupted,
        "never_written": never_written,
    }


def test_processes_that_write_one_file_do_not_meet(tmp_path: Path):
    """As where a run was killed, its jobs live on, and the next run submits them again."""
    path = tmp_path / "table.csv"
    write = f"from gahb.artifacts import write_text; write_text({str(path)!r}, 'theirs')"
    with atomic(path) as partial:
        partial.write_text("ours")
        subprocess.run([sys.executable, "-c", write], check=True)
        assert path.read_text() == "theirs"
        assert partial.read_text() == "ours"
    assert path.read_text() == "ours"


def test_what_a_killed_process_left_is_removed(tmp_path: Path):
    path = tmp_path / "table.csv"
    kill = f"""
import os, signal
from gahb.artifacts import atomic
with atomic({str(path)!r}) as partial:
    partial.write_text("half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", kill], check=False)
    assert [left.suffix for left in tmp_path.iterdir()] == [".partial"]
    write_text(path, "all of it")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_hdf5, write_weights, write_csv])
def test_what_a_write_killed_halfway_left_is_removed(tmp_path: Path, write):
    """No library writes under a name of its own, which nobody would know for a leftover."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))  # bytes, of any file
        try:
            write(tmp_path / "result.x")
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGXFSZ
    assert [left.suffix for left in tmp_path.iterdir()] == [".partial"]
    write(tmp_path / "result.x")
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_told_with_the_name_of_the_result(tmp_path: Path):

    def fill() -> None:
        with atomic(tmp_path / "weights") as partial:
            partial.symlink_to("/dev/full")
            partial.write_bytes(b"weights")

    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/weights'"):
        fill()


@pytest.mark.parametrize("kind", failing_writers())
def test_failed_write_leaves_the_previous_file(tmp_path: Path, kind: str):
    path = tmp_path / "results" / "artifact"
    with pytest.raises((RuntimeError, KeyboardInterrupt, ValueError, TypeError, OSError)):
        failing_writers()[kind](path)
    assert not list(tmp_path.rglob("*.*"))
    assert not path.exists()

    write_text(path, "before")
    with pytest.raises((RuntimeError, KeyboardInterrupt, ValueError, TypeError, OSError)):
        failing_writers()[kind](path)
    assert path.read_text() == "before"
    assert [file.name for file in path.parent.iterdir()] == ["artifact"]


def test_final_name_appears_only_when_complete(tmp_path: Path):
    path = tmp_path / "artifact.txt"
    with atomic(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        assert partial.parent == path.parent  # a rename across file systems is not atomic
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_flushed_to_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    events = []
    monkeypatch.setattr(artifacts.os, "fsync", lambda _: events.append("flush"))
    replace = artifacts.os.replace
    monkeypatch.setattr(
        artifacts.os, "replace", lambda *paths: (events.append("rename"), replace(*paths))
    )
    write_text(tmp_path / "a", "text")
    assert events == ["flush", "rename", "flush"]  # the file, its new name, the folder


def test_a_leftover_of_a_killed_write_is_no_obstacle(tmp_path: Path):
    path = tmp_path / "data.h5"
    with atomic(path) as partial:
        partial.write_text("x")
    partial.write_bytes(b"rubbish of a killed process")
    write_hdf5(path)
    assert content_of_hdf5(path)[2] == INDEX.tolist()
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------------------------------------
# Provenance and specs


def test_provenance_says_what_from_and_with_what():
    assert MADE_FROM["spec"] == SPEC
    assert MADE_FROM["inputs"] == {"dataset": "ab" * 32}
    assert MADE_FROM["versions"]["torch"] == torch.__version__
    assert MADE_FROM["versions"]["numpy"] == np.__version__
    assert set(MADE_FROM["versions"]) >= {"python", "gahb", "h5py", "pandas"}
    assert all(version != "absent" for version in MADE_FROM["versions"].values())
    assert MADE_FROM["computation"] == {"processor": processor()}
    assert provenance(SPEC, {}, {"imported": True})["computation"] == {"imported": True}


def test_the_version_is_that_of_the_source_and_not_of_metadata(monkeypatch: pytest.MonkeyPatch):
    """Of a package that was installed once, and whose source is newer."""
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.0.1")
    found = provenance(SPEC)["versions"]
    assert found["gahb"] == __version__ != "0.0.1"
    assert found["h5py"] == "0.0.1"


CPUINFO = """processor	: 0
model name	: Some CPU @ 2 GHz
flags		: fpu avx2 avx512f {}
"""


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (CPUINFO.format("amx_bf16 avx512_bf16"), "Some CPU @ 2 GHz, amx_bf16"),
        (CPUINFO.format(""), "Some CPU @ 2 GHz, avx512f"),
        ("Features : fp asimd", platform.machine()),
        (None, "Apple M9"),
    ],
)
def test_processor_is_named_with_its_widest_arithmetic(monkeypatch, told, name):
    def read_text(path):
        if told is None:
            raise FileNotFoundError(path)
        return told

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(platform, "processor", lambda: "Apple M9")
    assert processor.__wrapped__() == name


def test_check_spec_names_every_key_that_differs():
    found = {"a": 1, "training": {"updates": 1500, "seed": 0, "old": True}, "sizes": [1, 2]}
    asked = {"a": 1, "training": {"updates": 3000, "seed": 0, "new": "x"}, "sizes": [1, 3]}
    with pytest.raises(ArtifactError) as refused:
        check_spec("results/model.safetensors", found, asked)
    message = str(refused.value)
    assert "results/model.safetensors" in message
    assert "training.updates: the file has 1500, params.yaml asks for 3000" in message
    assert "training.old: the file has true, params.yaml asks for nothing" in message
    assert 'training.new: the file has nothing, params.yaml asks for "x"' in message
    assert "sizes: the file has [1,2], params.yaml asks for [1,3]" in message
    assert not re.search(r"\ba:|seed", message)
    check_spec("same", found, dict(reversed(found.items())))
    check_spec("anything goes", found, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=40)
@given(found=st.dictionaries(st.text(max_size=2), JSON), asked=st.dictionaries(st.text(), JSON))
def test_check_spec_refuses_exactly_what_differs(found: dict, asked: dict):
    check_spec("file", found, json.loads(json.dumps(found)))
    if canonical_json(found) != canonical_json(asked):
        with pytest.raises(ArtifactError, match="the file has"):
            check_spec("file", found, asked)


def test_check_input_names_both_digests():
    check_input("model", {"dataset": "aaaa"}, "dataset", "aaaa")
    with pytest.raises(ArtifactError, match=r"model was made from another dataset.*aaaa.*bbbb"):
        check_input("model", {"dataset": "aaaa"}, "dataset", "bbbb")
    with pytest.raises(ArtifactError, match="nothing"):
        check_input("model", {}, "dataset", "bbbb")


def test_canonical_json_is_one_text_per_value():
    assert canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.5]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_digest_of_arrays_covers_names_types_shapes_and_values():
    base = {"a": np.arange(6, dtype=np.float32), "b": np.zeros((0, 3))}
    same = digest_arrays(dict(reversed(base.items())))
    assert digest_arrays(base) == same
    assert digest_arrays(base | {"a": base["a"][::2].repeat(2)[:6]}) != same
    for other in (
        {"c": base["a"], "b": base["b"]},
        base | {"a": base["a"].astype(np.float64)},
        base | {"a": base["a"].reshape(2, 3)},
        base | {"b": np.zeros((3, 0))},
    ):
        assert digest_arrays(other) != same
    transposed = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert digest_arrays({"a": transposed}) == digest_arrays({"a": transposed.copy(order="C")})


# ---------------------------------------------------------------------------------------------
# Round trips and bytes


def test_hdf5_round_trip(tmp_path: Path):
    path = write_hdf5(tmp_path / "a.h5")
    with open_hdf5(path, SPEC) as file:
        assert {key: read_attribute(file, key) for key in MADE_FROM} == MADE_FROM
        np.testing.assert_array_equal(file["images"][:], IMAGES)
    with (
        pytest.raises(ArtifactError, match=r"a\.h5 was made from other settings"),
        open_hdf5(path, SPEC | {"set_size": 100}),
    ):
        pass


def test_tensors_round_trip(tmp_path: Path):
    path = write_weights(tmp_path / "a.safetensors")
    tensors, header = read_tensors(path, SPEC)
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert {key: header[key] for key in MADE_FROM} == MADE_FROM
    with pytest.raises(ArtifactError, match=r"a\.safetensors was made from.*\n.*set_size"):
        read_tensors(path, SPEC | {"set_size": 100})


def test_tensors_in_any_memory_layout(tmp_path: Path):
    image = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    write_tensors(tmp_path / "a", {"image": image, "turned": image.mT}, MADE_FROM)
    read = read_tensors(tmp_path / "a")[0]
    assert torch.equal(read["image"], image)
    assert torch.equal(read["turned"], image.mT)


def test_table_round_trip(tmp_path: Path):
    path = write_csv(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read_table(path, SPEC), TABLE, rtol=1e-8)
    assert sidecar_of(path) == tmp_path / "a.json"
    record = read_sidecar(path)
    assert {key: record[key] for key in MADE_FROM} == MADE_FROM
    assert record["sha256"] == digest_file(path)
    with pytest.raises(ArtifactError, match=r"a\.csv was made from other settings"):
        read_table(path, {})


@pytest.mark.parametrize("write", [write_hdf5, write_weights, write_csv])
def test_bytes_are_a_function_of_the_content(tmp_path: Path, write: Callable[[Path], Path]):
    write(tmp_path / "first" / "a.x")
    write(tmp_path / "second" / "a.x")
    names = {file.name for file in (tmp_path / "first").iterdir()}
    assert names == {file.name for file in (tmp_path / "second").iterdir()}
    for name in names:
        first, second = ((tmp_path / run / name).read_bytes() for run in ("first", "second"))
        assert first == second


# ---------------------------------------------------------------------------------------------
# Damage: every truncation and every flipped bit is refused, and the message names the file


def outcome(read: Callable[[Path], object], path: Path) -> object:
    """What was read, or None if the file was refused by name."""
    try:
        return read(path)
    except ArtifactError as error:
        message = str(error)
    assert path.stem in message
    return None


READERS = {
    "h5": (write_hdf5, content_of_hdf5),
    "safetensors": (write_weights, lambda path: str(read_tensors(path))),
    "csv": (write_csv, lambda path: (str(read_table(path)), read_sidecar(path))),
}


@pytest.mark.parametrize("kind", READERS)
def test_truncated_files_are_refused(tmp_path: Path, kind: str):
    write, read = READERS[kind]
    path = write(tmp_path / f"whole.{kind}")
    content = path.read_bytes()
    for length in {0, 1, 7, 8, 30, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:length])
        assert outcome(read, path) is None, length
    path.write_bytes(content)
    assert outcome(read, path) is not None
    path.unlink()
    with pytest.raises(ArtifactError, match=rf"whole\.{kind} does not exist"):
        read(path)


@pytest.mark.parametrize("kind", READERS)
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, kind: str, flip: Callable[..., Path]):
    """A random sample of all bits: each is refused, or (in unused bytes of HDF5) changes nothing."""
    write, read = READERS[kind]
    path = write(tmp_path / f"whole.{kind}")
    intact = outcome(read, path)
    draw = random.Random(kind)
    size = path.stat().st_size
    positions = draw.sample(range(size), k=min(size, 200))
    damaged = tmp_path / f"damaged.{kind}"
    if kind == "csv":
        sidecar_of(damaged).write_bytes(sidecar_of(path).read_bytes())
    refused = 0
    for position in positions:
        found = outcome(read, flip(path, position, draw.randrange(8), to=damaged))
        assert found is None or (kind == "h5" and found == intact), position
        refused += found is None
    assert refused > 0.5 * len(positions)


def test_flipped_bit_in_each_chunk_of_images(tmp_path: Path, flip: Callable[..., Path]):
    path = write_hdf5(tmp_path / "images.h5")
    with h5py.File(path) as file:
        chunks = [file["images"].id.get_chunk_info(k) for k in range(3)]
    for chunk in chunks:
        damaged = flip(path, chunk.byte_offset + chunk.size // 2, to=tmp_path / "damaged.h5")
        with pytest.raises(ArtifactError, match=r"damaged\.h5 is damaged"):
            content_of_hdf5(damaged)


def test_flipped_bit_in_a_tensor(tmp_path: Path, flip: Callable[..., Path]):
    path = write_weights(tmp_path / "model.safetensors")
    flip(path, path.stat().st_size - 3)
    with pytest.raises(ArtifactError, match=r"model\.safetensors is damaged: its tensors"):
        read_tensors(path)


def test_flipped_bit_in_a_sidecar(tmp_path: Path, flip: Callable[..., Path]):
    path = write_csv(tmp_path / "table.csv")
    sidecar = sidecar_of(path)
    intact = sidecar.read_bytes()
    for position in range(0, len(intact), 7):
        flip(sidecar, position, bit=1)
        with pytest.raises(ArtifactError, match="table"):
            read_table(path)
        sidecar.write_bytes(intact)
    read_table(path)


def test_edited_table_is_refused(tmp_path: Path):
    path = write_csv(tmp_path / "table.csv")
    path.write_text(path.read_text().replace("9.5", "9.6"))
    with pytest.raises(ArtifactError, match=r"table\.csv is damaged or edited.*table\.json"):
        read_table(path)


# ---------------------------------------------------------------------------------------------
# Files of others


def test_foreign_safetensors(tmp_path: Path):
    for metadata in (None, {"format": "pt"}, {"gahb": "{}"}, {"gahb": "[]"}, {"gahb": "3"}):
        save_file(TENSORS, str(tmp_path / "other.safetensors"), metadata=metadata)
        with pytest.raises(ArtifactError, match=r"other\.safetensors.*not written by gahb"):
            read_tensors(tmp_path / "other.safetensors")


def test_foreign_hdf5(tmp_path: Path):
    path = tmp_path / "other.h5"
    for spec in (None, "not JSON", 3.5):
        with h5py.File(path, "w") as file:
            file["images"] = IMAGES
            if spec is not None:
                file.attrs["spec"] = spec
        with pytest.raises(ArtifactError, match=r"other\.h5 holds no readable attribute 'spec'"):
            content_of_hdf5(path)


def test_foreign_table(tmp_path: Path):
    path = tmp_path / "other.csv"
    path.write_text("sigma,psnr\n1,2\n")
    with pytest.raises(ArtifactError, match=r"other\.json does not exist"):
        read_table(path)
    for text in ('{"rows": 3}', "[]", "3"):
        sidecar_of(path).write_text(text)
        with pytest.raises(ArtifactError, match=r"other\.json lacks the keys sha256, spec"):
            read_table(path)
    sidecar_of(path).write_bytes(b"\xff\xfe")
    with pytest.raises(ArtifactError, match=r"other\.json is damaged or truncated"):
        read_table(path)


def test_missing_part_of_an_hdf5_file_is_named(tmp_path: Path):
    path = write_hdf5(tmp_path / "a.h5")
    with pytest.raises(ArtifactError, match=r"a\.h5.*labels"), open_hdf5(path) as file:
        file["labels"]


def test_errors_of_the_reader_itself_pass_through(tmp_path: Path):
    path = write_hdf5(tmp_path / "a.h5")
    with pytest.raises(KeyError, match="mine"), open_hdf5(path):
        raise KeyError("mine")
    with pytest.raises(RuntimeError, match="diverged"), open_hdf5(path):
        raise RuntimeError("diverged")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("code", ["EACCES", "EMFILE", "ESTALE", "EIO"])
def test_what_cannot_be_opened_now_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, code: str
):
    write, read = READERS[kind]
    path = write(tmp_path / f"a.{kind}")

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(artifacts, "open", refused, raising=False)
    told = f"{path} cannot be read ({code}: {os.strerror(getattr(errno, code))})"
    with pytest.raises(ArtifactError, match=f"^{re.escape(told)}$"):
        read(path)


@pytest.mark.parametrize("kind", READERS)
def test_no_file_handles_are_left(tmp_path: Path, kind: str):
    write, read = READERS[kind]
    path = write(tmp_path / f"a.{kind}")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(ArtifactError, match=r"cannot be read \(EMFILE: Too many open files\)"):
            read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextmanager
def held_open(path: Path, mode: str) -> Iterator[None]:
    """As a notebook holds it, that is: another program, until it is killed."""
    code = (
        f"import h5py, sys; f = h5py.File({str(path)!r}, {mode!r}); print(1, flush=True); input()"
    )
    notebook = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1)
    assert notebook.stdout is not None
    notebook.stdout.readline()
    try:
        yield
    finally:
        notebook.kill()
        notebook.communicate()


def test_an_open_notebook_keeps_nobody_from_reading(tmp_path: Path):
    path = write_hdf5(tmp_path / "a.h5")
    with held_open(path, "r"):
        content_of_hdf5(path)
    with h5py.File(path, "r"):
        content_of_hdf5(path)


def test_a_file_that_is_being_changed_is_in_use_and_not_damaged(tmp_path: Path):
    path = write_hdf5(tmp_path / "a.h5")
    with (
        held_open(path, "r+"),
        pytest.raises(ArtifactError, match="is open for writing in another program"),
    ):
        content_of_hdf5(path)


@pytest.mark.parametrize("code", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_file_systems_without_locks_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
):
    path = write_hdf5(tmp_path / "a.h5")
    opened = h5py.File

    class Unlockable(opened):
        def __init__(self, name: Any, mode: str, **options: Any) -> None:
            if options.get("locking") is not False:
                number = getattr(errno, code)
                raise OSError(
                    number, f"Unable to open file (unable to lock file, errno = {number})"
                )
            super().__init__(name, mode, **options)

    monkeypatch.setattr(h5py, "File", Unlockable)
    content_of_hdf5(path)
    write_hdf5(tmp_path / "b.h5")
    assert (tmp_path / "b.h5").read_bytes() == path.read_bytes()


def test_both_sides_of_a_merge_are_refused():
    text = "[\n<<<<<<< HEAD\n 1\n=======\n 2\n>>>>>>> theirs\n]\n"
    with pytest.raises(ArtifactError, match=r"^a.json .*\(<<<<<<< HEAD, line 2\): choose$"):
        refuse_conflict("a.json", text, "choose")
    refuse_conflict("a.json", "[1]\n=======\n", "choose")


def test_a_folder_is_not_a_file(tmp_path: Path):
    for read in (read_tensors, read_table, content_of_hdf5):
        with pytest.raises(ArtifactError, match="is not a file"):
            read(tmp_path)
