"""Where the optimal denoiser is known, the network is near it."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

NEAR = 1.0  # dB


class Optimality(Claim):
    """In each experiment, at the most N: less than 1 dB at every σ."""

    number = 6
    sentence = "The bias is small: networks come near the optimal denoiser, where it is known."
    source = "Fig. 5, 19 and 20; the talk"
    formula = (
        "PSNR of the exact denoiser less that of the network in dB, on the same noisy test images; "
        "mean over σ and the worst σ"
    )
    figure = "optimum"

    def needs(self, run: Run) -> Needs | None:
        """The table of gaps."""
        return Needs(tables=("gaps",)) if run.exact else None

    def measure(self, run: Run, found: Found) -> Finding:
        """The gap in each experiment."""
        texts, checks = [], {}
        for experiment, reference in run.exact.items():
            gaps = found.gaps(experiment, run.largest(experiment), reference)
            gap = gaps["reference_gap"]
            worst = float(str(gap.idxmax()))
            at = gaps.loc[worst]
            told = number(
                *map(float, at[["reference_gap", "reference_gap_se", "reference_gap_between"]])
            )
            texts.append(f"{experiment}: {gap.mean():.2f}, worst {told} (σ = {worst:g})")
            most = float(gap.max(skipna=False))
            checks[f"{experiment}, less than {NEAR:g} dB at every σ"] = judged(most < NEAR, most)
        return Finding("; ".join(texts), checks)
