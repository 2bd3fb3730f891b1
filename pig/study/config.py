"""A study's configuration: refused, with every error in a sentence, before anything runs."""

import difflib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from pig.study.arms import arm_errors, arms_of, generator_labels, studies_phantom
from pig.study.image_size import give_image_size, named_once
from pig.study.leaky import leaky_errors
from pig.study.own_data import data_errors
from pig.study.schema import study_schema
from pig.system.errors import UserError

TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "keys and values",
    "string": "text",
}


Check = Callable[[Mapping[str, Any]], Iterator[str]]


# To JSON schema 2.0 is an integer too.
STRICT = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
Validator: Any = extend(Draft202012Validator, type_checker=STRICT)  # type: ignore[no-untyped-call]


def check_config(config: Mapping[str, Any], frame: str | Path, *checks: Check) -> None:
    """Check a configuration against a schema, then whether its parts fit each other.

    Where the schema wants an integer, a float without a fraction (``1.0e+3``) becomes one, in ``config`` itself. What
    works at the study's ``image_size`` is given it there, too.

    Args:
        config: what ``config.yaml`` holds, after any overlays.
        frame: path of the schema's frame, see :func:`pig.study.schema.study_schema`.
        checks: further ones of a configuration that the schema allows; each yields a sentence for each error.

    Raises:
        UserError: names every key that is unknown, missing, wrong or does not fit, one on a line.
    """
    validator = Validator(study_schema(frame, config))
    errors = [*validator.iter_errors(_plain(config))]
    for error in errors:
        if _is_whole_number(error):
            _put(config, [*error.absolute_path], int(error.instance))
    if any(map(_is_whole_number, errors)):  # what is an integer now may be out of bounds
        errors = [*validator.iter_errors(_plain(config))]
    errors.sort(key=lambda error: [str(part) for part in error.absolute_path])
    sentences = [sentence for error in errors for sentence in _sentences(error)]
    if not sentences:
        given = give_image_size(config)
        sentences = [named_once(sentence, given) for check in (_misfits, *checks) for sentence in check(config)]
    if sentences:
        raise UserError("\n".join(f"config: {sentence}" for sentence in dict.fromkeys(sentences)))


def _plain(config: Mapping[str, Any]) -> Any:
    """Return a copy in which dates and other types of YAML are text."""
    return json.loads(json.dumps(config, default=str))


def _is_whole_number(error: ValidationError) -> bool:
    wanted: Any = error.validator_value
    return error.validator == "type" and "integer" in wanted and _is_whole(error.instance)


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _put(config: Any, path: list[str | int], value: int) -> None:
    for key in path[:-1]:
        config = config[key]
    config[path[-1]] = value


def _place(*parts: str | int) -> str:
    """Return ``table2.arms[0].count`` for ("table2", "arms", 0, "count")."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _sentences(error: ValidationError) -> Iterator[str]:
    """Say what one error of the schema means."""
    at = [*error.absolute_path]
    wanted: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "additionalProperties":
            known = list(error.schema["properties"])  # type: ignore[index]
            for key in value.keys() - known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"the keys there are {', '.join(sorted(known))}."
                if "." in key:
                    hint = f"a dot leads nowhere; put {_nested(key, value[key])} into a file for --configfile."
                yield f"{_place(*at, key)} is not a known key; {hint}"
        case "required":
            for key in wanted:
                if key not in value:
                    yield f"{_place(*at, key)} is missing; config.yaml shows it with a value."
        case "type":
            names = [TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted)]
            yield f"{_place(*at)} must be {' or '.join(names)}, not {json.dumps(value)}{_text_hint(value)}."
        case "enum":
            yield f"{_place(*at)} must be one of {', '.join(map(json.dumps, wanted))}, not {json.dumps(value)}."
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            bounds = {
                "minimum": "at least",
                "exclusiveMinimum": "above",
                "maximum": "at most",
                "exclusiveMaximum": "below",
            }
            yield f"{_place(*at)} must be {bounds[str(error.validator)]} {wanted}, not {value}."
        case "minItems" | "minLength":
            yield f"{_place(*at)} must not be empty."
        case "uniqueItems":
            yield f"{_place(*at)} names something twice: {json.dumps(value)}."
        case "pattern":  # of a name that becomes part of a file's name
            yield f"{_place(*at)}: a name is a letter, then letters, digits, '_' or '-', not {json.dumps(value)}."
        case _:
            yield f"{_place(*at)}: {error.message}."


def _nested(key: str, value: Any) -> str:
    """Return ``folds: {count: 3}`` for the dotted key ``folds.count``."""
    first, *others = key.split(".")
    return f"{first}: " + "".join(f"{{{other}: " for other in others) + json.dumps(value) + "}" * len(others)


def _text_hint(value: Any) -> str:
    """Say why what looks like a number or a truth value was read as text."""
    if not isinstance(value, str):
        return ""
    if found := re.fullmatch(r"([-+]?)([0-9]*)(\.[0-9]*)?[eE]([-+]?)([0-9]+)", value):
        sign, whole, fraction, power_sign, power = found.groups()
        number = f"{sign}{whole or 0}{fraction if fraction and len(fraction) > 1 else '.0'}e{power_sign or '+'}{power}"
        digits = f"{Decimal(number).normalize():f} or " if len(power) == 1 else ""
        return f" (to YAML that is text; write {digits}{number})"
    if not isinstance(yaml.safe_load(value), str):
        return " (values within braces after --config are all read as text; put them into a file for --configfile)"
    return ""


def _misfits(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong between the parts of a configuration whose parts are all right."""
    generators: Mapping[str, Any] = config["generators"]
    folds, table1, table2 = config["folds"]["count"], config["table1"], config["table2"]

    def unknown(where: str, name: str) -> str:
        return f"{where} names '{name}', which is not among generators ({', '.join(generators)})."

    # What a generator is trained from.
    for name, generator in generators.items():
        at = f"generators.{name}"
        owner = generator.get("model_of")
        if (owner is None) == ("model" not in generator):
            yield f"{at} needs either model (settings to train with) or model_of (another's trained model)."
        if owner is not None and "needs" in generator:
            yield f"{at}.needs is of no use beside model_of; the needs of '{owner}' are what is trained."
        for key, other in [("model_of", owner)] * (owner is not None) + [
            (f"needs.{role}", other) for role, other in generator.get("needs", {}).items()
        ]:
            if other not in generators:
                yield unknown(f"{at}.{key}", other)
            elif "model" not in generators[other]:
                yield f"{at}.{key} names '{other}', which has no model of its own; name the one that has."
    if cycle := _cycle({name: list(entry.get("needs", {}).values()) for name, entry in generators.items()}):
        yield f"generators need each other in a circle: {' -> '.join(cycle)}."

    # For which masks a conditional one draws.
    for name, generator in generators.items():
        at, masks = f"generators.{name}.masks", generator.get("masks")
        if masks is None:
            continue
        if len(masks) != 1:
            yield f"{at} needs either from (a generator whose masks are taken) or jitter: true (moved training masks)."
        if "sampling" not in generator:
            yield f"{at} is of no use without a sampling section, since nothing is drawn from '{name}'."
        if "from" in masks and masks["from"] not in generators:
            yield unknown(f"{at}.from", masks["from"])
        elif "from" in masks and "sampling" not in generators[masks["from"]]:
            yield f"{at}.from names '{masks['from']}', which is a part; to draw from it, give it a sampling section."
    sources = {name: [entry["masks"]["from"]] for name, entry in generators.items() if "from" in entry.get("masks", {})}
    if cycle := _cycle(sources):
        yield f"generators take each other's masks in a circle: {' -> '.join(cycle)}."

    # What is drawn from it.
    asked = [(f"table1.generators[{i}]", name) for i, name in enumerate(table1["generators"])]
    asked += [
        (f"table2.{key}[{i}].generator", arm["generator"])
        for key in ("arms", "controls")
        for i, arm in enumerate(table2[key])
        if "generator" in arm
    ]
    for where, name in asked:
        if name not in generators:
            yield unknown(where, name)
        elif "sampling" not in generators[name]:
            yield f"{where} names '{name}', which is a part; to draw from it, give it a sampling section."
    for where, sentence in arm_errors(config):
        yield f"{where} {sentence}"
    yield from leaky_errors(config)
    yield from _misfits_of_labels(config)

    # On what.
    yield from data_errors(config)
    for fold in table1["folds"]:
        if fold >= folds:
            yield f"table1.folds names fold {fold}, but folds.count is {folds}: they are numbered 0 to {folds - 1}."
    dataset = config["dataset"]
    patients = sum(dataset["phantom"].get(key, 0) for key in ("patients", "normal_patients"))
    if studies_phantom(dataset) and 0 < patients < folds:
        yield f"folds.count is {folds}, but dataset.phantom has {patients} patients; a fold needs at least one."


def _misfits_of_labels(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the names of rows."""
    data = config["dataset"]["name"]
    drawn = generator_labels({name: entry for name, entry in config["generators"].items() if "sampling" in entry})
    places = {"dataset.name": data} | {f"generators.{name}.label": label for name, label in drawn.items()}
    for place, label in places.items():
        if not label.strip():
            yield f"{place} is blank; give the row of the table a name."
        if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in label):
            yield f"{place} has a line break or another control character: {json.dumps(label)}."
    arms = [arm for arm in arms_of(config) if arm.generator is None or arm.generator in drawn]
    rows = {arm.label(drawn) for arm in arms}
    for name, label in drawn.items():
        if label == data:
            yield f"generators.{name}.label is '{label}', which is the name of the data set; choose another one."
    if data in rows:
        yield f"dataset.name is '{data}', which is a row of table 2 as well; choose another one."
    for label, count in Counter(drawn.values()).items():
        if count > 1:
            yield f"generators: {count} of them have the label '{label}'; rows of a table need different ones."


def _cycle(needs: Mapping[str, list[str]]) -> list[str]:
    """Return the names along a circle of needs, the first again at the end, or an empty list."""
    for start in needs:
        paths = [[start]]
        for path in paths:
            for name in needs.get(path[-1], []):
                if name == start:
                    return [*path, name]
                if name not in path:
                    paths.append([*path, name])
    return []
