"""Noise injected on the way or not, samples are images of the class."""

from __future__ import annotations

from gahb.claims.parts.claim import SIMILAR, Claim, Finding, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

WITHIN = 0.15  # share of the class's variance
LIKELY = 0.05  # p of the two-sample test
STOCHASTIC = ("ancestral", "score_ascent")


class Samplers(Claim):
    """Of every experiment that is sampled, at its most N: the variance along the leading principal
    directions is within 15 % of the class's, samples are as near to the set as fresh images are, within
    .03, and p of a two-sample test is above 5 % for either network's samples. Not measured where all are
    sampled with injected noise, or all without.

    Each experiment is drawn from by its own sampler, so the two kinds are seen on different images. The
    checks do not account for the errors beside the numbers, and a large p is no proof of equality.
    """

    number = 21
    sentence = "Deterministic and ancestral sampling both draw images of the class."
    source = "the talk"
    formula = (
        "variance of samples along the leading principal directions, over that of fresh images; mean "
        "correlation with the closest image of the own set, and that of fresh images with the closest of "
        "a set; the least p of a two-sample test; each experiment by its own sampler"
    )
    figure = "samples"

    def needs(self, run: Run) -> Needs | None:
        """Samples of every experiment at the most N."""
        every = tuple((name, sizes[-1]) for name, sizes in run.sampled.items())
        return Needs(sample_tables=every) if every else None

    def measure(self, run: Run, found: Found) -> Finding:
        """What is known of samples as images, by experiment and kind of sampler."""
        texts: list[str] = []
        checks: dict[str, bool | None] = {}
        noisy: set[bool] = set()
        for name, sizes in run.sampled.items():
            cell = name, sizes[-1]
            table = found.samples_table(*cell)
            kind = str(table.value("sampling")["sampler"]["kind"])
            drawn = f"{name}, {kind}"
            noisy.add(kind in STOCHASTIC)
            variance = found.samples(*cell, "principal_variance_ratio", "leading", False)
            own = found.samples(*cell, "closest_similarity", "correlation", True)
            fresh = found.samples(*cell, "fresh_similarity", "correlation", False)
            tests = table.frame[table.frame["quantity"].eq("p_value")]
            p = float(tests["mean"].min(skipna=False))
            texts.append(
                f"{drawn}: variance {number(variance.value, variance.se)}, closest "
                f"{number(own.value, own.se)}, of fresh images {fresh.value:.3f}, p {p:.3f}"
            )
            checks |= {
                f"{drawn}: variance within {WITHIN:.0%}": judged(
                    abs(variance.value - 1) < WITHIN, variance.value
                ),
                f"{drawn}: as near to the set as fresh images, within {SIMILAR:g}": judged(
                    abs(own.value - fresh.value) < SIMILAR, own.value, fresh.value
                ),
                f"{drawn}: p above {LIKELY:g}": judged(p > LIKELY, p),
            }
        return Finding("; ".join(texts), checks if len(noisy) > 1 else {})
