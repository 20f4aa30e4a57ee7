"""What the figure "optimum" shows, read from its tables and spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gahb.artifacts import Spec
from gahb.figures.parts.beside import (
    Gap,
    check_same_levels,
    count_of_test_images,
    curve_on_test,
    gap_to,
    network_spectra,
    network_table,
    reference_spectra,
    reference_table,
    same_noisy_image,
    small_noise_gain,
)
from gahb.figures.parts.eigenbases import Eigenbasis, read_eigenvalues
from gahb.figures.parts.tables import Curve, choose, read_tables


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure."""

    networks: list[Curve]  # by growing N, on the images of the exact denoiser
    exact: Curve
    gaps: list[Gap]  # of each network
    dimension: int  # of the manifold
    gain: float  # dB, of the optimum at small noise
    learned: Eigenbasis
    optimal: Eigenbasis
    sigma: np.ndarray  # noise levels of the spectra, growing
    counts: dict[str, np.ndarray]  # mean number of eigenvalues above the threshold at each sigma
    images: int  # behind each count
    shares: np.ndarray  # of each leading eigenvector of the network in the span of the exact ones
    exact_images: int  # test images behind the exact curve
    specs: list[Spec]


def measure(inputs: Sequence[Path | str], spec: Mapping[str, Any]) -> Measured:
    """Read and check what the figure is drawn from; see :func:`gahb.figures.optimum.draw`."""
    asked = dict(spec)
    experiment, split, reference = asked["experiment"], asked["split"], asked["reference"]
    tables = read_tables(inputs)
    evaluated = choose(tables, "psnr", experiment=experiment, split=split)
    sizes = sorted({int(table.value("set_size")) for table in evaluated})
    networks = [network_table(tables, experiment, size, split) for size in sizes]
    image_class = networks[0].value("image_class")
    exact = reference_table(tables, image_class, reference)
    dimension, gain = small_noise_gain(exact.spec)
    paths = (
        network_spectra(inputs, experiment, asked["set_size"], split),
        reference_spectra(inputs, image_class, reference),
    )
    learned, optimal = same_noisy_image(paths, asked["image"], asked["sigma"])
    every = [read_eigenvalues(path) for path in paths]
    check_same_levels(*every)
    order = np.argsort(every[0].sigma)
    tangent = np.stack([optimal.eigenvector(k + 1) for k in range(dimension)])
    leading = np.stack([learned.eigenvector(k + 1) for k in range(asked["eigenvectors"])])
    overlaps = leading.reshape(len(leading), -1) @ tangent.reshape(dimension, -1).T
    gaps = [gap_to(tables, experiment, size, split, reference) for size in sizes]
    optimum = curve_on_test(exact)
    return Measured(
        networks=[gap.network(optimum) for gap in gaps],
        exact=optimum,
        gaps=gaps,
        dimension=dimension,
        gain=gain,
        learned=learned,
        optimal=optimal,
        sigma=every[0].sigma[order],
        counts={
            name: values.above(asked["threshold"]).mean(0)[order]
            for name, values in zip(("network", "exact"), every, strict=True)
        },
        images=len(every[0].image_index),
        shares=(overlaps**2).sum(1),
        exact_images=count_of_test_images(exact),
        specs=[*(t.spec for t in networks), exact.spec, learned.spec, optimal.spec],
    )
