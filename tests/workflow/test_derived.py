"""What is derived of a data set in numbers: by hand, and for any numbers a study that the checks accept."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config
from studies import SCHEMA, study
from study_runs import ROOT

from pig.data.survey import SIDES, Survey
from pig.study.config import check_config
from pig.study.derived import (
    BUDGETS,
    FACTORS,
    added_pairs,
    colour,
    derive,
    drawn_at_once,
    encoder_depth,
    factors,
    folds,
    image_size,
    network,
)  # fmt: skip
from pig.study.planned import plain, tree_of
from pig.study.settings import settings_errors
from pig.system.errors import UserError

DATA = Survey(
    patients=40, pairs=400, empty=0, side=600, square=1.0, coloured=0, deep=0, lesion=0.1, visible=48,
    tested={2: 20, 3: 13, 4: 10, 5: 8},
)  # fmt: skip
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
QUICK = BUDGETS["quick"]


def values(data: Survey = DATA, own: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {item.key: item.value for item in derive(data, QUICK, own or {}, **more)}


@pytest.mark.parametrize(
    ("changes", "affordable", "size"),
    [
        ({}, None, 64),  # 48 * 0.1 = 4.8 pixels; 64 * 0.1 = 6.4
        ({"lesion": 0.2}, None, 48),
        ({"lesion": 0.06}, None, 112),  # 96 * 0.06 = 5.76; 112 * 0.06 = 6.72
        ({"lesion": 0.01}, None, 256),
        ({"lesion": 0.06, "side": 100}, None, 96),
        ({"side": 20}, None, 48),
        ({"lesion": 0.06}, 80, 80),
        ({"lesion": 0.06}, 200, 112),
        ({"lesion": 0.06, "visible": 96}, 80, 96),
        ({"visible": 160, "side": 100}, None, 160),
    ],
)
def test_the_size_shows_most_lesions_within_what_there_is(
    changes: dict[str, Any], affordable: int | None, size: int
) -> None:
    assert image_size(replace(DATA, **changes), affordable)[0] == size


def test_a_lesion_that_no_size_shows_is_an_error() -> None:
    with pytest.raises(UserError, match="covers half of no pixel at 256 x 256 pixels"):
        image_size(replace(DATA, visible=None))


@pytest.mark.parametrize(
    ("tested", "count"),
    [
        ({2: 20, 3: 13, 4: 10, 5: 8}, 5),
        ({2: 7, 3: 4, 4: 3, 5: 2}, 4),
        ({2: 3, 3: 2, 4: 1, 5: 1}, 2),
        ({2: 2, 3: 1, 4: 1}, 2),
    ],
)
def test_each_fold_has_three_patients_with_a_lesion_or_two(tested: dict[int, int], count: int) -> None:
    assert folds(replace(DATA, tested=tested))[0] == count


@pytest.mark.parametrize("tested", [{}, {2: 1, 3: 1}, {2: 0}])
def test_too_few_patients_are_an_error(tested: dict[int, int]) -> None:
    with pytest.raises(UserError, match="a study needs 2 in each"):
        folds(replace(DATA, tested=tested))


def test_networks_are_those_of_the_default_study_at_its_size_and_deeper_at_larger_ones() -> None:
    config = study()
    derived = plain(tree_of({}, derive(replace(DATA, lesion=0.2), QUICK, {}), ""))
    for name in ("pig", "ddpm", "segguided", "ldm", "ldm_base"):
        default = config["generators"][name]["model"]
        found = derived["generators"][name]["model"]
        assert found["network"].items() <= default["network"].items()
        assert found["training"].items() <= default["training"].items()
    assert derived["segmentation"]["training"].items() <= config["segmentation"]["training"].items()
    assert derived["segmentation"]["encoder_depth"] == config["segmentation"]["encoder_depth"]
    assert network(64) == {"channels": [32, 48, 48, 64], "attention": [False, False, False, True]}  # 64, 32, 16, 8
    assert network(68) == {"channels": [32, 48, 64], "attention": [False, False, False]}  # 68, 34, 17: too many
    assert network(8) == {"channels": [32], "attention": [True]}
    assert [encoder_depth(size) for size in (48, 64, 80, 96, 128, 192, 208, 256)] == [3, 3, 3, 4, 4, 5, 4, 5]


def test_counts_grow_with_the_pairs_and_batches_shrink_with_the_pixels() -> None:
    assert added_pairs(DATA, 5) == 256  # 320 are learnt from; log2 is 8.3
    assert added_pairs(replace(DATA, pairs=480), 5) == 512  # 384: 8.6
    assert added_pairs(replace(DATA, pairs=4), 2) == 16
    assert added_pairs(replace(DATA, pairs=100_000), 5) == 2048
    assert [drawn_at_once(size) for size in (48, 64, 80, 96, 128, 256)] == [64, 64, 32, 16, 16, 4]
    found = values()
    counts = [(arm["generator"], arm["count"]) for arm in found["table2.arms"]]
    assert counts == [("ldm", 256), ("segguided", 256), ("controlnet", 256), ("pig", 128), ("pig", 256), ("pig", 512)]
    assert found["synthesis.shard_size"] == found["table1.count"] == 256
    wrong = {"generator": "pig", "count": 256, "shuffle_masks": True}
    pasted = {"source": "copy_paste", "count": 256}
    assert found["table2.controls"] == [wrong, {"augmentation": "strong"}, pasted, {"real": 0.5}]


def test_a_generator_sees_its_pairs_as_often_as_the_papers_at_most() -> None:
    # 320 pairs, 128 times, are 5120 batches of 8: 8.5 times 600.
    assert factors(DATA, 5, 8) == [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]
    assert factors(DATA, 5, 2) == list(FACTORS)
    assert factors(replace(DATA, pairs=60), 5, 8) == [1.0]


def test_the_budget_lengthens_trainings_and_what_depends_on_a_users_value_follows_it() -> None:
    found = values(factor=6.0)
    assert found["generators.pig.model.training.steps"] == found["generators.ldm.model.training.steps"] == 3600
    assert found["segmentation.training.steps"] == 800  # four times 200 at most
    assert found["generators.autoencoder.model.adversarial.steps"] == 720
    own = values(own={"image_size": 128, "folds": {"count": 2}})
    assert own["preprocessing.size"] == 128 and own["segmentation.encoder_depth"] == 4
    assert own["table1.count"] == 256  # 200 are learnt from: 7.6


def test_colours_are_kept_where_most_pictures_have_them() -> None:
    assert colour(DATA, False)[0] == "refuse"
    assert colour(replace(DATA, coloured=200), False)[0] == "keep"
    assert colour(replace(DATA, coloured=199), False)[0] == "luminance"
    assert colour(replace(DATA, coloured=300, deep=100), False)[0] == "luminance"
    assert colour(replace(DATA, coloured=400), True)[0] == "luminance"


SURVEYS = st.builds(
    Survey,
    patients=st.integers(4, 5000),
    pairs=st.integers(4, 10**6),
    empty=st.integers(0, 3),
    side=st.integers(1, 5000),
    square=st.floats(0, 1),
    coloured=st.integers(0, 10**6),
    deep=st.integers(0, 5),
    lesion=st.floats(0, 1),
    visible=st.sampled_from(SIDES),
    tested=st.dictionaries(st.integers(3, 5), st.integers(0, 9)).map(lambda found: {2: 2} | found),
)
OWN = st.fixed_dictionaries(
    {},
    optional={
        "image_size": st.sampled_from(SIDES),
        "folds": st.fixed_dictionaries({"count": st.integers(2, 5)}),
        "preprocessing": st.fixed_dictionaries({"anatomy": st.sampled_from(["any", "breast"])}),
        "segmentation": st.fixed_dictionaries({"augmentation": st.just("none")}),
    },
)


@settings(max_examples=12, deadline=None)
@given(
    SURVEYS, OWN, st.sampled_from(sorted(BUDGETS)), st.none() | st.sampled_from(SIDES), st.sampled_from(FACTORS),
    st.sampled_from([2, 4, 8]),
)  # fmt: skip
def test_whatever_the_data_are_the_checks_accept_the_plan(
    data: Survey, own: dict[str, Any], budget: str, affordable: int | None, factor: float, batch: int
) -> None:
    config = deepcopy(DEFAULT)
    own = own | {"dataset": {"manifest": str(ROOT / "config.yaml")}}  # any file
    update_config(config, plain(tree_of(own, derive(data, BUDGETS[budget], own, affordable, factor, batch), "")))
    check_config(config, SCHEMA, settings_errors)
    assert config["segmentation"]["image_size"] == own.get("image_size", config["image_size"])
    for name in ("pig", "autoencoder"):
        assert config["generators"][name]["model"]["image_size"] == config["image_size"]
