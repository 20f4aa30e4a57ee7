"""The more training images, the later they are memorised."""

from __future__ import annotations

import math
from itertools import pairwise

from gahb.claims.parts.claim import Claim, Finding, judged
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.onset import growth, onset
from gahb.figures.parts.figure import Needs
from gahb.figures.parts.intervals import of_samples

LINEAR = 0.5, 1.5  # exponent of N


class OnsetOfMemorisation(Claim):
    """In each experiment that is followed: at each step of N half of the samples are memorised later;
    the power of N fitted to the onsets is between .5 and 1.5.
    """

    number = 22
    sentence = (
        "Memorisation sets in after a training time that grows with the number of training images."
    )
    source = "the talk; Bonnaire et al. 2025"
    formula = (
        "updates after which half of the samples are memorised; exponent of N of a power law fitted "
        "to them"
    )
    paper = "proportional to N"
    figure = "onset"

    def needs(self, run: Run) -> Needs | None:
        """Samples at every snapshot."""
        return Needs(samples_over_training=tuple(run.followed)) if run.followed else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Onsets by N."""
        texts, checks = [], {}
        for experiment in run.followed:
            table = found.table("samples_over_training", experiment)
            onsets = []
            for size, of_size in table.frame.groupby("set_size"):
                updates, frames = zip(*of_size.groupby("update"), strict=True)
                share = of_samples(frames, table.path, [float(u) for u in updates])["memorised"]
                if all(map(math.isfinite, share.value)):
                    onsets.append(onset(int(str(size)), share))
            when = [math.inf if one.late else one.update for one in onsets]
            steps = list(pairwise(when))
            later = all(one < other or one == other == math.inf for one, other in steps)
            informative = any(one < other for one, other in steps) or not later
            if steps:
                checks[f"{experiment}: later at each step of N"] = later if informative else None
            exponent = growth(onsets)
            checks[f"{experiment}: exponent between {LINEAR[0]:g} and {LINEAR[1]:g}"] = judged(
                LINEAR[0] < exponent < LINEAR[1], exponent
            )
            told = [f"N = {one.set_size}: {one.cells[0]}" for one in onsets]
            told.append(f"exponent {exponent:.2f}" if math.isfinite(exponent) else "no exponent")
            texts.append(f"{experiment}, " + ", ".join(told))
        return Finding("; ".join(texts), checks)
