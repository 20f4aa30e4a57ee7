"""Two networks draw the same image from the same noise, and it is in neither training set."""

from __future__ import annotations

from gahb.claims.parts.claim import SIMILAR, Claim, Finding, above, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

MEMORISED = 0.05  # share of samples


class OneSample(Claim):
    """At the most N: the two samples are more alike than a sample and its closest training image; at
    most 5 % are memorised; samples are as near to the set as fresh images are, within .03.
    """

    number = 4
    sentence = (
        "Two networks of disjoint training sets draw the same sample from the same noise, and it is "
        "new."
    )
    source = "Fig. 2"
    formula = (
        "mean correlation of the two samples, of a sample and the closest image of the own set, and "
        "of a fresh image and the closest of a set; share memorised"
    )
    paper = "N = 100,000: the pair agrees and is unlike any training image"
    figure = "similarity"

    def needs(self, run: Run) -> Needs | None:
        """Samples at the most N."""
        return run.main_samples()

    def measure(self, run: Run, found: Found) -> Finding:
        """Similarities at the most N."""
        assert run.main is not None
        cell = run.main, run.sampled[run.main][-1]
        pair = found.samples(*cell, "pair_similarity", "correlation")
        own = found.samples(*cell, "closest_similarity", "correlation", True)
        memorised = found.samples(*cell, "memorised", "scaled_ratio", True)
        fresh = found.samples(*cell, "fresh_similarity", "correlation", False)
        return Finding(
            f"N = {cell[1]}: two samples {number(pair.value, pair.se)}, closest "
            f"{number(own.value, own.se)}, of fresh images {number(fresh.value, fresh.se)}, memorised "
            f"{number(memorised.value, memorised.se)}",
            {
                "more alike than a sample and its closest training image": above(
                    pair.value - own.value, pair.se, own.se
                ),
                f"at most {MEMORISED:.0%} memorised": judged(
                    memorised.value <= MEMORISED, memorised.value
                ),
                f"as near to the set as fresh images, within {SIMILAR:g}": judged(
                    abs(own.value - fresh.value) < SIMILAR, own.value, fresh.value
                ),
            },
        )
