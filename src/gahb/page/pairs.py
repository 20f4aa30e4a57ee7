"""Samples of two networks for the page, between the training images that they are closest to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gahb.datasets.image_class import image_class
from gahb.figures.parts.pairs import Pair, read_pairs
from gahb.hdf5 import with_section
from gahb.likeness import MEASURES
from gahb.page.pictures import intensities

BY = "correlation"
SPLITS = ("S1", "S2")

Group = dict[str, Any]


def read_samples_of_pairs(paths: Iterable[Path]) -> list[Group]:
    """One group for each experiment among the files, of the most N first.

    A group has ``name``, ``words`` for its images and ``sizes``, by growing N; each has the numbers of
    all samples and those ``shown``.

    Raises:
        gahb.artifacts.ArtifactError: a file is damaged.
    """
    files = list(with_section(paths, "sampling"))
    names = sorted({spec["first"]["experiment"] for _, spec in files})
    groups = []
    for name in names:
        pairs = read_pairs([path for path, _ in files], name)
        words = image_class(pairs[0].spec["first"]["dataset"]).words
        sizes = [_of_size(pair) for pair in pairs]
        groups.append({"name": name, "words": words, "sizes": sizes})
    return sorted(groups, key=lambda group: -len(group["sizes"]))


def _of_size(pair: Pair) -> dict[str, Any]:
    measure = MEASURES.index(BY)
    arrays = pair.arrays
    count = arrays["closest_images"].shape[2]
    shown = [
        {
            "pictures": [
                intensities(arrays["closest_images"][0, measure, number]),
                intensities(arrays["samples"][0, number]),
                intensities(arrays["samples"][1, number]),
                intensities(arrays["closest_images"][1, measure, number]),
            ],
            "between": _number(arrays["pair_similarity"][measure, number]),
            "closest": [
                _number(arrays["closest_similarity"][k, k, measure, number]) for k in range(2)
            ],
        }
        for number in range(count)
    ]
    return {
        "set_size": pair.set_size,
        "count": pair.count,
        "between": _number(pair.between(BY).mean()),
        "closest": _number(pair.with_closest(BY, own=True).mean()),
        "shown": shown,
    }


def _number(value: float) -> float:
    return round(float(value), 3)
