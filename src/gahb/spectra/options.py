"""The section ``spectra`` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gahb.options import (
    ALL_DIFFER,
    Count,
    Index,
    Names,
    Options,
    Seed,
    SetSizes,
    Sigmas,
    Splits,
    Threads,
)

LARGEST_FULL = 6400  # pixels up to which the full Jacobian is formed
Positions = Annotated[list[Index], Field(min_length=1), *ALL_DIFFER]


class SpectraOfExperiment(Options):
    """Which networks of an experiment; what is said here replaces what is said for all."""

    set_sizes: SetSizes
    """of the networks analysed"""
    splits: Splits
    """of the networks analysed"""
    references: Names = []
    """exact and classical denoisers analysed at the same noisy images"""
    test_images: Positions | None = None
    """positions in the test set"""
    sigmas: Sigmas | None = None
    """noise levels"""
    method: Literal["full", "leading"] | None = None
    """full or leading, see below"""
    eigenvectors: Count | None = None
    """leading eigenvectors kept"""


class Spectra(Options):
    """Jacobian eigenbases of chosen networks x test images x noise levels."""

    seed: Seed
    """of the noise, with the image and the level"""
    networks: dict[str, SpectraOfExperiment]
    """which networks, by experiment"""
    test_images: Positions
    """positions in the test set"""
    sigmas: Sigmas
    """noise levels"""
    method: Literal["full", "leading"]
    """full forms the Jacobian; leading finds the largest eigenvalues without forming it"""
    eigenvectors: Count
    """leading eigenvectors kept; for the leading method, also the number of eigenvalues"""
    threads: Threads
    """processor threads; they change the last bits"""
