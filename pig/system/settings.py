"""From a mapping, as a configuration file gives it, to a frozen dataclass; every error in it is told at once."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pig.system.errors import UserError

T = TypeVar("T")
Error = tuple[str, str]  # the key that is wrong, "" for the whole, and a sentence


class SettingsError(UserError):
    """Settings that cannot work.

    Attributes:
        errors: each key with its sentence.
        settings: the dataclass that holds them, or None if some value is missing or of another type.
    """

    def __init__(self, errors: Iterable[Error], settings: Any = None) -> None:
        self.errors, self.settings = list(errors), settings
        super().__init__("\n".join(f"{key}: {sentence}" if key else sentence for key, sentence in self.errors))


def refuse(errors: Iterable[Error], settings: Any = None) -> None:
    """Raise a SettingsError if there are ``errors``; a dataclass of settings calls it when it is built."""
    if found := list(errors):
        raise SettingsError(found, settings)


def not_positive(settings: Any, *names: str) -> Iterator[Error]:
    """Yield an error for each of these fields that is not above 0, or holds a value that is not; None is none."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and any(item <= 0 for item in (value if isinstance(value, tuple) else (value,))):
            yield name, f"must be above 0, got {value}."


def negative(settings: Any, *names: str) -> Iterator[Error]:
    """Yield an error for each of these fields that is below 0."""
    for name in names:
        if getattr(settings, name) < 0:
            yield name, f"must be 0 or more, got {getattr(settings, name)}."


def parse(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Build the dataclass ``cls`` from ``mapping``; nested dataclasses from nested mappings.

    Args:
        cls: a dataclass whose fields are bool, int, float, str, tuples and unions of these, or dataclasses.
        mapping: keys are the names of the fields; those with a default may be left out. A float without a fraction
            stands for an integer.
        where: the place in the configuration, for messages (``"generators.pig.model"``).

    Raises:
        SettingsError: a key is unknown or missing, a value is of another type, or ``cls`` refuses it. It names all of
            these, one on a line.
    """
    errors: list[Error] = []
    settings = _build(cls, mapping, where, errors)
    refuse(errors, None if settings is _WRONG else settings)
    return typing.cast(T, settings)


_WRONG = object()  # in place of a value that cannot be had


def _build(cls: type[Any], mapping: Any, where: str, errors: list[Error]) -> Any:
    """Return the dataclass, even one that refuses its values, and append what is wrong to ``errors``."""
    if not isinstance(mapping, Mapping):
        errors.append((where, f"expected keys and values, got {mapping!r}."))
        return _WRONG
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in mapping:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"the keys are {', '.join(sorted(fields))}."
            errors.append((f"{where}.{key}", f"unknown key; {hint}"))
    hints, values = typing.get_type_hints(cls), {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], f"{where}.{name}", errors)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            values[name] = _WRONG
            errors.append((f"{where}.{name}", "missing; it has no default, so give it a value."))
    if any(value is _WRONG for value in values.values()):
        return _WRONG
    try:
        return cls(**values)
    except SettingsError as error:
        errors += [(f"{where}.{key}" if key else where, sentence) for key, sentence in error.errors]
        return error.settings or _WRONG
    except UserError as error:
        errors.append((where, str(error)))
        return _WRONG


def _convert(hint: Any, value: Any, where: str, errors: list[Error]) -> Any:
    """Return ``value`` as the type ``hint``, or append to ``errors`` what was expected."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type[Any], hint), value, where, errors)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
                return _build(typing.cast(type[Any], option), value, where, errors)
            if (converted := _convert(option, value, where, [])) is not _WRONG:
                return converted
    elif origin is typing.Literal:
        if value in arguments:
            return value
        errors.append((where, f"{value!r} is not one of {', '.join(map(repr, arguments))}."))
        return _WRONG
    elif origin is tuple and isinstance(value, list | tuple):
        items = [_convert(arguments[0], item, f"{where}[{i}]", errors) for i, item in enumerate(value)]
        return _WRONG if _WRONG in items else tuple(items)
    elif hint is types.NoneType:
        if value is None:
            return None
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(number := float(value)):
                return number
        except OverflowError:  # an integer of hundreds of digits
            pass
        errors.append((where, f"must be a finite number, got {value}."))
        return _WRONG
    elif hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    expected = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    errors.append((where, f"expected {expected}, got {value!r}."))
    return _WRONG
