"""gahb: when, and why, do denoisers stop memorising and generalise?

The public interface. Names are loaded when first used, so that ``import gahb`` costs nothing and
the workflow can read parameters without loading torch.

>>> from gahb import eigenbasis
>>> eigenvalues, eigenvectors = eigenbasis(my_denoiser, noisy_image, k=20)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gahb.artifacts import ArtifactError as ArtifactError
    from gahb.artifacts import read_table as read_table
    from gahb.datasets.calpha import CAlpha as CAlpha
    from gahb.datasets.disks import Disks as Disks
    from gahb.datasets.store import open_dataset as open_dataset
    from gahb.datasets.store import write_dataset as write_dataset
    from gahb.denoisers.classical.bandlets import BandletDenoiser as BandletDenoiser
    from gahb.denoisers.classical.wavelets import WaveletDenoiser as WaveletDenoiser
    from gahb.denoisers.empirical import EmpiricalDenoiser as EmpiricalDenoiser
    from gahb.denoisers.exact.disks import DiskPosterior as DiskPosterior
    from gahb.denoisers.networks import BFCNN as BFCNN
    from gahb.denoisers.networks import NetworkDenoiser as NetworkDenoiser
    from gahb.denoisers.networks import UNet as UNet
    from gahb.denoisers.published import import_published as import_published
    from gahb.denoisers.weights import load_denoiser as load_denoiser
    from gahb.params import ParamsError as ParamsError
    from gahb.params import load_params as load_params
    from gahb.spectra.analysis import Analysis as Analysis
    from gahb.spectra.analysis import analyse as analyse
    from gahb.spectra.analysis import eigenbasis as eigenbasis
    from gahb.spectra.jacobian import LinearisedDenoiser as LinearisedDenoiser
    from gahb.spectra.store import read_spectra as read_spectra

_HOMES = {
    "Analysis": "gahb.spectra.analysis",
    "ArtifactError": "gahb.artifacts",
    "BFCNN": "gahb.denoisers.networks",
    "BandletDenoiser": "gahb.denoisers.classical.bandlets",
    "CAlpha": "gahb.datasets.calpha",
    "DiskPosterior": "gahb.denoisers.exact.disks",
    "Disks": "gahb.datasets.disks",
    "EmpiricalDenoiser": "gahb.denoisers.empirical",
    "LinearisedDenoiser": "gahb.spectra.jacobian",
    "NetworkDenoiser": "gahb.denoisers.networks",
    "ParamsError": "gahb.params",
    "UNet": "gahb.denoisers.networks",
    "WaveletDenoiser": "gahb.denoisers.classical.wavelets",
    "analyse": "gahb.spectra.analysis",
    "eigenbasis": "gahb.spectra.analysis",
    "import_published": "gahb.denoisers.published",
    "load_denoiser": "gahb.denoisers.weights",
    "load_params": "gahb.params",
    "open_dataset": "gahb.datasets.store",
    "read_spectra": "gahb.spectra.store",
    "read_table": "gahb.artifacts",
    "write_dataset": "gahb.datasets.store",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gahb' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
