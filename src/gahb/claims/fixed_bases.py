"""A basis that adapts to the image beats one that is the same for all."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, above, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs


class FixedBases(Claim):
    """For each α and each wavelet denoiser: the network is better at every σ, by more than two errors,
    at the most N.
    """

    number = 20
    sentence = (
        "Adaptive bases beat fixed ones: the network denoises better than thresholding in wavelets."
    )
    source = "the text; the talk"
    formula = (
        "PSNR of the network less that of wavelet thresholding in dB, on the same noisy test "
        "images; mean over σ and the worst σ"
    )
    figure = "bounds"

    def needs(self, run: Run) -> Needs | None:
        """The table of gaps."""
        return Needs(tables=("gaps",)) if any(self._pairs(run)) else None

    def measure(self, run: Run, found: Found) -> Finding:
        """What the network is better by."""
        texts, checks = [], {}
        for experiment, reference in self._pairs(run):
            gaps = found.gaps(experiment, run.largest(experiment), reference)
            better = -gaps["reference_gap"]
            errors = gaps[["reference_gap_se", "reference_gap_between"]]
            every = [
                above(float(v), *map(float, e)) for v, e in zip(better, errors.values, strict=True)
            ]
            checks[f"{experiment}, {reference}"] = all(every)
            worst = float(str(better.idxmin()))
            told = number(float(better[worst]), *map(float, errors.loc[worst]))
            texts.append(f"{experiment}, {reference}: {better.mean():.2f}, worst {told}")
        return Finding("; ".join(texts), checks)

    @staticmethod
    def _pairs(run: Run) -> list[tuple[str, str]]:
        return [(name, one) for name in run.alphas for one in run.wavelets.get(name, [])]
