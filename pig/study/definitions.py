"""The classes of generators, read as text, never imported: what they derive from, and what describes their settings."""

import ast
import builtins
from collections.abc import Iterator
from typing import NamedTuple

from pig.system.errors import UserError
from pig.system.source import home_of, modules, own_module, parsed


class Definition(NamedTuple):
    """Where a class is defined: its module, and its statement there."""

    module: str
    node: ast.ClassDef

    @property
    def path(self) -> str:
        """``package.module.Class``."""
        return f"{self.module}.{self.node.name}"


def definition(path: str) -> Definition | None:
    """Return where ``package.module.Class`` is defined, or None if that cannot be told from the text.

    Raises:
        UserError: there is no such module, or nothing of that name in it.
    """
    module, _, name = path.rpartition(".")
    if not module:
        raise UserError(f"'{path}' names no module; write package.module.Class.")
    file = modules(module)[module]
    for node in ast.walk(parsed(file)):
        match node:
            case ast.ClassDef() if node.name == name:
                return Definition(module, node)
            case ast.ImportFrom():
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        home = home_of(node, module, file)
                        return definition(f"{home}.{alias.name}") if own_module(home) else None
            case ast.Assign(targets=[ast.Name(id=bound)]) if bound == name:
                return None
    raise UserError(f"there is no '{name}' in {file}.")


def lineage(path: str) -> Iterator[Definition | None]:
    """Yield where a class is defined, then the classes that it derives from; None for one that cannot be found.

    Raises:
        UserError: there is no such class.
    """
    found = definition(path)
    yield found
    for base in found.node.bases if found else []:
        if not hasattr(builtins, ast.unparse(base)):
            try:
                yield from lineage(_full_name(base, found.module)) if found else ()
            except UserError:
                yield None


def _full_name(base: ast.expr, module: str) -> str:
    """Return the full name of a class that is written as ``Class`` or ``module.Class`` in ``module``."""
    first, _, rest = ast.unparse(base).partition(".")
    file = modules(module)[module]
    for node in ast.walk(parsed(file)) if rest else ():
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if (alias.asname or alias.name.partition(".")[0]) == first:
                home = f"{home_of(node, module, file)}." if isinstance(node, ast.ImportFrom) else ""
                return f"{home}{alias.name if alias.asname or home else first}.{rest}"
    return f"{module}.{ast.unparse(base)}"


def class_attributes(path: str) -> dict[str, object]:
    """Return the class attributes with literal values of ``package.module.Class``, with those it inherits.

    Raises:
        UserError: there is no such module, or nothing of that name in it.
    """
    attributes: dict[str, object] = {}
    for found in reversed([*lineage(path)]):
        for line in found.node.body if found else []:
            match line:
                case (
                    ast.Assign(targets=[ast.Name(id=key)], value=ast.Constant(value=value))
                    | ast.AnnAssign(target=ast.Name(id=key), value=ast.Constant(value=value))
                ):
                    attributes[key] = value
    return attributes


def derives(path: str, wanted: str) -> bool:
    """Return whether a class is another one or derives from it, also where that cannot be told.

    Raises:
        UserError: there is no such class.
    """
    return any(found is None or found.path == wanted for found in lineage(path))


def settings_class(path: str, section: str) -> str | None:
    """Return the path of the dataclass that describes a class's section of the configuration, or None.

    It has the name ``Model`` or ``Sampling`` in the module of the class; a class that has no ``__init__`` of its own
    may leave it to those that it derives from.

    Raises:
        UserError: there is no such class.
    """
    for found in lineage(path):
        if found is None:
            return None
        try:
            settings = definition(f"{found.module}.{section.capitalize()}")
        except UserError:
            settings = None
        if settings and any("dataclass" in ast.unparse(decorator) for decorator in settings.node.decorator_list):
            return settings.path
        if any(isinstance(line, ast.FunctionDef) and line.name == "__init__" for line in found.node.body):
            return None
    return None


def has_setting(path: str, section: str, name: str) -> bool:
    """Return whether the dataclass that describes a class's section has a field; False where there is no dataclass.

    Raises:
        UserError: there is no such class.
    """
    settings = settings_class(path, section)
    of_fields = [found.node.body for found in lineage(settings) if found] if settings else []
    return any(
        isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id == name
        for body in of_fields
        for line in body
    )
