"""What a GPU decomposes, in torch's float64 instead of numpy's: the same lines, on the processor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gahb.spectra import full, krylov
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.leading import leading_spectrum


@pytest.fixture(scope="module")
def linearised() -> LinearisedDenoiser:
    """An asymmetric map of 144 pixels with a spectrum that falls."""
    draws = np.random.default_rng(0)
    basis = np.linalg.qr(draws.standard_normal((144, 144)))[0]
    skew = draws.standard_normal((144, 144)) / 144
    matrix = torch.from_numpy((basis * np.geomspace(1, 1e-3, 144)) @ basis.T + (skew - skew.T) / 4)
    noisy = torch.from_numpy(draws.standard_normal((1, 12, 12)))
    return LinearisedDenoiser(lambda y: (y.flatten(1) @ matrix.T).view(y.shape), noisy)


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (full, krylov):
        monkeypatch.setattr(module, "array_functions", lambda linearised: torch)


def test_full_spectrum(linearised: LinearisedDenoiser, request: pytest.FixtureRequest):
    expected = full_spectrum(linearised)
    request.getfixturevalue("on_device")
    found = full_spectrum(linearised)
    for name in ("eigenvalues", "singular_values", "trace", "asymmetry", "effective_rank"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-9)
    np.testing.assert_allclose(found.eigenvectors, expected.eigenvectors, atol=1e-6)
    np.testing.assert_allclose(found.fourier, expected.fourier, atol=1e-12)


@pytest.mark.parametrize("count", [3, 20, 140])
def test_leading_spectrum(linearised: LinearisedDenoiser, on_device: None, count: int):
    """Also where the basis is complete, and where blocks of 32 columns do not fit."""
    exact = full_spectrum(linearised)
    found = leading_spectrum(linearised, count)
    scale = exact.eigenvalues[0]
    np.testing.assert_allclose(found.eigenvalues, exact.eigenvalues[:count], atol=1e-3 * scale)
    np.testing.assert_allclose(found.singular_values[:3], exact.singular_values[:3], atol=1e-2)
    assert found.errors.max() <= 1e-3 * scale
    gram = found.eigenvectors @ found.eigenvectors.T
    np.testing.assert_allclose(gram, np.eye(count), atol=1e-10)
    assert found.asymmetry == pytest.approx(exact.asymmetry, abs=5 * found.asymmetry_se + 1e-9)
    assert found.trace == pytest.approx(exact.trace, abs=5 * found.trace_se + 1e-9)
    assert (found.eigenvectors[np.arange(count), np.abs(found.eigenvectors).argmax(1)] > 0).all()
