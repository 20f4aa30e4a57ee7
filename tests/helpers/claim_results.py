"""A small made-up run, in memory, of which every claim is true; tests change what they want to be false."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gahb.claims.parts.found import Found, Spectrum
from gahb.claims.parts.run import Run
from gahb.figures.parts.tables import Table

SIZES = [1, 10, 100, 320, 1000]
SIGMAS = [0.02, 0.1, 0.4]
KINDS = {"a2": "calpha", "a3": "calpha", "mixed": "shuffled", "cnn": "calpha", "disks": "disks"}
KINDS |= {"rays": "rays", "sines": "sines"}
RUN = Run(
    main="a2",
    sizes={name: SIZES if name in ("a2", "cnn") else [1000] for name in KINDS},
    splits={name: ["S1", "S2"] for name in KINDS},
    alphas={"a2": 2.0, "a3": 3.0},
    shuffled=("a2", "mixed"),
    other_network="cnn",
    exact={"disks": "exact", "rays": "exact"},
    wavelets={"a2": ["wavelets"], "a3": ["wavelets"]},
    bandlets={"a2": ["bandlets"], "a3": ["bandlets"]},
    kinds=KINDS,
    ensembles=["a2", "small"],
    densities=["small"],
    sampled={"a2": SIZES, "small": [2, 4, 8]},
    followed=["small"],
    spectra={"a2": [10, 1000], "disks": [1000]},
    spectra_splits={"a2": ["S1"], "disks": ["S1"]},
    adapted=True,
)
NOTHING = Run.model_validate(
    {name: type(value)() for name, value in RUN.model_dump().items()}
    | {"main": None, "shuffled": None, "other_network": None}
)
SLOPES = {
    "a2": 0.67,
    "a3": 0.75,
    "mixed": 0.4,
    "cnn": 0.66,
    "disks": 1.0,
    "rays": 1.0,
    "sines": 1.0,
}
GAPS = {1: 20.0, 10: 12.0, 100: 6.0, 320: 2.0, 1000: 0.1}


@dataclass
class World:
    """The frames of all tables by name, and the arrays of all spectra; to be changed freely."""

    frames: dict[tuple[Any, ...], pd.DataFrame] = field(default_factory=dict)
    arrays: dict[tuple[str, int], dict[str, np.ndarray]] = field(default_factory=dict)

    @property
    def found(self) -> Found:
        """As claims are given it."""
        tables = [
            Table(Path("-".join(map(str, key))), str(key[0]), frame, _spec(key))
            for key, frame in self.frames.items()
        ]
        spectra = [
            Spectrum({"network": {"experiment": name, "set_size": n, "split": "S1"}}, arrays)
            for (name, n), arrays in self.arrays.items()
        ]
        return Found(tables, spectra)

    def set(self, key: tuple[Any, ...], column: str, value: Any, **where: Any) -> None:
        """Change a column of a table in the rows that have these values."""
        frame = self.frames[key]
        rows = np.ones(len(frame), bool)
        for name, wanted in where.items():
            rows &= frame[name].isin(wanted if isinstance(wanted, list) else [wanted]).to_numpy()
        assert rows.any(), (key, where)
        frame.loc[rows, column] = value

    def sample_without_noise(self) -> None:
        """Samples of the small images by another sampler than those of the main experiment."""
        self.frames["samples", "small", 8, "S1", "ode"] = self.frames.pop(("samples", "small", 8))

    def spectrum(self, dataset: str, value: Any, experiment: str = "a2") -> None:
        """Change a dataset of the spectra at N = 1000."""
        self.arrays[experiment, 1000][dataset][...] = value


def _spec(key: tuple[Any, ...]) -> dict[str, Any]:
    network: dict[str, Any] = {"experiment": None, "set_size": None, "split": None}
    network |= {"dataset": {"size": 32}}
    network |= dict(zip(("experiment", "set_size", "split"), key[1:4], strict=False))
    kind = key[4] if len(key) > 4 else "ancestral"
    return {"network": network, "sampling": {"sampler": {"kind": kind}}}


def world() -> World:
    """All claims hold of it."""
    made = World()
    made.frames[("summary",)] = _summary()
    made.frames[("gaps",)] = pd.DataFrame(
        {"experiment": name, "image_class": name, "set_size": 1000, "split": split}
        | {"reference": reference, "sigma": sigma, "input_psnr": -20 * np.log10(sigma)}
        | {"reference_gap": gap, "reference_gap_se": 0.05, "reference_gap_between": 0.05}
        for name, reference, gap in (
            *(("disks", "exact", 0.5), ("rays", "exact", 0.5)),
            *(("a2", "wavelets", -2.0), ("a3", "wavelets", -2.0)),
        )
        for split in ("S1", "S2")
        for sigma in SIGMAS
    )
    made.frames[("references",)] = pd.DataFrame(
        {"image_class": name, "reference": "bandlets", "slope": SLOPES[name], "slope_se": 0.01}
        for name in ("a2", "a3")
    )
    made.frames[("density",)] = pd.DataFrame(
        {
            "experiment": "small",
            "set_size": n,
            "kl": 400 / n**2,
            "kl_se": 1 / n,
            "kl_between": 1 / n,
        }
        for n in (2, 4, 8)
    )
    for name, sizes in (("a2", SIZES), ("small", [2, 4, 8])):
        made.frames["ensembles", name] = pd.DataFrame(
            {"set_size": n, "update": 800, "sigma": sigma}
            | {"variance": sigma**2 * 4.0**-k, "variance_se": sigma**2 * 4.0**-k / 20}
            for k, n in enumerate(sizes)
            for sigma in SIGMAS
        )
    made.set(("ensembles", "small"), "variance", 1e-5, set_size=8)
    for n in (1, 10, 1000):
        made.frames["samples", "a2", n] = _samples(n < 1000)
    made.frames["samples", "small", 8] = _samples(False)
    made.frames["samples_over_training", "small"] = pd.concat(
        _samples(u > 10 * n).assign(set_size=n, update=u)
        for n in (2, 4, 8)
        for u in (10, 30, 60, 120, 240)
    )
    made.frames["adaptivity", "a2"] = _bases()
    for name in ("a2", "mixed", "rays", "sines"):
        gain = {"rays": 10 * np.log10(1024), "sines": 10 * np.log10(512)}.get(name, 6.0)
        for split in ("S1", "S2"):
            inputs = -20 * np.log10(np.array(SIGMAS))
            psnr = inputs * (1 if name in ("rays", "sines") else 0.6) + gain - 3 * (name == "mixed")
            made.frames["psnr", name, 1000, split] = pd.DataFrame(
                {"denoiser": "network", "evaluated_on": "test", "sigma": SIGMAS}
                | {"input_psnr": inputs, "psnr_of_mean_mse": psnr, "psnr_of_mean_mse_se": 0.05}
            )
    made.arrays = {("a2", 10): _spectra(3), ("a2", 1000): _spectra(3), ("disks", 1000): _spectra(5)}
    return made


def _summary() -> pd.DataFrame:
    return pd.DataFrame(
        {"experiment": name, "image_class": name, "set_size": n, "split": split}
        | {"gap": GAPS[n], "gap_se": 0.05, "gap_between": 0.1, "largest_gap": 2 * GAPS[n]}
        | {
            "slope": SLOPES[name],
            "slope_se": 0.002,
            "slope_between": 0.005,
            "oracle_slope": SLOPES[name],
        }
        | {"agreement": 10 + 5 * np.log10(n), "agreement_se": 0.05}
        | {"agreement_same_set": 25.5, "agreement_same_set_se": 0.05}
        | {"sigma_low": 0.02, "sigma_high": 0.4}
        for name in KINDS
        for n in RUN.sizes[name]
        for split in ("S1", "S2")
    )


def _samples(copies: bool) -> pd.DataFrame:
    rows = [("pair_similarity", "both", "none", "correlation", 0.95)]
    for one in ("S1", "S2"):
        rows.append(("principal_variance_ratio", one, "none", "leading", 1.05))
        rows.append(("p_value", one, "none", "euclidean", 0.4))
        rows.append(("fresh_similarity", "none", one, "correlation", 0.8))
        for known in ("S1", "S2"):
            share = float(copies and one == known)
            rows.append(("copied", one, known, "correlation", share))
            rows.append(("closest_similarity", one, known, "correlation", 0.99 if share else 0.8))
            rows += [
                ("memorised", one, known, m, share) for m in ("scaled_ratio", "distance_ratio")
            ]
    frame = pd.DataFrame(rows, columns=["quantity", "network", "training_set", "measure", "mean"])
    return frame.assign(se=0.01, count=64)


def _bases() -> pd.DataFrame:
    errors = {"known-contour": 0.002, "wavelets": 0.01, "bandlets": 0.006, "pixels": 0.3}
    learned = [
        {"basis": "learned", "set_size": n, "split": "S1", "sigma": 0.1, "rank": rank}
        | {
            "oracle_rank": 30.0,
            "overlap": overlap,
            "overlap_se": 0.01,
            "gain": 0.1,
            "gain_se": 0.01,
        }
        | {"error": 0.003, "error_se": 0.0005}
        for n, overlap in ((10, 0.3), (1000, 0.7))
        for rank in (16, 32, 64)
    ]
    others = [
        {"basis": name, "rank": rank, "error": error, "error_se": 0.0005}
        for name, error in errors.items()
        for rank in (16, 32, 64)
    ]
    return pd.DataFrame([*learned, *others]).astype({"set_size": "Int64"})


def _spectra(large: int) -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0)
    images, levels = 4, len(SIGMAS)
    eigenvalues = np.full((images, levels, 64), 0.01)
    eigenvalues[..., :large] = 1.0
    eigenvalues[:, 0, :9] = 1.0
    trace = eigenvalues.sum(-1)
    clean = draws.random((images, 1, 8, 8))
    off = np.sqrt(np.square(SIGMAS) * trace / 64)
    denoised = clean[:, None] + off[..., None, None, None]
    scalars = {"least_eigenvalue": 0.0, "asymmetry": 0.05, "homogeneity_residual": 1e-7}
    scalars |= {"null_response": 0.02, "leading_response": 0.9, "effective_rank": 3.0}
    whole = {name: np.full((images, levels), value) for name, value in scalars.items()}
    return whole | {
        "sigma": np.array(SIGMAS),
        "clean": clean,
        "denoised": denoised,
        "symmetric_denoised": denoised.copy(),
        "eigenvalues": eigenvalues,
        "trace": trace,
    }
