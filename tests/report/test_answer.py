"""The first sentences of the report, made from the numbers."""

import pandas as pd

from pig.report.reading import answer

AUGMENTED, ORACLE = "control: strong augmentation", "control: +real pairs of 9 new patients"
WRONG = "control: +a, wrong"


def row(arm: str, difference: float, half: float = 0.01, against: str = "Real", p: float = 0.01) -> dict[str, object]:
    return {
        "tested": "new patients", "metric": "dice", "arm": arm, "against": against, "folds": 5, "patients": 160,
        "difference": difference, "low_folds": difference - half, "high_folds": difference + half, "p_holm": p,
    }  # fmt: skip


def test_nothing_helps() -> None:
    found = pd.DataFrame([row("+a", 0.005), row("+b", -0.05), row(ORACLE, 0.06), row("+a", 0.001, against=ORACLE)])
    assert answer(found, [ORACLE]) == [
        "None of the 2 arms with generated pairs is shown to help the segmentation beyond real data alone.",
        "The study can tell: real pairs of 9 new patients add 6.0 points of Dice (95 % interval +5.0 to +7.0).",
    ]


def test_what_helps_comes_with_its_points_the_best_first_and_is_held_against_augmentation() -> None:
    found = [row("+a", 0.02), row("+b", 0.04), row("+c", 0.03, p=0.06), row(WRONG, 0.5), row(AUGMENTED, 0.03)]
    found += [row("+a", -0.01, against=AUGMENTED), row("+b", 0.02, against=AUGMENTED), row("+c", 0, against=AUGMENTED)]
    found += [row(WRONG, 0.3, against=AUGMENTED)]
    assert answer(pd.DataFrame(found), [WRONG, AUGMENTED]) == [
        "2 of the 3 arms with generated pairs are shown to help the segmentation beyond real data alone.",
        "+b adds 4.0 points of Dice (95 % interval +3.0 to +5.0).",
        "+a adds 2.0 points of Dice (95 % interval +1.0 to +3.0).",
        "One of the 3 arms with generated pairs is shown to beat strong augmentation of the real pairs, without any "
        "generator.",
    ]


def test_a_study_that_does_not_see_its_oracle_says_so() -> None:
    found = pd.DataFrame([row("+a", 0.1), row(ORACLE, 0.02, half=0.03)])
    assert answer(found, [ORACLE])[-1].startswith("This study cannot tell")


def test_of_one_fold_nothing_is_said() -> None:
    (sentence,) = answer(pd.DataFrame([row("+a", 0.1) | {"folds": 1}]))
    assert "nothing can be said" in sentence
