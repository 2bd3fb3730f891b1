"""The schema of configurations knows what the dataclasses of settings know, and no more."""

import dataclasses
import types
import typing
from typing import Any

import pytest
import yaml
from classes import dataclass_of
from studies import SCHEMA, Config
from study_runs import ROOT

from pig.data.phantom import PhantomSettings
from pig.data.preprocess import PreprocessSettings
from pig.data.readers import SOURCES
from pig.generator import find_class
from pig.segmenter import SegmentationSettings


def described(hint: Any) -> Any:
    """Return what the schema has to say of a type: types, values allowed, items; of a dataclass, its fields."""
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = dataclasses.fields(hint)
        needed = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
        return {"types": {"object"}, "fields": {f.name: described(hints[f.name]) for f in fields}, "needed": needed}
    if typing.get_origin(hint) is typing.Literal:
        return {"types": {"string"}, "values": set(typing.get_args(hint))}
    if typing.get_origin(hint) is tuple:
        return {"types": {"array"}, "items": described(typing.get_args(hint)[0])}
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        of = [described(option) for option in typing.get_args(hint)]
        return {key: value for part in of for key, value in part.items()} | {
            "types": set().union(*(part["types"] for part in of))
        }
    names = {int: "integer", float: "number", bool: "boolean", str: "string", types.NoneType: "null"}
    return {"types": {names[hint]}}


def says(schema: Config, whole: Config) -> Any:
    """Return the same of a part of the schema."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]] | schema
    kinds = schema.get("type", "object")
    said: Config = {"types": {kinds} if isinstance(kinds, str) else set(kinds)}
    if "enum" in schema:
        said["values"] = set(schema["enum"])
    if "items" in schema:
        said["items"] = says(schema["items"], whole)
    if "properties" in schema:
        assert schema["additionalProperties"] is False
        said["fields"] = {key: says(part, whole) for key, part in schema["properties"].items()}
        said["needed"] = set(schema.get("required", []))
    return said


WHOLE = yaml.safe_load(SCHEMA.read_text())
CLASSES = [
    (path, section, part)
    for case in WHOLE["$defs"]["generator"]["allOf"]
    for path in case["if"]["properties"]["class"].get("enum", [case["if"]["properties"]["class"].get("const")])
    for section, part in case["then"]["properties"].items()
]


@pytest.mark.parametrize(("path", "section", "part"), CLASSES, ids=str)
def test_schema_and_dataclass_of_a_generator_agree(path: str, section: str, part: Config) -> None:
    find_class(path)
    assert says(part, WHOLE) == described(dataclass_of(path, section))


def test_schema_and_dataclasses_of_the_other_sections_agree() -> None:
    properties = WHOLE["properties"]
    assert says(properties["dataset"]["properties"]["phantom"], WHOLE) == described(PhantomSettings)
    assert says(properties["preprocessing"], WHOLE) == described(PreprocessSettings)
    segmentation = says(properties["segmentation"], WHOLE)
    seeds = segmentation["fields"].pop("seeds")
    assert seeds["items"] == {"types": {"integer"}}
    segmentation["needed"].remove("seeds")
    assert segmentation == described(SegmentationSettings)


def test_the_schema_knows_every_layout() -> None:
    layouts = WHOLE["properties"]["dataset"]["properties"]["import"]["properties"]["from"]["enum"]
    assert layouts == list(SOURCES)


def test_every_class_that_comes_with_the_project_is_in_the_schema() -> None:
    generators = yaml.safe_load((ROOT / "config.yaml").read_text())["generators"].values()
    assert {generator["class"] for generator in generators} == {path for path, _, _ in CLASSES}
