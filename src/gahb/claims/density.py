"""The density that a network defines comes near that of the images."""

from __future__ import annotations

import math

from gahb.claims.parts.claim import Claim, Finding, above, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

LEFT = 0.1  # share of the bound at the least N


class Density(Claim):
    """In each experiment: the bound falls at every step of N by more than two errors, those over images
    and between networks together; at the most N 10 % or less of that at the least are left.
    """

    number = 7
    sentence = (
        "The density of the network comes near that of the images: a bound on their divergence "
        "falls with N."
    )
    source = "the talk"
    formula = "∫ (MSE of the network − MSE of the exact denoiser) σ⁻³ dσ in nats per image"
    figure = "density"

    def needs(self, run: Run) -> Needs | None:
        """The table of bounds."""
        return Needs(tables=("density",)) if run.densities else None

    def measure(self, run: Run, found: Found) -> Finding:
        """The bound against N."""
        texts: list[str] = []
        checks: dict[str, bool | None] = {}
        for experiment in run.densities:
            frame = found.densities(experiment)
            if len(frame) < 2:
                continue
            value, se = frame["kl"].to_numpy(float), frame["kl_se"].to_numpy(float)
            between = frame["kl_between"].fillna(0).to_numpy(float)
            error = [math.hypot(*both) for both in zip(se, between, strict=True)]
            falls = [
                above(value[k] - value[k + 1], error[k], error[k + 1])
                for k in range(len(value) - 1)
            ]
            checks[f"{experiment}: falls at every step of N"] = all(falls)
            checks[f"{experiment}: at most {LEFT:.0%} left"] = judged(
                value[-1] <= LEFT * value[0], value[0], value[-1]
            )
            first, last = (
                f"N = {frame['set_size'].iloc[k]}: {number(value[k], se[k], between[k])}"
                for k in (0, -1)
            )
            texts.append(f"{experiment}, {first}, {last}")
        return Finding("; ".join(texts), checks)
