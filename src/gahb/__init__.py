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
    from gahb.datasets.classes.calpha import CAlpha as CAlpha
    from gahb.datasets.classes.disks import Disks as Disks
    from gahb.datasets.classes.gaussian import Gaussian as Gaussian
    from gahb.datasets.classes.photographs import Photographs as Photographs
    from gahb.datasets.classes.rays import Rays as Rays
    from gahb.datasets.classes.shuffled import Shuffled as Shuffled
    from gahb.datasets.classes.sines import Sines as Sines
    from gahb.datasets.store import open_dataset as open_dataset
    from gahb.datasets.store import write_dataset as write_dataset
    from gahb.denoisers.classical.bandlets import BandletDenoiser as BandletDenoiser
    from gahb.denoisers.classical.wavelets import WaveletDenoiser as WaveletDenoiser
    from gahb.denoisers.empirical import EmpiricalDenoiser as EmpiricalDenoiser
    from gahb.denoisers.exact.disks import DiskPosterior as DiskPosterior
    from gahb.denoisers.exact.gaussian import WienerDenoiser as WienerDenoiser
    from gahb.denoisers.exact.known_contour import KnownContourDenoiser as KnownContourDenoiser
    from gahb.denoisers.exact.rays import RayPosterior as RayPosterior
    from gahb.denoisers.exact.sines import SinePosterior as SinePosterior
    from gahb.denoisers.networks import BFCNN as BFCNN
    from gahb.denoisers.networks import NetworkDenoiser as NetworkDenoiser
    from gahb.denoisers.networks import UNet as UNet
    from gahb.denoisers.optimal import exact_denoiser as exact_denoiser
    from gahb.denoisers.published import import_published as import_published
    from gahb.denoisers.reference import build_reference as build_reference
    from gahb.denoisers.snapshots import read_snapshots as read_snapshots
    from gahb.denoisers.weights import load_denoiser as load_denoiser
    from gahb.evaluation.divergence import density_bound as density_bound
    from gahb.params import ParamsError as ParamsError
    from gahb.params import dataset_spec as dataset_spec
    from gahb.params import load_params as load_params
    from gahb.samples.draw import draw_samples as draw_samples
    from gahb.samples.process import noise_levels as noise_levels
    from gahb.samples.sampler import SCORE_ASCENT as SCORE_ASCENT
    from gahb.samples.sampler import Ancestral as Ancestral
    from gahb.samples.sampler import Deterministic as Deterministic
    from gahb.samples.sampler import FlowODE as FlowODE
    from gahb.samples.sampler import ScoreAscent as ScoreAscent
    from gahb.samples.store import read_samples as read_samples
    from gahb.spectra.analysis import Analysis as Analysis
    from gahb.spectra.analysis import analyse as analyse
    from gahb.spectra.analysis import eigenbasis as eigenbasis
    from gahb.spectra.jacobian import LinearisedDenoiser as LinearisedDenoiser
    from gahb.spectra.store import read_spectra as read_spectra

_HOMES = {
    "Analysis": "gahb.spectra.analysis",
    "Ancestral": "gahb.samples.sampler",
    "ArtifactError": "gahb.artifacts",
    "BFCNN": "gahb.denoisers.networks",
    "BandletDenoiser": "gahb.denoisers.classical.bandlets",
    "CAlpha": "gahb.datasets.classes.calpha",
    "Deterministic": "gahb.samples.sampler",
    "DiskPosterior": "gahb.denoisers.exact.disks",
    "Disks": "gahb.datasets.classes.disks",
    "EmpiricalDenoiser": "gahb.denoisers.empirical",
    "FlowODE": "gahb.samples.sampler",
    "Gaussian": "gahb.datasets.classes.gaussian",
    "KnownContourDenoiser": "gahb.denoisers.exact.known_contour",
    "LinearisedDenoiser": "gahb.spectra.jacobian",
    "NetworkDenoiser": "gahb.denoisers.networks",
    "ParamsError": "gahb.params",
    "Photographs": "gahb.datasets.classes.photographs",
    "RayPosterior": "gahb.denoisers.exact.rays",
    "Rays": "gahb.datasets.classes.rays",
    "SCORE_ASCENT": "gahb.samples.sampler",
    "ScoreAscent": "gahb.samples.sampler",
    "Shuffled": "gahb.datasets.classes.shuffled",
    "SinePosterior": "gahb.denoisers.exact.sines",
    "Sines": "gahb.datasets.classes.sines",
    "UNet": "gahb.denoisers.networks",
    "WaveletDenoiser": "gahb.denoisers.classical.wavelets",
    "WienerDenoiser": "gahb.denoisers.exact.gaussian",
    "analyse": "gahb.spectra.analysis",
    "build_reference": "gahb.denoisers.reference",
    "dataset_spec": "gahb.params",
    "density_bound": "gahb.evaluation.divergence",
    "draw_samples": "gahb.samples.draw",
    "eigenbasis": "gahb.spectra.analysis",
    "exact_denoiser": "gahb.denoisers.optimal",
    "import_published": "gahb.denoisers.published",
    "load_denoiser": "gahb.denoisers.weights",
    "load_params": "gahb.params",
    "noise_levels": "gahb.samples.process",
    "open_dataset": "gahb.datasets.store",
    "read_samples": "gahb.samples.store",
    "read_snapshots": "gahb.denoisers.snapshots",
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
