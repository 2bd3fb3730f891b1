"""A procedural phantom of digital breast tomosynthesis with exact masks; see docs/phantom.md."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pig.data.phantom.patient import Patient, make_patient
    from pig.data.phantom.population import write_population
    from pig.data.phantom.settings import PhantomSettings
    from pig.data.phantom.view import View

_HOMES = {
    "Patient": "patient",
    "PhantomSettings": "settings",
    "View": "view",
    "make_patient": "patient",
    "write_population": "population",
}
__all__ = ["Patient", "PhantomSettings", "View", "make_patient", "write_population"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: a plan needs the settings alone, and SciPy takes 0.3 s."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"pig.data.phantom.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'pig.data.phantom' has no attribute '{name}'")
