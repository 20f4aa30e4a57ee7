"""The Jacobian is nearly symmetric and positive, so that the network shrinks in an orthonormal basis."""

from __future__ import annotations

import numpy as np

from gahb.claims.parts.claim import Claim, Finding, judged
from gahb.claims.parts.found import Found, over_images
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

SIGMA = 0.1
ASYMMETRY, NEGATIVE, LOSS = 0.1, -0.05, 0.5  # the last in dB


class Symmetry(Claim):
    """At the most N and the σ nearest .1: asymmetry below .1, least eigenvalue above −.05, means over
    images; S y loses less than .5 dB.
    """

    number = 9
    sentence = (
        "The Jacobian is nearly symmetric and positive: the network shrinks coefficients in an "
        "orthonormal basis."
    )
    source = "the text"
    formula = (
        "‖J − Jᵀ‖ / ‖J + Jᵀ‖; least eigenvalue of S = (J + Jᵀ)/2; PSNR of f(y) less PSNR of S y in "
        "dB; at the σ nearest 0.1"
    )
    figure = "basis"

    def needs(self, run: Run) -> Needs | None:
        """Spectra of the main experiment."""
        return run.main_spectrum()

    def measure(self, run: Run, found: Found) -> Finding:
        """Of the network of the most N."""
        assert run.main is not None
        spectra = found.spectra_of(run.spectra_of(run.main))
        asymmetry, least = (
            over_images([spectrum.at(name, SIGMA) for spectrum in spectra])
            for name in ("asymmetry", "least_eigenvalue")
        )
        errors = [
            np.mean([spectrum.errors(SIGMA, name) for spectrum in spectra])
            for name in ("symmetric_denoised", "denoised")
        ]
        loss = float(10 * np.log10(errors[0] / errors[1]))
        return Finding(
            f"N = {run.spectrum(run.main)[1]}: asymmetry {asymmetry}, least eigenvalue {least}, S y "
            f"loses {loss:.2f} dB",
            {
                f"asymmetry below {ASYMMETRY:g}": judged(
                    asymmetry.value < ASYMMETRY, asymmetry.value
                ),
                f"least eigenvalue above {NEGATIVE:g}": judged(least.value > NEGATIVE, least.value),
                f"S y loses less than {LOSS:g} dB": judged(loss < LOSS, loss),
            },
        )
