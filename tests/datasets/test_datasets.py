"""C^alpha images against their definition, disjoint nested splits, and datasets on disk."""

from __future__ import annotations

import cmath
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gahb.artifacts import ArtifactError, create_hdf5, digest_file, provenance
from gahb.datasets.classes.calpha import OVERSAMPLING, CAlpha
from gahb.datasets.splits import half_size, split_indices
from gahb.datasets.store import BLOCK, Dataset, open_dataset, render_blocks, write_dataset
from gahb.randomness import generator, image_noise, seed_of, uniform_rows

RENDERINGS = ["official", "antialiased"]


def spec_of(**changes: Any) -> dict[str, Any]:
    return {
        "class": "calpha",
        "alpha": 2,
        "background_alpha": 2,
        "size": 8,
        "rendering": "antialiased",
        "images": 40,
        "test_images": 8,
        "seed": 0,
    } | changes


# ---------------------------------------------------------------------------------------------
# The definition, one image and one frequency at a time, in float64


class Drawing:
    """The random numbers of one image, and what the definition makes of them."""

    def __init__(self, drawn: CAlpha, index: int) -> None:
        n = self.size = drawn.size
        self.drawn = drawn
        row = uniform_rows(drawn.seed, "calpha", index, 1, n + 2 * n * n + 3)[0].astype(float)
        self.contour_spectrum = np.fft.fft(2 * row[:n] - 1)
        fields = 2 * row[n : n + 2 * n * n].reshape(2, n, n) - 1
        u, v, coin = row[-3:]
        self.low = self._background(fields[0], *((u, 1) if coin < 0.5 else (0, v)))
        self.high = self._background(fields[1], *((0, v) if coin < 0.5 else (u, 1)))

    def _background(self, noise: np.ndarray, minimum: float, maximum: float) -> np.ndarray:
        """Noise filtered by (w1^2 + w2^2)^(-alpha/2), stretched to [minimum, maximum]."""
        n = self.size
        spectrum = np.fft.fft2(noise)
        for i in range(n):
            for j in range(n):
                squared = min(i, n - i) ** 2 + min(j, n - j) ** 2
                spectrum[i, j] *= max(squared, 1) ** (-self.drawn.background_alpha / 2)
        field = np.fft.ifft2(spectrum).real
        field = (field - field.min()) / (field.max() - field.min())
        return minimum + (maximum - minimum) * field

    def contour(self, column: float) -> float:
        """Height of the contour above a point of the column axis, in rows from the top."""
        n = self.size
        height = 0.0
        for k in range(n):
            frequency = k if 2 * k <= n else k - n
            gain = max(abs(frequency), 1) ** -self.drawn.alpha
            phase = cmath.exp(2j * math.pi * frequency * column / n)
            height += (self.contour_spectrum[k] * gain * phase).real
        return height + n // 2  # the filtered noise has 1/n, and is measured in image heights

    def image(self, mask: np.ndarray) -> np.ndarray:
        return mask * self.low + (1 - mask) * self.high

    def official_mask(self) -> np.ndarray:
        """1 from the contour's rounded row downwards, averaged over 2x2 boxes, reflected."""
        n = self.size
        heights = [round(self.contour(j)) for j in range(n)]
        hard = np.array([[float(i >= heights[j]) for j in range(n)] for i in range(n)])
        mask = np.empty((n, n))
        for i in range(n):
            for j in range(n):
                above, left = abs(i - 1), abs(j - 1)
                mask[i, j] = (hard[i, j] + hard[above, j] + hard[i, left] + hard[above, left]) / 4
        return mask

    def coverage(self, columns: int) -> np.ndarray:
        """Share of each pixel [i, i + 1] x [j - 1/2, j + 1/2] below the contour, by columns."""
        n = self.size
        mask = np.zeros((n, n))
        for j in range(n):
            for step in range(columns):
                height = self.contour(j - 0.5 + (step + 0.5) / columns)
                for i in range(n):
                    mask[i, j] += min(max(i + 1 - height, 0), 1) / columns
        return mask

    def rounds_clearly(self) -> bool:
        heights = [self.contour(j) for j in range(self.size)]
        return all(abs(abs(height % 1) - 0.5) > 1e-3 for height in heights)


@pytest.mark.parametrize(
    ("size", "alpha", "background_alpha"), [(8, 2, 2), (12, 1, 3), (9, 1.5, 0.5)]
)
def test_official_rendering_is_its_definition(size: int, alpha: float, background_alpha: float):
    drawn = CAlpha(
        size=size, seed=5, alpha=alpha, background_alpha=background_alpha, rendering="official"
    )
    images = drawn.render(0, 32)
    drawings = [Drawing(drawn, index) for index in range(len(images))]
    clear = [index for index, drawing in enumerate(drawings) if drawing.rounds_clearly()]
    assert len(clear) > 24
    for index in clear:
        expected = drawings[index].image(drawings[index].official_mask())
        np.testing.assert_allclose(images[index], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("size", "alpha", "background_alpha"), [(8, 2, 2), (12, 1, 3), (9, 1.5, 0.5)]
)
def test_antialiased_rendering_is_its_definition(size: int, alpha: float, background_alpha: float):
    drawn = CAlpha(
        size=size, seed=6, alpha=alpha, background_alpha=background_alpha, rendering="antialiased"
    )
    images = drawn.render(0, 12)
    for index, image in enumerate(images):
        drawing = Drawing(drawn, index)
        expected = drawing.image(drawing.coverage(OVERSAMPLING))
        np.testing.assert_allclose(image, expected, atol=2e-5)


@pytest.mark.parametrize(("alpha", "mean", "largest"), [(1, 0.01, 0.2), (2, 2e-3, 0.05)])
def test_antialiased_mask_is_area_coverage(alpha: float, mean: float, largest: float):
    """Against counting a grid of 48 x 48 points in every pixel."""
    drawn = CAlpha(size=12, seed=7, alpha=alpha, background_alpha=2, rendering="antialiased")
    points = 48
    errors, crossed = [], 0
    for index, image in enumerate(drawn.render(0, 6)):
        drawing = Drawing(drawn, index)
        n = drawing.size
        columns = (np.arange(n * points) + 0.5) / points - 0.5
        rows = (np.arange(n * points) + 0.5) / points
        heights = np.array([drawing.contour(column) for column in columns])
        below = (rows[:, None] > heights[None, :]).reshape(n, points, n, points)
        mask = below.mean(axis=(1, 3))
        crossed += ((mask > 0) & (mask < 1)).sum()
        errors.append(np.abs(image - drawing.image(mask)))
    assert crossed > 6 * 12  # there is a contour to speak of
    assert np.mean(errors) < mean
    assert np.max(errors) < largest


@pytest.mark.parametrize("size", [8, 9, 40])
def test_filters(size: int):
    """An impulse shows the gain at every frequency: |k|^-alpha, and 1 at frequency 0."""
    drawn = CAlpha(size=size, seed=0, alpha=1.5, background_alpha=2.5, rendering="official")
    impulse = np.zeros((1, size), np.float32)
    impulse[0, 0] = 1
    gains = np.fft.rfft(drawn.contour(impulse)[0, :, 0] - size // 2) / size
    frequency = np.arange(size // 2 + 1)
    np.testing.assert_allclose(gains, np.maximum(frequency, 1.0) ** -1.5, atol=1e-5)
    constant = drawn.contour(np.full((1, size), 0.25, np.float32))
    np.testing.assert_allclose(constant, 0.25 * size + size // 2, rtol=1e-5)

    impulses = np.zeros((1, 2, size, size), np.float32)
    impulses[0, 0, 0, 0], impulses[0, 1, 0, 0] = 1, -2
    frequency = np.fft.fftfreq(size, 1 / size)
    radius = np.maximum(np.hypot(frequency[:, None], frequency[None, :]), 1)
    for field, height in zip(drawn._backgrounds(impulses), (1, -2), strict=True):
        gains = np.fft.fft2(field[0]) / height
        np.testing.assert_allclose(gains, radius**-2.5, atol=2e-5)


@pytest.mark.parametrize("alpha", [1, 2, 3])
def test_measured_regularity(alpha: float):
    """Power falls as |k|^(-2 alpha): measured on contours and on backgrounds of drawn noise."""
    size = 64
    drawn = CAlpha(size=size, seed=0, alpha=alpha, background_alpha=alpha, rendering="antialiased")
    noise = generator(0, "regularity").uniform(-1, 1, (48, 2, size, size)).astype(np.float32)
    inside = slice(1, 21)
    log_k = np.log(np.arange(size // 2 + 1)[inside])

    contour_power = (np.abs(np.fft.rfft(drawn.contour(noise[:, 0, 0])[..., 0])) ** 2).mean(0)
    slope = np.polyfit(log_k, np.log(contour_power[inside]), 1)[0]
    assert slope == pytest.approx(-2 * alpha, abs=0.3)

    for field in drawn._backgrounds(noise):
        power = (np.abs(np.fft.fft2(field)) ** 2).mean(0)
        for line in (power[0], power[:, 0], np.diag(power)):
            slope = np.polyfit(log_k, np.log(line[inside]), 1)[0]
            assert slope == pytest.approx(-2 * alpha, abs=0.3)


def test_sub_pixel_contour_interpolates_the_pixel_contour():
    drawn = CAlpha(size=16, seed=0, alpha=2, background_alpha=2, rendering="antialiased")
    noise = generator(1, "contour").uniform(-1, 1, (5, 16)).astype(np.float32)
    whole = drawn.contour(noise)
    np.testing.assert_allclose(drawn.contour(noise, 3)[..., 1], whole[..., 0], rtol=1e-5)
    fine = drawn.contour(noise, OVERSAMPLING)
    assert fine.shape == (5, 16, OVERSAMPLING)
    assert np.abs(fine.mean(-1) - whole[..., 0]).max() < 1


def test_antialiased_image_moves_with_the_contour():
    """Shifting the contour by less than a pixel changes the image by as little; rounding jumps."""
    noise = generator(2, "contour").uniform(-1, 1, (1, 16)).astype(np.float32)
    for rendering, moves in (("antialiased", True), ("official", False)):
        drawn = CAlpha(size=16, seed=0, alpha=3, background_alpha=3, rendering=rendering)
        shifts = np.linspace(0, 0.5, 11, dtype=np.float32)  # in rows
        masks = [drawn._mask(noise + shift / 16)[0] for shift in shifts]
        steps = [np.abs(b - a).sum() / 16 for a, b in pairwise(masks)]
        if moves:
            np.testing.assert_allclose(steps, 0.05, atol=0.02)
        else:
            assert min(steps) == 0


@settings(max_examples=25)
@given(
    size=st.integers(8, 20),
    seed=st.integers(0, 2**40),
    alpha=st.floats(0.5, 6),
    background_alpha=st.floats(0.5, 6),
    rendering=st.sampled_from(RENDERINGS),
    first=st.integers(0, 10**6),
)
def test_images_are_images(
    size: int, seed: int, alpha: float, background_alpha: float, rendering: str, first: int
):
    images = CAlpha(
        size=size, seed=seed, alpha=alpha, background_alpha=background_alpha, rendering=rendering
    ).render(first, 3)
    assert images.shape == (3, size, size)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images.std(axis=(1, 2)) > 1e-3).all()
    assert not np.array_equal(images[0], images[1])


def test_dark_and_bright_backgrounds():
    """One background reaches down to 0 or the other up to 1, and the coin is fair."""
    drawn = CAlpha(size=12, seed=1, alpha=2, background_alpha=2, rendering="antialiased")
    pairs = [(Drawing(drawn, i).low.max(), Drawing(drawn, i).high.max()) for i in range(120)]
    bright_below = sum(low == pytest.approx(1) for low, _ in pairs)
    assert all(max(pair) == pytest.approx(1) for pair in pairs)
    assert 40 < bright_below < 80


# ---------------------------------------------------------------------------------------------
# Image i is image i


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_image_depends_on_its_index_alone(rendering: str):
    drawn = CAlpha(size=10, seed=3, alpha=2, background_alpha=1, rendering=rendering)
    together = drawn.render(0, 40)
    for first, count in ((0, 1), (17, 1), (7, 30), (39, 1)):
        np.testing.assert_allclose(
            drawn.render(first, count), together[first : first + count], atol=2e-6
        )


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_bytes_do_not_depend_on_count_or_threads(rendering: str):
    def images(count: int, threads: int) -> bytes:
        spec = spec_of(images=count, rendering=rendering, size=16)
        return np.concatenate(list(render_blocks(spec, threads))).tobytes()

    many = images(3 * BLOCK + 5, 1)
    for count in (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5):
        for threads in (1, 3):
            assert images(count, threads) == many[: count * 16 * 16 * 4]


def test_blocks_are_in_order_and_of_the_right_shape():
    blocks = list(render_blocks(spec_of(images=BLOCK + 3), 2))
    assert [block.shape for block in blocks] == [(BLOCK, 1, 8, 8), (3, 1, 8, 8)]


def test_same_seed_same_file(tmp_path: Path):
    write_dataset(spec_of(), tmp_path / "a.h5")
    write_dataset(spec_of(), tmp_path / "b.h5", threads=3)
    write_dataset(spec_of(seed=1), tmp_path / "c.h5")
    a, b, c = (digest_file(tmp_path / f"{name}.h5") for name in "abc")
    assert a == b != c
    first, other = (open_dataset(tmp_path / f"{name}.h5") for name in "ac")
    assert first.images_sha256 != other.images_sha256
    assert not np.array_equal(first.indices["test"], other.indices["test"])
    assert not np.array_equal(first.images(np.arange(3)), other.images(np.arange(3)))


PEAK = """
import re, resource, sys
from pathlib import Path
from gahb.datasets.store import write_dataset

spec = {
    "class": "calpha", "alpha": 2, "background_alpha": 2, "size": 64, "rendering": "antialiased",
    "images": int(sys.argv[1]), "test_images": 8, "seed": 0,
}
write_dataset(spec, sys.argv[2], threads=2)
status = Path("/proc/self/status")
if status.exists():  # where ru_maxrss would include the peak of the process that started this one
    print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_images(
    tmp_path: Path, environment: dict[str, str]
):
    """Peak memory of a process that writes 8 MB of images, and of one that writes 80 MB."""
    peaks, sizes = [], []
    for images in (512, 5120):
        output = tmp_path / f"{images}.h5"
        command = [sys.executable, "-c", PEAK, str(images), str(output)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout))
        sizes.append(output.stat().st_size)
    assert sizes[1] - sizes[0] > 70e6
    assert peaks[1] - peaks[0] < 0.25 * (sizes[1] - sizes[0])


# ---------------------------------------------------------------------------------------------
# Splits


@given(test_images=st.integers(1, 40), others=st.integers(2, 200), seed=st.integers(0, 2**62))
def test_splits_are_disjoint_and_exhaustive(test_images: int, others: int, seed: int):
    images = test_images + others
    split = split_indices(images, test_images, seed)
    assert set(split) == {"S1", "S2", "test"}
    assert len(split["test"]) == test_images
    assert len(split["S1"]) == len(split["S2"]) == half_size(images, test_images) == others // 2
    every = np.concatenate(list(split.values()))
    assert every.dtype == np.int64
    assert len(set(every.tolist())) == len(every) == images - others % 2
    assert every.min() >= 0
    assert every.max() < images


def test_splits_are_shuffled_by_the_seed_alone():
    first = split_indices(1000, 200, 0)
    again = split_indices(1000, 200, 0)
    other = split_indices(1000, 200, 1)
    for name, index in first.items():
        np.testing.assert_array_equal(index, again[name])
        assert not np.array_equal(index, other[name])
        assert index.mean() == pytest.approx(500, abs=60)  # from all over the dataset
        assert not np.array_equal(index, np.sort(index))


@pytest.mark.parametrize(("images", "test_images"), [(3, 2), (8, 8), (8, 9), (1, 0)])
def test_nothing_left_to_train_on(images: int, test_images: int):
    with pytest.raises(ValueError, match="leave nothing to train on"):
        split_indices(images, test_images, 0)


@given(data=st.data())
def test_training_sets_are_nested(dataset: Dataset, data: st.DataObject):
    half = len(dataset.indices["S1"])
    small = data.draw(st.integers(1, half))
    large = data.draw(st.integers(small, half))
    for split in ("S1", "S2"):
        outer = dataset.training_set(split, large)
        assert len(outer) == large
        np.testing.assert_array_equal(dataset.training_set(split, small), outer[:small])
        assert not set(outer) & set(dataset.indices["test"])
    assert not set(dataset.training_set("S1", large)) & set(dataset.training_set("S2", large))


def test_training_set_too_large(dataset: Dataset):
    with pytest.raises(ValueError, match=r"soft\.h5: S2 has 16 images, 17 were asked for"):
        dataset.training_set("S2", 17)


# ---------------------------------------------------------------------------------------------
# Datasets on disk


def test_file_is_what_the_readme_says(dataset_path: Path):
    with h5py.File(dataset_path) as file:
        assert set(file) == {"images", "S1", "S2", "test"}
        assert file["images"].shape == (72, 1, 8, 8)
        assert file["images"].dtype == np.float32
        for name in file:
            assert file[name].fletcher32
            assert file[name].attrs["units"]
        for name, length in (("S1", 16), ("S2", 16), ("test", 40)):
            assert file[name].shape == (length,)
            assert file[name].dtype == np.int64


@given(index=st.lists(st.integers(0, 71), max_size=20))
def test_images_come_in_the_order_asked_for(dataset: Dataset, index: list[int]):
    with h5py.File(dataset.path) as file:
        stored = file["images"][:]
    read = dataset.images(np.array(index, dtype=np.int64))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, stored[index])


def test_stored_images_are_the_class(dataset: Dataset):
    drawn = CAlpha(size=8, seed=3, alpha=3, background_alpha=3, rendering="antialiased")
    images = dataset.images(np.arange(72))[:, 0]
    np.testing.assert_allclose(images, drawn.render(0, 72), atol=2e-6)


def test_other_settings_are_refused(dataset_path: Path, dataset: Dataset):
    open_dataset(dataset_path, dataset.spec)
    with pytest.raises(ArtifactError, match=r"soft\.h5 was made from.*\n.*alpha: .*3.*2"):
        open_dataset(dataset_path, dataset.spec | {"alpha": 2})


def test_damaged_datasets_are_refused(dataset_path: Path, tmp_path: Path, flip: Any):
    copy = tmp_path / "copy.h5"
    whole = dataset_path.read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        copy.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"copy\.h5 is damaged or truncated"):
            open_dataset(copy)
    with pytest.raises(ArtifactError, match=r"absent\.h5 does not exist"):
        open_dataset(tmp_path / "absent.h5")

    with h5py.File(dataset_path) as file:
        images = file["images"].id.get_chunk_info(1)
        indices = file["S2"].id.get_chunk_info(0)
    damaged = open_dataset(flip(dataset_path, images.byte_offset + 100, to=copy))
    damaged.images(np.arange(BLOCK))  # another chunk
    with pytest.raises(ArtifactError, match=r"copy\.h5 is damaged"):
        damaged.images(np.array([BLOCK + 1]))
    flip(dataset_path, indices.byte_offset + 5, to=copy)
    with pytest.raises(ArtifactError, match=r"copy\.h5 is damaged"):
        open_dataset(copy)


def test_incomplete_datasets_are_refused(tmp_path: Path):
    path = tmp_path / "a.h5"
    with create_hdf5(path, provenance(spec_of())) as file:
        file["images"] = np.zeros((40, 1, 8, 8), np.float32)
        file["S1"] = np.arange(3)
    with pytest.raises(ArtifactError, match=r"a\.h5 lacks the datasets S2, test"):
        open_dataset(path)
    with create_hdf5(path, provenance(spec_of())) as file:
        file["images"] = np.zeros((40, 1, 8, 9), np.float32)
        for name in ("S1", "S2", "test"):
            file[name] = np.arange(3)
    with pytest.raises(ArtifactError, match=r"a\.h5: images have shape .*9.*\(40, 1, 8, 8\)"):
        open_dataset(path)


# ---------------------------------------------------------------------------------------------
# Random numbers


@settings(max_examples=50)
@given(first=st.integers(0, 50), count=st.integers(1, 10), width=st.integers(1, 40))
def test_rows_of_uniform_numbers(first: int, count: int, width: int):
    table = uniform_rows(7, "table", 0, first + count, width)
    rows = uniform_rows(7, "table", first, count, width)
    np.testing.assert_array_equal(rows, table[first:])
    assert rows.shape == (count, width)


def test_uniform_numbers_are_uniform():
    rows = uniform_rows(0, "table", 0, 400, 250)
    assert rows.min() >= 0
    assert rows.max() < 1
    counts = np.bincount((rows * 10).astype(int).ravel(), minlength=10) / rows.size
    np.testing.assert_allclose(counts, 0.1, atol=0.005)
    assert abs(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]) < 0.2
    assert abs(np.corrcoef(rows[:-1, 0], rows[1:, 0])[0, 1]) < 0.2
    assert np.unique(rows[:, :8]).size == 3200  # no row repeats another
    for seed, key in ((1, "table"), (0, "other")):
        assert not np.isin(uniform_rows(seed, key, 0, 1, 20), rows).any()


def test_streams_are_told_apart_by_every_key():
    seeds = {seed_of(*keys) for keys in [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1)]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert generator(3, "a", 1).random() == generator(3, "a", 1).random()


def test_noise_is_standard_normal_and_belongs_to_image_and_level():
    noise = np.stack([image_noise(0, image, 0, 0, 16) for image in range(60)])
    assert noise.shape == (60, 1, 16, 16)
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(1, abs=0.03)
    assert (noise**4).mean() == pytest.approx(3, abs=0.3)
    base = image_noise(0, 5, 1, 2, 16)
    np.testing.assert_array_equal(base, image_noise(0, 5, 1, 2, 16))
    for other in ((1, 5, 1, 2), (0, 6, 1, 2), (0, 5, 2, 2), (0, 5, 1, 3)):
        different = image_noise(*other, 16)
        assert abs(np.corrcoef(base.ravel(), different.ravel())[0, 1]) < 0.25
