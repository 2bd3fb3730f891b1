"""Assemble the table of the quality of the pairs."""

from collections.abc import Sequence
from pathlib import Path

from pig.report.quality import write_quality_table


def quality_table(*, rows: Sequence[tuple[str, Path]], out: Path) -> None:
    """Write the table as CSV to ``out``, and in brief as Markdown beside it.

    Args:
        rows: label and file of ``pig quality``; a label comes once for each fold.
        out: the CSV file.
    """
    write_quality_table(rows, out)
