"""What the network errs by is the noise that it lets through, and that is little."""

from __future__ import annotations

import numpy as np

from gahb.claims.parts.claim import ERRORS, Claim, Finding, judged, number
from gahb.claims.parts.found import Found, over_images
from gahb.claims.parts.run import Run
from gahb.figures.parts.figure import Needs

SIGMA = 0.1
NEAR = 0.2  # relative
LOW = 1 / 8  # of the pixels


class Trace(Claim):
    """In each experiment, at the most N and the σ nearest .1: error and σ² tr J differ by less than 20
    % of σ² tr J, or two errors of the difference over images; ‖J‖² is below d/8 in the main
    experiment.
    """

    number = 11
    sentence = (
        "The error is the noise that the network lets through, and it lets little through: J has a "
        "low rank."
    )
    source = "the text, equation of the MSE"
    formula = "mean over images of ‖f(y) − x‖² and of σ² tr J, at the σ nearest 0.1; ‖J‖² / d"
    figure = "basis"

    def needs(self, run: Run) -> Needs | None:
        """Spectra."""
        return run.all_spectra()

    def measure(self, run: Run, found: Found) -> Finding:
        """Error and trace of each experiment."""
        texts, checks = [], {}
        for experiment in run.spectra:
            spectra = found.spectra_of(run.spectra_of(experiment))
            passing = [spectrum.passing(SIGMA) for spectrum in spectra]
            error = [spectrum.errors(SIGMA) for spectrum in spectra]
            apart = over_images([e - p for e, p in zip(error, passing, strict=True)])
            through = float(np.mean(passing))
            allowed = NEAR * through
            if judged(True, apart.se):
                allowed = max(allowed, ERRORS * apart.se)
            checks[f"{experiment}, error is σ² tr J"] = judged(
                abs(apart.value) < allowed, apart.value
            )
            errors = apart.se / through, apart.between / through
            texts.append(f"{experiment}: ratio {number(float(np.mean(error)) / through, *errors)}")
            if experiment == run.main:
                rank = over_images(
                    [one.at("effective_rank", SIGMA) / one.pixels for one in spectra]
                )
                checks["rank below d/8"] = judged(rank.value < LOW, rank.value)
                texts[-1] += f", ‖J‖²/d {rank}"
        return Finding("; ".join(texts), checks)
