"""Every verdict of every claim comes out each way, and follows from the numbers alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from helpers.claim_results import NOTHING, RUN, World, world

from gahb.artifacts import ArtifactError
from gahb.claims.parts.claim import Finding
from gahb.claims.parts.found import Found, Spectrum
from gahb.claims.parts.make import all_claims, judge
from gahb.options import names

Change = Callable[[World], None]
SUMMARY, GAPS, BASES = ("summary",), ("gaps",), ("adaptivity", "a2")
LAST = ("samples", "a2", 1000)
SMALL, BY_ODE = ("samples", "small", 8), ("samples", "small", 8, "S1", "ode")


def gap(experiment: str, size: int, value: float) -> Change:
    return lambda w: (
        w.set(SUMMARY, "gap", value, experiment=experiment, set_size=size),
        w.set(SUMMARY, "largest_gap", value, experiment=experiment, set_size=size),
    )[0]


def slope(experiment: str, value: float) -> Change:
    return lambda w: w.set(SUMMARY, "slope", value, experiment=experiment)


def reference(experiment: str, value: float) -> Change:
    return lambda w: w.set(GAPS, "reference_gap", value, experiment=experiment)


def spectrum(name: str, value: float, experiment: str = "a2") -> Change:
    return lambda w: w.spectrum(name, value, experiment)


def sample(key: tuple[object, ...], quantity: str, value: float) -> Change:
    return lambda w: w.set(key, "mean", value, quantity=quantity)


def table(key: tuple[object, ...], column: str, value: float, **where: object) -> Change:
    return lambda w: w.set(key, column, value, **where)


def basis(column: str, value: float, **where: object) -> Change:
    return table(BASES, column, value, **where)


def reversed_onsets(w: World) -> None:
    frame = w.frames["samples_over_training", "small"]
    sizes = sorted(frame["set_size"].unique())
    frame["set_size"] = frame["set_size"].map(dict(zip(sizes, sizes[::-1], strict=True)))


def slow_onset(w: World) -> None:
    frame = w.frames["samples_over_training", "small"]
    frame["set_size"] = frame["set_size"].map({2: 2, 4: 200, 8: 20000})


OPEN = [gap("a2", size, 3.0) for size in (1, 10)]
# What makes the claim hold in part, and then what must be added for it not to hold at all
CHANGES: dict[str, tuple[list[Change], list[Change]]] = {
    "small_sets": (OPEN, [sample(("samples", "a2", n), "copied", 0.1) for n in (1, 10)]),
    "transition": ([gap("a2", 1000, 1.5)], [gap("a2", n, 20.0) for n in (100, 320, 1000)]),
    "agreement": (
        [table(SUMMARY, "agreement_same_set", 90.0)],
        [table(SUMMARY, "agreement", 10.0)],
    ),
    "one_sample": (
        [sample(LAST, "memorised", 0.3)],
        [sample(LAST, "pair_similarity", 0.5), sample(LAST, "closest_similarity", 0.9)],
    ),
    "variance": (
        [table(("ensembles", "small"), "variance", 1.0)],
        [table(("ensembles", "a2"), "variance", 1.0)],
    ),
    "optimality": ([reference("disks", 3.0)], [reference("rays", 3.0)]),
    "density": (
        [table(("density",), "kl", 15.0, set_size=8)],
        [table(("density",), "kl", 15.0)],
    ),
    "homogeneity": (
        [spectrum("homogeneity_residual", 0.1)],
        [spectrum("homogeneity_residual", 0.1, "disks")],
    ),
    "symmetry": (
        [spectrum("asymmetry", 0.4)],
        [spectrum("least_eigenvalue", -0.3), spectrum("symmetric_denoised", 0.0)],
    ),
    "null_space": ([spectrum("null_response", 0.5)], [spectrum("leading_response", 0.2)]),
    "trace": (
        [spectrum("denoised", 9.0)],
        [spectrum("denoised", 9.0, "disks"), spectrum("effective_rank", 40.0)],
    ),
    "adaptivity": (
        [basis("overlap", 0.4, basis="learned", set_size=1000)],
        [basis("overlap", 0.3, basis="learned"), basis("gain", 0.0, basis="learned")],
    ),
    "sparsity": (
        [basis("error", 0.003, basis="bandlets")],
        [basis("error", 0.1, basis="learned")],
    ),
    "slopes": (
        [slope("a2", 0.5)],
        [slope("a3", 0.5), table(("references",), "slope", 0.5)],
    ),
    "regularity": ([slope("a5", 0.7)], [slope("a3", 0.6), slope("a5", 0.5)]),
    "disks": (
        [reference("disks", 3.0)],
        [spectrum("eigenvalues", 0.0, "disks")],
    ),
    "shuffled": (
        [slope("mixed", 0.9)],
        [table(("psnr", "mixed", 1000, split), "psnr_of_mean_mse", 60.0) for split in ("S1", "S2")],
    ),
    "cones": ([slope("rays", 0.8)], [slope("sines", 0.8)]),
    "architectures": (
        [gap("cnn", 1, 3.0), slope("cnn", 0.2)],
        [gap("cnn", 10, 3.0), gap("cnn", 1000, 3.0)],
    ),
    "fixed_bases": ([reference("a2", 1.0)], [reference("a3", 1.0)]),
    "samplers": (
        [sample(BY_ODE, "principal_variance_ratio", 0.4)],
        [
            sample(key, quantity, value)
            for key in (LAST, BY_ODE)
            for quantity, value in (
                ("principal_variance_ratio", 0.4),
                ("closest_similarity", 0.7),
                ("p_value", 0.01),
            )
        ],
    ),
    "onset": ([slow_onset], [reversed_onsets]),
}


def found(name: str, *changes: Change) -> Finding:
    made, run = world(), RUN
    if name == "regularity":  # of two steps, so that one can hold
        frame = made.frames[SUMMARY]
        more = frame[frame.experiment == "a3"].assign(
            experiment="a5", slope=0.83, oracle_slope=0.83
        )
        made.frames[SUMMARY] = pd.concat([frame, more], ignore_index=True)
        alphas, sizes = RUN.alphas | {"a5": 5.0}, RUN.sizes | {"a5": [1000]}
        run = RUN.model_copy(update={"alphas": alphas, "sizes": sizes})
    if name == "samplers":
        made.sample_without_noise()
    for change in changes:
        change(made)
    return all_claims()[name].measure(run, made.found)


def test_every_claim_is_tested() -> None:
    assert CHANGES.keys() == set(names("gahb.claims")) == all_claims().keys()


def test_claims_are_numbered_and_say_what_they_are() -> None:
    claims = list(all_claims().values())
    assert [claim.number for claim in claims] == list(range(1, len(claims) + 1))
    for claim in claims:
        assert claim.sentence.endswith(".")
        assert claim.source
        assert claim.formula
        assert claim.figure in names("gahb.figures")


@pytest.mark.parametrize("name", CHANGES)
def test_each_verdict_comes_out(name: str) -> None:
    partly, wholly = CHANGES[name]
    assert found(name).verdict == "holds", found(name)
    some = found(name, *partly)
    assert some.verdict == "holds in part", some
    none = found(name, *partly, *wholly)
    assert none.verdict == "does not hold at this scale", none
    assert len({found(name).text, some.text, none.text}) == 3 or name in ("homogeneity",)
    assert all_claims()[name].needs(RUN) is not None
    assert judge(NOTHING, World().found)[name].verdict == "not measured"


def test_a_step_of_regularity_that_pixels_hide_is_not_counted() -> None:
    flat = slope("a3", 0.67), table(SUMMARY, "oracle_slope", 0.67, experiment="a3")
    hidden = found("regularity", *flat)
    assert hidden.checks == {"α = 2 to 3, hidden by pixels": None, "α = 3 to 5": True}
    assert hidden.verdict == "holds"
    assert "α = 3: 0.6700 ± 0.0020 ± 0.0035 (oracle 0.67)" in hidden.text
    unknown = found("regularity", slope("a3", 0.67), table(SUMMARY, "oracle_slope", float("nan")))
    assert unknown.checks == {"α = 2 to 3": False, "α = 3 to 5": True}


def test_errors_are_over_images_and_between_trainings() -> None:
    made = world()
    made.set(("psnr", "mixed", 1000, "S2"), "psnr_of_mean_mse", 1.0, sigma=0.1)
    between = made.found.psnr("mixed", 1000).loc[0.1]
    first = made.frames["psnr", "mixed", 1000, "S1"].set_index("sigma").loc[0.1, "psnr_of_mean_mse"]
    assert between["between"] == pytest.approx((first - 1.0) / 2)  # of the mean of two trainings
    assert found("disks").text.startswith("N = 1000: worst gap 0.500 ± 0.050 ± 0.035 dB")
    assert "intercept 30.103 ± 0.065 ± 0.073 dB" in found("cones").text


def test_spectra_of_several_trainings_tell_what_lies_between_them() -> None:
    made = world()
    both = RUN.spectra_splits | {"a2": ["S1", "S2"]}
    run = RUN.model_copy(update={"spectra_splits": both})
    one = made.found.spectra[1]
    other = Spectrum({"network": one.spec["network"] | {"split": "S2"}}, dict(one.arrays))
    other.arrays["null_response"] = np.full_like(one.arrays["null_response"], 0.04)
    found = Found(made.found.tables, [*made.found.spectra, other])
    finding = all_claims()["null_space"].measure(run, found)
    assert finding.text.startswith("N = 1000: null space 0.030 ± 0.000 ± 0.010")
    assert len(run.main_spectrum().spectra) == 2


def test_samples_of_every_experiment_are_judged() -> None:
    finding = found("samplers", sample(BY_ODE, "p_value", 0.01))
    assert [words for words, holds in finding.checks.items() if not holds] == [
        "small, ode: p above 0.05"
    ]
    made = world()
    del made.frames[SMALL]
    with pytest.raises(
        ArtifactError, match="exactly one table of samples of small, N = 8 is needed; found none"
    ):
        all_claims()["samplers"].measure(RUN, made.found)


def test_one_sampler_alone_does_not_tell_of_two() -> None:
    judged = judge(RUN, world().found)
    assert judged["samplers"].verdict == "not measured"
    assert judged["samplers"].text == (
        "a2, ancestral: variance 1.050 ± 0.010, closest 0.800 ± 0.010, of fresh images 0.800, p 0.400; "
        "small, ancestral: variance 1.050 ± 0.010, closest 0.800 ± 0.010, of fresh images 0.800, p 0.400"
    )
    assert {finding.verdict for name, finding in judged.items() if name != "samplers"} == {"holds"}
