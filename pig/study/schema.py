"""The schema of a configuration: its frame from a file, and the sections that dataclasses of settings describe.

So each setting is written down once, with its type and default, in the dataclass that the job itself uses.
"""

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pig.data.phantom.settings import PhantomSettings
from pig.data.settings import PreprocessSettings
from pig.evaluation.settings import NnunetSettings, SegmentationSettings
from pig.study.definitions import settings_class
from pig.system.errors import UserError
from pig.system.imports import find_class

Schema = dict[str, Any]
OWN = ("pig.", "baselines.")  # classes of this project; a user's own class checks its settings itself


def study_schema(frame: str | Path, config: Mapping[str, Any]) -> Schema:
    """Return the JSON schema (draft 2020-12) of a configuration.

    Args:
        frame: path of the schema (YAML) that leaves open what the dataclasses describe.
        config: the configuration, right or wrong, for the classes of its generators.
    """
    schema: Schema = yaml.safe_load(Path(frame).read_text(encoding="utf-8"))
    sections = schema["properties"]
    sections["dataset"]["properties"]["phantom"] = described(PhantomSettings)
    sections["preprocessing"] = described(PreprocessSettings)
    seeds, segmentation = sections["segmentation"], _section(SegmentationSettings)
    segmentation["properties"] |= seeds["properties"]
    segmentation["required"] += seeds["required"]
    sections["segmentation"] = segmentation
    sections["nnunet"] = _section(NnunetSettings)
    del sections["nnunet"]["properties"]["image_size"]  # that of the segmentation
    schema["$defs"]["generator"]["allOf"] = [_case(path) for path in sorted(_classes(config.get("generators")))]
    return schema


def described(hint: Any) -> Schema:
    """Return the schema of a type: a dataclass, a Literal, a tuple of one type, a union, or a plain type."""
    arguments = typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        hints, fields = typing.get_type_hints(hint), dataclasses.fields(hint)
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING],
            "properties": {f.name: described(hints[f.name]) for f in fields},
        }
    if typing.get_origin(hint) is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": described(arguments[0])}
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = [described(option) for option in arguments]
        merged = {key: value for option in options for key, value in option.items()}
        return merged | {"type": [option["type"] for option in options]}
    names = {int: "integer", float: "number", bool: "boolean", str: "string", types.NoneType: "null"}
    return {"type": names[hint]}


def _section(cls: type[Any]) -> Schema:
    """Return the schema of a section, which need not say its ``image_size``: there is that of the study."""
    schema = described(cls)
    return schema | {"required": [key for key in schema["required"] if key != "image_size"]}


def _classes(generators: Any) -> Iterable[str]:
    """Return the import paths of this project's classes among the generators of a configuration."""
    entries = generators.values() if isinstance(generators, Mapping) else ()
    paths = {entry.get("class") for entry in entries if isinstance(entry, Mapping)}
    return {path for path in paths if isinstance(path, str) and path.startswith(OWN)}


def _case(path: str) -> Schema:
    """Return what the schema says of the generators of one class: its sections ``model`` and ``sampling``."""
    sections = {}
    for section in ("model", "sampling"):
        try:
            settings = settings_class(path, section)
        except UserError:  # there is no such class, which is said elsewhere
            settings = None
        if settings:
            sections[section] = _section(find_class(settings))
    return {"if": {"required": ["class"], "properties": {"class": {"const": path}}}, "then": {"properties": sections}}
