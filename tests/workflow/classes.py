"""Where the settings of a generator's class are described."""

import importlib
from typing import Any

import baselines.ddim


def dataclass_of(path: str, section: str) -> Any:
    """Return the dataclass of a section of a class; those that sample as DDIM does share its."""
    module = importlib.import_module(path.rpartition(".")[0])
    return getattr(module, section.capitalize(), baselines.ddim.Sampling)
