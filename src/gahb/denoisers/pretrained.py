"""Trained networks that come with the package, under ``gahb/pretrained``: nothing is downloaded."""

from __future__ import annotations

import shutil
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gahb.denoisers.networks import NetworkDenoiser

FOLDER = Path(__file__).parents[1] / "pretrained"
NAMES = (
    "alpha2/N10000_S1",
    "alpha2/N10000_S2",
    "disks/N10000_S1",
)  # of networks in results/denoisers


def pretrained_file(name: str) -> Path:
    """The file of weights of one of :data:`NAMES`.

    Raises:
        ValueError: it is none of them.
    """
    if name not in NAMES:
        close = get_close_matches(name, NAMES, 1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"found {name!r}; {meant}There are {', '.join(NAMES)}")
    return FOLDER / f"{name.replace('/', '_')}.safetensors"


def from_pretrained(name: str) -> NetworkDenoiser:
    """A network that was trained by the default run, in evaluation mode.

    >>> from gahb import from_pretrained
    >>> denoiser = from_pretrained("alpha2/N10000_S1")  # grey images of 32x32 pixels, or any multiple of 8

    Args:
        name: ``alpha2/N10000_S1`` and ``alpha2/N10000_S2``, UNets that were trained on two disjoint sets of
            10,000 images of the class alpha2 (C^2 contours); ``disks/N10000_S1``, on disks.

    Raises:
        ValueError: there is no such network.
    """
    from gahb.denoisers.weights import load_denoiser

    return load_denoiser(pretrained_file(name))[0]


def pack(results: Path | str) -> list[Path]:
    """Put the networks of a finished run in the place of those that come with the package.

    Args:
        results: the folder of the run.

    Raises:
        gahb.artifacts.ArtifactError: a network is missing or damaged; none is replaced then.
    """
    from gahb.denoisers.weights import load_denoiser

    found = {name: Path(results) / "denoisers" / f"{name}.safetensors" for name in NAMES}
    for path in found.values():
        load_denoiser(path)
    for name, path in found.items():
        target = pretrained_file(name)
        shutil.copyfile(path, target)
    return [pretrained_file(name) for name in NAMES]
