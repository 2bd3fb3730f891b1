"""What the benchmarks compute beyond calling the project."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks import replication
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
