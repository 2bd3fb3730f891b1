"""A class by its import path, and imports without what is not needed."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pig.system.errors import UserError


def find_class(path: str) -> Any:
    """Import ``package.module.Class``, also from a file of the working directory.

    Raises:
        UserError: the module or the class is not found, or the module does not import.
    """
    module, _, name = path.rpartition(".")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, ValueError) as error:
        raise UserError(f"class: cannot import '{module}' of '{path}' ({error}); fix the import path.") from error
    except AttributeError:
        raise UserError(f"class: module '{module}' has no '{name}'; fix the import path '{path}'.") from None


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let what is imported in the block do without these modules, as if they were not installed.

    For libraries that try what there is. Whatever else imported the modules before keeps them, and after the block they
    can be imported; but a library that has done without them goes on to do so.
    """
    absent = [name for name in modules if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # "a ModuleNotFoundError is raised" (Python, import system)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
