"""A class by its import path."""

import importlib
import sys
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
