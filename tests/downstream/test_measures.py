"""Measures of outlines and lesions, summed up over slices, patients and folds."""

import numpy as np
import pandas as pd
import pytest

from pig.evaluation.statistics import FOLDS, NEW, crossed_mean
from pig.report.measures import densities_of, in_brief, measures, patient_measures, thirds
from pig.report.slices import SLICE_COLUMNS

Row = tuple[int, int, str, int, int, int, int, int, float, float, int, int, int]


def frame(*rows: Row) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=SLICE_COLUMNS)


# fold, seed, patient, slice; tp, fp, fn, tn; hd95, nsd; lesions, found, false
SLICES = [
    (0, 0, "a", 0, 2, 2, 2, 94, 3.0, 0.5, 1, 1, 0),
    (0, 0, "a", 1, 0, 4, 6, 90, 9.0, 0.1, 3, 1, 2),
    (0, 1, "a", 0, 4, 0, 0, 96, 0.0, 1.0, 1, 1, 0),
    (0, 1, "a", 1, 6, 0, 0, 94, 0.0, 1.0, 3, 3, 0),
    (1, 0, "b", 2, 0, 0, 0, 100, 0.0, 1.0, 0, 0, 0),  # a patient without a lesion
    (1, 0, "b", 3, 0, 5, 0, 95, 9.0, 0.0, 0, 0, 2),
    (1, 1, "b", 2, 0, 5, 0, 95, 9.0, 0.0, 0, 0, 1),
    (1, 1, "b", 3, 0, 1, 0, 99, 9.0, 0.0, 0, 0, 1),
    (1, 0, "c", 4, 5, 0, 0, 95, 0.0, 1.0, 1, 1, 0),  # one with a slice of each kind
    (1, 0, "c", 5, 0, 5, 0, 95, 9.0, 0.0, 0, 0, 1),
    (1, 1, "c", 4, 5, 0, 0, 95, 0.0, 1.0, 1, 1, 0),
    (1, 1, "c", 5, 0, 0, 0, 100, 0.0, 1.0, 0, 0, 0),
]


def test_the_measures_of_a_patient_by_hand() -> None:
    table = patient_measures(frame(*SLICES))
    a, b, c = table.loc[(0, "a")], table.loc[(1, "b")], table.loc[(1, "c")]
    assert a.hd95 == ((3 + 9) / 2 + 0) / 2
    assert a.nsd == ((0.5 + 0.1) / 2 + 1) / 2
    assert a.lesions_found == (2 / 4 + 4 / 4) / 2  # of all of her lesions, and not the mean of slices
    assert a.false_lesions == (2 / 2 + 0) / 2  # a slice
    assert a.dice == (4 / (4 + 6 + 8) + 1) / 2
    assert np.isnan(a.false_alarms)
    assert b.dropna().to_dict() == {"false_alarms": (1 / 2 + 1) / 2}  # of slices, and not of pixels or pieces
    assert (c.false_alarms, c.false_lesions, c.hd95, c.nsd) == (1 / 2, 1 / 4, 0, 1)  # outlines where there is one
    assert c.dice == (10 / 15 + 1) / 2


def test_patients_without_a_lesion_change_the_false_alarms_alone() -> None:
    """Whoever adds them to those that are tested gets all other numbers as before, of each fold and of new patients."""
    frames = [frame(*SLICES), frame(*(row for row in SLICES if row[2] != "b"))]
    for tested in (FOLDS, NEW):
        arms = [rows.assign(fold=0) if tested == NEW else rows for rows in frames]
        with_b, without = (measures({"real": rows}, tested).set_index("measure") for rows in arms)
        pd.testing.assert_frame_equal(with_b.drop("false_alarms"), without.drop("false_alarms"))
        assert (with_b.patients["false_alarms"], without.patients["false_alarms"]) == (2, 1)
        assert with_b["mean"]["false_alarms"] == (3 / 4 + 1 / 2) / 2
    assert "False alarms (% of slices without a lesion)" in in_brief(measures({"real": frames[0]}, FOLDS))


def test_without_slices_without_a_lesion_there_are_no_false_alarms() -> None:
    rows = frame(*(row for row in SLICES if row[2] == "a"))
    assert "false_alarms" not in set(measures({"real": rows}, FOLDS).measure)


def of_sizes(**areas: list[int]) -> pd.DataFrame:
    """A slice with a lesion of each area, or without one: half is found; the smaller, the more false positives."""
    rows = [(name, area) for name, of in areas.items() for area in of]
    return frame(*((0, 0, name, i, area // 2, 200 - area, area - area // 2, 0, 0.0, 1.0, int(area > 0), 0, 0)
                   for i, (name, area) in enumerate(rows)))  # fmt: skip


def test_thirds_are_of_patients_by_the_mean_area_of_slices_with_a_lesion() -> None:
    rows = of_sizes(a=[80], b=[10, 30], c=[20, 24], d=[0], e=[100, 0], f=[2], g=[40])
    assert thirds(rows) == [["f", "b"], ["c", "g"], ["a", "e"]]
    table = patient_measures(rows).loc[0]
    for third, names in zip(("dice_small", "dice_middle", "dice_large"), thirds(rows), strict=True):
        assert table.index[table[third].notna()].tolist() == sorted(names)
        assert table[third].dropna().tolist() == table.dice[sorted(names)].tolist()


def test_dice_is_shown_for_each_density_that_is_known() -> None:
    rows = of_sizes(a=[8], b=[4], c=[40], d=[20])
    table = patient_measures(rows, {"a": "b", "c": "b", "d": "d", "z": "a"}).loc[0]
    assert [name for name in table if name.startswith("dice_density_")] == ["dice_density_b", "dice_density_d"]
    assert table.index[table.dice_density_b.notna()].tolist() == ["a", "c"]
    assert table.dice_density_d.dropna().to_dict() == {"d": table.dice["d"]}
    found = measures({"real": rows, "more": rows}, FOLDS, {"a": "b", "c": "b", "d": "d"})
    assert found.set_index(["arm", "measure"])["mean"]["more", "dice_density_b"] == table.dice[["a", "c"]].mean()
    assert [*in_brief(found)][-2:] == ["of density b (%)", "of density d (%)"]


def test_a_patient_has_a_density_if_all_her_rows_say_the_same() -> None:
    said = {"patient_id": [*"aabbccd"], "density": ["b", "b", "c", None, "a", "b", None]}
    assert densities_of(pd.DataFrame(said)) == {"a": "b", "b": "c"}
    assert densities_of(pd.DataFrame({"patient_id": ["a"]})) == {}


def test_of_few_patients_a_third_may_be_empty() -> None:
    assert thirds(of_sizes(a=[5])) == [["a"], [], []]
    found = measures({"real": of_sizes(a=[5])}, FOLDS)
    assert "dice_small" in set(found.measure) and not {"dice_middle", "dice_large"} & set(found.measure)


def crossed(values: np.ndarray) -> pd.DataFrame:
    """The HD95 [folds, patients] of new patients."""
    folds, patients = values.shape
    return frame(*((k, 0, f"p{i}", i, 2, 2, 2, 94, values[k, i], 0.5, 1, 1, 0)
                   for k in range(folds) for i in range(patients)))  # fmt: skip


def test_intervals_of_new_patients_are_those_of_dice() -> None:
    """Networks and patients are crossed; the difference is paired, and so narrower than the two means."""
    rng = np.random.default_rng(3)
    real = rng.uniform(2, 9, (1, 12)) + rng.normal(0, 0.3, (4, 12))
    better = real - 1 + rng.normal(0, 0.1, (4, 12))
    found = measures({"real": crossed(real), "+a": crossed(better)}, NEW)
    first, second = (found[(found.arm == arm) & (found.measure == "hd95")].iloc[0] for arm in ("real", "+a"))
    for row, values in ((first, real), (second, better)):
        expected = crossed_mean(values)
        assert row["mean"] == pytest.approx(values.mean()) == pytest.approx(expected.value)
        assert [row.low, row.high] == pytest.approx(expected.interval()[:2])
        assert (row.patients, row.folds) == (12, 4)
    expected = crossed_mean(better - real)
    assert second.difference == pytest.approx((better - real).mean())
    assert [second.low_difference, second.high_difference] == pytest.approx(expected.interval()[:2])
    assert second.high_difference - second.low_difference < (second.high - second.low) / 5
    assert np.isnan(first.difference)


def test_means_of_folds_weigh_folds_and_one_fold_has_no_interval() -> None:
    """Fold 0 has patients of HD95 1 and 3, fold 1 one of 8: 2 and 8, mean 5, standard error 3, one degree."""
    rows = [(0, "a", 1.0), (0, "b", 3.0), (1, "c", 8.0)]
    arm = frame(*((fold, 0, name, i, 2, 2, 2, 94, hd95, 0.5, 1, 1, 0) for i, (fold, name, hd95) in enumerate(rows)))
    row = measures({"real": arm}, FOLDS).set_index("measure").loc["hd95"]
    assert (row["mean"], row.patients, row.folds) == (5, 3, 2)
    half = 12.706204736 * 3  # Student's t of one degree
    assert [row.low, row.high] == pytest.approx([5 - half, 5 + half])
    alone = measures({"real": arm[arm.fold == 0]}, FOLDS).set_index("measure").loc["hd95"]
    assert alone["mean"] == 2 and np.isnan(alone.low) and np.isnan(alone.high)


def test_lesions_found_are_of_the_patients_who_have_one() -> None:
    row = measures({"real": frame(*SLICES)}, FOLDS).set_index("measure").loc["lesions_found"]
    assert (row["mean"], row.patients, row.folds) == ((0.75 + 1) / 2, 2, 2)


def test_in_brief_a_row_for_each_arm_of_new_patients_in_percent_where_it_is_a_share() -> None:
    line = {"measure": "nsd", "mean": 0.5, "low": 0.4567, "high": 0.6}
    found = pd.DataFrame(
        [
            line | {"tested": NEW, "arm": "real"},
            line | {"tested": NEW, "arm": "+a", "measure": "hd95", "mean": 5, "low": np.nan, "high": np.nan},
            line | {"tested": NEW, "arm": "+a", "measure": "dice"},
            line | {"tested": FOLDS, "arm": "+a", "mean": 0.9},
        ]
    )
    brief = in_brief(found)
    assert brief.columns.tolist() == ["Dataset", "HD95 (pixels)", "NSD (%)"]
    assert brief.to_numpy().tolist() == [["real", "", "50.0 (45.7 to 60.0)"], ["+a", "5.00", ""]]
