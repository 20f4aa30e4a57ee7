"""Networks of pairwise disjoint training sets, on the same noisy images: how they differ, and from what.

With K networks f_k trained on K disjoint sets of N images, and the conditional mean f* where it is known,

    E||f - x||^2 = E||f* - x||^2 + E||f - f*||^2,    E||f - f*||^2 = variance + bias^2,

the variance being that between trainings, estimated without bias by the spread of the K outputs around
their mean, and the bias what is left: the distance to f* of the mean over all trainings. Trainings on
different sets also differ in their first weights and in the order and noise of their draws: the variance
is that of all of these together. Each network is also compared with the denoiser that is optimal for
the empirical distribution of its own training set, the one that memorises, and its denoised images with
their closest training images. All errors are per pixel.

Beside the table ``X.csv`` lies ``X.h5`` with the numbers of every single draw, which the bound on the
density (:mod:`gahb.evaluation.divergence`) needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from gahb.artifacts import Spec, provenance
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import ON_CUDA, in_float32, on_fastest_device
from gahb.denoisers.empirical import EmpiricalDenoiser
from gahb.denoisers.optimal import exact_denoiser
from gahb.denoisers.snapshots import member_spec, read_snapshots
from gahb.denoisers.weights import load_denoiser
from gahb.devices import asked_of, choose_device, device_in_use
from gahb.evaluation.draws import write_measured
from gahb.evaluation.measure import BATCH, Denoiser, NoisySet, fastest, noisy_set
from gahb.evaluation.psnr import input_psnr
from gahb.likeness import MEASURES, closest, similarity
from gahb.means import standard_error

Float64 = NDArray[np.float64]
Batches = list[tuple[Tensor, Tensor]]  # (clean, noisy)
Outputs = list[Tensor]  # at each noise level, (M, 1, H, W)


def measure_ensembles(
    spec: Spec,
    dataset: Dataset,
    networks: Sequence[Path | str],
    snapshots: Sequence[Path | str],
    output: Path | str,
) -> None:
    """Measure the networks of an experiment together, set size by set size, and write the table.

    Args:
        spec: ``ensemble``, what the networks were trained with, and ``measured``: ``seed``, ``sigmas``,
            ``sigmas_over_training`` (those measured at snapshots), ``images``, ``threads``.
        dataset: what all were trained on.
        networks: weights, by set size and split.
        snapshots: of the same networks, or none.
        output: table to write, ``.csv``: one row per set size, number of updates and noise level.

    Raises:
        ArtifactError: weights are missing, damaged, or of other networks.
    """
    measured, ensemble = spec["measured"], spec["ensemble"]
    torch.set_num_threads(measured["threads"])
    device = choose_device(asked_of(ensemble))
    levels: list[float] = measured["sigmas"]
    members = [
        member_spec(ensemble, set_size, split)
        for set_size in ensemble["set_sizes"]
        for split in ensemble["splits"]
    ]
    inputs = {"dataset": dataset.images_sha256}
    test = noisy_set(dataset, dataset.indices["test"], measured["images"], minimum_draws=1)
    noisy = _at_levels(test, measured)
    known = exact_denoiser(ensemble["dataset"])
    exact = None if known is None else _outputs(known, noisy, levels)
    rows: list[dict[str, Any]] = []
    draws = {
        "image": (test.indices, "index in the dataset, of each draw"),
        "energy": (_energies(test), "sum over pixels of (x - mean intensity)^2"),
    }
    for number, set_size in enumerate(ensemble["set_sizes"]):
        part = slice(number * len(ensemble["splits"]), (number + 1) * len(ensemble["splits"]))
        comparison = _Comparison(dataset, members[part], measured, test, noisy, exact)
        trained = []
        for member, path in zip(members[part], networks[part], strict=True):
            denoiser, header = load_denoiser(path, member, dataset.images_sha256)
            inputs[f"N{set_size}_{member['split']}"] = header["tensors_sha256"]
            trained.append(fastest(denoiser, device))
        if snapshots:
            for update, early in _early(snapshots[part], members[part], ensemble, inputs):
                found = comparison.measure(early, measured["sigmas_over_training"])
                rows += _labelled(set_size, update, comparison.table(found))
        found = comparison.measure(trained, levels)
        rows += _labelled(set_size, _updates(ensemble), comparison.table(found))
        draws |= {
            f"N{set_size}/{quantity}": (
                found[quantity].astype(np.float32),
                "squared intensity per pixel",
            )
            for quantity in ("mse", "variance", "excess")
            if quantity in found
        }
    made_from = provenance(spec, inputs, in_float32(device))
    write_measured(output, pd.DataFrame(rows), draws, made_from)


class _Comparison:
    """What the networks of one set size are compared with, at every noise level."""

    def __init__(
        self,
        dataset: Dataset,
        members: list[Spec],
        measured: Spec,
        test: NoisySet,
        noisy: list[Batches],
        exact: Outputs | None,
    ) -> None:
        self._levels: list[float] = measured["sigmas"]
        self._test, self._noisy, self._exact = test, noisy, exact
        self._training: list[Tensor] = []
        self._own: list[NoisySet] = []
        self._own_noisy: list[list[Batches]] = []
        self._empirical: list[Outputs] = []
        self._own_empirical: list[Outputs] = []
        for member in members:
            index = dataset.training_set(member["split"], member["set_size"])
            own = noisy_set(dataset, index, measured["images"], measured["images"])
            self._training.append(torch.from_numpy(dataset.images(index)))
            memorising = on_fastest_device(
                EmpiricalDenoiser(self._training[-1]), asked_of(members[0])
            )
            self._own.append(own)
            self._own_noisy.append(_at_levels(own, measured))
            self._empirical.append(_outputs(memorising, noisy, self._levels))
            self._own_empirical.append(_outputs(memorising, self._own_noisy[-1], self._levels))

    def measure(self, networks: list[Denoiser], sigmas: Sequence[float]) -> dict[str, Any]:
        """Every quantity, draw by draw: (levels, draws), or with networks first (K, levels, draws).

        Args:
            networks: one per member.
            sigmas: the noise levels to measure at, of those of the comparison.
        """
        at = [self._levels.index(sigma) for sigma in sigmas]

        def chosen(of_levels: list[Any]) -> list[Any]:
            return [of_levels[level] for level in at]

        answers = [_outputs(network, chosen(self._noisy), sigmas) for network in networks]
        own = [
            _outputs(network, chosen(noisy), sigmas)
            for network, noisy in zip(networks, self._own_noisy, strict=True)
        ]
        clean = [self._test.images] * len(at)
        found: dict[str, Any] = {
            "sigmas": list(sigmas),
            "mse": _distances(answers, clean),
            "empirical_distance": np.stack(
                [
                    _distances([answer], chosen(empirical))[0]
                    for answer, empirical in zip(answers, self._empirical, strict=True)
                ]
            ),
            "own_empirical_distance": [
                _distances([answer], chosen(empirical))[0]
                for answer, empirical in zip(own, self._own_empirical, strict=True)
            ],
        }
        for measure in MEASURES:
            nearest = [
                torch.stack([closest(one, images, measure)[0] for one in answer])
                for answer, images in zip(answers, self._training, strict=True)
            ]
            found[f"closest_{measure}"] = torch.stack(nearest).double().numpy()
        if self._exact is not None:
            exact = chosen(self._exact)
            found["exact_mse"] = _distances([exact], clean)[0]
            found["excess"] = _distances(answers, exact)
        if len(networks) > 1:
            stacked = [torch.stack(outputs) for outputs in zip(*answers, strict=True)]
            spread = [
                each.double().var(dim=0, correction=1).mean(dim=(1, 2, 3)) for each in stacked
            ]
            found["variance"] = torch.stack(spread).numpy()
            for measure in MEASURES:
                alike = [_mean_similarity(each, measure) for each in stacked]
                found[measure] = torch.stack(alike).double().numpy()
            if "excess" in found:
                found["bias"] = found["excess"].mean(0) - found["variance"]
        return found

    def table(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        """One row per noise level: means over draws, and over networks, with standard errors."""
        rows = []
        for level, sigma in enumerate(found["sigmas"]):
            row: dict[str, Any] = {
                "sigma": sigma,
                "input_psnr": input_psnr(sigma),
                "networks": len(self._own),
                "images": len(self._test.indices),
            }
            for name in _QUANTITIES:
                mean, error = self._average(name, found, level)
                row |= {name: mean, f"{name}_se": error}
            rows.append(row)
        return rows

    def _average(self, name: str, found: dict[str, Any], level: int) -> tuple[float, float]:
        if name not in found:
            return np.nan, np.nan
        if name == "own_empirical_distance":  # each network on images of its own: independent
            means = [values[level].mean() for values in found[name]]
            errors = [
                standard_error(values[level], own.indices)
                for values, own in zip(found[name], self._own, strict=True)
            ]
            return float(np.mean(means)), float(np.linalg.norm(errors)) / len(errors)
        values = found[name]
        shared = (values.mean(0) if values.ndim == 3 else values)[level]
        return float(shared.mean()), float(standard_error(shared, self._test.indices))


_QUANTITIES = (
    *("mse", "variance", *MEASURES, *(f"closest_{measure}" for measure in MEASURES)),
    *("empirical_distance", "own_empirical_distance"),
    *("exact_mse", "excess", "bias"),
)


def _early(
    paths: Sequence[Path | str], members: list[Spec], ensemble: Spec, inputs: dict[str, str]
) -> Iterator[tuple[int, list[Denoiser]]]:
    """The networks of one set size at each update before the last."""
    snapshots: list[int] = ensemble["snapshots"]
    opened = []
    for path, member in zip(paths, members, strict=True):
        networks, digests = read_snapshots(path, member, snapshots, inputs["dataset"])
        inputs[f"N{member['set_size']}_{member['split']}_snapshots"] = digests["snapshots"]
        opened.append(networks)
    for same in itertools.islice(zip(*opened, strict=True), len(snapshots) - 1):
        yield same[0][0], [fastest(denoiser, device_in_use()) for _, denoiser in same]


def _updates(ensemble: Spec) -> int | None:
    """Of the finished networks; nothing is known of those that were imported."""
    updates: int | None = ensemble.get("training", {}).get("updates")
    return updates


def _labelled(
    set_size: int, update: int | None, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    return [{"set_size": set_size, "update": update} | row for row in rows]


def _at_levels(noisy: NoisySet, measured: Spec) -> list[Batches]:
    count = BATCH if device_in_use() == "cpu" else ON_CUDA
    return [
        noisy.batches(measured["seed"], level, sigma, count)
        for level, sigma in enumerate(measured["sigmas"])
    ]


@torch.no_grad()
def _outputs(denoiser: Any, noisy: list[Batches], sigmas: Sequence[float]) -> Outputs:
    return [
        torch.cat([denoiser(y, sigma) for _, y in batches])
        for batches, sigma in zip(noisy, sigmas, strict=True)
    ]


def _distances(answers: list[Outputs], others: Outputs) -> Float64:
    """Mean squared difference per pixel: (K, levels, draws)."""
    return np.stack(
        [
            np.stack(
                [
                    (a.double() - b.double()).square().mean(dim=(1, 2, 3)).numpy()
                    for a, b in zip(one, others, strict=True)
                ]
            )
            for one in answers
        ]
    )


def _mean_similarity(images: Tensor, measure: str) -> Tensor:
    """Similarity of the images (K, M, 1, H, W) of K networks, averaged over the pairs: (M,)."""
    pairs = itertools.combinations(images, 2)
    return torch.stack([similarity(*pair, measure) for pair in pairs]).mean(0)


def _energies(noisy: NoisySet) -> Float64:
    images = noisy.images.double()
    energies: Float64 = (images - images.mean()).square().sum(dim=(1, 2, 3)).numpy()
    return energies
