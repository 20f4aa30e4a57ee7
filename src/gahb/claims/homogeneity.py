"""Without additive constants, a network is its Jacobian times its input."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged
from gahb.claims.parts.found import Found
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

PRECISION = 1e-5  # of float32 through many layers


class Homogeneity(Claim):
    """In each experiment, at the most N: below 1e-5 at every image and σ."""

    number = 8
    sentence = "The network acts as its Jacobian: f(y) = J y."
    source = "the text"
    formula = "‖f(y) − J y‖ / ‖f(y)‖, the largest of all images and σ"
    figure = "basis"

    def needs(self, run: Run) -> Needs | None:
        """Spectra."""
        return run.all_spectra()

    def measure(self, run: Run, found: Found) -> Finding:
        """The largest residual of each experiment."""
        largest = {
            name: max(
                float(spectrum.arrays["homogeneity_residual"].max())
                for spectrum in found.spectra_of(run.spectra_of(name))
            )
            for name in run.spectra
        }
        worst = max(largest, key=lambda name: largest[name])
        return Finding(
            f"at most {largest[worst]:.1e} ({worst})",
            {
                f"{name}, below {PRECISION:g}": judged(v < PRECISION, v)
                for name, v in largest.items()
            },
        )
