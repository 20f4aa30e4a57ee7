"""Samples of pairs of networks, read from the files of the phase ``samples``.

A file is recognised and placed (experiment, set size) by its spec, never by its name or folder. Axes
of length two are S1 and S2, or the measures :data:`MEASURES`, in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gahb.artifacts import ArtifactError, Spec, open_hdf5, read_attribute

MEASURES = ("cosine", "correlation")
MEASURE_TEXT = {
    "cosine": "cosine of the angle between the images",
    "correlation": "correlation of the pixels (cosine after each image's mean is removed)",
}

# A networks, B training sets, C measures; n samples, f followed, m shown; K levels; N images; p pairs
_SHAPES = {
    "samples": "An1HW",
    "pair_similarity": "Cn",
    "closest_similarity": "ABCn",
    "closest_images": "ACm1HW",
    "start_noise": "m1HW",
    "trajectory_kept_sigma": "AmK",
    "trajectory_noisy": "AmK1HW",
    "trajectory_denoised": "AmK1HW",
    "noisy_similarity": "CfK",
    "denoised_similarity": "CfK",
    "twin_similarity": "CN",
    "twin_images": "Bp1HW",
}


@dataclass(frozen=True)
class Pair:
    """Samples of the networks of S1 and S2 at one N.

    Attributes:
        path: of the file.
        set_size: N.
        spec: of the file.
        arrays: datasets of the file by name, float64; see :data:`gahb.samples.store.SCHEMA`.
    """

    path: Path
    set_size: int
    spec: Spec
    arrays: Mapping[str, np.ndarray]

    @property
    def threshold(self) -> float:
        """Similarity above which two images count as one."""
        return float(self.spec["sampling"]["duplicate_threshold"])

    @property
    def count(self) -> int:
        """Samples of each network."""
        return int(self.arrays["pair_similarity"].shape[1])

    @property
    def shown(self) -> int:
        """Samples whose images along the way are kept."""
        return int(self.arrays["start_noise"].shape[0])

    def between(self, measure: str) -> np.ndarray:
        """Similarity of the two networks' samples of the same number: (n,)."""
        return np.asarray(self.arrays["pair_similarity"][MEASURES.index(measure)])

    def with_closest(self, measure: str, own: bool) -> np.ndarray:
        """Similarity of the samples of both networks with the closest training image: (2n,).

        Args:
            measure: one of :data:`MEASURES`.
            own: in the network's own training set, or in the one of the other split.
        """
        found = self.arrays["closest_similarity"][:, :, MEASURES.index(measure)]
        return np.concatenate([found[k, k if own else 1 - k] for k in range(2)])

    def twins(self, measure: str) -> np.ndarray:
        """Similarity of each training image of S1 with the most similar one of S2: (N,)."""
        return np.asarray(self.arrays["twin_similarity"][MEASURES.index(measure)])

    def share(self, similarity: np.ndarray) -> float:
        """The share of similarities above the threshold."""
        return float((similarity > self.threshold).mean())


@dataclass(frozen=True)
class Sampled:
    """What a figure of samples measures.

    Attributes:
        pairs: by growing N.
        by: how alike two images are, one of :data:`MEASURES`.
    """

    pairs: list[Pair]
    by: str

    @property
    def specs(self) -> list[Spec]:
        """Of the inputs."""
        return [pair.spec for pair in self.pairs]

    @property
    def threshold(self) -> float:
        """Similarity above which two images count as one."""
        return self.pairs[0].threshold

    @property
    def similarity(self) -> str:
        """What similarity is, in words."""
        return MEASURE_TEXT[self.by]

    @property
    def drawn(self) -> list[str]:
        """How many samples were drawn, from what, and how."""
        settings = dict(self.pairs[0].spec["sampling"]["sampler"])
        how = [settings.pop("kind"), *(f"{key} {value}" for key, value in sorted(settings.items()))]
        return [sampler_text(self.pairs[0]), f"sampler {', '.join(how)}".replace("_", " ")]


def read_pairs(
    inputs: Iterable[Path | str], experiment: str, set_sizes: Sequence[int] | None = None
) -> list[Pair]:
    """The samples of one experiment among ``inputs``, by growing N; all else is left aside.

    Args:
        inputs: files of any kind.
        experiment: whose.
        set_sizes: N that must be there, in which case others are left aside; all there are, unless
            said.

    Raises:
        ArtifactError: a file is damaged, lacks what figures need, or there is none of an N asked for.
    """
    found: dict[int, Pair] = {}
    given = [Path(path) for path in inputs]
    for path, spec in _files(given):
        if spec["first"]["experiment"] != experiment:
            continue
        size = int(spec["first"]["set_size"])
        if set_sizes is not None and size not in set_sizes:
            continue
        if size in found:
            raise ArtifactError(f"{found[size].path} and {path} both hold samples at N = {size}")
        found[size] = Pair(path, size, spec, _read(path))
    missing = [size for size in set_sizes or () if size not in found]
    if missing or not found:
        asked = f", N = {', '.join(map(str, missing))}," if missing else ""
        raise ArtifactError(
            f"no samples of {experiment}{asked} among the inputs: "
            f"{', '.join(map(str, given)) or 'none'}"
        )
    return [found[size] for size in sorted(found)]


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, Spec]]:
    for path in paths:
        if path.suffix != ".h5":
            continue
        with open_hdf5(path) as file:
            spec = read_attribute(file, "spec")
        if "sampling" in spec:
            yield path, spec


def _read(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    lengths = {"1": 1, "A": 2, "B": 2, "C": 2}
    try:
        with open_hdf5(path) as file:
            missing = [name for name in _SHAPES if name not in file]
            if missing:
                raise ArtifactError(f"{path} lacks the datasets {', '.join(missing)}")
            for name in _SHAPES:
                arrays[name] = np.asarray(file[name][()], np.float64)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # what h5py makes of damage
        raise ArtifactError(f"{path} is damaged: {error}") from error
    for name, dims in _SHAPES.items():
        shape = arrays[name].shape
        if len(shape) != len(dims) or any(
            lengths.setdefault(dim, length) != length
            for dim, length in zip(dims, shape, strict=True)
        ):
            expected = ", ".join(f"{dim}={lengths.get(dim, '?')}" for dim in dims)
            raise ArtifactError(f"{path}: {name} has shape {shape}, expected ({expected})")
    return arrays


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error over independent values; NaN for a single one."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error


def pooled(pair: Pair, measure: str, own: bool) -> tuple[float, float]:
    """Mean of :meth:`Pair.with_closest` over both networks, with the standard error of one of them.

    The two samples of one number share their noise, so that the second network adds little to the
    first: the error is the mean of the two.
    """
    both = pair.with_closest(measure, own).reshape(2, -1)
    means, errors = zip(*map(mean_and_error, both), strict=True)
    return float(np.mean(means)), float(np.mean(errors))


def measured_text(mean: float, error: float) -> str:
    """``0.971 ± 0.001``, or the mean alone where there is no error; with true minus signs."""
    text = f"{mean:.3f} ± {error:.3f}" if np.isfinite(error) else f"{mean:.3f}"
    return text.replace("-", "\N{MINUS SIGN}")


def sampler_text(pair: Pair) -> str:
    """What was drawn, for a caption: how many, from what, and beyond which trained noise level."""
    sampling: dict[str, Any] = pair.spec["sampling"]
    highest = sampling["sampler"].get("sigma_range", [0.0, 1.0])[1]  # score ascent starts at 1
    trained = pair.spec["first"]["training"]["sigma_range"][1]
    return (
        f"{pair.count} samples of each network, from the same start noise and the same injected "
        f"noise, around a mean of {sampling['start_mean']:g}"
    ) + (
        f"; it starts at sigma = {highest:g}, and the networks were trained up to {trained:g}"
        if highest > trained
        else ""
    )
