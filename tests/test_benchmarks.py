"""What the benchmarks compute beyond calling the project."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import replication
from benchmarks.populations import side_by_side
from benchmarks.replication import QUESTIONS, answers, pooled
from pig.evaluation.statistics import Mean


def test_the_mean_over_populations_by_hand() -> None:
    mean = pooled([Mean(2.0, 3.0, 6.0), Mean(4.0, 4.0, 8.0)])
    assert (mean.value, mean.error) == (3.0, 2.5)  # sqrt(9 + 16) / 2
    assert mean.degrees == pytest.approx((9 + 16) ** 2 / (81 / 6 + 256 / 8))


def test_answers_are_corrected_within_their_family_and_population(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the family of three, t is 4, 3 and 2 in the first population; elsewhere 0.5."""

    def differences(results: Path) -> list[Mean]:
        values = [4.0, 3.0, 2.0] if results.name == "first" else [0.5] * 3
        return [*(Mean(value, 1.0, 10.0) for value in values), *(Mean(0.5, 1.0, 10.0) for _ in QUESTIONS[3:])]

    monkeypatch.setattr(replication, "differences", differences)
    table = answers([Path("first"), Path("second")]).set_index("population")
    assert len(table) == 3 * len(QUESTIONS)
    first = table.loc["1"]
    p = 2 * stats.t.sf([4.0, 3.0, 2.0], 10)
    assert np.allclose(first.p.iloc[:3], p)
    assert np.allclose(first.p_holm.iloc[:3], [3 * p[0], 2 * p[1], p[2]])
    assert table.loc["all"].difference.iloc[0] == 2.25
    half = stats.t.ppf(0.975, 20) * np.sqrt(2) / 2
    assert np.allclose(table.loc["all", ["low", "high"]].iloc[0].astype(float), [2.25 - half, 2.25 + half])


def test_populations_are_put_side_by_side_by_the_rows_that_all_of_them_compare(tmp_path: Path) -> None:
    """Differences of 1, 2 and 6 points: a mean of 3, and a standard error of sqrt(7) / sqrt(3)."""
    for name, difference in {"a": 0.01, "b": 0.02, "c": 0.06}.items():
        rows = [
            ("new patients", "dice", "PIG", "real", difference),
            ("new patients", "iou", "PIG", "real", 0.5),
            ("folds", "dice", "PIG", "real", 0.5),
            ("new patients", "dice", f"only in {name}", "real", 0.5),
        ]
        (tmp_path / name).mkdir()
        columns = ["tested", "metric", "arm", "against", "difference"]
        pd.DataFrame(rows, columns=columns).to_csv(tmp_path / name / "comparisons.csv", index=False)
    table = side_by_side([tmp_path / name for name in "abc"])
    assert table.index.to_list() == [("PIG", "real")]
    half = stats.t.ppf(0.975, 2) * np.sqrt(7 / 3)
    assert np.allclose(table.iloc[0, :6].astype(float), [1, 2, 6, 3, 3 - half, 3 + half])
