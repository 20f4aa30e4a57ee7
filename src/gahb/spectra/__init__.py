"""Jacobian spectra of denoisers: eigenvalues, eigenbases, asymmetry, invariance."""

from gahb.spectra.analysis import Analysis, analyse, eigenbasis
from gahb.spectra.eigen import Spectrum
from gahb.spectra.full import full_spectrum
from gahb.spectra.jacobian import LinearisedDenoiser
from gahb.spectra.leading import leading_spectrum
from gahb.spectra.run import compute_spectra
from gahb.spectra.store import read_spectra

__all__ = [
    "Analysis",
    "LinearisedDenoiser",
    "Spectrum",
    "analyse",
    "compute_spectra",
    "eigenbasis",
    "full_spectrum",
    "leading_spectrum",
    "read_spectra",
]
