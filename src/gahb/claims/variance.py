"""What two trainings differ by vanishes as training sets grow."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, above, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs
from gahb.figures.parts.intervals import at_last

SIGMA = 0.1
LEFT = 0.05  # share of the variance at the least N


class Variance(Claim):
    """In each experiment, at the σ nearest .1: it falls at every step of N by more than two errors; at
    the most N 5 % or less of what it was at the least are left.
    """

    number = 5
    sentence = "The variance between networks of disjoint training sets falls to zero."
    source = "the text; the talk"
    formula = (
        "variance between outputs on the same noisy test images, over σ², at the σ nearest 0.1"
    )
    figure = "memorisation"

    def needs(self, run: Run) -> Needs | None:
        """Ensembles of experiments at several N."""
        return Needs(ensembles=tuple(run.ensembles)) if run.ensembles else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Variance against N."""
        texts: list[str] = []
        checks: dict[str, bool | None] = {}
        for experiment in run.ensembles:
            frame = at_last(found.table("ensembles", experiment))
            frame = frame[frame["variance"].notna()]
            if frame["set_size"].nunique() < 2:
                continue
            nearest = min(frame["sigma"].unique(), key=lambda sigma: abs(sigma - SIGMA))
            level = frame[frame["sigma"] == nearest].sort_values("set_size")
            value = level["variance"].to_numpy(float) / nearest**2
            error = level["variance_se"].to_numpy(float) / nearest**2
            falls = [
                above(value[k] - value[k + 1], error[k], error[k + 1])
                for k in range(len(value) - 1)
            ]
            checks[f"{experiment}: falls at every step of N"] = all(falls)
            checks[f"{experiment}: at most {LEFT:.0%} left"] = judged(
                value[-1] <= LEFT * value[0], value[0], value[-1]
            )
            first, last = (f"N = {level['set_size'].iloc[k]}" for k in (0, -1))
            texts.append(
                f"{experiment}, {first}: {number(value[0], error[0])}, {last}: "
                f"{number(value[-1], error[-1])}"
            )
        return Finding("; ".join(texts), checks)
