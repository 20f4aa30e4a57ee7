"""A permutation of the pixels leaves the optimum as it is, and makes the network worse."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, above, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs


class Shuffled(Claim):
    """At the most N of both: the network loses at every σ, and its slope is less, by more than two
    errors.
    """

    number = 17
    sentence = (
        "Shuffled pixels leave the optimum unchanged, but the network is worse: its bias is to "
        "geometry."
    )
    source = "Fig. 21"
    formula = (
        "test PSNR on images less that on the same images with shuffled pixels, in dB, mean over σ; "
        "slopes of both"
    )
    figure = "shuffled"

    def needs(self, run: Run) -> Needs | None:
        """Evaluations of both networks."""
        if run.shuffled is None or not self._sizes(run):
            return None
        networks = [
            (name, self._sizes(run)[-1], split)
            for name in run.shuffled
            for split in run.splits[name]
        ]
        return Needs(tables=("summary",), networks=tuple(networks))

    def measure(self, run: Run, found: Found) -> Finding:
        """What is lost."""
        assert run.shuffled is not None
        size = self._sizes(run)[-1]
        plain, mixed = (found.psnr(name, size) for name in run.shuffled)
        lost = plain["psnr_of_mean_mse"] - mixed["psnr_of_mean_mse"]
        columns = ["psnr_of_mean_mse_se", "between"]
        errors = (plain[columns] ** 2 + mixed[columns] ** 2) ** 0.5
        slopes = [found.mean(name, size, "slope") for name in run.shuffled]
        every = [above(float(v), *map(float, e)) for v, e in zip(lost, errors.values, strict=True)]
        told = [number(slope.value, slope.se, slope.between) for slope in slopes]
        of_slopes = [e for slope in slopes for e in (slope.se, slope.between)]
        ends = [
            f"{number(float(lost[s]), *map(float, errors.loc[s]))} at σ = {s:g}"
            for s in (float(str(lost.idxmin())), float(str(lost.idxmax())))
        ]
        return Finding(
            f"N = {size}: loses {lost.mean():.2f} dB, least {ends[0]}, most {ends[1]}; slopes {told[0]}, "
            f"shuffled {told[1]}",
            {
                "loses at every σ": all(every),
                "smaller slope": above(slopes[0].value - slopes[1].value, *of_slopes),
            },
        )

    @staticmethod
    def _sizes(run: Run) -> list[int]:
        if run.shuffled is None:
            return []
        first, second = run.shuffled
        return [size for size in run.sizes[first] if size in run.sizes[second]]
