"""The evidence lower bound of denoisers of Gaussian fields, in nats, beside the exact log-likelihood.

A denoiser f defines a chain backwards through noise levels s_1 < ... < s_T: from y_T ~ N(m, s_T^2 I), steps
with the mean of q(y_(t-1) | y_t, x = f(y_t)) and its variance, and x ~ N(f(y_1), s_1^2 I) at the end. Then

    -log p(x) <= sum_(t=2)^T (1/s_(t-1)^2 - 1/s_t^2) ||x - f(y_t)||^2 / 2      steps: their KL divergences
                 + ||x - m||^2 / (2 s_T^2)                                     prior: KL of y_T given x
                 + d/2 log(2 pi s_1^2) + ||x - f(y_1)||^2 / (2 s_1^2)          reconstruction

in expectation over y_t = x + s_t z. It is the bound of the discrete forward process x_t, y_t being
x_t / sqrt(abar_t), since a divergence does not change with the units: 1/s_t^2 is the signal-to-noise ratio
abar_t / (1 - abar_t).
With the exact denoiser what is left tends to 0 with the number of steps, s_1 to 0 and s_T to infinity;
with another its steps add (1/s_(t-1)^2 - 1/s_t^2) E||f - f*||^2 / 2 each: the integral of
:mod:`gahb.evaluation.divergence` over the levels of the chain, as a sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gahb.artifacts import Spec, provenance, write_table
from gahb.datasets.classes.gaussian import Gaussian
from gahb.datasets.image_class import image_class
from gahb.datasets.store import Dataset
from gahb.denoisers.computation import in_float32
from gahb.denoisers.optimal import exact_denoiser
from gahb.denoisers.snapshots import member_spec
from gahb.denoisers.weights import load_denoiser
from gahb.devices import asked_of, choose_device
from gahb.evaluation.measure import Denoiser, NoisySet, fastest, noisy_set, squared_errors
from gahb.means import standard_error

Float64 = NDArray[np.float64]
TERMS = ("steps_kl", "prior_kl", "reconstruction")


def measure_likelihoods(
    spec: Spec, dataset: Dataset, networks: Sequence[Path | str], output: Path | str
) -> None:
    """Write one row per network: its bound, that of the exact denoiser, and the exact log-likelihood.

    Args:
        spec: ``ensemble``, what the networks were trained with, on Gaussian fields, and ``elbo``: ``seed``,
            ``images``, ``steps``, ``sigma_range``, ``threads``.
        dataset: what all were trained on.
        networks: weights, by set size and split.
        output: table to write, ``.csv``. All in nats per image, with standard errors ``_se`` over test
            images; ``loss`` and ``exact_loss`` are the log-likelihood less the two bounds.
    """
    measured, ensemble = spec["elbo"], spec["ensemble"]
    torch.set_num_threads(measured["threads"])
    device = choose_device(asked_of(ensemble))
    fields = image_class(ensemble["dataset"])
    exact = exact_denoiser(ensemble["dataset"])
    if not isinstance(fields, Gaussian) or exact is None:
        raise ValueError(f"the likelihood of {fields.words} is not known; of Gaussian fields it is")
    low, high = map(float, measured["sigma_range"])
    sigmas = np.geomspace(low, high, measured["steps"]).tolist()
    test = noisy_set(dataset, dataset.indices["test"], measured["images"], minimum_draws=1)
    likelihood = log_likelihood(fields, test.images[:, 0].double().numpy())
    optimal = elbo_terms(exact, fields, test, sigmas, measured["seed"])
    inputs, rows = {"dataset": dataset.images_sha256}, []
    members = [
        member_spec(ensemble, set_size, split)
        for set_size in ensemble["set_sizes"]
        for split in ensemble["splits"]
    ]
    for member, path in zip(members, networks, strict=True):
        denoiser, header = load_denoiser(path, member, dataset.images_sha256)
        inputs[f"N{member['set_size']}_{member['split']}"] = header["tensors_sha256"]
        learned = elbo_terms(fastest(denoiser, device), fields, test, sigmas, measured["seed"])
        rows.append(
            {
                **{key: ensemble[key] for key in ("experiment", "image_class")},
                **{key: member[key] for key in ("set_size", "split")},
                "levels": len(sigmas),
                "sigma_low": sigmas[0],
                "sigma_high": sigmas[-1],
                "images": len(likelihood),
                "pixels": fields.size**2,
                **_mean("log_likelihood", likelihood),
                **_summed("", learned, likelihood),
                **_summed("exact_", optimal, likelihood),
            }
        )
    write_table(output, pd.DataFrame(rows), provenance(spec, inputs, in_float32(device)))


def log_likelihood(fields: Gaussian, images: Float64) -> Float64:
    """The exact log density of images (M, H, W) of a class of Gaussian fields, in nats: (M,)."""
    spectrum = fields.spectrum()
    modes = np.fft.fft2(images - fields.mean, norm="ortho")
    squares = (np.abs(modes) ** 2 / spectrum + np.log(2 * np.pi * spectrum)).sum((1, 2))
    return np.asarray(-squares / 2)


def elbo_terms(
    denoiser: Denoiser, fields: Gaussian, noisy: NoisySet, sigmas: Sequence[float], seed: int
) -> dict[str, Float64]:
    """The three terms of the negative bound, in nats for each image, by the names of :data:`TERMS`.

    Args:
        denoiser: f(y, sigma).
        fields: the class, whose mean is that of the prior.
        noisy: the images, each of which gets one draw of noise per level.
        sigmas: s_1 < ... < s_T.
        seed: of the noise.
    """
    pixels = fields.size**2
    levels = np.asarray(sigmas)
    errors = pixels * squared_errors(denoiser, noisy, list(sigmas), seed)
    distances = (noisy.images.double() - fields.mean).square().sum(dim=(1, 2, 3)).numpy()
    steps = -np.diff(levels**-2.0) / 2 @ errors[1:]
    constant = pixels / 2 * np.log(2 * np.pi * levels[0] ** 2)
    last = constant + errors[0] / (2 * levels[0] ** 2)
    return dict(zip(TERMS, (steps, distances / (2 * levels[-1] ** 2), last), strict=True))


def _summed(prefix: str, terms: dict[str, Float64], likelihood: Float64) -> dict[str, Any]:
    bound = -np.sum(list(terms.values()), axis=0)
    means = {f"{prefix}{name}": float(values.mean()) for name, values in terms.items()}
    loss = _mean(f"{prefix}loss", likelihood - bound)
    return _mean(f"{prefix}elbo", bound) | means | loss


def _mean(name: str, values: Float64) -> dict[str, float]:
    return {name: float(values.mean()), f"{name}_se": float(standard_error(values))}
