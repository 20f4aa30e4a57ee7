"""The more regular the images, the steeper the slope."""

from __future__ import annotations

from itertools import pairwise

from gahb.claims.parts.claim import Claim, Finding, above, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs


class Regularity(Claim):
    """Each step of α raises it by more than two errors: those between trainings or, where they are not
    known or less, over images.
    """

    number = 15
    sentence = "The more regular the images, the steeper the slope."
    source = "Fig. 4"
    formula = "slope of test PSNR against input PSNR over the window of the summary, at the most N"
    paper = "α = 1: 0.46, 2: 0.61, 3: 0.75, 5: 0.83"
    figure = "regularity"

    def needs(self, run: Run) -> Needs | None:
        """The summary, of several α."""
        return Needs(tables=("summary",)) if len(run.alphas) > 1 else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Steps of the slope."""
        slopes = [
            (alpha, found.mean(name, run.largest(name), "slope"))
            for name, alpha in run.alphas.items()
        ]
        checks = {}
        for (one, less), (other, more) in pairwise(slopes):
            known = [
                max((e for e in (s.se, s.between) if e == e), default=0.0) for s in (less, more)
            ]
            checks[f"α = {one:g} to {other:g}"] = above(more.value - less.value, *known)
        texts = (f"α = {alpha:g}: {number(s.value, s.se, s.between)}" for alpha, s in slopes)
        return Finding("; ".join(texts), checks)
