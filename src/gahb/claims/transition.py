"""From some number of training images on, a network is as good on test images as on its own."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

MANY = 1000  # training images from which on the gap is closed
CLOSED, OPEN = 0.5, 10.0  # dB
BETWEEN = 2  # N in the transition that resolve it


class Transition(Claim):
    """The largest gap is below .5 dB at each N of 1000 and more; two N or more lie between .5 and 10
    dB.
    """

    number = 2
    sentence = (
        "There is a transition: from some number of training images on, train and test errors are "
        "the same."
    )
    source = "Fig. 1"
    formula = (
        "|PSNR on the training set less PSNR on test images| in dB: at the worst σ and split; in "
        "the transition its mean over σ"
    )
    paper = "N = 1000 is transitional; N = 100,000: train = test"
    figure = "transition"

    def needs(self, run: Run) -> Needs | None:
        """The summary, of a large N."""
        if run.main is None or run.main in run.imported or run.largest(run.main) < MANY:
            return None
        return Needs(tables=("summary",))

    def measure(self, run: Run, found: Found) -> Finding:
        """Gaps of all N."""
        assert run.main is not None
        texts, checks, between = [], {}, 0
        for size in run.sizes[run.main]:
            mean = found.mean(run.main, size, "gap")
            worst = found.largest_gap(run.main, size)
            between += CLOSED < mean.value < OPEN
            texts.append(f"N = {size}: {mean}, worst {worst:.2f}")
            if size >= MANY:
                checks[f"N = {size}, below {CLOSED:g} dB at every σ"] = judged(
                    worst < CLOSED, worst
                )
        checks[f"{BETWEEN} or more N between {CLOSED:g} and {OPEN:g} dB"] = between >= BETWEEN
        return Finding("; ".join(texts), checks)
