"""From a mapping, as a configuration file gives it, to a frozen dataclass; a mistyped key is an error."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pig.errors import UserError

T = TypeVar("T")


def parse(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Build the dataclass ``cls`` from ``mapping``; nested dataclasses from nested mappings.

    Args:
        cls: a dataclass whose fields are bool, int, float, str, tuples and unions of these, or dataclasses.
        mapping: keys are the names of the fields; those with a default may be left out.
        where: the place in the configuration, for messages (``"generators.pig.model"``).

    Raises:
        UserError: a key is unknown or missing, or a value is of another type.
    """
    if not isinstance(mapping, Mapping):
        raise UserError(f"{where}: expected keys and values, got {mapping!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"the keys are {', '.join(sorted(fields))}."
            raise UserError(f"{where}.{key}: unknown key; {hint}")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"{where}.{name}: missing; it has no default, so give it a value.")
    return cls(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return ``value`` as the type ``hint``, or raise a UserError that says what was expected."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return parse(typing.cast(type[Any], hint), value, where)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _convert(option, value, where)
            except UserError:
                continue
    elif origin is typing.Literal:
        if value in arguments:
            return value
        raise UserError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}.")
    elif origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    elif hint is types.NoneType:
        if value is None:
            return None
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    expected = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    raise UserError(f"{where}: expected {expected}, got {value!r}.")
