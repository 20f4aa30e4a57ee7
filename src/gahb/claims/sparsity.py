"""Images are sparse in the basis of the network."""

from __future__ import annotations

from gahb.claims.adaptivity import at_rank
from gahb.claims.parts.claim import Claim, Finding, above, judged, number
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

FACTOR = 2.0


class Sparsity(Claim):
    """With as many coefficients as the oracle keeps, at the most N: the learned basis errs less than
    wavelets, and than bandlets, by two errors; and at most twice as much as the oracle's.
    """

    number = 13
    sentence = "Coefficients in the basis of the network are sparse and decay fast."
    source = "Fig. 3 and 4"
    formula = (
        "‖x − x_M‖² / ‖x‖² of keeping the M largest coefficients of the clean image x, in "
        "thousandths; M near the oracle's rank"
    )
    figure = "adaptivity"

    def needs(self, run: Run) -> Needs | None:
        """The comparison of bases of the main experiment."""
        return Needs(adaptivity=(run.main,)) if run.adapted and run.main else None

    def measure(self, run: Run, found: Found) -> Finding:
        """Errors of all bases with as many coefficients."""
        rows = at_rank(found, run)
        last = rows.groupby("basis").tail(1).set_index("basis")
        value = {str(name): float(1000 * error) for name, error in last["error"].items()}
        error = {str(name): float(1000 * error) for name, error in last["error_se"].items()}
        texts = [f"{name} {number(value[name], error[name])}" for name in value]
        checks = {
            f"less than with {name}": above(
                value[name] - value["learned"], error[name], error["learned"]
            )
            for name in ("wavelets", "bandlets")
        }
        oracle = value["known-contour"]
        checks[f"at most {FACTOR:g} times the oracle's"] = judged(
            value["learned"] <= FACTOR * oracle, value["learned"], oracle
        )
        return Finding(f"M = {int(last['rank'].iloc[0])}: " + ", ".join(texts), checks)
