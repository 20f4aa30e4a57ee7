"""What another training would change, pooled over cells."""

import numpy as np
import pandas as pd
import pytest

from gahb.evaluation.trainings import between_trainings


def table(cells: dict[tuple[str, str, int], list[float]]) -> pd.DataFrame:
    """Rows of (image class, experiment, N) with one value a training."""
    return pd.DataFrame(
        [
            {"image_class": of, "experiment": name, "set_size": size, "value": value}
            for (of, name, size), values in cells.items()
            for value in values
        ]
    )


def test_variances_are_pooled_over_the_cells_of_a_class():
    rows = table(
        {
            ("a", "a", 1): [0.0, 10.0],  # memorises: two decades below
            ("a", "a", 100): [1.0, 2.0],
            ("a", "a", 1000): [1.0, 1.2, 1.4],
            ("a", "again", 1000): [5.0],
            ("b", "b", 1000): [3.0, 9.0],
            ("c", "c", 1000): [4.0],
        }
    )
    found = between_trainings(rows, "value")
    assert found["trainings"].tolist() == [2, 2, 2, 2, 3, 3, 3, 1, 2, 2, 1]
    assert found["cells"].tolist() == [1] * 2 + [2] * 6 + [1] * 2 + [0]
    pooled = np.sqrt((1 * np.var([1, 2], ddof=1) + 2 * np.var([1, 1.2, 1.4], ddof=1)) / 3)
    expected = [np.ptp([0, 10]) / np.sqrt(2)] * 2 + [pooled] * 6 + [6 / np.sqrt(2)] * 2 + [np.nan]
    np.testing.assert_allclose(found["error"], expected)


def test_cells_may_have_to_agree_in_more():
    rows = pd.concat(
        [table({("a", "a", 10): [0.0, spread]}).assign(sigma=spread) for spread in (1.0, 3.0)]
    )
    found = between_trainings(rows, "value", ("image_class", "sigma"))
    np.testing.assert_allclose(found["error"], rows["sigma"] / np.sqrt(2))


def test_it_is_the_error_of_one_training():
    """Pooled over many cells of two it is the standard deviation that they were drawn with."""
    source = np.random.default_rng(0)
    cells = {("a", f"e{n}", 100): list(source.normal(n, 0.3, 2)) for n in range(400)}
    assert between_trainings(table(cells), "value")["error"].iloc[0] == pytest.approx(0.3, rel=0.1)
