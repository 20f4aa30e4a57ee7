"""Hard thresholding in an orthogonal wavelet basis (Donoho & Johnstone 1994), with an oracle.

Without the oracle these are estimators, whose error bounds the optimal one from above. The oracle
threshold looks at the clean image: it says how much is lost by choosing the threshold blindly, and
bounds nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gahb.denoisers.classical.projection import ProjectionDenoiser

# Thresholds, in units of sigma, among which the oracle of cycle spinning chooses beside the universal one
ORACLE_MULTIPLES = [0.25 * step for step in range(21)]


class WaveletDenoiser(ProjectionDenoiser):
    """Keeps the wavelet coefficients above a threshold, and every approximation coefficient.

    Args:
        wavelet: orthogonal wavelet, by its PyWavelets name. docs/denoisers.md tells which leaves the
            least error on C^alpha images.
        rule: of the threshold: ``universal`` is sigma sqrt(2 log d), a number is that multiple of
            sigma; ``oracle`` is, for each image, the threshold of least error: exact without
            cycle spinning, the best of :data:`ORACLE_MULTIPLES` and the universal one with it.
        levels: see :class:`ProjectionDenoiser`.
        shifts: see :class:`ProjectionDenoiser`.
    """

    rules = ("universal", "oracle")

    def __init__(
        self,
        wavelet: str = "haar",
        rule: str | float = "universal",
        levels: int | None = None,
        shifts: int | str = 1,
    ) -> None:
        super().__init__(wavelet, rule, levels, shifts)
        self.needs_clean = rule == "oracle"

    def _project(self, y: Tensor, v: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
        approximation, details = self.transform.analyse(y)
        pushed, pushed_details = self.transform.analyse(v)
        masks = [subbands.abs() > thresholds[:, None, None, None] for subbands in details]
        kept = sum(mask.flatten(1).sum(1) for mask in masks) + approximation[0].numel()
        projected = [subbands * mask for subbands, mask in zip(pushed_details, masks, strict=True)]
        return self.transform.synthesise(pushed, projected), torch.as_tensor(kept)

    def _thresholds(self, y: Tensor, sigma: float, clean: Tensor | None) -> Tensor:
        if clean is None:
            return super()._thresholds(y, sigma, None)
        if self.shifts == 1:
            return self._least_error(y, clean)
        universal = (2 * torch.log(torch.tensor(float(y[0].numel())))) ** 0.5
        candidates = sigma * y.new_tensor([*ORACLE_MULTIPLES, float(universal)])
        errors = []
        for threshold in candidates:
            denoised = self._average(y, y[None], threshold.expand(len(y)))[0][0]
            errors.append((denoised - clean).square().sum((1, 2)))
        return candidates[torch.stack(errors).argmin(0)]

    def _least_error(self, y: Tensor, clean: Tensor) -> Tensor:
        """The threshold that leaves each image's error least, among all thresholds: (B,).

        Keeping the k largest coefficients costs their squared errors and the squares of the clean
        coefficients of all others; every k is tried.
        """
        found = _flat(self.transform.analyse(y)[1])
        wanted = _flat(self.transform.analyse(clean)[1])
        sizes, order = found.abs().sort(dim=1, descending=True)
        gains = (found - wanted).square() - wanted.square()  # of keeping one, negative if it pays
        costs = gains.gather(1, order).cumsum(1)
        costs = torch.cat([torch.zeros_like(costs[:, :1]), costs], dim=1)
        thresholds = torch.cat([sizes, torch.zeros_like(sizes[:, :1])], dim=1)
        return thresholds.gather(1, costs.argmin(1, keepdim=True))[:, 0]


def _flat(details: list[Tensor]) -> Tensor:
    """All coefficients of each image: (B, 3, h, w) for each level to (B, n)."""
    return torch.cat([subbands.flatten(1) for subbands in details], dim=1)
