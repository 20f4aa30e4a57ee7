"""How far the density that a denoiser implies is from that of the images, at most: in nats.

The score of images with noise is (f*(y) - y) / sigma^2. With a denoiser f in the place of f*, the reverse
diffusion (the stochastic equation, in continuous time) that begins at a high noise level S ends, at a low
one s, in images of some density p_f,s, and

    KL(p_s || p_f,s) <= integral_s^S E||f(y) - f*(y)||^2 sigma^-3 dsigma + KL(p_S || p_f,S),

the errors summed over pixels; E||f - f*||^2 = MSE(f) - MSE(f*). The integral splits into variance and
bias as the error does (:mod:`gahb.evaluation.ensembles`). One that starts from N(m, S^2 I) has
KL(p_S || N(m, S^2 I)) <= E||x - m||^2 / (2 S^2). With an error E||f - f*||^2 ~ sigma^a for small sigma
the integral from s on grows as s^(a - 2) if a < 2, as log(1/s) if a = 2, and converges if a > 2: a
statement about a network that copies, a near 0, is one about the s chosen.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import simpson

from gahb.artifacts import provenance, write_table
from gahb.evaluation.draws import digests, read_measured
from gahb.means import standard_error

Float64 = NDArray[np.float64]


def bound_densities(ensembles: list[Path], output: Path | str) -> None:
    """Write one row per experiment and set size, of the image classes with an exact denoiser.

    Args:
        ensembles: tables of :func:`gahb.evaluation.ensembles.measure_ensembles`, with their draws.
        output: table to write, ``.csv``. Integrals are in nats, with standard errors ``_se`` over images;
            ``kl_between`` is that over the networks, ``kl_quadrature`` the error of the quadrature;
            ``kl`` is the integral, ``bound`` that with ``start``; ``exponent_low`` is a, fitted to the
            lowest three levels.
    """
    rows = [row for path in ensembles for row in _bounds(path)]
    made_from = provenance({}, digests(ensembles))
    write_table(output, pd.DataFrame(rows, columns=_COLUMNS), made_from)


_COLUMNS = [
    *("experiment", "image_class", "set_size", "networks", "images", "pixels"),
    *("sigma_low", "sigma_high", "kl", "kl_se", "kl_quadrature", "kl_between", "bits_per_pixel"),
    *("kl_variance", "kl_variance_se", "kl_bias", "kl_bias_se"),
    *("kl_outside", "kl_outside_se", "outside_low", "outside_high", "start", "bound"),
    *("per_efold_low", "exponent_low"),
]


def _bounds(path: Path) -> list[dict[str, Any]]:
    spec, draws = read_measured(path, "ensemble")
    ensemble = spec["ensemble"]
    if any("excess" not in draws[f"N{set_size}"] for set_size in ensemble["set_sizes"]):
        return []
    return [
        {
            "experiment": ensemble["experiment"],
            "image_class": ensemble["image_class"],
            "set_size": set_size,
            **density_bound(
                np.array(spec["measured"]["sigmas"]),
                draws[f"N{set_size}"]["excess"],
                draws[f"N{set_size}"].get("variance"),
                draws["energy"],
                ensemble["dataset"]["size"] ** 2,
                ensemble.get("training", {"sigma_range": [0, math.inf]})["sigma_range"],
            ),
        }
        for set_size in ensemble["set_sizes"]
    ]


def density_bound(
    sigmas: Float64,
    excess: Float64,
    variance: Float64 | None,
    energy: Float64,
    pixels: int,
    trained: list[float],
) -> dict[str, Any]:
    """The bound on KL(p_s || p_f,s) at the lowest noise level s, from the error of K networks.

    Args:
        sigmas: (levels,) in ascending order, three or more of them within ``trained``.
        excess: (K, levels, images) squared distance per pixel to the conditional mean.
        variance: (levels, images) between the networks, per pixel; None for a single network.
        energy: (images,) squared distance of images from their mean intensity, summed over pixels.
        pixels: d.
        trained: lowest and highest noise level of the training; of imported networks 0 and infinity.

    Returns:
        The columns of the table from ``networks`` on, as docs/diffusion.md lists them; ``kl``, the
        integral in nats, and ``bound`` among them. What cannot be had is left out or NaN: the split
        for a single network, the error of the quadrature for an even number of levels.

    Raises:
        ValueError: noise levels that do not ascend, shapes that do not fit, too few levels.
    """
    sigmas, excess, energy = (np.asarray(one, np.float64) for one in (sigmas, excess, energy))
    if sigmas.ndim != 1 or np.any(np.diff(sigmas) <= 0) or sigmas[0] <= 0:
        raise ValueError(f"sigmas: found {sigmas.tolist()}, allowed are ascending levels above 0")
    fits = excess.ndim == 3 and energy.ndim == 1 and excess.shape[1:] == (len(sigmas), len(energy))
    if not fits or (variance is not None and np.shape(variance) != excess.shape[1:]):
        given = "None" if variance is None else np.shape(variance)
        raise ValueError(
            f"found excess {excess.shape}, variance {given}, energy {energy.shape} at {len(sigmas)} "
            "levels; expected (K, levels, images), (levels, images) and (images,)"
        )
    if np.shape(trained) != (2,):
        raise ValueError(f"trained: found {trained}, expected the lowest and the highest level")
    inside = (sigmas >= trained[0]) & (sigmas <= trained[1])
    if inside.sum() < 3:
        raise ValueError(
            f"sigmas: {inside.sum()} of {len(sigmas)} noise levels are between "
            f"{trained[0]:g} and {trained[1]:g}, those trained at; 3 are needed for an integral"
        )
    beyond = np.flatnonzero(sigmas >= sigmas[inside][-1])  # from the highest that was trained at
    per_efold = pixels * excess / sigmas[:, None] ** 2  # with respect to log sigma

    def integral(values: Float64, levels: NDArray[Any]) -> Float64:
        return np.asarray(quadrature_weights(sigmas[levels]) @ values[..., levels, :])

    whole = integral(per_efold, inside)  # (K, images)
    shared = whole.mean(0)
    row: dict[str, Any] = {
        "networks": len(excess),
        "images": excess.shape[-1],
        "pixels": pixels,
        "sigma_low": sigmas[inside][0],
        "sigma_high": sigmas[inside][-1],
        "kl": shared.mean(),
        "kl_se": float(standard_error(shared)),
        "kl_quadrature": _quadrature_error(sigmas[inside], per_efold.mean((0, 2))[inside]),
        "kl_between": math.nan,
        "bits_per_pixel": shared.mean() / (pixels * math.log(2)),
        "start": energy.mean() / (2 * sigmas[inside][-1] ** 2),
        "per_efold_low": per_efold.mean((0, 2))[inside][0],
    }
    row["bound"] = row["kl"] + row["start"]
    lowest = np.log(sigmas[inside][:3]), np.log(excess.mean((0, 2))[inside][:3])
    row["exponent_low"] = float(np.polyfit(*lowest, deg=1)[0])
    if variance is not None:
        spread = integral(pixels * variance / sigmas[:, None] ** 2, inside)
        row |= {
            "kl_between": float(standard_error(whole.mean(1))),
            "kl_variance": spread.mean(),
            "kl_variance_se": float(standard_error(spread)),
            "kl_bias": (shared - spread).mean(),
            "kl_bias_se": float(standard_error(shared - spread)),
        }
    if len(beyond) >= 3:
        outside = integral(per_efold, beyond).mean(0)
        row |= {
            "kl_outside": outside.mean(),
            "kl_outside_se": float(standard_error(outside)),
            "outside_low": sigmas[beyond[0]],
            "outside_high": sigmas[beyond[-1]],
        }
    return row


def quadrature_weights(sigmas: Float64) -> Float64:
    """Weights of Simpson's rule in log sigma: their product with values integrates dlog(sigma)."""
    return np.asarray(simpson(np.eye(len(sigmas)), x=np.log(sigmas), axis=1))


def _quadrature_error(sigmas: Float64, values: Float64) -> float:
    """By how much the integral changes when every second noise level is left out, ends kept.

    An estimate from above, since Simpson's rule converges with the fourth power of the spacing. With an
    even number of levels, or fewer than five, there is none.
    """
    if len(sigmas) < 5 or len(sigmas) % 2 == 0:
        return math.nan
    finer = quadrature_weights(sigmas) @ values
    coarser = quadrature_weights(sigmas[::2]) @ values[::2]
    return float(abs(finer - coarser))
