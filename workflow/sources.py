"""The code a rule runs: found by name and read as text, never imported.

Snakemake does not see a change in an imported module. So each rule has a hash of its modules, and of the modules
they import in turn, among its parameters: who changes a method reruns what the method made, and nothing else. The
hash is of the statements alone, so that a comment or a docstring costs nobody a training.
"""

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path

from pig.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

# Modules that say what happens, and change no result.
PLUMBING = {
    "pig.errors",
    "pig.events",
    "pig.files",
    "pig.processes",
    "pig.progress",
    "pig.record",
    "pig.stopping",
}


@cache
def own_module(name: str) -> Path | None:
    """Return the file of a module of the working directory or of this project, or None."""
    for root in (Path.cwd(), ROOT):
        stem = root.joinpath(*name.split("."))
        for file in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if file.is_file():
                return file
    return None


def _installed_module(name: str) -> Path | None:
    """Return the file of a module on Python's path; unlike importlib's find_spec, import no parent package."""
    spec, path = None, None
    for end in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:end])
        spec = next(filter(None, (finder.find_spec(part, path) for finder in sys.meta_path)), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


@cache
def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}, is not Python: {error.msg}.") from None


@cache
def _statements(file: Path) -> str:
    """Return the code of a file without comments, docstrings and layout."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest or [ast.Pass()]
    return ast.unparse(tree)


def _home(node: ast.ImportFrom, name: str, file: Path) -> str:
    """Return the full name of the module that ``from ... import`` takes from, in the module ``name``."""
    if not node.level:
        return node.module or ""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    parents = package[: len(package) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


@cache
def _imports(name: str, file: Path) -> list[str]:
    """Return the names of the modules that a file imports, wherever in it the import stands."""
    found = []
    for node in ast.walk(_parse(file)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = _home(node, name, file)
            for alias in node.names:
                part = f"{home}.{alias.name}"
                found.append(part if own_module(part) else home)
    return found


def modules(*entries: str) -> dict[str, Path]:
    """Return the files of the modules named and of all own modules that they import, by name.

    Raises:
        UserError: a module named is not found, or a file is not Python.
    """
    found: dict[str, Path] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        file = own_module(name) or (_installed_module(name) if name in entries else None)
        if file is None and name in entries:
            raise UserError(f"there is no module '{name}' in the working directory or on Python's path.")
        if file is not None and name not in found and name not in PLUMBING:
            found[name] = file
            waiting.extend(_imports(name, file))
    return found


@cache
def source_hash(*entries: str) -> str:
    """Return a hash of the statements of the modules named and of the own modules that they import."""
    digest = hashlib.sha256()
    for name, file in sorted(modules(*entries).items()):
        digest.update(f"{name}\n{_statements(file)}\n".encode())
    return digest.hexdigest()[:16]
