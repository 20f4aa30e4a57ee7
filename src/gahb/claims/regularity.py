"""The more regular the images, the steeper the slope."""

from __future__ import annotations

import math
from itertools import pairwise

from gahb.claims.parts.claim import Claim, Finding, above
from gahb.claims.parts.found import Found, Mean
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

HALF = 0.5  # of the rise of the rate


class Regularity(Claim):
    """Each step of α raises it by more than two errors: those between trainings or, where they are not
    known or less, over images. A step is not measured where the oracle that knows the contour rises by
    less than half of what α/(α+1) does over the same window: pixels, not the images, set the slope there.
    """

    number = 15
    sentence = "The more regular the images, the steeper the slope."
    source = "Fig. 4"
    formula = (
        "slope of test PSNR against input PSNR over the window of the summary, at the most N; beside "
        "it that of the oracle that knows the contour, which tells where the grid of pixels hides "
        "the regularity"
    )
    paper = "α = 1: 0.46, 2: 0.61, 3: 0.75, 5: 0.83"
    figure = "regularity"

    def needs(self, run: Run) -> Needs | None:
        """The summary, of several α."""
        return Needs(tables=("summary",)) if len(run.alphas) > 1 else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Steps of the slope."""
        texts, checks, slopes = [], {}, []
        for name, alpha in run.alphas.items():
            cell = name, run.largest(name)
            slope, oracle = found.mean(*cell, "slope"), found.mean(*cell, "oracle_slope").value
            slopes.append((alpha, slope, oracle))
            text = f"α = {alpha:g}: {slope}"
            texts.append(text + (f" (oracle {oracle:.2f})" if math.isfinite(oracle) else ""))
        for (one, less, before), (other, more, after) in pairwise(slopes):
            rise = HALF * (other / (other + 1) - one / (one + 1))
            hidden = after - before < rise  # false where the oracle is not known
            why = ", hidden by pixels" if hidden else ""
            checks[f"α = {one:g} to {other:g}{why}"] = None if hidden else _steeper(less, more)
        return Finding("; ".join(texts), checks)


def _steeper(less: Mean, more: Mean) -> bool | None:
    errors = [
        max((error for error in (one.se, one.between) if math.isfinite(error)), default=0.0)
        for one in (less, more)
    ]
    return above(more.value - less.value, *errors)
