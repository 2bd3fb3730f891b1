import re
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pig.commands import control
from pig.report.reading import against_controls, reading
from pig.report.slices import SLICE_COLUMNS, read_arms, read_slices
from pig.report.tables import (
    score_runs,
    scores,
    table1,
    table2,
    write_table,
    write_table1,
    write_table2,
)
from pig.system.errors import UserError
from pig.system.files import write_sealed

Row = tuple[str, int, int, int, int, int]  # patient_id, slice, tp, fp, fn, tn
MEASURED = (0.5, 1.0, 1, 1, 0)  # hd95, nsd, lesions, found, false_lesions, which table 2 does not depend on


def slices(path: Path, fold: int, seed: int, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([(fold, seed, *row, *MEASURED) for row in rows], columns=SLICE_COLUMNS).to_csv(path, index=False)
    return path


# Dice, IoU, precision, recall by hand:                1/2,  1/3,  1/2, 1/2
#                                                      6/7,  3/4,  3/4, 1
#                                                      both empty: none
#                                                      nothing found: 0
FOLD0: list[Row] = [("a", 0, 2, 2, 2, 4), ("a", 1, 3, 1, 0, 6), ("b", 2, 0, 0, 0, 10), ("b", 3, 0, 0, 5, 5)]
FOLD0_DICE = (1 / 2 + 6 / 7 + 0) / 3
FOLD0_IOU = (1 / 3 + 3 / 4 + 0) / 3
FOLD0_PRECISION = (1 / 2 + 3 / 4 + 0) / 3
FOLD0_RECALL = (1 / 2 + 1 + 0) / 3
FOLD1: list[Row] = [("c", 4, 4, 0, 0, 6)]  # all 1
FOLD1_WORSE: list[Row] = [("c", 4, 2, 2, 2, 4)]  # Dice 1/2, IoU 1/3, precision 1/2, recall 1/2


@pytest.fixture
def arm(tmp_path: Path) -> list[Path]:
    """Two folds; fold 1 with two seeds, fold 0 with two seeds of the same counts."""
    return [
        slices(tmp_path / "fold0/seed0/slices.csv", 0, 0, FOLD0),
        slices(tmp_path / "fold0/seed1/slices.csv", 0, 1, FOLD0),
        slices(tmp_path / "fold1/seed0/slices.csv", 1, 0, FOLD1),
        slices(tmp_path / "fold1/seed1/slices.csv", 1, 1, FOLD1_WORSE),
    ]


def test_table2_by_hand(arm: list[Path]) -> None:
    table = table2(read_arms({"Phantom": arm}))
    assert list(table.columns) == [
        "Dataset",
        "Dice (%)",
        "IoU (%)",
        "Precision (%)",
        "Recall (%)",
        "Dice SD",
        "IoU SD",
        "Precision SD",
        "Recall SD",
        "Dice SD of seeds",
    ]
    # Fold 1 is the mean of its seeds, then folds are averaged; the deviation of two numbers is |a - b| / sqrt(2).
    folds = np.array([[FOLD0_DICE, FOLD0_IOU, FOLD0_PRECISION, FOLD0_RECALL], [0.75, (1 + 1 / 3) / 2, 0.75, 0.75]])
    np.testing.assert_allclose(table.iloc[0, 1:5].to_numpy(float), 100 * folds.mean(0), rtol=1e-12)
    deviation = 100 * np.abs(folds[0] - folds[1]) / np.sqrt(2)
    np.testing.assert_allclose(table.iloc[0, 5:9].to_numpy(float), deviation, rtol=1e-9, atol=1e-9)
    # Over seeds the variance is 0 in fold 0, and that of 1 and 1/2 in fold 1, 1/8.
    assert table["Dice SD of seeds"].item() == pytest.approx(100 * np.sqrt((0 + 1 / 8) / 2))


def test_slices_weigh_the_same_whatever_the_size_of_the_lesion(tmp_path: Path) -> None:
    rows: list[Row] = [("a", 0, 1, 1, 0, 98), ("a", 1, 90, 0, 0, 10)]
    path = slices(tmp_path / "slices.csv", 0, 0, rows)
    runs = {averaging: score_runs(read_slices([path]), averaging) for averaging in ("per slice", "pooled")}
    assert runs["per slice"].dice.item() == pytest.approx((2 / 3 + 1) / 2)
    assert runs["pooled"].dice.item() == pytest.approx(182 / 183)


@pytest.mark.parametrize("averaging", ["per slice", "per patient", "pooled"])
def test_a_patient_without_a_lesion_counts_in_no_average_and_a_slice_without_one_in_that_of_no_slices(
    tmp_path: Path, averaging: str
) -> None:
    own: list[Row] = [("a", 0, 1, 1, 0, 98), ("a", 1, 0, 3, 0, 97)]
    alone = score_runs(read_slices([slices(tmp_path / "alone.csv", 0, 0, own)]), averaging)
    rows: list[Row] = [*own, ("b", 2, 0, 0, 0, 100), ("c", 3, 0, 9, 0, 91)]
    pd.testing.assert_frame_equal(score_runs(read_slices([slices(tmp_path / "all.csv", 0, 0, rows)]), averaging), alone)
    by_hand = {"per slice": 2 / 3, "per patient": 2 / 6, "pooled": 2 / 6}
    assert alone.dice.item() == pytest.approx(by_hand[averaging])


def test_every_way_of_averaging_by_hand(arm: list[Path]) -> None:
    frame = scores(read_arms({"Phantom": arm}))
    assert list(frame.columns) == ["arm", "fold", "seed", "averaging", "metric", "value"]
    assert len(frame) == 4 * 3 * 4  # runs, averagings, metrics
    fold0 = frame[(frame.fold == 0) & (frame.seed == 1)].set_index(["averaging", "metric"]).value
    assert fold0["per slice", "iou"] == pytest.approx(FOLD0_IOU)
    # Patient a: tp 5, fp 3, fn 2. Patient b: tp 0, fp 0, fn 5.
    assert fold0["per patient", "dice"] == pytest.approx((10 / 15 + 0) / 2)
    assert fold0["per patient", "recall"] == pytest.approx((5 / 7 + 0) / 2)
    # Pooled: tp 5, fp 3, fn 7.
    assert fold0["pooled", "dice"] == pytest.approx(10 / 20)
    assert fold0["pooled", "precision"] == pytest.approx(5 / 8)
    assert frame.value.between(0, 1).all()


def test_one_fold_has_no_deviation(tmp_path: Path) -> None:
    write_table2([("Phantom", [slices(tmp_path / "slices.csv", 3, 0, FOLD0)])], tmp_path / "table2.csv")
    lines = (tmp_path / "table2.csv").read_text().splitlines()
    assert lines[1] == "Phantom,45.24,36.11,41.67,50.00,,,,"
    assert pd.read_csv(tmp_path / "table2.csv").iloc[0, 5:].isna().all()
    assert "nan" not in (tmp_path / "table2.md").read_text() + (tmp_path / "table2.tex").read_text()


def test_table2_is_written_in_three_forms_with_the_scores(arm: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "results/table2.csv"
    write_table2([("Phantom", arm), ("+PIG_1024", arm)], out)
    # Dice 100 * ((1/2 + 6/7) / 3 + 3/4) / 2 = 60.11...; SD 100 * (3/4 - 0.452...) / sqrt 2 = 21.04...
    assert out.read_text().splitlines()[1].startswith("Phantom,60.12,51.39,58.33,62.50,21.04,21.61,23.57,17.68")
    markdown = out.with_suffix(".md").read_text().splitlines()
    assert [cell.strip() for cell in markdown[0].split("|")][1:6] == [
        "Dataset",
        "Dice (%)",
        "IoU (%)",
        "Precision (%)",
        "Recall (%)",
    ]
    assert markdown[3].startswith("| +PIG_1024 |") and len({len(line) for line in markdown[:4]}) == 1
    assert markdown[4] == ""
    assert markdown[5].startswith("- What follows is of the 3 patients of the folds and of Dice a patient")
    assert markdown[6].startswith(
        "- The smallest difference in Dice to Phantom that this design can show (80 % power, 5 %) is 0.0"
    )
    assert markdown[7].startswith("- Scores are means over 2 seeds of each segmentation")
    assert markdown[8:] == [
        "- +PIG_1024: +0.0; +0.0 to +0.0 over 2 folds, +0.0 to +0.0 given the trained networks: not shown to differ "
        "from Phantom."
    ]
    latex = out.with_suffix(".tex").read_text()
    assert r"+PIG\_1024 & 60.12" in latex and r"Dice (\%)" in latex and latex.count(r"\\") == 3
    all_scores = pd.read_csv(out.with_name("scores.csv"))
    assert all_scores.columns.tolist() == ["arm", "fold", "seed", "averaging", "metric", "value", "tested"]
    assert all_scores.arm.tolist() == ["Phantom"] * 48 + ["+PIG_1024"] * 48
    comparisons = pd.read_csv(out.with_name("comparisons.csv"))
    assert comparisons.metric.tolist() == ["dice", "iou", "precision", "recall"]
    assert (comparisons.patients == 3).all() and (comparisons.difference == 0).all() and (comparisons.p == 1).all()
    names = ["cases.csv", "comparisons.csv", "measures.csv", "scores.csv", "table2.csv", "table2.md", "table2.tex"]
    assert sorted(file.name for file in out.parent.iterdir()) == names


def test_markdown_keeps_digits_as_they_are(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"Method": ["007", "1e3"], "x": [1.5, 2.0]}), tmp_path / "t.csv")
    rows = [line.replace(" ", "") for line in (tmp_path / "t.md").read_text().splitlines()]
    assert re.fullmatch(r"\|:-+\|-+:\|", rows[1])  # text to the left, numbers to the right
    assert rows[2:] == ["|007|1.50|", "|1e3|2.00|"]


def test_special_characters_of_a_label_survive(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"Method": ["50% a|b & c_d", "007"], "x": [1.0, 2.345]}), tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv", dtype=str).Method.tolist() == ["50% a|b & c_d", "007"]
    assert r"50% a\|b & c_d" in (tmp_path / "t.md").read_text() and "| 007" in (tmp_path / "t.md").read_text()
    assert r"50\% a|b \& c\_d & 1.00" in (tmp_path / "t.tex").read_text()


# Bad slices


def harmed(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text().replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed", "sed", "columns fold, sed"),
        ("2,0,0,0,10,0.5", "2,0,0,0,10,nan", "line 4: hd95 is 'nan', expected a number, 0 or more"),
        ("2,0,0,0,10,0.5,1.0", "2,0,0,0,10,0.5,-1.0", "line 4: nsd is '-1.0'"),
        ("2,0,0,0,10,0.5,1.0,1,1,0", "2,0,0,0,10,0.5,1.0,1,1,0.5", "line 4: false_lesions is '0.5', expected a whole"),
        ("0,0,b,2,0,0,0,10", "0,0,b,2,0,0,-1,11", "line 4: fn is '-1'"),
        ("0,0,b,2,0,0,0,10", "0,0,b,2,0,0,0,", "line 4: tn is ''"),
        ("0,0,b,2,0,0,0,10", "0,0,b,2,0,0.5,0,9", "line 4: fp is '0.5'"),
        ("0,0,b,2,0,0,0,10", "0,0,b,1,0,0,0,10", "slice 1 of fold 0, seed 0 is there twice"),
        ("0,0,b,2,0,0,0,10", "0,0,b,2,0,0,0,10,1", "not a readable CSV"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = harmed(slices(tmp_path / "broken.csv", 0, 0, FOLD0), old, new)
    with pytest.raises(UserError, match=f"broken.csv.*{words}"):
        read_slices([path])


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.csv does not exist"):
        read_slices([tmp_path / "absent.csv"])
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UserError, match=r"empty\.csv is not a readable CSV"):
        read_slices([tmp_path / "empty.csv"])
    with pytest.raises(UserError, match=r"none\.csv has no rows"):
        read_slices([slices(tmp_path / "none.csv", 0, 0, [])])


def test_the_same_run_twice_is_refused(arm: list[Path]) -> None:
    with pytest.raises(UserError, match="twice"):
        read_slices([*arm, arm[0]])


def test_an_arm_that_lacks_a_run_is_named(arm: list[Path]) -> None:
    with pytest.raises(UserError, match=r"'\+PIG' lacks the slices.csv of fold 1, seed 0, which arm 'Phantom' has"):
        read_arms({"Phantom": arm, "+PIG": [arm[0], arm[1], arm[3]]})
    with pytest.raises(UserError, match=r"'Phantom' lacks the slices\.csv of fold 1, seed 0"):
        read_arms({"Phantom": [arm[0], arm[1], arm[3]], "+PIG": arm})


@pytest.mark.parametrize(
    "other",
    [
        [("c", 5, 4, 0, 0, 6)],  # another slice
        [("d", 4, 4, 0, 0, 6)],  # another patient
        [("c", 4, 4, 0, 1, 5)],  # another true mask
        [("c", 4, 4, 0, 0, 12)],  # another image size
        [("c", 4, 4, 0, 0, 6), ("c", 5, 4, 0, 0, 6)],  # one more slice
    ],
)
def test_arms_tested_on_different_slices_do_not_compare(arm: list[Path], tmp_path: Path, other: list[Row]) -> None:
    changed = slices(tmp_path / "other.csv", 1, 1, other)
    with pytest.raises(UserError, match=r"other\.csv and .*fold1/seed1/slices\.csv were tested on different"):
        read_arms({"Phantom": arm, "+PIG": [*arm[:3], changed]})


def test_other_predictions_and_another_order_do_compare(arm: list[Path], tmp_path: Path) -> None:
    rows: list[Row] = [("b", 3, 5, 5, 0, 0), ("a", 1, 0, 0, 3, 7), ("b", 2, 0, 10, 0, 0), ("a", 0, 4, 6, 0, 0)]
    read_arms({"Phantom": arm, "+PIG": [slices(tmp_path / "other.csv", 0, 0, rows), *arm[1:]]})


def test_two_rows_of_one_label_are_refused(arm: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two rows 'Phantom'"):
        write_table2([("Phantom", arm), ("Phantom", arm)], tmp_path / "table2.csv")
    assert not (tmp_path / "table2.csv").exists()


def test_patient_ids_stay_text(tmp_path: Path) -> None:
    rows = read_slices([slices(tmp_path / "slices.csv", 0, 0, [("007", 0, 1, 0, 0, 0), ("NA", 1, 1, 0, 0, 0)])])
    assert rows.patient_id.tolist() == ["007", "NA"]


def test_a_control_says_of_which_kind_it_is() -> None:
    """On the command line; the label may have equals signs and the words of another kind."""
    assert control("oracle=augmentation=x=results/a") == ("oracle", "augmentation=x", Path("results/a"))
    for text in ("results/a", "Label=results/a", "method=Label=results/a", "oracle=results/a"):
        with pytest.raises(ArgumentTypeError, match=re.escape(repr(text.removeprefix("oracle=")))):
            control(text)


# Table 1


def fid_file(path: Path, fid: float, fold: int = 0, features: str = "encoder", generated: int = 2048) -> Path:
    write_sealed(path, {"fid": fid, "features": features, "fold": fold, "generated": generated, "real": 9})
    return path


def test_table1_of_one_fold(tmp_path: Path) -> None:
    rows = [(name, fid_file(tmp_path / f"{name}.json", value)) for name, value in (("PIG", 15.876), ("DDPM", 31.844))]
    write_table1(rows, tmp_path / "table1.csv")
    assert (tmp_path / "table1.csv").read_text() == "Method,FID (encoder)\nPIG,15.88\nDDPM,31.84\n"
    assert "| PIG" in (tmp_path / "table1.md").read_text() and "PIG & 15.88" in (tmp_path / "table1.tex").read_text()


def test_table1_of_several_folds_has_mean_and_deviation(tmp_path: Path) -> None:
    files = [fid_file(tmp_path / f"{fold}.json", value, fold, "inception") for fold, value in enumerate([2, 4, 9])]
    table = table1({"PIG": files})
    assert list(table.columns) == ["Method", "FID (inception)", "FID SD"]
    assert table.iloc[0].tolist() == ["PIG", 5.0, pytest.approx(np.sqrt((9 + 1 + 16) / 2))]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": "inception"}, "b.json has features? inception|features encoder and .*b.json has inception"),
        ({"generated": 1024}, "b.json has 1024"),
        ({"fold": 1}, r"'B' is of folds \[1\], but the table of folds \[0\]"),
    ],
)
def test_fids_that_do_not_compare_are_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    a, b = fid_file(tmp_path / "a.json", 1), fid_file(tmp_path / "b.json", 2, **changes)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=words):
        table1({"A": [a], "B": [b]})


def test_fid_files_that_are_damaged_or_incomplete_are_named(tmp_path: Path) -> None:
    damaged = fid_file(tmp_path / "a.json", 1.0)
    damaged.write_text(damaged.read_text().replace("1.0", "7.0"))
    with pytest.raises(UserError, match=r"a\.json is damaged, or was changed"):
        table1({"A": [tmp_path / "a.json"]})
    with pytest.raises(UserError, match="folds \\[0, 0\\]"):
        table1({"A": [fid_file(tmp_path / "b.json", 1), fid_file(tmp_path / "c.json", 1)]})
    with pytest.raises(UserError, match="no rows"):
        table1({})
    with pytest.raises(UserError, match="no rows"):
        read_arms({})


def compared(arm: str, difference: float, low_folds: float, high_folds: float, **more: object) -> dict[str, object]:
    return {
        "tested": "folds", "metric": "dice", "arm": arm, "kind": "method", "against": "Real",
        "folds": 5, "patients": 80, "seeds": 1, "difference": difference, "low": 0.01, "high": 0.09,
        "low_folds": low_folds, "high_folds": high_folds,
        "smallest_visible": abs(difference) / 2, "p_holm": 0.01,
    } | more  # fmt: skip


def test_the_reading_rests_on_the_interval_over_folds() -> None:
    rows = [compared("+a", 0.06, 0.02, 0.1), compared("+b", 0.05, -0.01, 0.11), compared("+c", -0.04, -0.07, -0.01)]
    rows.append(compared("+d", 0.03, 0.01, 0.05, p_holm=0.06))
    other = compared("+a", 0.5, 0.4, 0.6, against="+b")
    assert list(reading(pd.DataFrame([*rows, other, {**other, "metric": "iou"}]))) == [
        "What follows is of the 80 patients of the folds and of Dice a patient, in points of percent; intervals are of "
        "95 %.",
        "The smallest difference in Dice to Real that this design can show (80 % power, 5 %) is 1.5 to 3.0 points.",
        "Each arm was trained with one seed a fold; what another seed would change is not in these numbers.",
        "+a: +6.0; +2.0 to +10.0 over 5 folds, +1.0 to +9.0 given the trained networks: shown to be better than Real.",
        "+b: +5.0; -1.0 to +11.0 over 5 folds, +1.0 to +9.0 given the trained networks: not shown to differ from Real.",
        "+c: -4.0; -7.0 to -1.0 over 5 folds, +1.0 to +9.0 given the trained networks: shown to be worse than Real.",
        "+d: +3.0; +1.0 to +5.0 over 5 folds, +1.0 to +9.0 given the trained networks: but for the number of "
        "comparisons (Holm), shown to be better than Real.",
    ]
    one_fold = pd.DataFrame([{**rows[0], "folds": 1}])
    assert list(reading(one_fold)) == [
        "With one fold nothing can be said of how far these differences would hold with other patients."
    ]
    assert list(reading(pd.DataFrame(columns=list(rows[0])))) == []


def test_the_reading_is_of_new_patients_where_there_are_any_and_of_controls_first() -> None:
    new = {"tested": "new patients", "patients": 160, "seeds": 3}
    rows = [
        compared("+a", 0.02, 0.01, 0.03, **new),
        compared("control: new", 0.05, 0.04, 0.06, kind="oracle", **new),
        compared("control: wrong", -0.04, -0.07, -0.01, kind="shuffled", **new),
        compared("control: rotated", 0.01, 0.005, 0.02, kind="augmentation", **new),
        compared("+a", -0.03, -0.04, -0.02, against="control: new", **new),
        compared("+a", 0.06, 0.05, 0.07, against="control: wrong", **new),
        compared("+a", 0.06, 0.05, 0.07, against="control: rotated", **new),
        compared("+a", -0.5, -0.6, -0.4),
    ]
    who, _, seeds, *sentences = reading(pd.DataFrame(rows))
    assert seeds.startswith("Scores are means over 3 seeds of each segmentation")
    assert who.startswith("What follows is of 160 new patients, who are in no fold, and of Dice")
    assert [sentence.partition(": +")[0].partition(": -")[0] for sentence in sentences] == [
        "control: new", "control: wrong", "control: rotated", "+a",
    ]  # fmt: skip
    assert sentences[-1] == (
        "+a: +2.0; +1.0 to +3.0 over 5 folds, +1.0 to +9.0 given the trained networks: shown to be better than Real."
    )


def test_each_arm_is_held_against_each_control_in_a_table() -> None:
    rows = [
        compared("+a", 0.02, 0.01, 0.03),
        compared("+b", 0.02, -0.01, 0.05),
        compared("control: new", 0.05, 0.04, 0.06, kind="oracle", p_holm=0.06),
        compared("control: wrong", -0.04, -0.07, -0.01, kind="shuffled"),
        compared("+a", -0.03, -0.04, -0.02, against="control: new"),
        compared("+b", -0.03, -0.04, -0.02, against="control: new", p_holm=0.06),
        compared("control: wrong", -0.09, -0.2, -0.01, against="control: new"),
        compared("+a", 0.06, 0.05, 0.07, against="control: wrong"),
        compared("+b", 0.06, -0.05, 0.17, against="control: wrong"),
        compared("+a", 0.001, -0.05, 0.07, against="+b"),
    ]
    found = against_controls(pd.DataFrame(rows))
    assert [*found] == ["Dataset", "Real", "new", "wrong"]
    assert found.to_numpy().tolist() == [
        ["+a", "+2.0 ▲", "-3.0 ▼", "+6.0 ▲"],
        ["+b", "+2.0", "-3.0 (▼)", "+6.0"],
        ["control: new", "+5.0 (▲)", "", ""],
        ["control: wrong", "-4.0 ▼", "-9.0 ▼", ""],
    ]
    assert against_controls(pd.DataFrame(rows).assign(folds=1)).empty
    assert against_controls(pd.DataFrame(columns=list(rows[0]))).empty


def test_table2_with_controls_and_new_patients(arm: list[Path], tmp_path: Path) -> None:
    """New patients' Dice: 2 * 2 / (2 * 2 + 1 + 1) = 2/3 and 0, but 0 and 0 in fold 1 with seed 1."""
    rows: list[Row] = [("x", 0, 2, 1, 1, 12), ("y", 1, 0, 4, 4, 8)]
    missed: list[Row] = [("x", 0, 0, 0, 3, 13), rows[1]]
    new = [slices(tmp_path / f"new{k}{s}.csv", k, s, rows) for k, s in ((0, 0), (0, 1), (1, 0))]
    new.append(slices(tmp_path / "new11.csv", 1, 1, missed))
    labels = ["Phantom", "+PIG_8", "control: +real pairs of 3 new patients"]
    out = tmp_path / "table2.csv"
    write_table2([(label, arm) for label in labels], out, {labels[2]: "oracle"}, dict.fromkeys(labels, new))
    table = pd.read_csv(out)
    assert table.Dataset.tolist() == labels
    assert [*table.columns[-2:]] == ["Dice of new patients (%)", "Dice of new patients SD of seeds"]
    assert table.iloc[:, -2].tolist() == [25.0] * 3
    assert table.iloc[:, -1].tolist() == [16.67] * 3  # of 1/3 and 0 the variance is 1/18, in fold 0 it is 0
    comparisons = pd.read_csv(out.with_name("comparisons.csv"))
    dice = comparisons[comparisons.metric == "dice"]
    assert list(zip(dice.tested, dice.arm, dice.against, strict=True)) == [
        (tested, label, against)
        for tested in ("new patients", "folds")
        for label, against in ((labels[1], labels[0]), (labels[2], labels[0]), (labels[1], labels[2]))
    ]
    assert dice.kind.tolist() == ["method", "oracle", "method"] * 2
    held = out.with_suffix(".md").read_text().partition("- Below: Dice of the row minus that of the column")[2]
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in held.splitlines()[2:] if ":-" not in line] == [
        ["Dataset", "Phantom", "+real pairs of 3 new patients"], [labels[1], "+0.0", "+0.0"], [labels[2], "+0.0", ""],
    ]  # fmt: skip
    cases = pd.read_csv(out.with_name("cases.csv"))
    assert [*cases] == ["case_id", "alg_Phantom", "alg_+PIG_8", "alg_+real pairs of 3 new patients"]
    assert cases.iloc[:, :2].to_numpy().tolist() == [["x", 0.5], ["y", 0.0]]  # of x 2/3, 2/3, and 2/3 and 0
    scored = pd.read_csv(out.with_name("scores.csv"))
    assert scored.groupby("tested").size().to_dict() == {"folds": 144, "new patients": 144}
