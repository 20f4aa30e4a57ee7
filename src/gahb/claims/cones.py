"""On cones of one and two dimensions the network keeps the right number of directions."""

from __future__ import annotations

import math

from gahb.claims.parts.claim import Claim, Finding, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

DIMENSIONS = {"rays": 1, "sines": 2}
SLOPE, INTERCEPT = 0.05, 1.0  # the latter in dB


class Cones(Claim):
    """Of rays and of sines: the slope is within .05 of 1, the intercept within 1 dB of 10 log10(d/n)."""

    number = 18
    sentence = (
        "On rays (n = 1) and sines (n = 2) the network is optimal: slope 1, and the intercept of n "
        "directions."
    )
    source = "Fig. 19 and 20"
    formula = (
        "slope of test PSNR against input PSNR; intercept of the line through the centre of the "
        "window, 10 log10(d/n) dB for n of d directions"
    )
    paper = "slope 1, intercept 10 log10 d"
    figure = "cones"

    def needs(self, run: Run) -> Needs | None:
        """Summary and evaluations of rays and sines."""
        names = self._experiments(run)
        networks = [
            (name, run.largest(name), split) for name in names for split in run.splits[name]
        ]
        return Needs(tables=("summary",), networks=tuple(networks)) if names else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Slope and intercept of each."""
        texts, checks = [], {}
        for name in self._experiments(run):
            cell = name, run.largest(name)
            slope = found.mean(*cell, "slope")
            curve = found.psnr(*cell)
            low, high = (found.mean(*cell, f"sigma_{end}").value for end in ("low", "high"))
            inside = curve[(curve.index >= low * 0.9999) & (curve.index <= high * 1.0001)]
            centre = inside.mean()
            away = centre["input_psnr"]
            meets = float(centre["psnr_of_mean_mse"] - slope.value * away)
            images = math.hypot(centre["psnr_of_mean_mse_se"], away * slope.se)
            trainings = math.hypot(centre["between"], away * slope.between)
            wanted = 10 * math.log10(found.pixels(name) / DIMENSIONS[run.kinds[name]])
            texts.append(
                f"{name}: slope {slope}, intercept "
                f"{number(meets, images, trainings)} dB (optimum {wanted:.1f})"
            )
            checks[f"{name}, slope 1"] = judged(abs(slope.value - 1) < SLOPE, slope.value)
            checks[f"{name}, intercept"] = judged(abs(meets - wanted) < INTERCEPT, meets)
        return Finding("; ".join(texts), checks)

    @staticmethod
    def _experiments(run: Run) -> list[str]:
        return [name for name, kind in run.kinds.items() if kind in DIMENSIONS]
