"""Leaky generators: trained on all patients, also on those that are tested on. They are controls, and are marked.

A study that cannot see what such pairs bring on the patients of the folds would not see a leak either.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Config = Mapping[str, Any]


def leaky_errors(config: Config) -> Iterator[str]:
    """Yield what would let a leaky generator pass for another one, of a configuration whose names are all known."""
    generators, table1, table2 = config["generators"], config["table1"], config["table2"]
    leaky = [name for name, entry in generators.items() if entry.get("leaky")]
    for name, entry in generators.items():
        at, below = f"generators.{name}", _below(entry)
        leaks = [other for other in below.values() if other in leaky]
        if name not in leaky:
            for key, other in below.items():
                if other in leaky:
                    yield f"{at}.{key} names '{other}', which is leaky; then '{name}' is, too: set its leaky to true."
            continue
        if "leaky" not in name.lower():
            yield f"{at} is leaky, and its files would not say so; give it a name with leaky in it, as {name}_leaky."
        if "model" not in entry and not leaks:
            yield f"{at}.leaky is of what is trained, and '{name}' has no model of its own; give it one."
    asked = [(f"table1.generators[{i}]", name) for i, name in enumerate(table1["generators"])]
    asked += [(f"table2.arms[{i}].generator", arm["generator"]) for i, arm in enumerate(table2["arms"])]
    for where, name in asked:
        if name in leaky:
            yield f"{where} names '{name}', which is leaky; it may stand under table2.controls alone."


def _below(entry: Config) -> dict[str, str]:
    """Return the generators that another one is built on or draws from, by key."""
    found = {f"needs.{role}": part for role, part in entry.get("needs", {}).items()}
    found |= {"model_of": entry["model_of"]} if "model_of" in entry else {}
    return found | ({"masks.from": entry["masks"]["from"]} if "from" in entry.get("masks", {}) else {})
