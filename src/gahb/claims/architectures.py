"""Another architecture makes the same transition."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

MOST = 10  # training images of a small set
CLOSED, OPEN, SLOPE = 0.5, 10.0, 0.05  # gaps in dB


class Architectures(Claim):
    """Of the other architecture: the gap is above 10 dB at N up to 10; at the most N it is below .5 dB
    at every σ, and the slope is within .05.
    """

    number = 19
    sentence = "The architecture does not matter: another kind of network generalises alike."
    source = "Fig. 11 to 14"
    formula = (
        "PSNR on the training set less PSNR on test images in dB, mean over σ and at the worst σ, "
        "and slope, of two architectures"
    )
    figure = "transition"

    def needs(self, run: Run) -> Needs | None:
        """The summary, where two architectures share N."""
        return Needs(tables=("summary",)) if self._sizes(run) else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Gaps and slopes of both."""
        assert run.main is not None
        assert run.other_network is not None
        sizes, both = self._sizes(run), (run.main, run.other_network)
        checks = {}
        for size in (size for size in sizes if size <= MOST):
            gap = found.mean(both[1], size, "gap").value
            checks[f"N = {size}, gap above {OPEN:g} dB"] = judged(gap > OPEN, gap)
        gaps = [found.largest_gap(name, sizes[-1]) for name in both]
        slopes = [found.mean(name, sizes[-1], "slope") for name in both]
        checks[f"N = {sizes[-1]}, gap below {CLOSED:g} dB at every σ"] = judged(
            gaps[1] < CLOSED, gaps[1]
        )
        apart = abs(slopes[0].value - slopes[1].value)
        checks[f"N = {sizes[-1]}, slopes within {SLOPE:g}"] = judged(apart < SLOPE, apart)
        texts = [
            f"{name}: worst gap {gap:.2f} dB, slope {slope}"
            for name, gap, slope in zip(both, gaps, slopes, strict=True)
        ]
        return Finding(f"N = {sizes[-1]}, " + "; ".join(texts), checks)

    @staticmethod
    def _sizes(run: Run) -> list[int]:
        if run.main is None or run.other_network is None or run.main in run.imported:
            return []
        return [size for size in run.sizes[run.main] if size in run.sizes[run.other_network]]
