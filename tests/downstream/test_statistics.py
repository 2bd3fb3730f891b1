"""Intervals, tests and corrections against closed forms, by hand, and over repeated simulations."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pig.evaluation import statistics
from pig.evaluation.statistics import (
    FOLDS,
    NEW,
    bootstrap_interval,
    compare,
    crossed_mean,
    false_claim_risk,
    holm,
    mean_of_folds,
    mean_over,
    patient_scores,
    permutation_p,
    probability_of_best,
)


def arm(dice: dict[tuple[int, str], list[float]], seed: int = 0) -> pd.DataFrame:
    """The slices of an arm: (fold, patient) -> Dice of each slice, from 100 pixels of lesion, all found in part."""
    rows, number = [], 0
    for (fold, patient), values in dice.items():
        for value in values:
            tp = round(100 * value / (2 - value))  # Dice = 2 tp / (tp + 100) without false positives
            rows.append((fold, seed, patient, number, tp, 0, 100 - tp, 900))
            number += 1
    return pd.DataFrame(rows, columns=["fold", "seed", "patient_id", "slice", "tp", "fp", "fn", "tn"])


def study(gain: float, spread: float, rng: np.random.Generator, patients: int = 40) -> dict[str, pd.DataFrame]:
    base = rng.uniform(0.3, 0.6, patients)
    names = {(i % 5, f"p{i}"): i for i in range(patients)}
    changed = base + gain + spread * rng.standard_normal(patients)
    return {
        "real": arm({key: [base[i]] for key, i in names.items()}),
        "+a": arm({key: [float(np.clip(changed[i], 0, 1))] for key, i in names.items()}),
    }


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 499)


def test_a_patients_score_is_of_its_summed_counts_averaged_over_seeds() -> None:
    rows = pd.DataFrame(
        [
            (0, 0, "a", 0, 2, 0, 2, 6), (0, 0, "a", 1, 0, 4, 0, 6),  # 2 tp 4, fp 4, fn 2: 4/10
            (0, 1, "a", 0, 4, 0, 0, 6), (0, 1, "a", 1, 0, 0, 0, 10),  # 1
            (1, 0, "b", 2, 1, 1, 1, 7), (1, 1, "b", 2, 1, 1, 1, 7),  # 1/2
            (1, 0, "c", 3, 0, 0, 0, 10), (1, 1, "c", 3, 0, 1, 0, 9),  # no lesion, and no score
        ],
        columns=["fold", "seed", "patient_id", "slice", "tp", "fp", "fn", "tn"],
    )  # fmt: skip
    scores = patient_scores(rows)
    assert scores.dice.to_dict() == {(0, "a"): pytest.approx(0.7), (1, "b"): pytest.approx(0.5)}
    assert scores.precision[0, "a"] == pytest.approx((2 / 6 + 1) / 2)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([]) == []
    assert holm([math.nan, 0.01, 0.04]) == pytest.approx([math.nan, 0.02, 0.04], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lowers_nothing(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(0 <= before <= after <= 1 for before, after in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= -1e-12).all()


def test_the_interval_of_folds_is_students() -> None:
    means = np.array([0.01, 0.03, 0.02, 0.06, -0.01])
    theirs = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert mean_of_folds(means).interval()[:2] == pytest.approx((theirs.low, theirs.high))
    assert all(map(math.isnan, mean_of_folds(means[:1]).interval()[:2]))
    assert math.isnan(mean_of_folds(means[:1]).smallest_visible())


def test_what_can_be_seen_is_students_too() -> None:
    means = np.array([0.01, 0.03, 0.02, 0.06, -0.01])
    # Student's t of 4 degrees at 97.5 and at 80 %.
    assert mean_of_folds(means).smallest_visible() == pytest.approx((2.776445 + 0.940965) * stats.sem(means))


def test_the_p_of_folds_is_students() -> None:
    means = np.array([0.01, 0.03, 0.02, 0.06, -0.01])
    assert mean_of_folds(means).p() == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert mean_of_folds(np.zeros(3)).p() == 1
    assert mean_of_folds(np.full(3, 0.25)).p() == 0


def test_networks_and_patients_crossed_by_hand() -> None:
    """Rows are networks. Means of rows 2, 4, of columns 1, 3, 5; nothing is left but in the last column.

    MS_R = 3 * 2 = 6, MS_C = 2 * 4 = 8, and what is left: -0, 0 by rows and columns, so that MS_RC = 0.
    """
    found = crossed_mean(np.array([[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]]))
    assert found.value == 3
    assert found.error == pytest.approx(math.sqrt((6 + 8) / 6))
    assert found.degrees == pytest.approx((6 + 8) ** 2 / (6**2 / 1 + 8**2 / 2))


def test_what_is_left_of_networks_and_patients_is_taken_from_the_patients() -> None:
    """[[1, -1], [-1, 1]]: all means are 0, MS_R = MS_C = 0, MS_RC = 4; the patients' part is not negative."""
    assert crossed_mean(np.array([[1.0, -1.0], [-1.0, 1.0]])) == (0, 0, 1)
    found = crossed_mean(np.array([[3.0, -1.0], [-1.0, 1.0]]))  # rows 1, 0; columns 1, 0; mean 0.5
    assert found.error == pytest.approx(math.sqrt(1 / 4))  # MS_R = 1, MS_C = 1, MS_RC = 9
    assert found.degrees == 1  # by the formula 1 / (1 + 1 + 81), and never below those of 2 networks
    found = crossed_mean(np.array([[3.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]]))  # MS_R = MS_C = 0.5, MS_RC = 4.5
    assert found.error == pytest.approx(math.sqrt(0.5 / 8))
    assert found.degrees == 1  # by the formula 0.04, and those of 2 networks, however many the patients


def test_mean_squares_are_those_of_a_table_of_variance() -> None:
    """3 networks, 4 patients, each sum of squares by its definition; its degrees of freedom are 2, 3 and 2 * 3."""
    table = [[3.0, 1.0, 5.0, 2.0], [4.0, 2.0, 9.0, 2.0], [5.0, 6.0, 7.0, 8.0]]
    rows, columns = [sum(row) / 4 for row in table], [sum(column) / 3 for column in zip(*table, strict=True)]
    mean = sum(rows) / 3
    of_rows = 4 * sum((row - mean) ** 2 for row in rows) / 2
    of_columns = 3 * sum((column - mean) ** 2 for column in columns) / 3
    left = sum((table[i][j] - rows[i] - columns[j] + mean) ** 2 for i in range(3) for j in range(4)) / 6
    assert of_columns > left > 0
    found = crossed_mean(np.array(table))
    assert found.error == pytest.approx(math.sqrt((of_rows + of_columns - left) / 12))
    by_hand = (of_rows + of_columns - left) ** 2 / (of_rows**2 / 2 + of_columns**2 / 3 + left**2 / 6)
    assert found.degrees == pytest.approx(max(by_hand, 2))


@pytest.mark.parametrize(("of_networks", "of_patients"), [(0.02, 0.1), (0.005, 0.2), (0.0, 0.1)])
def test_the_crossed_interval_covers_the_truth(of_networks: float, of_patients: float) -> None:
    """95 % are claimed, over new networks and new patients; where networks do not differ it may cover more."""
    rng, covered = np.random.default_rng(7), 0
    for _ in range(1500):
        differences = (
            0.03
            + of_networks * rng.standard_normal((5, 1))
            + of_patients * rng.standard_normal((1, 60))
            + 0.1 * rng.standard_normal((5, 60))
        )
        low, high, _ = crossed_mean(differences).interval()
        covered += low <= 0.03 <= high
    assert 0.93 < covered / 1500 < 0.985


@pytest.mark.parametrize("patients", [4, 12])
def test_with_few_new_patients_a_null_is_not_found_more_often(patients: int) -> None:
    """By the first term of the degrees of freedom alone (Hillis 2007) it is in 14 and in 8 %."""
    rng, found = np.random.default_rng(8), 0
    for _ in range(1500):
        of_patients, left = rng.standard_normal((1, patients)), 0.7 * rng.standard_normal((5, patients))
        found += crossed_mean(0.1 * rng.standard_normal((5, 1)) + of_patients + left).p() < 0.05
    assert 0.02 < found / 1500 < 0.07


def test_what_the_folds_can_see_is_seen_in_four_studies_of_five() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(0, 0.02, 20)
    delta = mean_of_folds(means).smallest_visible() / (means.std(ddof=1) / 0.02)  # at the true deviation
    seen = [stats.ttest_1samp(rng.normal(delta, 0.02, 20), 0).pvalue < 0.05 for _ in range(2000)]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.03)


@pytest.mark.usefixtures("quick")
def test_the_interval_of_patients_covers_the_truth() -> None:
    """On skewed differences of 60 patients; 95 % are claimed."""
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        differences = rng.exponential(0.05, 60) - 0.03
        low, high, method = bootstrap_interval(differences, trial)
        assert method == "BCa"
        covered += low <= 0.02 <= high
    assert 0.90 < covered / 300 < 0.985


def test_where_all_differences_are_equal_the_interval_is_that_point() -> None:
    assert bootstrap_interval(np.full(10, 0.5), 0) == (0.5, 0.5, "percentile")
    assert bootstrap_interval(np.full(10, 0.04), 0)[:2] == pytest.approx((0.04, 0.04))


@pytest.mark.usefixtures("quick")
def test_a_null_is_found_as_often_as_claimed() -> None:
    rng = np.random.default_rng(2)
    found = np.mean([permutation_p(rng.normal(0, 1, 30) ** 3, trial) <= 0.05 for trial in range(400)])
    assert 0.025 < found < 0.08


def test_a_difference_is_found_and_its_sign_does_not_matter() -> None:
    differences = np.random.default_rng(3).normal(0.05, 0.05, 40)
    assert permutation_p(differences, 0) < 0.01
    assert permutation_p(-differences, 0) == pytest.approx(permutation_p(differences, 0), abs=0.002)


def test_exchanging_the_arms_of_three_patients_leaves_a_quarter_as_extreme() -> None:
    assert permutation_p(np.array([1.0, 1.0, 1.0]), 0) == 0.25  # +++ and ---, of 8
    assert permutation_p(np.array([3.0, 1.0, -1.0]), 0) == 0.75  # of the sums 5, 3, 3 and 1 three are 3 or more
    assert permutation_p(np.zeros(3), 0) == 1.0


@pytest.mark.parametrize(("patients", "within"), [(9, 1e-12), (40, 0.03)])
def test_the_permutation_test_is_scipys(patients: int, within: float) -> None:
    for trial in range(5):
        differences = np.random.default_rng(trial).normal(0.01, 0.05, patients)
        pair = (differences, np.zeros(patients))
        theirs = stats.permutation_test(
            pair, lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", n_resamples=9_999, vectorized=True,
            rng=trial,
        ).pvalue  # fmt: skip
        assert permutation_p(differences, trial) == pytest.approx(theirs, abs=within)


def test_the_risk_of_a_false_claim_is_students() -> None:
    differences = np.random.default_rng(4).normal(0.01, 0.05, 25)
    one_sided = stats.ttest_1samp(differences, 0, alternative="greater" if differences.mean() > 0 else "less").pvalue
    assert false_claim_risk(differences) == pytest.approx(one_sided)
    assert false_claim_risk(np.zeros(5)) == 0.5
    assert false_claim_risk(np.full(5, 0.1)) == 0


def test_the_mean_is_of_folds_or_of_networks_and_patients() -> None:
    """Of folds: 2 (of 1 and 3) and 8, so 5 with standard error 3 and one degree. A single new patient has no error."""
    index = pd.MultiIndex.from_tuples([(0, "a"), (0, "b"), (1, "c")], names=["fold", "patient_id"])
    assert mean_over(pd.Series([1.0, 3.0, 8.0], index), FOLDS) == pytest.approx((5, 3, 1))
    crossed = pd.MultiIndex.from_product([[0, 1], ["a", "b", "c"]], names=["fold", "patient_id"])
    values = np.array([1.0, 2.0, 4.0, 1.5, 2.0, 5.0])
    assert mean_over(pd.Series(values, crossed), NEW) == crossed_mean(values.reshape(2, 3))
    alone = mean_over(pd.Series([1.0, 3.0], pd.MultiIndex.from_product([[0, 1], ["a"]], names=crossed.names)), NEW)
    assert alone.value == 2 and math.isnan(alone.error) and math.isnan(alone.interval().low)


@pytest.mark.usefixtures("quick")
def test_the_probability_of_best_adds_up() -> None:
    rng = np.random.default_rng(5)
    scores = rng.uniform(0.4, 0.6, (50, 1)) + np.array([0.0, 0.1, 0.1, 0.05])
    assert probability_of_best(scores, 0) == pytest.approx([0, 0.5, 0.5, 0])


@pytest.mark.usefixtures("quick")
def test_a_gain_is_told_from_noise() -> None:
    rng = np.random.default_rng(6)
    clear, nothing = (compare(study(gain, 0.05, rng)) for gain in (0.1, 0.0))
    (row,) = clear[clear.metric == "dice"].to_dict("records")
    assert (row["arm"], row["against"], row["patients"], row["folds"], row["seeds"]) == ("+a", "real", 40, 5, 1)
    assert row["low"] < row["difference"] < row["high"]
    assert row["low_folds"] < row["difference"] < row["high_folds"]
    assert row["low"] > 0.05
    assert row["difference"] == pytest.approx(0.1, abs=0.03)
    assert row["p"] == row["p_holm"] < 0.05
    assert row["p_given"] < 0.01
    assert row["best"] == 1
    assert row["false_claim"] < 1e-6
    (row,) = nothing[nothing.metric == "dice"].to_dict("records")
    assert row["low"] < 0 < row["high"]
    assert row["p"] > 0.05
    assert row["smallest_visible"] > abs(row["difference"])


@pytest.mark.usefixtures("quick")
def test_the_difference_of_folds_is_the_middle_of_its_interval() -> None:
    """Folds of 6, 1 and 1 patients that gain 0.1, 0.3 and 0.2: 0.2 over folds, 0.1375 over patients."""
    folds = ((0, 0.1, 6), (1, 0.3, 1), (2, 0.2, 1))
    gains = {(fold, f"p{fold}{i}"): gain for fold, gain, count in folds for i in range(count)}
    arms = {"real": arm({key: [0.4] for key in gains}), "+a": arm({key: [0.4 + gain] for key, gain in gains.items()})}
    (row,) = compare(arms).query("metric == 'dice'").to_dict("records")
    assert row["difference"] == pytest.approx(0.2, abs=0.005)
    assert row["difference"] == pytest.approx((row["low_folds"] + row["high_folds"]) / 2)
    # Given the networks it is the same mean, in which the patient of a small fold weighs more.
    assert row["low"] <= row["difference"] <= row["high"]
    many = compare(arms | {"+b": arm({key: [0.4 + (0.25 if key[0] == 0 else 0.0)] for key in gains})})
    best = many.query("metric == 'dice' and arm == '+a' and against == 'real'").best.item()
    assert best > 0.6  # over patients alone +b is the better one, by 0.05
    gained = patient_scores(arms["+a"]).dice - patient_scores(arms["real"]).dice
    means = gained.groupby("fold").mean()
    assert row["p"] == pytest.approx(stats.ttest_1samp(means, 0).pvalue)


def test_without_a_gain_a_claim_is_rare_though_the_networks_of_folds_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six arms that add nothing, of 24 patients in each of five folds: trainings differ, by fold, as much as means do.

    Given the networks, p says that something was found in most of these studies; 5 % may have a claim, by Holm's bound.
    """
    monkeypatch.setattr(statistics, "RESAMPLES", 99)
    rng, claims, seen = np.random.default_rng(9), 0, 0
    patients = [(fold, f"p{fold}{i}") for fold in range(5) for i in range(24)]
    index = pd.MultiIndex.from_tuples(patients, names=["fold", "patient_id"])

    def scores() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.repeat(rng.normal(0, 0.04, 5), 24) + rng.normal(0, 0.05, 120)

    for _ in range(150):
        real = scores()
        found = [statistics._pair(pd.Series(scores() - real, index), FOLDS, 0) for _ in range(6)]
        claims += any(p < 0.05 for p in holm([one["p"] for one in found]))
        seen += any(one["p_given"] < 0.05 for one in found)
    assert claims / 150 < 0.1
    assert seen / 150 > 0.6


@pytest.mark.usefixtures("quick")
def test_each_arm_is_held_against_real_data_and_the_best_other_arm() -> None:
    arms = {
        label: arm({(i % 2, f"p{i}"): [0.4 + gain + 0.01 * i] for i in range(8)})
        for label, gain in (("real", 0.0), ("+a", 0.1), ("+b", 0.3), ("+c", 0.2))
    }
    found = compare(arms)
    assert set(found.metric) == {"dice", "iou", "precision", "recall"}
    dice = found[found.metric == "dice"]
    assert list(zip(dice.arm, dice.against, strict=True)) == [
        ("+a", "real"), ("+b", "real"), ("+c", "real"), ("+a", "+b"), ("+b", "+c"), ("+c", "+b"),
    ]  # fmt: skip
    assert dice.difference.tolist() == pytest.approx([0.1, 0.3, 0.2, -0.2, 0.1, -0.1], abs=0.01)
    assert dice.p_holm[:3].tolist() == pytest.approx(holm(dice.p[:3].tolist()))
    assert compare(arms).equals(found)  # the same each time
    assert set(dice.interval) == {"BCa"}
    assert compare({label: arms[label] for label in ("real", "+a")})["against"].unique().tolist() == ["real"]


@pytest.mark.usefixtures("quick")
def test_new_patients_are_tested_by_every_fold() -> None:
    rng = np.random.default_rng(8)
    base = rng.uniform(0.3, 0.6, 30)

    def tested(gain: float) -> pd.DataFrame:
        return arm({(k, f"p{i}"): [base[i] + gain + 0.01 * (k - 1)] for k in range(3) for i in range(30)})

    arms = {"real": tested(0.0), "+a": tested(0.1), "control: +new": tested(0.2), "control: wrong": tested(-0.1)}
    found = compare(arms, {"control: +new": "oracle", "control: wrong": "shuffled"}, NEW)
    dice = found[found.metric == "dice"]
    assert list(zip(dice.arm, dice.against, strict=True)) == [
        ("+a", "real"), ("control: +new", "real"), ("control: wrong", "real"),
        ("+a", "control: +new"), ("control: wrong", "control: +new"),
        ("+a", "control: wrong"), ("control: +new", "control: wrong"),
    ]  # fmt: skip
    assert dice.kind.tolist() == ["method", "oracle", "shuffled", "method", "shuffled", "method", "oracle"]
    assert set(dice.tested) == {"new patients"}
    assert set(dice.patients) == {30}
    assert set(dice.folds) == {3}
    assert dice.difference.tolist() == pytest.approx([0.1, 0.2, -0.1, -0.1, -0.3, 0.2, 0.3], abs=0.01)
    assert (dice.high_folds - dice.low_folds < 0.02).all()
    assert (dice.p < 1e-3).all()
    real, methods = dice[dice.against == "real"], ["+a"]
    for family in (real[real.arm.isin(methods)], real[~real.arm.isin(methods)]):  # controls are one of their own
        assert family.p_holm.tolist() == pytest.approx(holm(family.p.tolist()))
    assert (dice.set_index("arm").best.loc["control: +new"] == 1).all()


@pytest.mark.usefixtures("quick")
def test_what_is_shown_of_two_controls_does_not_depend_on_which_is_named_first() -> None:
    """c has the smaller p of two held against b, b the larger of two against c: the more cautious one is of both."""
    rng = np.random.default_rng(3)
    noise = {label: rng.normal(0, sd, (4, 12)) for label, sd in {"real": 0.01, "a": 0.01, "b": 0.08, "c": 0.01}.items()}

    def tested(label: str, gain: float) -> pd.DataFrame:
        return arm({(k, f"p{i}"): [0.5 + gain + noise[label][k, i]] for k in range(4) for i in range(12)})

    arms = {label: tested(label, gain) for label, gain in (("real", 0.0), ("a", 0.03), ("b", 0.03), ("c", 0.0))}
    found = compare(arms, dict.fromkeys("abc", "augmentation"), NEW)
    dice = found[found.metric == "dice"].set_index(["arm", "against"])
    p = dice.p.to_dict()
    assert p["b", "c"] == pytest.approx(p["c", "b"])
    against_b = dict(zip("ac", holm([p["a", "b"], p["c", "b"]]), strict=True))
    against_c = dict(zip("ab", holm([p["a", "c"], p["b", "c"]]), strict=True))
    assert dice.p_holm["b", "c"] == dice.p_holm["c", "b"] == pytest.approx(max(against_b["c"], against_c["b"]))
    assert against_b["c"] != pytest.approx(against_c["b"])


@pytest.mark.usefixtures("quick")
def test_the_best_other_arm_has_the_greatest_mean_over_folds() -> None:
    """Folds of 1 and 9 patients: +a has 1.0 and 0.4, 0.7 over folds and 0.46 over patients; +b has 0.5 everywhere."""
    names = [(int(i > 0), f"p{i}") for i in range(10)]
    dice = {"real": (0.4, 0.4), "+a": (1.0, 0.4), "+b": (0.5, 0.5), "+c": (0.3, 0.3)}
    found = compare({label: arm({key: [of[key[0]]] for key in names}) for label, of in dice.items()})
    rivals = found[(found.metric == "dice") & (found.against != "real")]
    assert dict(zip(rivals.arm, rivals.against, strict=True)) == {"+a": "+b", "+b": "+a", "+c": "+a"}


def test_given_the_networks_a_new_patient_counts_with_her_mean_over_them() -> None:
    """All gain 0.2 by one network and lose 0.2 by the other."""
    index = pd.MultiIndex.from_product([[0, 1], [*"abcd"]], names=["fold", "patient_id"])
    found = statistics._pair(pd.Series([0.2] * 4 + [-0.2] * 4, index), NEW, 0)
    assert (found["low"], found["high"], found["p_given"]) == (0, 0, 1)


def test_of_new_patients_whole_patients_are_drawn_again() -> None:
    """A gains 0.2 and B loses 0.12 in both folds: the arm is best unless B is drawn twice, in 3 of 4 draws.

    Were fold and patient drawn together, it would be best in 11 of 16.
    """

    def tested(a: float, b: float) -> pd.DataFrame:
        return arm({(k, name): [value] for k in range(2) for name, value in (("A", a), ("B", b))})

    found = compare({"real": tested(0.4, 0.4), "+a": tested(0.6, 0.28)}, None, NEW)
    assert found[found.metric == "dice"].best.tolist() == pytest.approx([0.75], abs=0.02)
