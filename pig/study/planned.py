"""The file of a plan: what the user has set and what was derived, each value with its reason beside it."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from pig.study.derived import Derived

SAME = "as PIG's"  # reasons that need no line of the table


class Leaf(NamedTuple):
    """A value of the configuration with the reason for it."""

    value: Any
    reason: str


Tree = dict[str, Any]  # of keys to trees and leaves


def tree_of(own: Mapping[str, Any], derived: Iterable[Derived], source: str) -> Tree:
    """Return the plan: what the user has set, and what was derived where nothing is set.

    Args:
        own: what the user has set.
        derived: values with their reasons.
        source: the file of the user's settings, which is their reason.
    """
    tree: Tree = {}
    first = {key: own[key] for key in ("dataset",) if key in own}  # where a reader looks for it
    _put_all(tree, first, source)
    for key, value, reason in derived:
        _put_all(tree, _nested(key, value), reason)
    _put_all(tree, own, source)
    return tree


def _nested(key: str, value: Any) -> Any:
    first, _, rest = key.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _put_all(tree: Tree, values: Mapping[str, Any], reason: str) -> None:
    """Put values into the tree, over those that are there."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            below = tree.get(key)
            tree[key] = below if isinstance(below, dict) else {}
            _put_all(tree[key], value, reason)
        else:
            tree[key] = Leaf(value, reason)


def plain(tree: Tree) -> dict[str, Any]:
    """Return the values without their reasons."""
    return {key: node.value if isinstance(node, Leaf) else plain(node) for key, node in tree.items()}


def leaves(tree: Tree, above: str = "") -> Iterator[tuple[str, Leaf]]:
    """Yield ``generators.pig.model.training.steps`` and its leaf, for each."""
    for key, node in tree.items():
        if isinstance(node, Leaf):
            yield above + key, node
        else:
            yield from leaves(node, f"{above}{key}.")


def as_yaml(tree: Tree, header: str) -> str:
    """Return the text of the file; ``header`` is the comment at its top."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comment + "\n" + "\n".join(_lines(tree, "")) + "\n"


def _lines(tree: Tree, indent: str) -> Iterator[str]:
    """Yield a line for each value, or for a section whose values have one reason."""
    for key, node in tree.items():
        name = f"{indent}{_flow(key)}:"
        reasons = [node.reason] if isinstance(node, Leaf) else sorted({leaf.reason for _, leaf in leaves(node)})
        if len(reasons) > 1:
            yield name
            yield from _lines(node, indent + "  ")
        elif isinstance(node, Leaf) and isinstance(node.value, list) and any(map(_is_mapping, node.value)):
            yield f"{name}  # {reasons[0]}"
            yield from (f"{indent}  - {_flow(item)}" for item in node.value)
        else:
            yield f"{name} {_flow(node.value if isinstance(node, Leaf) else plain(node))}  # {reasons[0]}"


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text: str = yaml.safe_dump(
        json.loads(json.dumps(value, default=str)), default_flow_style=True, width=math.inf, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def as_table(tree: Tree) -> str:
    """Return the values with their reasons as a person reads them, those left out that are as another's."""
    rows = [(key, _shown(leaf.value), leaf.reason) for key, leaf in leaves(tree) if leaf.reason != SAME]
    left, middle = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{key:{left}}  {value:{middle}}  {reason}" for key, value, reason in rows)


def _shown(value: Any) -> str:
    several = isinstance(value, list) and any(map(_is_mapping, value))
    return f"{len(value)} rows" if several else _flow(value)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return ``key: old -> new`` for each value that differs between two plans."""
    old, new = (dict(leaves(tree_of(values, [], ""))) for values in (before, after))
    missing = Leaf("nothing", "")
    return [
        f"{key}: {_flow(old.get(key, missing).value)} -> {_flow(new.get(key, missing).value)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]
