"""Most directions of the noise make no difference to the output."""

from __future__ import annotations

from gahb.claims.parts.claim import Claim, Finding, judged
from gahb.claims.parts.found import Found, over_images
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

SIGMA = 0.1
SILENT, LOUD = 0.1, 0.5


class NullSpace(Claim):
    """At the most N and the σ nearest .1: the response is below .1 in the null space, above .5 in the
    leading one.
    """

    number = 10
    sentence = "The network has an effective null space: adding to its input there changes nothing."
    source = "the talk"
    formula = (
        "‖f(y + v) − f(y)‖ / ‖v‖, mean over images, v in the span of singular vectors of the least "
        "singular values, and of the largest; at the σ nearest 0.1"
    )
    figure = "basis"

    def needs(self, run: Run) -> Needs | None:
        """Spectra of the main experiment."""
        return run.main_spectrum()

    def measure(self, run: Run, found: Found) -> Finding:
        """Of the network of the most N."""
        assert run.main is not None
        spectra = found.spectra_of(run.spectra_of(run.main))
        null, leading = (
            over_images([spectrum.at(f"{space}_response", SIGMA) for spectrum in spectra])
            for space in ("null", "leading")
        )
        return Finding(
            f"N = {run.spectrum(run.main)[1]}: null space {null}, leading space {leading}",
            {
                f"below {SILENT:g} in the null space": judged(null.value < SILENT, null.value),
                f"above {LOUD:g} in the leading space": judged(leading.value > LOUD, leading.value),
            },
        )
