"""Assemble the table of segmentation."""

from collections.abc import Sequence
from pathlib import Path

from pig.report.tables import write_table2


def table2(*, rows: Sequence[tuple[str, Path]], folds: int, seeds: Sequence[int], out: Path) -> None:
    """Write the table as CSV to ``out``, as Markdown and LaTeX beside it, and what it rests on.

    That is every score, as ``scores.csv``, and which differences are more than noise, as ``comparisons.csv``.

    Args:
        rows: label and folder of each arm, with ``fold<k>/seed<s>/slices.csv`` in it.
        folds: number of folds.
        seeds: of the segmentations.
        out: the CSV file.
    """
    runs = [f"fold{fold}/seed{seed}/slices.csv" for fold in range(folds) for seed in seeds]
    write_table2([(label, [arm / run for run in runs]) for label, arm in rows], out)
