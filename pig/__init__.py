"""PIG and the benchmark around it: paired image generation with diffusion-guided diffusion models."""

import importlib
import importlib.metadata
from operator import attrgetter
from typing import Any

_HOMES = {
    "NoiseSchedule": "pig.diffusion.schedule:NoiseSchedule",
    "UserError": "pig.system.errors:UserError",
    "load_generator": "pig.methods.model_folder:load_generator",
    "open_store": "pig.data.store:Store.open",
    "sample_pairs": "pig.diffusion.sampling:sample_pairs",
}
__all__ = ["NoiseSchedule", "UserError", "load_generator", "open_store", "sample_pairs"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, since torch alone takes a second."""
    if name == "__version__":
        return importlib.metadata.version("pig-benchmark")
    if name in _HOMES:
        module, _, path = _HOMES[name].partition(":")
        return attrgetter(path)(importlib.import_module(module))
    raise AttributeError(f"module 'pig' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return [*__all__, "__version__"]
