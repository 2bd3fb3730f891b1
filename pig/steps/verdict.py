"""Refuse data in which ``pig check --go-on`` has found errors."""

from pathlib import Path

from pig.data.checks import refuse_errors


def verdict(*, found: Path, out: Path) -> None:
    """Write the file ``out``, which says that the data may be used.

    Args:
        found: the ``errors.json`` of the check.
        out: the file.

    Raises:
        UserError: there are errors.
    """
    refuse_errors(found, out)
