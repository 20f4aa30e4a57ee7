"""Photographs: every kind of file becomes the right grey image or is refused by name; no leak, no N x N."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import shutil
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY
from helpers.photographs import fill
from numpy.typing import NDArray
from PIL import Image

from gahb.artifacts import open_hdf5, read_attribute
from gahb.cli import main
from gahb.datasets import duplicates
from gahb.datasets.classes import photographs
from gahb.datasets.duplicates import NearDuplicates, sketches, unit_vectors
from gahb.datasets.folders import list_files, listing_digest, listings
from gahb.datasets.pictures import (
    GREY,
    LARGEST,
    RefusedError,
    area_average,
    prepare,
    read_picture,
    tiles,
)
from gahb.datasets.store import open_dataset, write_dataset
from gahb.params import ParamsError, dataset_spec, load_params, validate

Bytes = NDArray[np.uint8]


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def colours(height: int = 12, width: int = 10) -> Bytes:
    return draws().integers(0, 256, (height, width, 3), np.uint8)


def grey_of(rgb: NDArray[Any]) -> NDArray[np.float64]:
    return sum(weight * rgb[..., i].astype(float) for i, weight in enumerate(GREY)) / 255


def save(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


# ---------------------------------------------------------------------------------------------
# One file to grey


def test_grey_weighs_red_green_and_blue(tmp_path: Path):
    rgb = colours()
    intensities, digest = read_picture(save(Image.fromarray(rgb), tmp_path / "a.png"))
    assert np.allclose(intensities, grey_of(rgb), atol=1e-12)
    assert len(digest) == 64
    white = Image.new("RGB", (9, 9), "white")
    assert read_picture(save(white, tmp_path / "w.png"))[0].max() == pytest.approx(1, abs=1e-12)
    green = Image.new("RGB", (9, 9), (0, 255, 0))
    assert read_picture(save(green, tmp_path / "g.png"))[0][0, 0] == pytest.approx(0.587)


def sixteen_bit(grey: Bytes) -> Image.Image:
    return Image.fromarray(grey.astype(np.uint16) * 257)


PICTURES: dict[str, Callable[[Bytes], tuple[Image.Image, NDArray[np.float64]]]] = {
    "grey": lambda rgb: (Image.fromarray(rgb[..., 0]), rgb[..., 0] / 255),
    "16 bits": lambda rgb: (sixteen_bit(rgb[..., 0]), rgb[..., 0] / 255),
    "two levels": lambda rgb: (
        Image.fromarray(rgb[..., 0] > 127),
        (rgb[..., 0] > 127).astype(float),
    ),
    "palette": lambda rgb: (
        Image.fromarray(rgb).quantize(256),
        grey_of(np.asarray(Image.fromarray(rgb).quantize(256).convert("RGB"))),
    ),
    "opaque": lambda rgb: (Image.fromarray(rgb).convert("RGBA"), grey_of(rgb)),
    "opaque grey": lambda rgb: (Image.fromarray(rgb[..., 0]).convert("LA"), rgb[..., 0] / 255),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_mode_of_png_has_its_intensities(kind: str, tmp_path: Path):
    picture, expected = PICTURES[kind](colours())
    found, _ = read_picture(save(picture, tmp_path / "a.png"))
    assert found.shape == (12, 10)
    assert np.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_mode_of_jpeg_has_its_intensities(mode: str, tmp_path: Path):
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None], 32, axis=0)
    picture = Image.fromarray(ramp).convert("RGB").convert(mode)
    found, _ = read_picture(save(picture, tmp_path / "a.jpg", quality=98))
    assert np.abs(found - ramp / 255).max() < 0.03  # JPEG itself loses about 0.01


@pytest.mark.parametrize("orientation", range(1, 9))
def test_cameras_held_sideways_are_turned_upright(orientation: int, tmp_path: Path):
    upright = np.zeros((32, 48), np.uint8)
    upright[:16, :16] = 250  # the top left corner
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored))
    found, _ = read_picture(save(picture, tmp_path / "a.jpg", quality=98, exif=exif))
    assert np.abs(found - upright / 255).max() < 0.1


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def claiming(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that says it is this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def translucent() -> Image.Image:
    rgba = Image.fromarray(colours()).convert("RGBA")
    rgba.putpixel((3, 3), (1, 2, 3, 200))
    return rgba


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Content and reason, by name."""
    noise = Image.fromarray(colours(64, 64))
    png, jpeg = encoded(noise, "PNG"), encoded(noise, "JPEG")
    progressive = encoded(noise, "JPEG", progressive=True)
    cmyk = encoded(noise.convert("CMYK"), "JPEG")
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 16
    palette = Image.fromarray(colours()).quantize(16)
    return {
        "animated.png": (
            encoded(noise, "PNG", save_all=True, append_images=[noise.rotate(90)]),
            "animated",
        ),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "damaged"),
        "cut-and-closed.jpg": (jpeg[: len(jpeg) // 2] + b"\xff\xd9", "damaged"),
        "zeros.jpg": (jpeg[:-1200] + bytes(600) + jpeg[-600:], "damaged"),
        "progressive.jpg": (progressive[: len(progressive) // 2] + b"\xff\xd9", "damaged"),
        "cmyk.jpg": (cmyk[: len(cmyk) // 2] + b"\xff\xd9", "damaged"),
        "cut.png": (png[: len(png) // 2], "damaged"),
        "damaged.png": (bytes(flipped), "damaged"),
        "empty.png": (b"", "not a PNG or JPEG image"),
        "gif.png": (encoded(palette, "GIF"), "not a PNG or JPEG image"),
        "huge.png": (claiming(LARGEST, 2), "too large"),
        "bomb.png": (claiming(2**20, 2**12), "too large"),
        "notes.png": (b"not an image", "not a PNG or JPEG image"),
        "small.png": (encoded(Image.fromarray(colours(7, 40)), "PNG"), "too small"),
        "tiff.jpg": (encoded(noise, "TIFF"), "not a PNG or JPEG image"),
        "translucent.png": (encoded(translucent(), "PNG"), "transparent"),
        "translucent-palette.png": (encoded(palette, "PNG", transparency=3), "transparent"),
    }


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", bad_files())
def test_unusable_files_are_refused_with_a_reason(name: str, tmp_path: Path):
    content, reason = bad_files()[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RefusedError) as refused:
        prepare(read_picture(tmp_path / name)[0], 8, "whole", 1)
    assert refused.value.reason == reason


# ---------------------------------------------------------------------------------------------
# Crop, downsample, cut


@pytest.mark.parametrize("factor", [1, 1.5, 2, 3.2, 7.3, 60 / 17])
def test_downsampling_averages_over_areas(factor: float):
    """Against pixels split into many, each of which lies in one new pixel."""
    picture, fine = draws().random((60, 47)), 100
    found = area_average(picture, factor)
    assert found.shape == tuple(int(side / factor + 1e-9) for side in picture.shape)
    expected = picture
    for axis in (0, 1):
        split = np.repeat(expected, fine, axis)
        count = found.shape[axis]
        start = (split.shape[axis] - count * factor * fine) / 2
        cell = np.floor((np.arange(split.shape[axis]) + 0.5 - start) / (factor * fine))
        split = np.moveaxis(split, axis, 0)
        expected = np.stack([split[cell == i].mean(axis=0) for i in range(count)])
        expected = np.moveaxis(expected, 0, axis)
    assert np.abs(found - expected).max() < 3 / (factor * fine)
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_whole_factor_is_the_mean_of_blocks():
    picture = draws().random((60, 40))
    expected = picture.reshape(15, 4, 10, 4).mean(axis=(1, 3))
    assert np.allclose(area_average(picture, 4), expected, atol=1e-12)


def test_fine_stripes_do_not_alias():
    """Every second row white: any average over at least two rows is close to grey."""
    stripes = np.tile([[0.0], [1.0]], (128, 40))
    assert np.abs(area_average(stripes, 3.2) - 0.5).max() <= 0.5 / 3.2
    assert np.abs(area_average(stripes, 8) - 0.5).max() < 1e-12


def test_the_recipe_for_aligned_faces():
    face = draws().random((218, 178))
    expected = face[29:189, 9:169].reshape(80, 2, 80, 2).mean(axis=(1, 3))
    found = tiles(prepare(face, 80, 160, 2), 80)
    assert np.allclose(found, expected[None], atol=1e-6)


def test_the_recipe_for_bedrooms():
    room = draws().random((256, 341))
    found = tiles(prepare(room, 80, "square", "fit"), 80)
    expected = area_average(room[:, 42:298], 3.2)
    assert np.allclose(found, expected[None], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "crop", "downsample"),
    [((20, 30), 24, 1), ((31, 40), "whole", 4), ((7, 99), "whole", "fit"), ((15, 40), "square", 2)],
)
def test_what_is_too_small_is_refused_and_not_enlarged(shape, crop, downsample):
    with pytest.raises(RefusedError, match=f"too small: {shape[1]}x{shape[0]}"):
        prepare(np.zeros(shape), 8, crop, downsample)


def test_tiles_lie_side_by_side_around_the_centre():
    picture = np.arange(21 * 35, dtype=float).reshape(21, 35) / (21 * 35)
    cut = tiles(picture, 8)
    assert cut.shape == (8, 8, 8)
    assert cut.dtype == np.float32
    assert np.allclose(cut[0], picture[2:10, 1:9])
    assert np.allclose(cut[5], picture[10:18, 9:17])
    assert np.allclose(np.block([list(cut[:4]), list(cut[4:])]), picture[2:18, 1:33])


# ---------------------------------------------------------------------------------------------
# Near-duplicates


def smooth_images(count: int, size: int, seed: int = 0) -> NDArray[np.float32]:
    coarse = draws(seed).random((count, 4, 4))
    return np.kron(coarse, np.ones((size // 4, size // 4))).astype(np.float32)


def with_copies(size: int = 16) -> NDArray[np.float32]:
    """80 images among which are copies: exact, darker with more contrast, with faint and strong noise."""
    images = smooth_images(80, size)
    noise = draws(5).standard_normal((4, size, size))
    images[30] = images[7]
    images[41] = 0.3 + 0.5 * images[7]
    images[52] = images[12] + 0.02 * noise[0]
    images[63] = images[12] + 0.3 * noise[1]
    images[70:73] = np.array([0.0, 0.5, 1.0])[:, None, None]
    return images


def kept_one_by_one(images: NDArray[np.float32], threshold: float) -> list[int]:
    """The definition: from first to last, keep what correlates with nothing kept."""
    flat = np.flatnonzero(images.std(axis=(1, 2)) < 1e-6)
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(images.reshape(len(images), -1).astype(float))
    correlation[flat], correlation[:, flat] = 0, 0
    correlation[np.ix_(flat, flat)] = 1
    kept: list[int] = []
    for i in range(len(images)):
        if not (correlation[i, kept] > threshold).any():
            kept.append(i)
    return kept


@pytest.mark.parametrize(("batch", "chunk_size"), [(1, 7), (13, 5), (80, 2048), (40, 16)])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_near_duplicates_are_those_of_the_definition(
    batch: int, chunk_size: int, threshold: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(duplicates, "CHUNK", chunk_size)
    images = with_copies()
    stored = np.zeros_like(images)
    rows = draws(3).permutation(len(images))
    known = NearDuplicates(threshold, stored)
    found: list[int] = []
    for first in range(0, len(images), batch):
        part = images[first : first + batch]
        fresh = np.flatnonzero(known.fresh(part))
        used = rows[len(found) : len(found) + len(fresh)]
        stored[used] = part[fresh]
        known.keep(part[fresh], used)
        found += (first + fresh).tolist()
    expected = kept_one_by_one(images, threshold)
    assert found == expected
    if threshold == 0.95:
        assert set(range(80)) - set(expected) == {30, 41, 52, 71, 72}


def test_the_bound_is_one():
    images = np.concatenate([with_copies(), draws().random((40, 16, 16)).astype(np.float32)])
    units = unit_vectors(images)
    sketched = sketches(units, 16)
    assert sketched.shape[1] == duplicates.SKETCH**2 + 1
    excess = units @ units.T - sketched @ sketched.T
    assert excess.max() < duplicates.MARGIN / 10
    exact = sketches(unit_vectors(images[:, :8, :8]), 8)  # all frequencies of a small image
    assert np.abs(exact[:, -1]).max() < 1e-3


def test_a_threshold_of_one_keeps_everything():
    images = np.zeros((5, 8, 8), np.float32)
    assert NearDuplicates(1, images).fresh(images).all()


def test_memory_does_not_grow_with_the_square_of_the_number():
    count, size = 6000, 8
    images = draws().random((count, size, size)).astype(np.float32)
    known = NearDuplicates(0.99, images)
    tracemalloc.start()
    for first in range(0, count, photographs.BATCH):
        part = images[first : first + photographs.BATCH]
        assert known.fresh(part).all()
        known.keep(part, np.arange(first, first + len(part)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * 4 * count**2, f"{peak / 2**20:.0f} MiB"


# ---------------------------------------------------------------------------------------------
# A folder to a dataset

SPEC: dict[str, Any] = {
    "class": "photographs",
    "size": 8,
    "seed": 5,
    "crop": "whole",
    "downsample": 1,
    "patches": 4,
    "duplicates": 0.95,
    "images": 60,
    "test_images": 16,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "folder")


def make(folder: Path, output: Path, **changes: Any) -> Path:
    write_dataset(SPEC | {"folder": str(folder)} | changes, output)
    return output


def test_a_dataset_like_any_other(folder: Path, tmp_path: Path):
    path = make(folder, tmp_path / "a.h5")
    dataset = open_dataset(path, SPEC | {"folder": str(folder)})
    assert {name: len(index) for name, index in dataset.indices.items()} == {
        "S1": 22,
        "S2": 22,
        "test": 16,
    }
    images = dataset.images(np.arange(60))
    assert images.shape == (60, 1, 8, 8)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images.std(axis=(1, 2, 3)) > 0.1).all()
    with open_hdf5(path) as file:
        for name in ("images", "S1", "photographs/path", "photographs/of_image"):
            assert file[name].fletcher32
        assert set(read_attribute(file, "inputs")) == {"photographs"}


def sources_of(path: Path) -> tuple[NDArray[np.int64], list[str]]:
    with open_hdf5(path) as file:
        group = file["photographs"]
        return group["of_image"][:], [name.decode() for name in group["path"][:]]


@pytest.mark.parametrize("patches", [1, 2, 4, 6])
@pytest.mark.parametrize("images", [20, 19])
def test_no_photograph_is_in_two_sets(folder: Path, tmp_path: Path, patches: int, images: int):
    """Seen in the pixels, not in what the file says of itself."""
    path = make(folder, tmp_path / "a.h5", patches=patches, images=images, test_images=4)
    dataset = open_dataset(path)
    shown = {
        name: np.rint(dataset.images(index).max(axis=(1, 2, 3)) * 255).astype(int) - 200
        for name, index in dataset.indices.items()
    }
    of_image, names = sources_of(path)
    for name, index in dataset.indices.items():
        assert [f"p{i:03d}.png" for i in shown[name]] == [names[k] for k in of_image[index]]
        assert max(np.bincount(shown[name])) <= patches
    for first, second in itertools.combinations(shown.values(), 2):
        assert not set(first) & set(second)


def test_small_sets_come_from_several_photographs(tmp_path: Path):
    folder = fill(tmp_path / "folder", 40)
    path = make(folder, tmp_path / "a.h5", images=110, test_images=10)
    dataset, (of_image, _) = open_dataset(path), sources_of(path)
    firsts = of_image[dataset.training_set("S1", 10)]
    assert len(set(firsts)) >= 6
    assert np.array_equal(dataset.training_set("S1", 10), dataset.training_set("S1", 50)[:10])


def test_stored_images_are_those_of_the_files(folder: Path, tmp_path: Path):
    path = make(folder, tmp_path / "a.h5")
    of_image, names = sources_of(path)
    images = open_dataset(path).images(np.arange(60))[:, 0]
    for row in range(60):
        cut = tiles(read_picture(folder / names[of_image[row]])[0], 8)
        assert any(np.array_equal(images[row], tile) for tile in cut)
    flat = images.reshape(60, -1)
    assert len(np.unique(flat, axis=0)) == 60


def test_neither_the_listing_nor_the_making_orders_the_images(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = make(folder, tmp_path / "a.h5").read_bytes()
    assert make(folder, tmp_path / "b.h5").read_bytes() == first
    for path in sorted(folder.iterdir(), reverse=True):  # made anew, the last one first
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    walk = os.walk

    def backwards(top: Any, **options: Any) -> Any:
        for parent, folders, names in walk(top, **options):
            yield parent, folders, sorted(names, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    assert make(folder, tmp_path / "c.h5").read_bytes() == first


def test_the_seed_decides(folder: Path, tmp_path: Path):
    digests = {
        open_dataset(make(folder, tmp_path / "a.h5", seed=seed)).images_sha256 for seed in range(3)
    }
    assert len(digests) == 3


def test_copies_are_left_out_and_counted(folder: Path, tmp_path: Path):
    for i in range(5):
        shutil.copy(folder / f"p{i:03d}.png", folder / f"copy{i}.png")
        darker = Image.open(folder / f"p{i + 5:03d}.png").point(lambda value: value // 2)
        darker.save(folder / f"darker{i}.png")
    path = make(folder, tmp_path / "a.h5", images=108, patches=6)
    images = open_dataset(path).images(np.arange(108)).reshape(108, -1)
    correlation = np.corrcoef(images.astype(float)) - np.eye(108)
    assert correlation.max() <= 0.95 + 1e-6
    with open_hdf5(path) as file:
        counts = read_attribute(file, "photographs")
    assert counts["files"] == counts["photographs_read"] == 30
    assert counts["images_cut"] == 180
    assert counts["near_duplicates"] == 60
    assert counts["photographs_used"] in (18, 19, 20)
    keeping = make(folder, tmp_path / "b.h5", images=168, patches=6, duplicates=1)
    assert len(open_dataset(keeping).images(np.arange(168))) == 168


def test_unusable_files_are_named_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bad = bad_files()
    (folder / "deeper").mkdir()
    for name, (content, _) in bad.items():
        (folder / "deeper" / name).write_bytes(content)
    (folder / "broken-link.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    path = make(folder, tmp_path / "a.h5", images=80)
    log = capsys.readouterr().out
    with open_hdf5(path) as file:
        counts = read_attribute(file, "photographs")
        refused = [line.decode() for line in file["photographs/refused"][:]]
    expected = {}
    for reason in [reason for _, reason in bad.values()] + ["unreadable"] * 2:
        expected[reason] = expected.get(reason, 0) + 1
    assert counts["files_refused"] == expected
    assert counts["files"] == counts["files_tried"] == 22 + len(bad)
    for name, (_, reason) in bad.items():
        assert f"refused deeper/{name}: {reason}" in log
        assert any(line.startswith(f"deeper/{name}: {reason}") for line in refused)
    assert "refused broken-link.png: unreadable" in log
    assert "refused pipe.png: unreadable" in log
    told = "of 39 files 20 were read, refused: 1 animated, 7 damaged, 4 not a PNG or JPEG image"
    assert told in log


def test_names_of_any_bytes_are_stored(tmp_path: Path):
    folder = fill(tmp_path / "folder", 14)
    odd = os.fsdecode(os.fsencode(folder) + b"/caf\xe9 \xf0\x9f\x93\xb7.png")
    shutil.copy(folder / "p000.png", odd)
    (folder / "p000.png").unlink()
    (folder / os.fsdecode(b"bad\xff.jpg")).write_text("no image")
    path = make(folder, tmp_path / "a.h5", images=56, test_images=8)
    with open_hdf5(path) as file:
        assert b"caf\xe9 \xf0\x9f\x93\xb7.png" in set(file["photographs/path"][:])
        assert b"bad\\xff.jpg: not a PNG or JPEG image" in set(file["photographs/refused"][:])


def test_too_few_images_are_an_error_with_the_counts(folder: Path, tmp_path: Path):
    (folder / "notes.png").write_text("not an image")
    with pytest.raises(ValueError, match="Too few remain for images: 90") as refused:
        make(folder, tmp_path / "a.h5", images=90)
    told = str(refused.value)
    for part in (
        f"{folder}: of 21 files 20 were read, refused: 1 not a PNG or JPEG image",
        "80 images of 8x8 were cut, 0 of them near-duplicates (correlation above 0.95)",
        "(test_images: 16)",
        "more patches per photograph",
    ):
        assert part in told
    assert not list(tmp_path.glob("*.h5*"))
    assert not list(tmp_path.glob(".*"))


def test_no_more_files_are_read_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = fill(tmp_path / "folder", 50)
    path = make(folder, tmp_path / "a.h5", images=12, test_images=4, patches=1)
    with open_hdf5(path) as file:
        assert read_attribute(file, "photographs")["photographs_used"] == 12
    monkeypatch.setattr(photographs, "BATCH", 4)
    path = make(folder, tmp_path / "b.h5", images=12, test_images=4, patches=1)
    with open_hdf5(path) as file:
        assert read_attribute(file, "photographs")["files_tried"] == 12
    first, second = (sources_of(tmp_path / name) for name in ("a.h5", "b.h5"))
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_the_content_of_the_files_is_recorded(folder: Path, tmp_path: Path):
    def recorded() -> str:
        with open_hdf5(make(folder, tmp_path / "a.h5")) as file:
            return read_attribute(file, "inputs")["photographs"]

    first = recorded()
    assert recorded() == first
    fill(folder, 20, names=lambda i: f"p{19 - i:03d}.png")
    assert recorded() != first


def test_a_full_disk_is_an_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        make(folder, tmp_path / "a.h5")
    assert not list(tmp_path.glob("*.h5"))


# ---------------------------------------------------------------------------------------------
# The folder as an input


def test_the_listing_has_everything_at_any_depth_by_name(tmp_path: Path):
    folder = fill(tmp_path / "f", 3, names=lambda i: f"{'zya'[i]}/p{i}.png")
    (folder / "B.JPG").write_text("four")
    found = list_files(folder)
    assert [name for name, _ in found] == ["B.JPG", "a/p2.png", "y/p1.png", "z/p0.png"]
    assert found[0][1] == 4


def test_the_digest_notices_what_is_added_removed_renamed_or_resized(folder: Path):
    seen = [listing_digest(folder)]
    (folder / "p000.png").rename(folder / "q000.png")
    seen.append(listing_digest(folder))
    (folder / "q000.png").write_bytes(b"short")
    seen.append(listing_digest(folder))
    (folder / "new").mkdir()
    (folder / "new/p.png").write_bytes(b"")
    seen.append(listing_digest(folder))
    (folder / "q000.png").unlink()
    seen.append(listing_digest(folder))
    assert len(set(seen)) == 5
    os.utime(folder / "p001.png", (0, 0))
    assert listing_digest(folder) == seen[-1]


LEFT_BESIDE = [
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "README",
    "README.md",
    "._p000.png",
    ".ipynb_checkpoints/p000-checkpoint.png",
    ".git/p000.png",
    "__MACOSX/p000.png",
    "@eaDir/p000.jpg",
    "p000.png.part",
    "p000.xmp",
]


@pytest.mark.parametrize("name", LEFT_BESIDE)
def test_what_a_system_leaves_beside_photographs_never_counts(folder: Path, name: str):
    before = list_files(folder), listing_digest(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    shutil.copy(folder / "p000.png", folder / name)
    assert (list_files(folder), listing_digest(folder)) == before


def test_a_file_is_added_and_the_others_stay_where_they_were(tmp_path: Path):
    """Whatever it is called: of the photographs of each set, it takes the place of one at most."""

    def sets() -> dict[str, set[str]]:
        path = make(folder, tmp_path / "a.h5", images=60, patches=1)
        of_image, names = sources_of(path)
        indices = open_dataset(path).indices
        return {part: {names[k] for k in of_image[rows]} for part, rows in indices.items()}

    folder = fill(tmp_path / "folder", 55)
    for i in range(55, 90):  # more than fit in eight bits of brightness
        flipped = Image.open(folder / f"p{i - 55:03d}.png").transpose(Image.Transpose.ROTATE_180)
        flipped.save(folder / f"q{i}.png")
    before = sets()
    entered = 0
    for name in ("0.png", "q70a.png", "zebra.png", "p.png", "n/e/w.png"):
        added = fill(tmp_path / "new", 1) / "p000.png"
        grey = draws(len(name)).integers(0, 255, (20, 28), np.uint8)
        Image.fromarray(grey).save(added)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(added, folder / name)
        after = sets()
        entered += any(name in photographs for photographs in after.values())
        for part in before:
            assert len(before[part] - after[part]) <= 1
        (folder / name).unlink()
    assert entered > 0


def test_a_system_that_cannot_read_now_is_no_damage(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Refused, the files would be missing from the dataset, and nobody would know."""

    def broken(*_: Any, **__: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("gahb.datasets.pictures.open", broken, raising=False)
    with pytest.raises(OSError, match="Too many open files"):
        make(folder, tmp_path / "a.h5")


def test_a_file_that_may_not_be_read_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def forbidden(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gahb.datasets.pictures.open", forbidden, raising=False)
    with pytest.raises(RefusedError, match="unreadable: Permission denied"):
        read_picture(folder / "p000.png")


def test_a_few_bytes_before_the_end_are_no_damage(tmp_path: Path):
    content = encoded(Image.fromarray(colours(64, 64)), "JPEG")
    (tmp_path / "a.jpg").write_bytes(content[:-2] + bytes(3) + content[-2:])
    assert read_picture(tmp_path / "a.jpg")[0].shape == (64, 64)


def test_a_missing_folder_is_named_by_its_key(tmp_path: Path):
    spec = SPEC | {"folder": str(tmp_path / "absent")}
    with pytest.raises(ValueError, match=r"image_classes.faces.folder: found '.*absent', which is"):
        listings("faces", spec)
    with pytest.raises(ValueError, match=r"image_classes.mixed.of.folder: .* is not a folder"):
        listings("mixed", {"class": "shuffled", "of": spec})
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/.hidden.png").touch()
    (tmp_path / "empty/notes.txt").touch()
    with pytest.raises(ValueError, match=r"in which no name ends in .*\(2 other files\)"):
        listings("faces", SPEC | {"folder": str(tmp_path / "empty")})
    assert listings("soft", dataset_spec(TINY, "soft")) == ""


def test_the_command_tells_a_missing_folder(tmp_path: Path):
    spec = json.dumps(SPEC | {"folder": str(tmp_path / "absent")})
    with pytest.raises(SystemExit) as left:
        main(["datasets", "--spec", spec, "--output", str(tmp_path / "a.h5")])
    assert str(left.value.code).startswith("gahb datasets: error: folder: found ")


# ---------------------------------------------------------------------------------------------
# params.yaml and presets


def with_photographs(**given: Any) -> dict[str, Any]:
    params = copy.deepcopy(TINY)
    faces = {"class": "photographs", "folder": "f", "size": 8, "images": 60, "test_images": 16}
    params["image_classes"]["faces"] = faces | {"seed": 0} | given
    return params


def test_defaults_are_filled_in(root: Path):
    params = validate(with_photographs())
    spec = dataset_spec(params, "faces")
    assert {key: spec[key] for key in ("crop", "downsample", "patches", "duplicates")} == {
        "crop": "whole",
        "downsample": 1,
        "patches": 1,
        "duplicates": 0.95,
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"crop": 4}, "image_classes.faces.crop: found 4, allowed is at least 8"),
        ({"crop": "round"}, "allowed is a value of type integer or one of square, whole"),
        ({"downsample": 0.5}, "image_classes.faces.downsample: found 0.5, allowed is at least 1"),
        ({"downsample": "best"}, "allowed is a value of type number or one of fit"),
        ({"patches": 0}, "image_classes.faces.patches: found 0, allowed is at least 1"),
        ({"duplicates": 1.5}, "image_classes.faces.duplicates: found 1.5, allowed is at most 1"),
        ({"alpha": 2}, "unknown are 'alpha'"),
    ],
)
def test_bad_values_are_told_by_key(root: Path, given: dict[str, Any], told: str):
    with pytest.raises(ParamsError) as refused:
        validate(with_photographs(**given))
    assert told in str(refused.value)


def test_the_folder_is_required(root: Path):
    params = with_photographs()
    del params["image_classes"]["faces"]["folder"]
    with pytest.raises(ParamsError, match=r"image_classes.faces: 'folder' is a required property"):
        validate(params)


@pytest.mark.parametrize(
    ("preset", "recipe"),
    [
        ("celeba", {"crop": 160, "downsample": 2, "size": 80, "duplicates": 0.95}),
        ("lsun", {"crop": "square", "downsample": "fit", "size": 80, "duplicates": 0.95}),
        ("photographs", {"crop": "whole", "downsample": 1, "size": 40, "patches": 16}),
    ],
)
def test_presets_hold_the_recipes(root: Path, preset: str, recipe: dict[str, Any]):
    params = load_params(root, preset)
    assert list(params["experiments"]) == [preset]
    spec = dataset_spec(params, preset)
    assert {key: spec[key] for key in recipe} == recipe
    assert params["results"] == f"results/{preset}"
