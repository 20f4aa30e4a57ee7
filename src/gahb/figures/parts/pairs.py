"""Samples of pairs of networks, read from the files of the phase ``samples``.

A file is recognised and placed (experiment, set size) by its spec, never by its name or folder. Axes
of length two are S1 and S2, or the measures :data:`MEASURES`, in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gahb.artifacts import ArtifactError, Spec
from gahb.hdf5 import with_section
from gahb.likeness import MEASURES as MEASURES
from gahb.means import mean_and_error as mean_and_error
from gahb.samples.fresh import variance_ratio
from gahb.samples.sampler import sampler_options
from gahb.samples.store import read_samples

MEASURE_TEXT = {
    "cosine": "cosine of the angle between the images",
    "correlation": "correlation of the pixels (cosine after each image's mean is removed)",
}

_USED = (
    *("samples", "pair_similarity", "closest_similarity", "closest_images", "start_noise"),
    *("trajectory_kept_sigma", "trajectory_noisy", "trajectory_denoised"),
    *("noisy_similarity", "denoised_similarity", "twin_similarity", "twin_images"),
    *("fresh_similarity", "components", "fresh_components", "start_components"),
)


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

    def fresh(self, measure: str) -> np.ndarray:
        """Similarity of test images with the closest image of a training set, of S1 and S2: (2t,)."""
        return np.asarray(self.arrays["fresh_similarity"][:, MEASURES.index(measure)]).ravel()

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
    for path, spec in with_section(given, "sampling"):
        if spec["first"]["experiment"] != experiment:
            continue
        size = int(spec["first"]["set_size"])
        if set_sizes is not None and size not in set_sizes:
            continue
        if size in found:
            raise ArtifactError(f"{found[size].path} and {path} both hold samples at N = {size}")
        arrays, _ = read_samples(path, names=_USED)
        found[size] = Pair(
            path, size, spec, {name: each.astype(np.float64) for name, each in arrays.items()}
        )
    missing = [size for size in set_sizes or () if size not in found]
    if missing or not found:
        asked = f", N = {', '.join(map(str, missing))}," if missing else ""
        raise ArtifactError(
            f"no samples of {experiment}{asked} among the inputs: "
            f"{', '.join(map(str, given)) or 'none'}"
        )
    return [found[size] for size in sorted(found)]


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


def fresh_mean(pair: Pair, measure: str) -> tuple[float, float]:
    """Mean of :meth:`Pair.fresh` with the standard error of one training set's, over the test images."""
    found = pair.fresh(measure).reshape(2, -1)
    means, errors = zip(*map(mean_and_error, found), strict=True)
    return float(np.mean(means)), float(np.mean(errors))


def principal_variance(pair: Pair) -> tuple[float, float]:
    """Variance of samples over that of test images along the leading principal directions of the class.

    The mean over directions and both networks, with the standard error of one network's.
    """
    return _variances(pair, pair.arrays["components"])


def start_variance(pair: Pair) -> tuple[float, float]:
    """The same of the images that noise is added to for the start: 0 for a white one."""
    return _variances(pair, pair.arrays["start_components"][None])


def _variances(pair: Pair, components: np.ndarray) -> tuple[float, float]:
    fresh = pair.arrays["fresh_components"]
    ratios = [variance_ratio(one, fresh).mean(axis=1) for one in components]
    means, errors = zip(*map(mean_and_error, ratios), strict=True)
    return float(np.mean(means)), float(np.mean(errors))


def sampler_text(pair: Pair) -> str:
    """What was drawn, for a caption: how many, from what, and beyond which trained noise level."""
    sampling: dict[str, Any] = pair.spec["sampling"]
    highest = sampler_options(sampling["sampler"]).sigma_highest
    training = pair.spec["first"].get("training")  # which is not known of imported networks
    start = (
        f"around a mean of {sampling['start_mean']:g}"
        if sampling["start"] == "white"
        else "around Gaussian images that have the mean and covariance of training images of both halves, "
        "for every N: the networks are told these of the class, and nothing else"
    )
    return (
        f"{pair.count} samples of each network, from the same noise, at the start and on the way, {start}"
    ) + (
        f"; it starts at sigma = {highest:g}, and the networks were trained up to "
        f"{training['sigma_range'][1]:g}"
        if training is not None and highest > training["sigma_range"][1]
        else ""
    )
