"""The schema of configurations is its frame and what the dataclasses of settings say of themselves."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import pytest
import yaml
from classes import dataclass_of
from studies import SCHEMA, study

from pig.commands import SHARED
from pig.data.phantom import PhantomSettings
from pig.data.readers import SOURCES
from pig.data.settings import PreprocessSettings
from pig.evaluation.features.extractor import REGISTERED, Features
from pig.evaluation.settings import SegmentationSettings
from pig.study.memory import FEATURES
from pig.study.schema import described, study_schema


@dataclass
class Inner:
    factor: float


@dataclass
class Outer:
    size: int
    inner: Inner
    kind: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (1, 2)
    other: Inner | None = None
    share: float | None = None
    names: tuple[str, ...] = field(default_factory=tuple)
    on: bool = False


INNER = {
    "type": "object", "additionalProperties": False, "required": ["factor"],
    "properties": {"factor": {"type": "number"}},
}  # fmt: skip


def test_a_dataclass_is_described() -> None:
    assert described(Outer) == {
        "type": "object",
        "additionalProperties": False,
        "required": ["size", "inner"],
        "properties": {
            "size": {"type": "integer"},
            "inner": INNER,
            "kind": {"type": "string", "enum": ["a", "b"]},
            "widths": {"type": "array", "items": {"type": "integer"}},
            "other": INNER | {"type": ["object", "null"]},
            "share": {"type": ["number", "null"]},
            "names": {"type": "array", "items": {"type": "string"}},
            "on": {"type": "boolean"},
        },
    }


def test_the_sections_are_those_of_the_dataclasses() -> None:
    sections = study_schema(SCHEMA, study())["properties"]
    assert sections["dataset"]["properties"]["phantom"] == described(PhantomSettings)
    assert sections["preprocessing"] == described(PreprocessSettings)
    segmentation = sections["segmentation"]
    assert segmentation["properties"].pop("seeds")["minItems"] == 1
    assert set(segmentation["required"]) == {"seeds", "training"}
    assert segmentation["properties"] == described(SegmentationSettings)["properties"]


PATHS = sorted({entry["class"] for entry in study()["generators"].values()})


@pytest.mark.parametrize("path", PATHS)
def test_each_class_has_its_case(path: str) -> None:
    (case,) = [
        case
        for case in study_schema(SCHEMA, study())["$defs"]["generator"]["allOf"]
        if case["if"]["properties"]["class"]["const"] == path
    ]
    assert case["if"]["required"] == ["class"]
    sections = case["then"]["properties"]
    model = described(dataclass_of(path, "model"))
    model["required"] = [key for key in model["required"] if key != "image_size"]  # that of the study
    assert sections.pop("model") == model
    assert sections == ({} if path.endswith("Autoencoder") else {"sampling": described(dataclass_of(path, "sampling"))})


@pytest.mark.parametrize("wrong", [None, [], {"a": None}, {"a": {"class": 3}}, {"a": {"class": "pig.nowhere.X"}}])
def test_a_configuration_that_is_wrong_has_a_schema_too(wrong: Any) -> None:
    cases = study_schema(SCHEMA, {"generators": wrong})["$defs"]["generator"]["allOf"]
    assert [case["then"]["properties"] for case in cases] in ([], [{}])


def test_the_schema_knows_every_layout() -> None:
    frame = yaml.safe_load(SCHEMA.read_text())
    assert frame["properties"]["dataset"]["properties"]["import"]["properties"]["from"]["enum"] == list(SOURCES)


def test_features_have_the_same_names_everywhere() -> None:
    names = list(get_args(Features))
    assert yaml.safe_load(SCHEMA.read_text())["properties"]["table1"]["properties"]["features"]["enum"] == names
    assert SHARED["features"]["choices"] == names
    assert [*REGISTERED] == [*FEATURES] == names
