"""Assemble the table of image quality."""

from collections.abc import Sequence
from pathlib import Path

from pig.report.tables import write_table1


def table1(*, rows: Sequence[tuple[str, Path]], out: Path) -> None:
    """Write the table as CSV to ``out``, and as Markdown and LaTeX beside it.

    Args:
        rows: label and FID file; a label comes once for each fold.
        out: the CSV file.
    """
    write_table1(rows, out)
