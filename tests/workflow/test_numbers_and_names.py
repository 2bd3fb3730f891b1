"""Numbers as people write them, and names of rows."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import SCHEMA, Change, Config, put, study
from study_runs import overlay, plan

from pig.study.config import check_config
from pig.system.errors import UserError


def lines(config: Config) -> list[str]:
    try:
        check_config(config, SCHEMA)
    except UserError as error:
        return [line.removeprefix("config: ") for line in str(error).splitlines()]
    return []


# Numbers


def test_whole_floats_become_integers_where_the_schema_wants_them() -> None:
    config = study()
    config["folds"]["count"] = 2.0
    config["segmentation"]["seeds"] = [1.0, 3]
    config["table2"]["arms"][0]["count"] = 1.0e3
    config["generators"]["pig"]["model"]["network"]["channels"] = [32.0, 64, 64.0]
    config["generators"]["pig"]["model"]["training"] |= {"steps": 9.0e2, "learning_rate": 1.0}
    assert lines(config) == []
    found = [
        config["folds"]["count"],
        *config["segmentation"]["seeds"],
        config["table2"]["arms"][0]["count"],
        *config["generators"]["pig"]["model"]["network"]["channels"],
        config["generators"]["pig"]["model"]["training"]["steps"],
    ]
    assert found == [2, 1, 3, 1000, 32, 64, 64, 900]
    assert {type(value) for value in found} == {int}
    assert type(config["generators"]["pig"]["model"]["training"]["learning_rate"]) is float  # a number, as it was


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("folds", "count", value=2.5), "folds.count must be an integer, not 2.5."),
        (put("folds", "count", value=1.0), "folds.count must be at least 2, not 1."),
        (put("segmentation", "seeds", value=[1, 1.0]), "segmentation.seeds names something twice: [1, 1]."),
        (put("folds", "count", value=float("nan")), "folds.count must be an integer, not NaN."),
        (
            put("folds", "count", value="1e3"),
            'folds.count must be an integer, not "1e3" (to YAML that is text; write 1000 or 1.0e+3).',
        ),
        (
            put("folds", "count", value="1.0e3"),
            'folds.count must be an integer, not "1.0e3" (to YAML that is text; write 1000 or 1.0e+3).',
        ),
        (
            put("seed", value="1e999999999"),
            'seed must be an integer, not "1e999999999" (to YAML that is text; write 1.0e+999999999).',
        ),
        (
            put("folds.count", value=3),
            "folds.count is not a known key; a dot leads nowhere; put folds: {count: 3} into a file for --configfile.",
        ),
        (
            put("generators.pig.sampling.steps", value=3),
            "generators.pig.sampling.steps is not a known key; a dot leads nowhere; put generators: {pig: {sampling: "
            "{steps: 3}}} into a file for --configfile.",
        ),
    ],
)
def test_a_number_that_is_none_is_a_sentence(change: Change, sentence: str) -> None:
    config = study()
    change(config)
    assert lines(config) == [sentence]


@settings(max_examples=60)
@given(st.from_regex(r"[-+]?([0-9]{1,4}(\.[0-9]{0,3})?|\.[0-9]{1,3})[eE][-+]?[0-9]{1,2}", fullmatch=True))
def test_what_the_hint_says_is_a_number_of_that_value_to_yaml(text: str) -> None:
    if not isinstance(yaml.safe_load(text), str):
        return
    config = study()
    config["folds"]["count"] = text
    (line,) = lines(config)
    hinted = re.search(r"; write (?:(\S+) or )?(\S+)\)\.$", line)
    assert hinted, line
    for number in filter(None, hinted.groups()):
        read: Any = yaml.safe_load(number)
        assert isinstance(read, int | float)
        assert math.isclose(read, float(text), rel_tol=1e-12)


def test_folders_and_commands_have_integers(tmp_path: Path) -> None:
    words = overlay(
        tmp_path,
        "floats",
        folds={"count": 2.0},
        segmentation={"seeds": [1.0]},
        table1={"folds": [1.0], "count": 1.6e1},
        table2={"arms": [{"generator": "pig", "count": 8.0}], "controls": []},
        dataset={"new_patients": {"oracle": 0.0, "test": 2.0}},
    )
    result = plan(tmp_path, *words, "results/table2.csv")
    outputs = [output for rule, output in result.jobs if rule == "segment"]
    assert sorted(output.split(",")[0].rpartition("/")[0] for output in outputs) == sorted(
        f"results/segmentation/{arm}/fold{fold}/seed1" for arm in ("pig_8", "real") for fold in (0, 1)
    )
    assert "--count 8 " in result.text
    assert not re.search(r"fold[0-9]\.0|seed[0-9]\.0|--\S+ [0-9]+\.0\b", result.text)


# Names


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("table2", "arms", value=[]), "table2.arms is empty; name at least one generator"),
        (put("generators", "pig", "label", value="  "), "generators.pig.label is blank; give the row of the table a"),
        (put("dataset", "name", value="\t"), "dataset.name is blank; give the row of the table a name."),
        (put("generators", "pig", "label", value="P\nG"), "generators.pig.label has a line break or another control"),
        (put("generators", "pig", "label", value="P\0G"), "generators.pig.label has a line break or another control"),
        (put("dataset", "name", value="a\u2028b"), "dataset.name has a line break or another control character"),
        (
            put("generators", "pig", "label", value="Phantom"),
            "generators.pig.label is 'Phantom', which is the name of the data set; choose another one.",
        ),
        (put("dataset", "name", value="+PIG_1024"), "dataset.name is '+PIG_1024', which is a row of table 2 as well"),
    ],
)
def test_a_name_that_makes_no_row_is_a_sentence(change: Change, sentence: str) -> None:
    config = study()
    change(config)
    assert lines(config)[0].startswith(sentence)


@pytest.mark.parametrize("label", ["PIG (ours)", "Modèle à", "a\u00a0b", "=x", "-v"])
def test_other_labels_are_right(label: str) -> None:
    config = study()
    config["generators"]["pig"]["label"] = label
    assert lines(config) == []
