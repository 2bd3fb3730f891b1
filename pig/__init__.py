"""PIG and the benchmark around it: paired image generation with diffusion-guided diffusion models."""

import importlib
from typing import Any

_HOMES = {
    "NoiseSchedule": "pig.diffusion.schedule",
    "sample_pairs": "pig.diffusion.sampling",
    "load_generator": "pig.methods.model_folder",
    "UserError": "pig.system.errors",
}
__all__ = ["NoiseSchedule", "UserError", "load_generator", "sample_pairs"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, since torch alone takes a second."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pig' has no attribute '{name}'")
