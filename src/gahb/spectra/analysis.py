"""Everything that is reported of a denoiser at one noisy image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gahb.asked import is_whole, noise_level
from gahb.denoisers.contract import Image, as_image
from gahb.means import mean_and_error
from gahb.randomness import generator
from gahb.spectra.eigen import DRAWS, PERTURBATION, Array, Spectrum
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import Denoiser, LinearisedDenoiser
from gahb.spectra.leading import leading_spectrum
from gahb.spectra.options import LARGEST_FULL

METHODS = ("auto", "full", "leading")


@dataclass(frozen=True)
class Analysis:
    """The local behaviour of a denoiser f at one noisy image y = x + noise of level sigma.

    Attributes:
        clean, noisy, denoised: x, y and f(y), (C, H, W).
        symmetric_denoised: what f(y) would be were J its symmetric part S: f(y) + (S - J) y,
            (C, H, W). It is S y for a homogeneous f, and f(y) for the exact denoisers, whose J is S.
            How much worse it is than f(y) limits what the eigenvectors of S say of f.
        eigenvalues, eigenvectors: (K,) descending and (k, C, H, W), of the symmetric part of J;
            (k, H, W) where C = 1.
        eigenvalue_residuals: (K,), see :class:`~gahb.spectra.eigen.Spectrum`, as for the
            singular values (K,), trace, asymmetry, their standard errors, effective rank, least
            eigenvalue and negative mass.
        fourier_quotients: (C, H, W) e_k* S e_k of the Fourier modes of each channel, (H, W) where
            C = 1, see :func:`~gahb.spectra.eigen.fourier_quotients`; NaN for the leading method.
        clean_coefficients, noisy_coefficients: (K,) <x, e_k> and <y, e_k>.
        homogeneity_residual: ||f(y) - J y|| / ||f(y)||: float precision for a bias-free network.
        leading_response, null_response: means of ||f(y + v) - f(y)|| / ||v|| over 8 random v of
            norm 0.1 sigma sqrt(d), with their standard errors; see :func:`analyse`.
        method: ``full`` or ``leading``.
        engine: ``frozen``, ``autograd`` or ``exact``.
    """

    clean: NDArray[np.floating]
    noisy: NDArray[np.floating]
    denoised: NDArray[np.floating]
    symmetric_denoised: NDArray[np.floating]
    eigenvalues: Array
    eigenvectors: Array
    eigenvalue_residuals: Array
    singular_values: Array
    clean_coefficients: Array
    noisy_coefficients: Array
    fourier_quotients: Array
    least_eigenvalue: float
    negative_mass: float
    asymmetry: float
    asymmetry_se: float
    homogeneity_residual: float
    trace: float
    trace_se: float
    effective_rank: float
    leading_response: float
    leading_response_se: float
    null_response: float
    null_response_se: float
    method: str
    engine: str


def analyse(
    denoiser: Denoiser,
    clean: Image,
    noisy: Image,
    sigma: float,
    method: str = "auto",
    eigenvectors: int | None = None,
    engine: str = "auto",
    seed: int = 0,
) -> Analysis:
    """Spectrum of the Jacobian at ``noisy``, and how the denoiser acts around it.

    The invariance of the effective null space is tested on f itself, not on J. With r the effective
    rank, rounded up (at most d/2, and at most k for the leading method), 8 random perturbations v
    lie in the leading span and 8 others, of the same norm, in the null space. Full method: the spans
    of the r right singular vectors of J of the largest and of the smallest singular values, for an
    eigenvector of S is passed on where J is far from symmetric, whatever its eigenvalue. Leading
    method: the span of the r leading eigenvectors, and the orthogonal complement of all k.

    Args:
        denoiser: f(y) or f(y, sigma), maps (B, C, H, W) to (B, C, H, W); see
            :func:`gahb.denoisers.contract.as_denoiser`.
        clean, noisy: x and y, (C, H, W), tensors or arrays; (H, W) is taken for (1, H, W). Type and
            device of ``noisy`` are those of the products.
        sigma: noise level, on the intensity scale of the images.
        method: ``full``, ``leading``, or ``auto``: full up to d = C H W = 6,400 unless, on a
            processor, fewer than d/16 eigenvectors are asked for.
        eigenvectors: k, how many are kept; for the leading method also the number of eigenvalues.
            By default all.
        engine: see :class:`~gahb.spectra.jacobian.LinearisedDenoiser`.
        seed: of the random vectors.

    Raises:
        ValueError: for shapes, names or numbers that do not fit; the message says which.
    """
    sigma = noise_level(sigma)
    x_image = as_image(clean, "clean image")
    linearised = LinearisedDenoiser(denoiser, noisy, sigma, engine)
    shape = linearised.noisy.shape
    if x_image.shape != shape:
        raise ValueError(
            f"clean and noisy image differ in shape: {tuple(x_image.shape)}, {tuple(shape)}"
        )
    spectrum = _spectrum(linearised, method, eigenvectors, seed)
    d = linearised.pixels
    y = linearised.noisy.cpu().numpy().astype(np.float64)
    x = x_image.cpu().numpy().astype(np.float64)
    output = linearised.denoised
    forward = _product_in_parts(linearised)
    backward = linearised.transposed_product(linearised.noisy[None])[0]
    leading, null = (
        _responses(linearised, _perturbations(spectrum, part, PERTURBATION * sigma * d**0.5, seed))
        for part in ("leading", "null")
    )
    pixels = shape if shape[0] > 1 else shape[1:]
    unknown = np.full(pixels, np.nan)
    kept = len(spectrum.eigenvectors) if eigenvectors is None else eigenvectors
    return Analysis(
        clean=x_image.cpu().numpy(),
        noisy=linearised.noisy.cpu().numpy(),
        denoised=output.cpu().numpy(),
        symmetric_denoised=(output + (backward - forward) / 2).cpu().numpy(),
        eigenvalues=spectrum.eigenvalues,
        eigenvectors=spectrum.eigenvectors[:kept].reshape(-1, *pixels).copy(),
        eigenvalue_residuals=spectrum.residuals,
        singular_values=spectrum.singular_values,
        clean_coefficients=spectrum.eigenvectors @ x.ravel(),
        noisy_coefficients=spectrum.eigenvectors @ y.ravel(),
        fourier_quotients=unknown if spectrum.fourier is None else spectrum.fourier,
        least_eigenvalue=spectrum.least_eigenvalue,
        negative_mass=spectrum.negative_mass,
        asymmetry=spectrum.asymmetry,
        asymmetry_se=spectrum.asymmetry_se,
        homogeneity_residual=float((output - forward).norm() / output.norm()),
        trace=spectrum.trace,
        trace_se=spectrum.trace_se,
        effective_rank=spectrum.effective_rank,
        leading_response=leading[0],
        leading_response_se=leading[1],
        null_response=null[0],
        null_response_se=null[1],
        method=spectrum.method,
        engine=linearised.engine,
    )


def eigenbasis(
    denoiser: Denoiser,
    noisy: Image,
    k: int | None = None,
    method: str = "auto",
    sigma: float | None = None,
    engine: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The basis in which a denoiser shrinks a noisy image, and the factors by which it does.

    Args:
        denoiser: f(y) or f(y, sigma), any differentiable map of images (B, C, H, W) to images of the
            same shape; see :func:`gahb.denoisers.contract.as_denoiser`.
        noisy: one noisy image, (C, H, W), or (H, W) for (1, H, W), a tensor or an array, float32 or
            float64.
        k: number of eigenvectors, by default all.
        method: ``full``, ``leading`` or ``auto``, as in :func:`analyse`.
        sigma: noise level, for a denoiser that has a parameter ``sigma``.
        engine: see :class:`~gahb.spectra.jacobian.LinearisedDenoiser`.

    Returns:
        Eigenvalues (K,) of the symmetric part of the Jacobian, descending: all of them for the
        full method, K = k for the leading one. Orthonormal eigenvectors (k, C, H, W). Both of the
        type and on the device of ``noisy``.
    """
    linearised = LinearisedDenoiser(denoiser, noisy, sigma, engine)
    spectrum = _spectrum(linearised, method, k, seed=0)
    y = linearised.noisy
    vectors = torch.from_numpy(spectrum.eigenvectors[:k].copy()).view(-1, *y.shape)
    return torch.from_numpy(spectrum.eigenvalues).to(y), vectors.to(y)


def _product_in_parts(linearised: LinearisedDenoiser) -> Tensor:
    """J y, summed over 16 parts of y on disjoint pixels.

    Taken in one piece, J y repeats the very operations of f(y), and the residual of homogeneity
    of a bias-free network would be zero whatever the precision.
    """
    parts = 16
    owner = torch.arange(linearised.pixels, device=linearised.noisy.device) % parts
    masks = owner == torch.arange(parts, device=owner.device)[:, None]
    pieces = masks.view(parts, *linearised.noisy.shape) * linearised.noisy
    return linearised.product(pieces).sum(0)


def _spectrum(
    linearised: LinearisedDenoiser, method: str, count: int | None, seed: int
) -> Spectrum:
    d = linearised.pixels
    if method not in METHODS:
        raise ValueError(f"method: found {method!r}, allowed are {', '.join(METHODS)}")
    if count is not None and not is_whole(count, most=d):
        raise ValueError(f"found {count} eigenvectors, allowed are 1 to {d:,}, the pixels")
    if method == "auto":
        slow = linearised.noisy.device.type == "cpu"  # a GPU has the full one sooner than few
        few = count is not None and (d > LARGEST_FULL or (slow and 16 * count < d))
        method = "leading" if few else "full"
    if method == "full":
        return full_spectrum(linearised)
    if count is None:
        raise ValueError("the leading method needs to know how many eigenvectors are asked for")
    return leading_spectrum(linearised, count, seed=seed)


def _perturbations(spectrum: Spectrum, part: str, norm: float, seed: int) -> Array:
    """Random images of this norm in the leading span or in the null space, (DRAWS, d)."""
    random = generator(seed, "perturbation", part)
    vectors = spectrum.right_vectors
    if vectors is None:
        vectors = spectrum.eigenvectors[np.abs(spectrum.eigenvalues).argsort()[::-1]]
    count, d = vectors.shape
    rank = max(1, min(int(np.ceil(spectrum.effective_rank)), d // 2, count))
    if part == "null" and count < d:
        z = random.standard_normal((DRAWS, d))
        found = z - z @ vectors.T @ vectors
    else:
        span = vectors[:rank] if part == "leading" else vectors[-rank:]
        found = random.standard_normal((DRAWS, rank)) @ span
    scaled: Array = found * (norm / np.linalg.norm(found, axis=1, keepdims=True))
    return scaled


def _responses(linearised: LinearisedDenoiser, perturbations: Array) -> tuple[float, float]:
    """Mean of ||f(y + v) - f(y)|| / ||v|| over the rows v, and its standard error."""
    noisy = linearised.noisy
    v = torch.from_numpy(perturbations).view(-1, *noisy.shape).to(noisy)
    changes = linearised.evaluate(noisy + v) - linearised.denoised
    sizes = changes.flatten(1).norm(dim=1) / v.flatten(1).norm(dim=1)
    return mean_and_error(sizes.cpu().numpy())
