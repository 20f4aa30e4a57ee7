"""Networks of two disjoint training sets become one denoiser."""

from __future__ import annotations

from itertools import pairwise

from gahb.claims.parts.claim import Claim, Finding, above, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

FROM = 100  # training images from which on every step of N is looked at
CONTROL = 1.0  # dB


class Agreement(Claim):
    """It grows from the least N to the most and at each step from N = 100 on, by more than two errors;
    at the most N it is within 1 dB of two trainings on one set.
    """

    number = 3
    sentence = (
        "Networks of two disjoint training sets become the same denoiser: their agreement grows "
        "with N."
    )
    source = "Fig. 2; the talk"
    formula = (
        "PSNR in dB of the two outputs on the same noisy test images, mean over σ; beside it that "
        "of two trainings on one set with different seeds"
    )
    figure = "gap"

    def needs(self, run: Run) -> Needs | None:
        """The summary, of several N."""
        several = run.main is not None and len(run.sizes[run.main]) > 1
        return Needs(tables=("summary",)) if several else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Agreement by N, and that of the control."""
        assert run.main is not None
        main, sizes = run.main, run.sizes[run.main]
        between = {size: found.mean(main, size, "agreement") for size in sizes}
        same = {size: found.mean(main, size, "agreement_same_set") for size in sizes}
        late = [size for size in sizes if size >= FROM]
        steps = dict.fromkeys([(sizes[0], sizes[-1]), *pairwise(late)])
        checks = {
            f"grows from N = {one} to {other}": above(
                between[other].value - between[one].value, between[one].se, between[other].se
            )
            for one, other in steps
        }
        last = same[sizes[-1]].value
        checks[f"N = {sizes[-1]}, within {CONTROL:g} dB of one set with two seeds"] = judged(
            between[sizes[-1]].value > last - CONTROL, last
        )
        texts = []
        for size in sizes:
            text = f"N = {size}: {number(between[size].value, between[size].se)}"
            known = judged(True, same[size].value)
            texts.append(
                text + (f" (one set {number(same[size].value, same[size].se)})" if known else "")
            )
        return Finding("; ".join(texts), checks)
