"""What "the same code" means: a hash of statements, found by name and read as text, never imported.

The hash covers the modules named and the modules that they import in turn. It is of the statements alone, so that a
change of a comment or a docstring costs no training. Two places use it:

- the workflow, among the parameters of each rule, because Snakemake does not see a change in an imported module;
- a checkpoint, which is resumed only by the code that wrote it.
"""

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path

from pig.system.errors import UserError

ROOT = Path(__file__).resolve().parents[2]

OWN = ("pig", "baselines")  # this project's packages; they may be installed beside others

# Modules that tell what happens, and change no result.
PLUMBING = {
    "pig.system.commit",
    "pig.system.errors",
    "pig.system.events",
    "pig.system.files",
    "pig.system.processes",
    "pig.system.progress",
    "pig.system.run_record",
    "pig.system.source",
    "pig.system.signals",
    "pig.system.trial",
}


@cache
def own_module(name: str) -> Path | None:
    """Return the file of a module of the working directory or of this project, or None."""
    for root in (Path.cwd(), *([ROOT] if name.partition(".")[0] in OWN else [])):
        stem = root.joinpath(*name.split("."))
        for file in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if file.is_file():
                return file
    return None


def _installed_module(name: str) -> Path | None:
    """Return the source of a module on Python's path; unlike importlib's find_spec, import no parent package."""
    spec, path = None, None
    for end in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:end])
        spec = next(filter(None, (finder.find_spec(part, path) for finder in sys.meta_path)), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


@cache
def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        UserError: the file is not Python.
    """
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


def home_of(node: ast.ImportFrom, name: str, file: Path) -> str:
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
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = home_of(node, name, file)
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


def module_of(path: str) -> str:
    """Return the module of ``package.module.Class``."""
    return path.rpartition(".")[0]


@cache
def source_hash(*entries: str) -> str:
    """Return a hash of the statements of the modules named and of the own modules that they import."""
    digest = hashlib.sha256()
    for name, file in sorted(modules(*entries).items()):
        digest.update(f"{name}\n{_statements(file)}\n".encode())
    return digest.hexdigest()[:16]
