"""The first sentences of the report, made from the numbers."""

import pandas as pd
import pytest

from pig.report.reading import answer, reading, verdict

AUGMENTED, ORACLE = "control: strong augmentation", "control: +real pairs of 9 new patients"
WRONG = "control: +a, wrong"
HALF = "control: 50 % of the real patients"
KINDS = {AUGMENTED: "augmentation", ORACLE: "oracle", WRONG: "shuffled", HALF: "fewer_patients"}


def row(
    arm: str, difference: float, half: float = 0.01, against: str = "Real", p: float = 0.01, **more: str
) -> dict[str, object]:
    return {
        "tested": "new patients", "metric": "dice", "arm": arm, "against": against,
        "folds": 5, "patients": 160, "seeds": 1, "kind": KINDS.get(arm, "method"),
        "low": difference - half / 2, "high": difference + half / 2, "smallest_visible": half,
        "difference": difference, "low_folds": difference - half, "high_folds": difference + half, "p_holm": p,
        **more,
    }  # fmt: skip


def test_nothing_helps() -> None:
    found = pd.DataFrame([row("+a", 0.005), row("+b", -0.05), row(ORACLE, 0.06), row("+a", 0.001, against=ORACLE)])
    assert answer(found) == [
        "None of the 2 arms with generated pairs is shown to help the segmentation beyond real data alone.",
        "The study can tell: real pairs of 9 new patients add 6.0 points of Dice (95 % interval +5.0 to +7.0).",
    ]


def test_what_helps_comes_with_its_points_the_best_first_and_is_held_against_augmentation() -> None:
    found = [row("+a", 0.02), row("+b", 0.04), row("+c", 0.03, p=0.06), row(WRONG, 0.005), row(AUGMENTED, 0.03)]
    found += [row(ORACLE, 0.06)]
    found += [row("+a", -0.01, against=AUGMENTED), row("+b", 0.02, against=AUGMENTED), row("+c", 0, against=AUGMENTED)]
    found += [row(WRONG, 0.3, against=AUGMENTED)]
    assert answer(pd.DataFrame(found))[:-1] == [
        "2 of the 3 arms with generated pairs are shown to help the segmentation beyond real data alone.",
        "+b adds 4.0 points of Dice (95 % interval +3.0 to +5.0).",
        "+a adds 2.0 points of Dice (95 % interval +1.0 to +3.0).",
        "One of the 3 arms with generated pairs is shown to beat strong augmentation of the real pairs, without any "
        "generator.",
    ]


def test_arms_are_held_against_all_that_needs_no_generator() -> None:
    pasted, again = "control: +8 copy-pasted pairs", "control: +8 of the real pairs again"
    found = [row("+a", 0.02), row(pasted, 0.01, kind="copy_paste"), row(again, 0.0, kind="oversampling")]
    found += [row("+a", 0.005, against=pasted), row("+a", 0.02, against=again)]
    assert answer(pd.DataFrame(found))[2:-1] == [
        "The arm with generated pairs is not shown to beat 8 copy-pasted pairs, without any generator.",
        "The arm with generated pairs is shown to beat 8 of the real pairs again, without any generator.",
    ]


def test_a_study_that_does_not_see_its_oracle_says_so() -> None:
    found = pd.DataFrame([row("+a", 0.1), row(ORACLE, 0.02, half=0.03)])
    assert answer(found)[-1].startswith("This study cannot tell")


@pytest.mark.parametrize(
    ("difference", "p", "said"),
    [
        (-0.03, 0.01, "The study can tell: with 50 % of the real patients alone the difference is -3.0 points of Dice"),
        (-0.03, 0.06, "This study cannot tell: with 50 % of the real patients alone it is not shown to do worse."),
        (-0.005, 0.01, "This study cannot tell: with 50 % of the real patients"),
        (0.03, 0.01, "This study cannot tell: with 50 % of the real patients"),
    ],
)
def test_without_an_oracle_half_of_the_patients_say_whether_the_study_can_tell(
    difference: float, p: float, said: str
) -> None:
    *_, last = answer(pd.DataFrame([row("+a", 0.1), row(HALF, difference, p=p)]))
    assert last.startswith(said)


def test_there_is_one_verdict_on_the_study() -> None:
    quarter = row("control: 25 % of the real patients", -0.08, kind="fewer_patients")
    found = [row("+a", 0.1), row(ORACLE, 0.06), row(HALF, -0.005), quarter]
    assert answer(pd.DataFrame(found))[-1] == (
        "The study can tell: real pairs of 9 new patients add 6.0 points of Dice (95 % interval +5.0 to +7.0); "
        "with 25 % of the real patients alone the difference is -8.0 points of Dice (95 % interval -9.0 to -7.0); "
        "with 50 % of the real patients alone it is not shown to do worse."
    )
    unseen = [row("+a", 0.1), row(ORACLE, 0.005), row(HALF, -0.005)]
    assert answer(pd.DataFrame(unseen))[-1] == (
        "This study cannot tell: real pairs of 9 new patients are not shown to help; "
        "with 50 % of the real patients alone it is not shown to do worse."
    )


@pytest.mark.parametrize("p", [0.01, 0.2], ids=["after Holm", "but for Holm"])
def test_where_wrong_masks_help_that_comes_first(p: float) -> None:
    first, second, *more = answer(pd.DataFrame([row("+a", 0.05), row(ORACLE, 0.06), row(WRONG, 0.04, p=p)]))
    assert first.startswith("Wrong masks help, too: a, wrong adds 4.0 points of Dice (95 % interval +3.0 to +5.0). ")
    assert first.endswith("it is to be explained first.")
    assert second.startswith("The arm with generated pairs is shown to help")
    assert more[-1].startswith("The study can tell: real pairs of 9 new patients add 6.0")


def test_an_arm_above_the_oracle_is_suspicious() -> None:
    rows = [row("+a", 0.09), row("+b", 0.05), row(ORACLE, 0.06)]
    rows += [row("+a", 0.03, against=ORACLE), row("+b", -0.005, against=ORACLE)]
    (said,) = [sentence for sentence in answer(pd.DataFrame(rows)) if "leak" in sentence]
    assert said.startswith("+a is shown to be better than real pairs of 9 new patients: unless it adds more pairs, ")


def test_a_study_without_either_says_so() -> None:
    variant = row("control: +a, without real pairs", -0.1, kind="variant")
    *_, last = answer(pd.DataFrame([row("+a", 0.1), row(WRONG, -0.1), variant]))
    assert last.startswith("Nothing says whether this study can tell a gain") and "{real: 0.5}" in last


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({ORACLE: "upper bound", AUGMENTED: "a lot of turning", WRONG: "nonsense"}, id="of the user's"),
        pytest.param({ORACLE: AUGMENTED, AUGMENTED: WRONG, WRONG: ORACLE}, id="of each other"),
        pytest.param({"+a": ORACLE, ORACLE: "+a"}, id="a method by the oracle's"),
        pytest.param({"+a": "strong augmentation", "+b": "control: +b"}, id="methods by a control's"),
    ],
)
def test_what_an_arm_is_depends_on_its_kind_and_not_on_the_words_of_its_label(names: dict[str, str]) -> None:
    """By other names the same is said of the same arms, in the same order."""
    found = pd.DataFrame(
        [
            row("+a", 0.02), row("+b", 0.04), row(ORACLE, 0.06), row(WRONG, -0.1), row(AUGMENTED, 0.03),
            *(row(arm, gain, against=AUGMENTED) for arm, gain in (("+a", -0.01), ("+b", 0.02), (WRONG, -0.1))),
        ]
    )  # fmt: skip
    renamed = found.assign(arm=found.arm.replace(names), against=found.against.replace(names))
    oracle, augmented = (
        names.get(arm, arm).removeprefix("control: ").removeprefix("+") for arm in (ORACLE, AUGMENTED)
    )
    assert answer(renamed) == [
        "All of the 2 arms with generated pairs are shown to help the segmentation beyond real data alone.",
        f"{names.get('+b', '+b')} adds 4.0 points of Dice (95 % interval +3.0 to +5.0).",
        f"{names.get('+a', '+a')} adds 2.0 points of Dice (95 % interval +1.0 to +3.0).",
        f"One of the 2 arms with generated pairs is shown to beat {augmented} of the real pairs, without any "
        "generator.",
        f"The study can tell: {oracle} add 6.0 points of Dice (95 % interval +5.0 to +7.0).",
    ]
    sentences = [*reading(renamed)][3:]
    for sentence, arm in zip(sentences, (ORACLE, WRONG, AUGMENTED, "+a", "+b"), strict=True):
        assert sentence.startswith(f"{names.get(arm, arm)}: ")


def test_a_single_fold_shows_nothing() -> None:
    (one,) = pd.DataFrame([row("+a", 0.2, half=float("nan"))]).itertuples()
    assert verdict(one) == "not shown to differ from"
