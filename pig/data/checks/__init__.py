"""The check of the data before a run: errors, warnings, likeness between patients, and the page that shows them."""

from pig.data.checks.check import check, refuse_errors

__all__ = ["check", "refuse_errors"]
