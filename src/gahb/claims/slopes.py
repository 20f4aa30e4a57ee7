"""Errors fall with the noise at the rate of the class."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

NEAR = 0.05


class Slopes(Claim):
    """For each α, of the network at the most N, and of the bandlets that come nearest: within .05 of
    α/(α+1).
    """

    number = 14
    sentence = (
        "Networks reach the optimal rate on images of regularity α, as bandlets do: slope α/(α+1)."
    )
    source = "Fig. 4, section 3.2"
    formula = (
        "slope of test PSNR against input PSNR over the window of the summary; beside it that of "
        "the oracle that knows the contour, on the same images"
    )
    paper = "α = 1: 0.46, 2: 0.61, 3: 0.75, 5: 0.83"
    figure = "regularity"

    def needs(self, run: Run) -> Needs | None:
        """The summary, and the table of references where bandlets are in it."""
        if not run.alphas:
            return None
        bandlets = any(name in run.bandlets for name in run.alphas)
        return Needs(tables=("summary", *["references"] * bandlets))

    def measure(self, run: Run, found: Found) -> Finding:
        """Slopes by α."""
        texts, checks = [], {}
        for experiment, alpha in run.alphas.items():
            rate = alpha / (alpha + 1)
            cell = experiment, run.largest(experiment)
            slope, oracle = (found.mean(*cell, name) for name in ("slope", "oracle_slope"))
            checks[f"α = {alpha:g}, network"] = judged(abs(slope.value - rate) < NEAR, slope.value)
            text = f"α = {alpha:g}: {slope} (rate {rate:.2f}"
            text += f", oracle {oracle.value:.2f}" if judged(True, oracle.value) else ""
            names = run.bandlets.get(experiment, [])
            if names:
                image_class = found.image_class(experiment)
                of_bandlets = [found.bandlet_slope(image_class, name).value for name in names]
                nearest = min(of_bandlets, key=lambda value: abs(value - rate))
                checks[f"α = {alpha:g}, bandlets"] = judged(abs(nearest - rate) < NEAR, nearest)
                text += f", bandlets {nearest:.2f}"
            texts.append(text + ")")
        return Finding("; ".join(texts), checks)
