"""A correlated Gaussian on the unit square: its mass and first two moments, safe in the tails.

The density is proportional to exp(q(g)) on [0, 1]^2, with

    q(g) = (h . g - g^T G g / 2) / sigma^2,

what is left of a likelihood exp(-||y - g_1 u - g_2 v||^2 / 2 sigma^2) under a uniform prior on the
two amplitudes: G is the Gram matrix of u and v, h = (u . y, v . y). Everything is relative to the
constrained mode, and a tensor product of Gauss-Legendre rules covers the rectangle outside of which
q is below its maximum by more than a given number of nats. Masses are exact to about 1e-7, means and
covariances to about 1e-6 of theirs, for singular G (a mask without pixels) too, and a mean is inside
the square by construction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
_DEPTH = 20.0  # nats below the maximum where the rectangle ends
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2  # on [0, 1]
_TINY = 1e-200
_SWEEPS = 6  # of coordinate ascent to the mode: each one takes off a factor of correlation squared


class Mode(NamedTuple):
    """Where n densities are largest on the unit square.

    Attributes:
        peak: the largest q, (n,).
        point: where it is attained, (n, 2).
        slope: gradient of q there, (n, 2): 0 but along axes on whose ends the point lies.
    """

    peak: Float64
    point: Float64
    slope: Float64


class Moments(NamedTuple):
    """Mass and moments of n densities on the unit square.

    Attributes:
        log_mass: log of the integral of exp(q), (n,).
        mean: (n, 2).
        covariance: of (g_1, g_1), (g_1, g_2) and (g_2, g_2), (n, 3), positive semidefinite.
    """

    log_mass: Float64
    mean: Float64
    covariance: Float64


def mode(gram: Float64, products: Float64, variance: float) -> Mode:
    """The constrained maximum of n densities, with arguments as in :func:`moments`."""
    uu, uv, vv = gram.T / variance
    first, second = products.T / variance
    per_uu, per_vv = 1 / np.maximum(uu, _TINY), 1 / np.maximum(vv, _TINY)
    g = (first * per_uu).clip(0, 1)
    for _ in range(_SWEEPS):
        k = ((second - uv * g) * per_vv).clip(0, 1)
        g = ((first - uv * k) * per_uu).clip(0, 1)
    slope_g, slope_k = first - uu * g - uv * k, second - vv * k - uv * g
    peak = ((first + slope_g) * g + (second + slope_k) * k) / 2
    return Mode(peak, np.stack([g, k], 1), np.stack([slope_g, slope_k], 1))


def moments(gram: Float64, products: Float64, variance: float) -> Moments:
    """Integrate n densities over the unit square.

    Args:
        gram: G as (u . u, u . v, v . v), (n, 3).
        products: h, (n, 2).
        variance: sigma^2.
    """
    uu, uv, vv = gram.T / variance
    peak, point, slope = mode(gram, products, variance)
    g, k = point.T
    slope_g, slope_k = slope.T
    # profiles of q fall at least like slope d + curvature d^2 / 2 at a distance d from the mode
    free_g = np.maximum(uu - uv * (uv / np.maximum(vv, _TINY)), 0)
    free_k = np.maximum(vv - uv * (uv / np.maximum(uu, _TINY)), 0)
    low_g, span_g = _reach(g, slope_g, free_g)
    low_k, span_k = _reach(k, slope_k, free_k)
    dg = low_g[:, None] + span_g[:, None] * _NODES
    dk = low_k[:, None] + span_k[:, None] * _NODES
    along_g = slope_g[:, None] * dg - uu[:, None] * dg * dg / 2
    along_k = slope_k[:, None] * dk - vv[:, None] * dk * dk / 2
    density = (-uv[:, None] * dg)[:, :, None] * dk[:, None, :]
    density += along_g[:, :, None]
    density += along_k[:, None, :]
    np.exp(density, out=density)

    over_k = density @ _WEIGHTS * _WEIGHTS  # densities of g at the nodes
    over_g = (_WEIGHTS @ density) * _WEIGHTS
    mass = over_k.sum(1)
    mean_g, mean_k = ((p * d).sum(1) / mass for p, d in ((over_k, dg), (over_g, dk)))
    dg -= mean_g[:, None]
    dk -= mean_k[:, None]
    gg, kk = ((p * d * d).sum(1) / mass for p, d in ((over_k, dg), (over_g, dk)))
    density *= dk[:, None, :]
    crossed = density @ _WEIGHTS
    gk = (_WEIGHTS * dg * crossed).sum(1) / mass
    return Moments(
        peak + np.log(mass * span_g * span_k),
        np.stack([g + mean_g, k + mean_k], 1),
        np.stack([gg, gk, kk], 1),
    )


def _reach(mode: Float64, slope: Float64, curvature: Float64) -> tuple[Float64, Float64]:
    """From where, relative to the mode, and how far the density extends along one axis."""
    steepness = np.abs(slope) + np.sqrt(slope * slope + 2 * curvature * _DEPTH)
    reach = 2 * _DEPTH / np.maximum(steepness, 1e-9)
    low, high = np.maximum(-reach, -mode), np.minimum(reach, 1 - mode)
    return low, high - low
