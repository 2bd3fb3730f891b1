"""A study's configuration: refused, with every fault in a sentence, before anything runs."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from pig.errors import UserError

TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "keys and values",
    "string": "text",
}


def check_config(config: Mapping[str, Any], schema: str | Path) -> None:
    """Check a configuration against a schema, then whether its parts fit each other.

    Args:
        config: what ``config.yaml`` holds, after any overlays.
        schema: path of a JSON schema (draft 2020-12, as YAML).

    Raises:
        UserError: names every key that is unknown, missing, wrong or does not fit, one on a line.
    """
    plain = json.loads(json.dumps(config, default=str))  # dates and other YAML types become text
    validator = Draft202012Validator(yaml.safe_load(Path(schema).read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(plain), key=lambda error: [str(part) for part in error.absolute_path])
    faults = [fault for error in errors for fault in _sentences(error)] or list(_misfits(plain))
    if faults:
        raise UserError("\n".join(f"config: {fault}" for fault in dict.fromkeys(faults)))


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


def _text_hint(value: Any) -> str:
    """Say why what looks like a number or a truth value was read as text."""
    if not isinstance(value, str):
        return ""
    if re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value):
        return f" (to YAML that is text; with a point, {value.lower().replace('e', '.0e')}, it is a number)"
    if not isinstance(yaml.safe_load(value), str):
        return " (values within braces after --config are all read as text; put them into a file for --configfile)"
    return ""


def _misfits(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong between the parts of a configuration whose parts are all right."""
    generators: Mapping[str, Any] = config["generators"]
    folds, table1, arms = config["folds"]["count"], config["table1"], config["table2"]["arms"]

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

    # What is drawn from it.
    asked = [(f"table1.generators[{i}]", name) for i, name in enumerate(table1["generators"])]
    asked += [(f"table2.arms[{i}].generator", arm["generator"]) for i, arm in enumerate(arms)]
    for where, name in asked:
        if name not in generators:
            yield unknown(where, name)
        elif "sampling" not in generators[name]:
            yield f"{where} names '{name}', which is a part; to draw from it, give it a sampling section."
    for i, arm in enumerate(arms):
        if arm in arms[:i]:
            yield f"table2.arms[{i}] is there twice: {arm['generator']} with {arm['count']}."
    labels = Counter(entry.get("label", name) for name, entry in generators.items() if "sampling" in entry)
    for label, count in labels.items():
        if count > 1:
            yield f"generators: {count} of them have the label '{label}'; rows of a table need different ones."

    # On what.
    for fold in table1["folds"]:
        if fold >= folds:
            yield f"table1.folds names fold {fold}, but folds.count is {folds}: they are numbered 0 to {folds - 1}."
    dataset = config["dataset"]
    patients = sum(dataset["phantom"].get(key, 0) for key in ("patients", "normal_patients"))
    if dataset["manifest"] is None and 0 < patients < folds:
        yield f"folds.count is {folds}, but dataset.phantom has {patients} patients; a fold needs at least one."
    for where, file in (
        ("dataset.manifest", dataset["manifest"]),
        ("table1.inception_weights", table1["inception_weights"]),
    ):
        if file is not None and {"{", "}"} & {*file}:
            yield f"{where}: '{file}' has braces, which Snakemake takes for wildcards; rename the file or its folder."
        elif file is not None and "://" not in file and not Path(file).is_file():  # in a storage, Snakemake looks
            yield f"{where}: there is no file '{file}' (a relative path starts at the working directory)."


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
