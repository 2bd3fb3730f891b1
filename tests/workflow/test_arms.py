"""The arms of a study: names of folders and rows, and what is refused before anything runs."""

from typing import Any

import pytest
from studies import study

from pig.study.arms import Arm, arm_errors, arms_of, generator_labels

LABELS = {"pig": "PIG", "ldm": "LDM"}


def of(config: Any, **table2: Any) -> Any:
    config["table2"] |= table2
    return config


def test_the_papers_arms_come_first_and_controls_are_marked() -> None:
    config = of(
        study(),
        arms=[{"generator": "pig", "count": 8}],
        controls=[
            {"augmentation": "strong"},
            {"generator": "pig", "count": 8, "shuffle_masks": True},
            {"generator": "ldm", "count": 4, "augmentation": "none"},
            {"real": 0.25},
            {"real": 0.25, "augmentation": "strong"},
            {"augmentation": "none"},
            {"generator": "ldm", "count": 4, "real": 0},
            {"source": "copy_paste", "count": 8},
            {"source": "oversampling", "count": 8, "augmentation": "none"},
            {"source": "oversampling", "count": 8, "budget": "epochs"},
            {"generator": "pig", "count": 8, "budget": "epochs"},
        ],
    )
    config["dataset"]["new_patients"]["oracle"] = 7
    assert [(arm.name, arm.label(LABELS), arm.kind) for arm in arms_of(config)] == [
        ("pig_8", "+PIG_8", "method"),
        ("oracle_7", "control: +real pairs of 7 new patients", "oracle"),
        ("real_strong", "control: strong augmentation", "augmentation"),
        ("pig_8_shuffled", "control: +PIG_8, masks shuffled", "shuffled"),
        ("ldm_4_none", "control: +LDM_4, no augmentation", "variant"),
        ("real_real25", "control: 25 % of the real patients", "fewer_patients"),
        ("real_strong_real25", "control: strong augmentation, 25 % of the real patients", "variant"),
        ("real_none", "control: no augmentation", "variant"),
        ("ldm_4_real0", "control: +LDM_4, without real pairs", "variant"),
        ("copy_paste_8", "control: +8 copy-pasted pairs", "copy_paste"),
        ("oversampling_8_none", "control: +8 of the real pairs again, no augmentation", "variant"),
        ("oversampling_8_epochs", "control: +8 of the real pairs again, as many epochs", "variant"),
        ("pig_8_epochs", "control: +PIG_8, as many epochs", "variant"),
    ]
    assert Arm().name == "real"
    assert list(arm_errors(config)) == []


def test_weaker_augmentation_than_all_arms_have_is_no_rival() -> None:
    config = of(study(), controls=[{"augmentation": "light"}, {"augmentation": "none"}])
    config["segmentation"]["augmentation"] = "strong"
    assert [arm.kind for arm in arms_of(config)[-2:]] == ["variant", "variant"]
    config["segmentation"]["augmentation"] = "none"
    assert arms_of(config)[-2].kind == "augmentation"


def test_a_generator_may_not_take_the_name_of_the_oracle() -> None:
    config = of(study(), arms=[{"generator": "oracle", "count": 103}])
    ((where, said),) = arm_errors(config)
    assert where == "table2.arms[0]" and "in the folder of the new patients' pairs, oracle_103" in said
    config["dataset"]["new_patients"]["oracle"] = 0
    assert list(arm_errors(config)) == []


@pytest.mark.parametrize("data", [{"manifest": "mine.csv"}, {"import": {"from": "folders", "root": "mine"}}])
def test_data_of_ones_own_have_no_new_patients(data: dict[str, Any]) -> None:
    config = study()
    assert [arm.oracle for arm in arms_of(config) if arm.oracle] == [103]
    config["dataset"] |= data
    assert not any(arm.oracle for arm in arms_of(config))


def test_an_arm_of_a_leaky_generator_says_so_whatever_its_label() -> None:
    config = of(study(), controls=[{"generator": "pig_leaky", "count": 8, "augmentation": "none"}])
    config["dataset"]["new_patients"]["oracle"] = 0
    config["generators"] |= {"pig_leaky": {"label": "PIG", "leaky": True}, "other": {}}
    labels = generator_labels(config["generators"])
    assert (labels["pig"], labels["pig_leaky"], labels["other"]) == ("PIG", "leaky PIG", "other")
    arm = arms_of(config)[-1]
    assert (arm.name, arm.kind, arm.leaky) == ("pig_leaky_8_none", "leaky", True)
    assert arm.label(labels) == "control: +leaky PIG_8, no augmentation"
    assert [arm.leaky for arm in arms_of(config)[:-1]] == [False] * 6


@pytest.mark.parametrize(
    ("control", "sentence"),
    [
        ({}, "changes nothing; give a generator"),
        ({"count": 4}, "has one of generator and count"),
        ({"generator": "pig"}, "has one of generator and count"),
        ({"source": "copy_paste"}, "has one of source and count"),
        ({"source": "copy_paste", "generator": "pig", "count": 4}, "has generator and source"),
        ({"source": "oversampling", "count": 4, "real": 0}, "is 0, so that there is nothing to train on"),
        ({"shuffle_masks": True, "augmentation": "strong"}, "shuffles masks of fewer than two pairs"),
        ({"generator": "pig", "count": 1, "shuffle_masks": True}, "shuffles masks of fewer than two pairs"),
        ({"real": 0}, "is 0, so that there is nothing to train on"),
        ({"augmentation": "strong", "budget": "epochs"}, "is of an arm that adds pairs to all real ones"),
        ({"generator": "pig", "count": 4, "real": 0.5, "budget": "epochs"}, "is of an arm that adds pairs to all real"),
        ({"augmentation": "light"}, "is 'light', which every arm has"),
        ({"generator": "pig", "count": 512}, "is there twice: pig with 512."),
    ],
)
def test_a_control_that_says_nothing_is_refused(control: dict[str, Any], sentence: str) -> None:
    ((where, said),) = arm_errors(of(study(), controls=[control]))
    assert where.startswith("table2.controls[0]")
    assert said.startswith(sentence)


@pytest.mark.parametrize("added", [{"generator": "pig"}, {"source": "oversampling"}])
def test_a_share_of_patients_and_a_share_of_batches_exclude_each_other(added: dict[str, Any]) -> None:
    config = of(study(), controls=[added | {"count": 512, "real": 0.5}])
    config["segmentation"]["real_share"] = 0.5
    ((where, said),) = arm_errors(config)
    assert where == "table2.controls[0].real"
    assert said.startswith("is below 1, which segmentation.real_share does not allow")


def test_a_longer_training_is_of_controls_alone_and_of_no_fixed_share() -> None:
    config = of(study(), controls=[{"generator": "pig", "count": 4, "budget": "epochs"}])
    config["segmentation"]["real_share"] = 0.5
    ((where, said),) = arm_errors(config)
    assert where == "table2.controls[0].budget" and "which segmentation.real_share does not allow" in said
    config = study()
    config["segmentation"]["budget"] = "epochs"
    assert [where for where, _ in arm_errors(config)] == ["segmentation.budget"]
