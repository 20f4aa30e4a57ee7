"""Images as people have them become tensors (C, H, W)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gahb.datasets.gathering import by_shape, gathered, stacked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deeper").mkdir()
    for name, shape, value in (
        ("b.png", (8, 6), 51),
        ("deeper/a.JPG", (4, 4), 0),
        ("c.png", (8, 6), 255),
    ):
        Image.fromarray(np.full(shape, value, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_is_read_in_the_order_of_names_whatever_the_sizes(folder: Path):
    found = gathered(folder)
    assert [tuple(one.shape) for one in found] == [(1, 8, 6), (1, 8, 6), (1, 4, 4)]
    assert [one.mean().item() for one in found] == pytest.approx([0.2, 1, 0])
    assert by_shape(found) == {(1, 8, 6): [0, 1], (1, 4, 4): [2]}
    assert [one.mean().item() for one in gathered([folder / "c.png", str(folder / "b.png")])] == [
        1,
        pytest.approx(0.2),
    ]


def test_arrays_tensors_and_lists_are_taken():
    array = np.random.default_rng(0).random((2, 3, 4, 5))
    assert stacked(array).dtype == torch.float32
    torch.testing.assert_close(stacked(array), torch.from_numpy(array).float())
    assert stacked(array[:, 0]).shape == (2, 1, 4, 5)
    assert [tuple(one.shape) for one in gathered([array[0], torch.zeros(6, 7)])] == [
        (3, 4, 5),
        (1, 6, 7),
    ]


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_images_of_a_training_become_plain_ones(kind: str):
    values = torch.tensor([[0.25, 0.5], [0.75, 1.0]], dtype=getattr(torch, kind))
    (found,) = gathered([values.requires_grad_()])
    assert (found.dtype, found.requires_grad) == (torch.float32, False)
    assert found.numpy().tolist() == [[[0.25, 0.5], [0.75, 1.0]]]
    assert values.requires_grad


@pytest.mark.parametrize("kind", ["<f2", ">f4", ">f8", "longdouble"])
def test_arrays_of_any_precision_are_taken(kind: str):
    values = np.array([[0.25, 0.5], [0.75, 1.0]], kind)
    values.flags.writeable = False
    assert gathered([values[:, ::-1]])[0].numpy().tolist() == [[[0.5, 0.25], [1.0, 0.75]]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_images_on_a_gpu_are_brought_to_the_processor():
    assert stacked(torch.zeros(2, 4, 4, device="cuda")).device.type == "cpu"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 4, 4), np.uint8), r"images\[0\]: found torch.uint8; .*divide by 255"),
        (np.zeros((4, 4)), r"images: found shape \(4, 4\); expected \(N, H, W\)"),
        ([torch.zeros(2)], r"images\[0\]: found shape \(2,\)"),
        ([], "images: found none"),
        (3, "images: found int"),
        (np.zeros((1, 8, 9, 3)), r"images\[0\]: found shape \(8, 9, 3\); .* channels first"),
        (torch.zeros(1, 4, 4, dtype=torch.int64), r"images\[0\]: found torch.int64"),
        ([np.full((2, 2), 1e39)], r"images\[0\]: found intensities beyond what float32 holds"),
        ([torch.full((2, 2), torch.nan)], r"images\[0\]: not all intensities are finite"),
        ("nowhere", "images: there is no 'nowhere'"),
        (Path(__file__).parent, "in which no name ends in .png, .jpg"),
        (Path(__file__), "test_gathering.py: not a PNG or JPEG image"),
    ],
)
def test_what_is_no_image_is_told(images: object, message: str):
    with pytest.raises(ValueError, match=message):
        gathered(images)


def test_images_of_several_sizes_are_not_one_set():
    with pytest.raises(
        ValueError, match=r"found the shapes \(1, 2, 2\), \(1, 2, 3\); expected one"
    ):
        stacked([torch.zeros(2, 2), torch.zeros(2, 3)])
