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

_HOMES = {
    "ArtifactError": "gahb.artifacts",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gahb' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
