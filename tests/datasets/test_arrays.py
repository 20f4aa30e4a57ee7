"""Images of arrays in files: every kind of file, equal images once, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from gahb.artifacts import digest_file, open_hdf5, read_attribute
from gahb.datasets.files import files_of
from gahb.datasets.image_class import image_class
from gahb.datasets.store import open_dataset, write_dataset
from gahb.provenance.cards import write_data_cards

SPEC = {"class": "arrays", "size": 8, "images": 20, "test_images": 4, "seed": 0}
INTEGERS = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
FLOATS = (INTEGERS / np.float32(255)).astype(np.float32)


def saved(path: Path, array: np.ndarray, name: str = "x", **others: np.ndarray) -> Path:
    named = {name: array} | others
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, **named)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for key, value in named.items():
                file[key] = value
    else:
        tensors = {key: torch.from_numpy(value) for key, value in named.items()}
        torch.save(tensors if others else tensors[name], path)
    return path


def images_of(path: Path, **changes: Any) -> np.ndarray:
    drawn = image_class(SPEC | {"file": str(path)} | changes)
    return drawn.render(0, SPEC["images"])


@pytest.mark.parametrize("ending", ["npy", "npz", "h5", "pt"])
@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (8, 8, 1)])
def test_all_files_give_the_same_images(tmp_path: Path, ending: str, shape: tuple[int, ...]):
    expected = images_of(saved(tmp_path / "expected.npy", FLOATS))
    stored = INTEGERS.reshape(24, *shape)
    np.testing.assert_array_equal(images_of(saved(tmp_path / f"a.{ending}", stored)), expected)
    known = {image.tobytes() for image in FLOATS}
    assert {image.tobytes() for image in expected} < known


@pytest.mark.parametrize("ending", ["npz", "h5", "pt"])
def test_one_of_several_arrays_is_named(tmp_path: Path, ending: str):
    labels = np.arange(24)
    path = saved(tmp_path / f"a.{ending}", FLOATS, "x", y=labels)
    np.testing.assert_array_equal(
        images_of(path, key="x"), images_of(saved(tmp_path / "b.npy", FLOATS))
    )
    with pytest.raises(
        ValueError, match=r"found x \(24, 8, 8\), y \(24,\), expected key to name one"
    ):
        images_of(path)
    with pytest.raises(ValueError, match="expected key: z"):
        images_of(path, key="z")


def test_other_types_of_values(tmp_path: Path):
    expected = images_of(saved(tmp_path / "expected.npy", FLOATS))
    for number, stored in enumerate((FLOATS.astype(np.float64), INTEGERS.astype(np.uint16) * 257)):
        found = images_of(saved(tmp_path / f"{number}.npy", stored))
        # of other bytes, so in another order
        for image in found:
            assert np.abs(expected - image).max(axis=(1, 2)).min() < 1e-6 or image not in expected
    path = tmp_path / "half.pt"
    torch.save(torch.from_numpy(FLOATS).bfloat16(), path)
    assert images_of(path).max() <= 1


def test_equal_images_count_once(tmp_path: Path):
    path = saved(tmp_path / "a.npy", np.concatenate([FLOATS[:20], FLOATS[:20], FLOATS[:1]]))
    output = tmp_path / "data.h5"
    write_dataset(SPEC | {"file": str(path)}, output)
    dataset = open_dataset(output)
    images = dataset.images(np.arange(20))
    assert len(np.unique(images.reshape(20, -1), axis=0)) == 20
    with open_hdf5(output) as file:
        assert read_attribute(file, "array") == {"images_found": 41, "images_equal": 21}
        assert read_attribute(file, "inputs") == {"array": digest_file(path)}
        positions = file["array/position"][:]
    assert positions.max() < 20
    citation = Path(__file__).parents[2] / "CITATION.cff"
    write_data_cards([output], citation, [tmp_path / "card.md"])
    assert "| images equal | 21 |" in (tmp_path / "card.md").read_text()
    np.testing.assert_array_equal(images[:, 0], FLOATS[positions])
    with pytest.raises(ValueError, match="found 41 images, 20 of them different; images: 21 were"):
        images_of(path, images=21)


def test_order_is_not_that_of_the_file_and_one_more_image_moves_few(tmp_path: Path):
    spec = SPEC | {"file": str(tmp_path / "a.npy")}

    def parts(array: np.ndarray) -> dict[str, list[bytes]]:
        np.save(tmp_path / "a.npy", array)
        write_dataset(spec, tmp_path / "data.h5")
        dataset = open_dataset(tmp_path / "data.h5")
        return {
            name: [image.tobytes() for image in dataset.images(index)]
            for name, index in dataset.indices.items()
        }

    first = parts(FLOATS[:23])
    assert parts(FLOATS[:23][::-1]) == first
    more = parts(FLOATS)
    for name, images in first.items():
        assert len(set(images) - set(more[name])) <= 1
        kept = [image for image in more[name] if image in images]
        assert kept == [image for image in images if image in kept]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (FLOATS * 255, "found values from 0 to 255 in images 0 to 23, expected floats from 0 to 1"),
        (FLOATS * np.float32(np.nan), "found values from nan"),
        (INTEGERS.astype(np.int64), "found values of type int64, expected uint8"),
        (np.zeros((24, 3, 8, 8), np.uint8), r"found shape \(24, 3, 8, 8\), expected grey images"),
        (
            np.zeros((24, 9, 8), np.uint8),
            r"size 8: \(n, 8, 8\) or \(n, 1, 8, 8\) or \(n, 8, 8, 1\)",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_and_array(tmp_path: Path, array: np.ndarray, message: str):
    with pytest.raises(ValueError, match=rf"a\.npz: x: .*{message}"):
        images_of(saved(tmp_path / "a.npz", array))


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as \.npy"):
        images_of(tmp_path / "a.npy")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "a.pt")  # a pickle that would run code
    with pytest.raises(ValueError, match=r"a\.pt cannot be read as \.pt"):
        images_of(tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a file that ends in one of \.npy"):
        images_of(tmp_path / "a.mat")


def test_the_rule_reads_the_file(tmp_path: Path):
    path = saved(tmp_path / "a.npy", FLOATS)
    shuffled = {"class": "shuffled", "of": SPEC | {"file": str(path)}, "permutation_seed": 0}
    assert files_of("mine", SPEC | {"file": str(path)}) == [str(path)]
    assert files_of("other", shuffled) == [str(path)]
    assert files_of("drawn", {"class": "disks"}) == []
    with pytest.raises(
        ValueError, match=r"image_classes\.mine\.file: found 'no\.npy', which is no file"
    ):
        files_of("mine", SPEC | {"file": "no.npy"})
