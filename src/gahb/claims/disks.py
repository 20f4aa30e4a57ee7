"""On disks the network is near the exact posterior mean, and keeps about five directions."""

from __future__ import annotations

import numpy as np

from gahb.claims.parts.claim import Claim, Finding, judged, number
from gahb.claims.parts.found import Found, over_images
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

NEAR = 1.0  # dB
DIMENSION, HALF, WITHIN = 5, 0.5, 1.0
SIGMA = 0.1


class Disks(Claim):
    """At the most N: less than 1 dB from the exact denoiser at every σ; at the σ nearest .1 the number
    of λ above one half is within 1 of 5; at the least σ it is larger than 6.
    """

    number = 16
    sentence = (
        "On disks, a manifold of 5 dimensions, the network is near the optimum and keeps 5 "
        "directions, but too many where noise is small."
    )
    source = "Fig. 5"
    formula = (
        "PSNR of the exact denoiser less that of the network in dB, at the worst σ; mean number of "
        "λ_k above 1/2"
    )
    paper = "σ = 0.04: λ = 1.177, 1.067, 1.004, 0.999, 0.945, then 0.674, 0.552, 0.390"
    figure = "optimum"

    def needs(self, run: Run) -> Needs | None:
        """Gaps and spectra of disks."""
        name = self._experiment(run)
        return Needs(tables=("gaps",), spectra=run.spectra_of(name)) if name else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Gap and numbers of eigenvalues."""
        name = self._experiment(run)
        assert name is not None
        gaps = found.gaps(name, run.largest(name), run.exact[name])
        gap = gaps["reference_gap"]
        worst = float(gap.max(skipna=False))
        at = gaps.loc[float(str(gap.idxmax()))]
        columns = ["reference_gap", "reference_gap_se", "reference_gap_between"]
        spectra = found.spectra_of(run.spectra_of(name))
        least = float(np.min(spectra[0].arrays["sigma"]))
        counts = {
            sigma: over_images([(one.at("eigenvalues", sigma) > HALF).sum(-1) for one in spectra])
            for sigma in (SIGMA, least)
        }
        told = [f"at σ = {sigma:g} {count} above 1/2" for sigma, count in counts.items()]
        middle, small = counts[SIGMA].value, counts[least].value
        return Finding(
            f"N = {run.largest(name)}: worst gap {number(*map(float, at[columns]))} dB; "
            + ", ".join(told),
            {
                f"less than {NEAR:g} dB at every σ": judged(worst < NEAR, worst),
                f"{DIMENSION} directions at σ near {SIGMA:g}": judged(
                    abs(middle - DIMENSION) <= WITHIN, middle
                ),
                "more at the least σ": judged(small > DIMENSION + WITHIN, small),
            },
        )

    @staticmethod
    def _experiment(run: Run) -> str | None:
        known = (name for name in run.exact if run.kinds[name] == "disks" and name in run.spectra)
        return next(known, None)
