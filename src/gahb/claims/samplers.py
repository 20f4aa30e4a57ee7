"""Noise injected on the way or not, samples are images of the class."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

WITHIN = 0.15
STOCHASTIC = ("ancestral", "score_ascent")


class Samplers(Claim):
    """With and without injected noise, at the most N: the variance along the leading principal
    directions is within 15 % of the class's. Not measured where the main experiment is sampled in
    one of the two ways alone.
    """

    number = 21
    sentence = "Deterministic and ancestral sampling both draw images of the class."
    source = "the talk"
    formula = (
        "variance of samples along the leading principal directions, over that of fresh images"
    )
    figure = "samples"

    def needs(self, run: Run) -> Needs | None:
        """Samples of the main experiment at the most N."""
        return run.main_samples()

    def measure(self, run: Run, found: Found) -> Finding:
        """The variance by kind of sampler."""
        assert run.main is not None
        texts, checks = [], {}
        for table in found.samples_at(run.main, run.sampled[run.main][-1]):
            kind = str(table.value("sampling")["sampler"]["kind"])
            frame = table.frame
            of_networks = frame[
                frame["quantity"].eq("principal_variance_ratio")
                & frame["measure"].eq("leading")
                & frame["network"].ne("none")
            ]
            mean, se = float(of_networks["mean"].mean()), float(of_networks["se"].mean())
            texts.append(f"{kind}: {number(mean, se)}")
            checks["with injected noise" if kind in STOCHASTIC else "without"] = judged(
                abs(mean - 1) < WITHIN, mean
            )
        return Finding("; ".join(texts), checks if len(checks) > 1 else {})
