"""Points with intervals, and the onset of memorisation found in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gahb.figures.onset import growth, onset
from gahb.figures.parts.intervals import Points, wilson, with_error


def test_an_onset_is_where_half_is_memorised() -> None:
    x = np.array([10.0, 100.0, 1000.0])

    def of(*share: float) -> Any:
        value = np.array(share)
        return onset(8, Points(x, value, value, value))

    between = of(0.0, 0.25, 0.75)
    assert between.found
    assert between.update == pytest.approx(100 * 10**0.5)
    assert (between.before, between.after) == (100, 1000)
    assert of(0.4, 0.6, 0.1).update == pytest.approx(10 * 10**0.5)  # the first of several
    exactly = of(0.0, 0.5, 1.0)
    assert exactly.update == pytest.approx(100)
    never, at_once = of(0.0, 0.1, 0.49), of(0.9, 1.0, 1.0)
    assert not never.found
    assert np.isnan(never.update)
    assert never.before == 1000
    assert not at_once.found
    assert at_once.update == at_once.after == 10


@pytest.mark.parametrize("power", [1.0, 0.4])
def test_growth_of_onsets_is_the_exponent_of_a_power_law(power: float) -> None:
    found = []
    for size in (16, 64, 256):
        x = np.geomspace(10, 1e4, 40)
        value = 1 / (1 + (7 * size**power / x) ** 3)
        found.append(onset(size, Points(x, value, value, value)))
    assert growth(found) == pytest.approx(power, abs=0.01)
    never = onset(1024, Points(x, 0 * x, 0 * x, 0 * x))
    assert growth([*found, never]) == growth(found)
    assert np.isnan(growth([*found[:2], never]))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.0123, 0.0005), "0.01230 +/- 0.00050"),
        ((121.4, 6.1, 2.4, 12.1), "121.4 +/- 6.1 +/- 2.4 +/- 12.1"),
        ((5610.0, 280.0, np.nan), "5610 +/- 280 +/- n/a"),
        ((-0.001, 0.002), "-0.0010 +/- 0.0020"),
        ((0.0, 0.0), "0.0 +/- 0.0"),
        ((2e-7, 1e-8), "2.00e-07 +/- 1e-08"),
        ((np.nan, 0.1), "n/a"),
    ],
)
def test_numbers_have_the_digits_of_their_errors(numbers: tuple[float, ...], text: str) -> None:
    assert with_error(*numbers) == text


def test_wilson_intervals_solve_their_equation() -> None:
    share, count = np.array([0.0, 0.1, 0.5, 1.0]), np.array([64, 10, 7, 64])
    low, high = wilson(share, count)
    for end in (low, high):  # one standard deviation, of the end itself, from the share
        np.testing.assert_allclose((share - end) ** 2, end * (1 - end) / count, atol=1e-15)
    assert (low <= share).all()
    assert (share <= high).all()
    assert low[0] == pytest.approx(0)
    assert high[0] == pytest.approx(1 / 65)
