"""What the figure "optimum" measures: networks and the exact denoiser on the same noisy images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gahb.artifacts import Spec
from gahb.figures.parts.beside import Gap
from gahb.figures.parts.eigenbases import Eigenbasis
from gahb.figures.parts.over_images import OverImages, SpectraTables, mean_text
from gahb.figures.parts.tables import Curve


@dataclass(frozen=True)
class Measured:
    """All numbers of the figure.

    Attributes:
        networks: curves by growing N, on the images of the exact denoiser.
        exact: that of the exact denoiser.
        gaps: of each network.
        dimension: of the manifold.
        gain: of the optimum at small noise, in dB.
        learned, optimal: eigenbases of one network and of the exact denoiser at one noisy image.
        over: of both at all images of their spectra, by denoiser.
        sigma: noise levels of the spectra, growing.
        counts: (I, S) eigenvalues above the threshold at each image and sigma, by denoiser.
        shares: (k,) of each leading eigenvector of the network in the span of the exact ones, at the
            image of the eigenbases.
        all_shares: (I, k) the same at all images.
        exact_images: test images behind the exact curve.
        quadrature: largest stated error of its integrals, over the mean squared error, and how many draws
            stopped before their tolerance; None where it needs none.
        specs: of the inputs.
    """

    networks: list[Curve]
    exact: Curve
    gaps: list[Gap]
    dimension: int
    gain: float
    learned: Eigenbasis
    optimal: Eigenbasis
    over: dict[str, OverImages]
    sigma: np.ndarray
    counts: dict[str, np.ndarray]
    shares: np.ndarray
    all_shares: np.ndarray
    exact_images: int
    quadrature: tuple[float, int] | None
    specs: list[Spec]

    @property
    def least_noise(self) -> tuple[float, float]:
        """Gain of the exact denoiser at the lowest noise level, in dB, and that level."""
        least = int(np.argmin(self.exact.sigma))
        gain = self.exact.psnr[least] - self.exact.input_psnr[least]
        return float(gain), float(self.exact.sigma[least])

    @property
    def _ends(self) -> list[int]:
        """The lowest, a middle and the highest noise level."""
        count = self.gaps[0].sigma.size
        return [int(at) for at in np.unique([0, count // 2, count - 1])]

    @property
    def gap_levels(self) -> list[str]:
        """Three noise levels, in words."""
        return [f"sigma = {self.gaps[0].sigma[at]:g}" for at in self._ends]

    @property
    def gap_rows(self) -> list[list[str]]:
        """N, and its gap at those levels."""
        return [
            [str(gap.set_size), *(f"{gap.gap[at]:.2f} +/- {gap.se[at]:.2f}" for at in self._ends)]
            for gap in self.gaps
        ]

    @property
    def tables(self) -> SpectraTables:
        """What the caption says of both denoisers over their images."""
        return SpectraTables("denoiser", list(self.over.items()))

    @property
    def count_rows(self) -> list[list[str]]:
        """sigma, how many eigenvalues of the network and of the optimum, and the difference."""
        ours, best = self.counts.values()
        return [
            [f"{s:g}", *(mean_text(counts[:, at], ".1f") for counts in (ours, best, ours - best))]
            for at, s in enumerate(self.sigma)
        ]

    @property
    def share_rows(self) -> list[list[str]]:
        """k, eigenvalues of the optimum and of the network, and the share of the eigenvector."""
        columns = (*(self.over[n].eigenvalues for n in ("exact", "network")), self.all_shares)
        return [
            [str(k + 1), *(mean_text(column[:, k], ".3f") for column in columns)]
            for k in range(self.all_shares.shape[1])
        ]


def shares(leading: np.ndarray, tangent: np.ndarray) -> np.ndarray:
    """Squared norms of the projections of (k, H, W) on the span of (n, H, W), both orthonormal."""
    overlaps = leading.reshape(len(leading), -1) @ tangent.reshape(len(tangent), -1).T
    found: np.ndarray = (overlaps**2).sum(1)
    return found


def quadrature(table: pd.DataFrame, exact: Curve) -> tuple[float, int] | None:
    """Largest stated error of an exact denoiser's integrals over its mean squared error, and how many
    draws stopped before their tolerance; None where the denoiser states none.
    """
    if "quadrature_error" not in table:
        return None
    stated = table.set_index("sigma").loc[exact.sigma]
    shares = stated["quadrature_error"].to_numpy(dtype=float) * 10 ** (exact.psnr / 10)
    return float(shares.max()), int(stated["unresolved"].sum())
