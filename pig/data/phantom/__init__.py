"""A procedural phantom of digital breast tomosynthesis with exact masks; see docs/phantom.md."""

from pig.data.phantom.patient import Patient, make_patient
from pig.data.phantom.population import write_population
from pig.data.phantom.settings import PhantomSettings
from pig.data.phantom.view import View

__all__ = ["Patient", "PhantomSettings", "View", "make_patient", "write_population"]
