"""Few training images are memorised: denoised far better than others, and drawn again as samples."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

MOST = 10  # training images of a small set
GAP = 10.0  # dB
SHARE = 0.5  # of samples


class SmallSets(Claim):
    """At every N up to 10: the gap is above 10 dB; more than half of the samples are copies."""

    number = 1
    sentence = "Networks memorise small training sets: they draw copies of their training images."
    source = "Fig. 1 and 2"
    formula = (
        "PSNR on the training set less PSNR on test images, mean over σ, in dB; share of samples "
        "with a correlation above the threshold to an image of the own set"
    )
    paper = "N = 1, 10: test PSNR flat; N up to 100: samples are copies"
    figure = "samples"

    def needs(self, run: Run) -> Needs | None:
        """Summary and samples of the main experiment."""
        sizes = self._sizes(run)
        if run.main is None or not sizes:
            return None
        samples = [(run.main, size) for size in sizes if run.main in run.sampled]
        return Needs(tables=("summary",), sample_tables=tuple(samples))

    def measure(self, run: Run, found: Found) -> Finding:
        """Gap and copies at each small N."""
        texts, checks = [], {}
        assert run.main is not None
        for size in self._sizes(run):
            gap = found.mean(run.main, size, "gap")
            checks[f"N = {size}, gap above {GAP:g} dB"] = judged(gap.value > GAP, gap.value)
            text = f"N = {size}: {gap} dB"
            if run.main in run.sampled:
                copied = found.samples(run.main, size, "copied", "correlation", True)
                checks[f"N = {size}, most samples are copies"] = judged(
                    copied.value > SHARE, copied.value
                )
                text += f", copied {number(copied.value, copied.se)}"
            texts.append(text)
        return Finding("; ".join(texts), checks)

    @staticmethod
    def _sizes(run: Run) -> list[int]:
        if run.main is None or run.main in run.imported:
            return []
        return [size for size in run.sizes[run.main] if size <= MOST]
