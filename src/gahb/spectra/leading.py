"""The leading part of the spectrum, without ever forming the Jacobian.

Block Krylov method with full reorthogonalisation: the basis grows by what the symmetric part
S = (J + J^T)/2 makes of its latest block, and its Rayleigh-Ritz values converge to the leading
eigenvalues (Golub & Van Loan, Matrix Computations, section 10.3). Small blocks need the fewest
products (Meyer, Musco & Musco, arXiv 2305.02535), but a block of b columns finds only b of the
eigenvectors that share an eigenvalue. Random vectors orthogonal to the basis therefore probe what
it has missed; they also give unbiased estimates of the trace (Hutch++: Meyer, Musco, Musco &
Woodruff, arXiv 2010.09649) and of the squared norms of J, of S and of the antisymmetric part.

Where J is nearly local, the basis starts from the leading span of a cheap approximation
(:mod:`gahb.spectra.local`) instead of from random vectors, and then grows by what the approximation
expects to be missing from its Ritz vectors, a few columns at a time. On a processor that multiplies
in bfloat16, most of that is done on a basis of such products
(:meth:`~gahb.spectra.jacobian.LinearisedDenoiser.draft`): rounding turns its Ritz vectors by little,
which makes errors of second order in the eigenvalues. They start a basis of exact products, which
grows by a few columns more. The probes and all that is reported are the same, from exact products.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from gahb.asked import is_whole
from gahb.means import standard_error
from gahb.randomness import generator
from gahb.spectra.eigen import Array, Matrix, Spectrum, oriented, ratio
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.krylov import KrylovBasis, Ritz, last_columns, on_processor
from gahb.spectra.local import LocalPairs, local_pairs

_CHECK_EVERY = 32  # columns between two looks at the residuals
_LOCAL_BLOCK = 4  # corrections that a basis with a local start takes in, at least
_LOCAL_PART = 16  # or so many-th part of the eigenvectors asked for
_LOCAL_LOOK = 2  # such blocks between two looks at the residuals
_SETTLED = 0.1  # of the tolerance: growth of the values, from look to look, that is none
_MORE_PAIRS = 16  # of the approximation, beyond those of a start, that have converged
_GUARD = 1.25  # columns of a start, per eigenvector asked for
_MOVED = 0.1  # of the tolerance: how far the probes may move the values
_VERIFY_STEPS = 5  # blocks by which the probes are followed
_DEVICE_BLOCK = 32  # columns added at a time on a GPU, which has many products for the time of one


def leading_spectrum(
    linearised: LinearisedDenoiser,
    count: int,
    tolerance: float = 1e-3,
    block: int = 4,
    probes: int = 16,
    seed: int = 0,
    largest_basis: int | None = None,
) -> Spectrum:
    """The ``count`` leading eigenpairs of the symmetric part, for images of any size.

    Args:
        linearised: the denoiser around one noisy image of d pixels.
        count: k, the number of eigenvalues and eigenvectors.
        tolerance: largest estimated error of an eigenvalue accepted, in units of the largest
            eigenvalue; see :meth:`~gahb.spectra.krylov.Ritz.errors`.
        block: columns added at a time; on a GPU at least 32.
        probes: random vectors behind the stochastic estimates, at least 2.
        seed: of the starting block and of the probes.
        largest_basis: give up at this many columns, by default the larger of 2,000 and 8 k. Memory
            is 24 d bytes a column.

    Returns:
        A spectrum with K = k. Trace, asymmetry and effective rank are unbiased estimates (the
        asymmetry to first order). Singular values come from
        :meth:`~gahb.spectra.krylov.KrylovBasis.singular_values`: within 1e-2 of the true ones at
        an asymmetry of 0.5, and closer the more symmetric J is.

    Warns:
        RuntimeWarning: ``largest_basis`` was reached. The residuals say how far each pair is.

    Raises:
        ValueError: ``count`` is not between 1 and d.
    """
    d = linearised.pixels
    if not is_whole(count, most=d):
        raise ValueError(f"found {count} eigenvectors, allowed are 1 to {d:,}, the pixels")
    largest = min(d, largest_basis or max(2000, 8 * count))
    random = generator(seed, "leading spectrum", count)
    basis = KrylovBasis(linearised, random)
    if basis.on_device:
        block = max(block, _DEVICE_BLOCK)
    growth = _Growth(basis, count, block, largest, tolerance)
    while True:
        ritz, errors = growth.converged()
        if basis.room <= probes + _VERIFY_STEPS * block:
            while basis.room:
                growth.extend(basis.size + block)
        estimates, growth.frontier = _probe(basis, probes, block)
        if not basis.room or basis.size >= largest:
            break
        growth.extend(basis.size + _VERIFY_STEPS * block)
        later = basis.ritz(count)
        accepted = tolerance * np.abs(later.values).max()
        moved = np.abs(later.values - ritz.values).max()
        if errors.max() <= accepted and moved <= _MOVED * accepted:
            break
    final = basis.ritz(count)
    errors = np.minimum(errors, final.residuals) if basis.room else final.residuals
    accepted = tolerance * np.abs(final.values).max()
    if errors.max() > accepted:
        warnings.warn(
            f"{np.count_nonzero(errors > accepted)} of {count} eigenvalues have not converged on "
            f"a basis of {basis.size} columns: the largest estimated error is {errors.max():.1e}. "
            "Allow a larger basis or ask for fewer.",
            RuntimeWarning,
            stacklevel=2,
        )
    return Spectrum(
        method="leading",
        eigenvalues=final.values,
        eigenvectors=oriented(final.vectors.T),
        residuals=final.residuals,
        errors=errors,
        singular_values=basis.singular_values(count),
        trace=estimates.trace,
        trace_se=estimates.trace_se,
        asymmetry=estimates.asymmetry,
        asymmetry_se=estimates.asymmetry_se,
        effective_rank=estimates.effective_rank,
        products=basis.products,
    )


class _Growth:
    """How the basis grows: by Krylov blocks, or by corrections where the Jacobian is nearly local.

    Args:
        basis: still empty.
        count: number of leading pairs wanted.
        block: columns of a Krylov block.
        largest: columns at which the basis stops growing.
        tolerance: errors of the values accepted, in units of the largest.

    Attributes:
        frontier: the orthonormal block that comes next, (d, b).
    """

    def __init__(
        self, basis: KrylovBasis, count: int, block: int, largest: int, tolerance: float
    ) -> None:
        self.basis, self.count, self.block, self.largest = basis, count, block, largest
        self.tolerance = tolerance
        self.local: LocalPairs | None = None
        guarded = int(_GUARD * count)
        # on a GPU products cost less than what saves them
        if guarded < largest and not basis.on_device:
            self.local, products = local_pairs(
                basis.linearised, guarded + _MORE_PAIRS, basis.random
            )
            basis.products += products
            if self.local is not None:
                basis.append(self._drafted(self.local, self.local.span(guarded)))
        d = basis.linearised.pixels
        self.frontier = basis.continuation(basis.placed(np.zeros((d, min(block, d)))))

    def extend(self, target: int) -> None:
        """Grow by the frontier, and by Krylov blocks after it, to ``target`` columns."""
        while self.basis.size < target and self.basis.room:
            self.frontier = self.basis.continuation(self.basis.append(self.frontier))

    def converged(self) -> tuple[Ritz, Array]:
        """Grow until all errors are within the tolerance, or to the largest basis.

        Returns:
            The leading pairs, and the estimated errors of their values.
        """
        basis = self.basis
        before = None
        if self.local is None:
            self.extend(min(self.largest, self.count))
        while True:
            ritz = basis.ritz(self.count)
            errors = ritz.errors(before)
            accepted = errors.max() <= self.tolerance * np.abs(ritz.values).max()
            if self.local is not None:  # what it knows is taken up first, and seems to be all
                accepted = accepted and self._settled(before, ritz)
            if basis.size >= self.largest or accepted:
                return ritz, errors
            before = ritz
            if self.local is not None:
                self.frontier = basis.continuation(self._correct(basis, self.local))
            else:
                self.extend(min(self.largest, basis.size + _CHECK_EVERY))

    def _drafted(self, local: LocalPairs, start: Array) -> Array:
        """The start, (d, b), made better by products in low precision, where those are cheaper."""
        draft = self.basis.linearised.draft()
        if draft is None:
            return start
        basis = KrylovBasis(draft, self.basis.random)
        basis.append(start)
        before = None
        ritz = basis.ritz(self.count)
        while basis.size < self.largest and not self._settled(before, ritz):
            before = ritz
            self._correct(basis, local)
            ritz = basis.ritz(self.count)
        self.basis.products += basis.products
        found: Array = np.linalg.qr(basis.ritz(start.shape[1]).vectors)[0]
        return found

    def _settled(self, before: Ritz | None, ritz: Ritz) -> bool:
        """Whether the values have hardly grown since the look before."""
        if before is None:
            return False
        grown = np.abs(ritz.values - before.values).max()
        return bool(grown <= _SETTLED * self.tolerance * np.abs(ritz.values).max())

    def _correct(self, basis: KrylovBasis, local: LocalPairs) -> Matrix:
        """Grow by what ``local`` expects to be missing; return S X of the latest columns."""
        most = max(_LOCAL_BLOCK, self.count // _LOCAL_PART)
        for _ in range(_LOCAL_LOOK):
            ritz = basis.ritz(self.count)
            missing = local.corrections(ritz.values, ritz.remainders)
            applied = basis.append(basis.continuation(missing)[:, :most])
            if not basis.room:
                break
        return applied


@dataclass(frozen=True)
class _Estimates:
    trace: float
    trace_se: float
    asymmetry: float
    asymmetry_se: float
    effective_rank: float


def _probe(basis: KrylovBasis, probes: int, block: int) -> tuple[_Estimates, Matrix]:
    """Sample J outside the basis with random vectors, then take them into it.

    For g ~ N(0, I) and g' = (I - Q Q^T) g,
        tr J     = tr(Q^T J Q) + E <g', J g'>,
        ||M||_F^2 = ||M Q||_F^2 + E ||M g'||^2   for M = S and M = (J - J^T)/2.

    Returns:
        The estimates, exact if the basis is complete; and the block that follows the probes.
    """
    forward, backward = basis.images, basis.pulled
    trace = float(basis.projection.trace())
    symmetric = float(((forward + backward) ** 2).sum()) / 4
    antisymmetric = float(((forward - backward) ** 2).sum()) / 4
    if not basis.room:
        asymmetry = ratio(antisymmetric**0.5, symmetric**0.5)
        return _Estimates(trace, 0.0, asymmetry, 0.0, symmetric + antisymmetric), np.empty((0, 0))

    outside = basis.orthogonalised(basis.fresh(probes))
    forward, backward = basis.apply(outside)
    traces = on_processor((outside * forward).sum(0))
    symmetrics = on_processor(((forward + backward) ** 2).sum(0)) / 4
    antisymmetrics = on_processor(((forward - backward) ** 2).sum(0)) / 4
    symmetric += symmetrics.mean()
    antisymmetric += antisymmetrics.mean()
    asymmetry = ratio(antisymmetric**0.5, symmetric**0.5)
    # the ratio to first order in the deviations of both squared norms
    deviations = antisymmetrics / max(antisymmetric, 1e-300) - symmetrics / max(symmetric, 1e-300)
    estimates = _Estimates(
        trace=trace + float(traces.mean()),
        trace_se=float(standard_error(traces)),
        asymmetry=asymmetry,
        asymmetry_se=asymmetry / 2 * float(standard_error(deviations)),
        effective_rank=symmetric + antisymmetric,
    )

    linalg = basis.functions.linalg
    columns, triangle = linalg.qr(outside)
    inverse = linalg.inv(triangle)
    applied = basis.append(columns, (forward @ inverse, backward @ inverse))
    coordinates = linalg.eigh(columns.T @ applied)[1]
    return estimates, basis.continuation(applied @ last_columns(coordinates, block))
