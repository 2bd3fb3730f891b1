"""Assemble the table of segmentation."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pig.data.manifest import read_own_table
from pig.evaluation.kinds import Kind
from pig.report.measures import densities_of
from pig.report.reading import answer
from pig.report.tables import write_table2

logger = logging.getLogger("pig")


def table2(
    *,
    rows: Sequence[tuple[str, Path]],
    controls: Sequence[tuple[Kind, str, Path]],
    folds: int,
    seeds: Sequence[int],
    new_patients: bool,
    stores: Sequence[Path],
    out: Path,
) -> None:
    """Write the table as CSV to ``out``, as Markdown and LaTeX beside it, and what it rests on.

    That is every score, as ``scores.csv``, the Dice of each patient, as ``cases.csv``, which differences are more than
    noise, as ``comparisons.csv``, and measures of outlines and lesions, as ``measures.csv``.

    Args:
        rows: label and folder of each arm, with ``fold<k>/seed<s>/slices.csv`` in it; real data alone come first.
        controls: kind, label and folder of those that the others are to be read against.
        folds: number of folds.
        seeds: of the segmentations.
        new_patients: whether there is a ``new_patients.csv`` beside each ``slices.csv``.
        stores: of the patients who were tested; their manifests may know the density of the tissue.
        out: the CSV file.
    """
    runs = [f"fold{fold}/seed{seed}" for fold in range(folds) for seed in seeds]
    labelled = [*rows, *((label, arm) for _, label, arm in controls)]

    def files(name: str) -> list[tuple[str, list[Path]]]:
        return [(label, [arm / run / name for run in runs]) for label, arm in labelled]

    new = dict(files("new_patients.csv")) if new_patients else None
    densities: dict[str, str] = {}
    for store in stores:
        densities |= densities_of(read_own_table(store / "manifest.csv"))
    kinds = {label: kind for kind, label, _ in controls}
    table, comparisons = write_table2(files("slices.csv"), out, kinds, new, densities)
    real = table.iloc[0]
    said = [f"Dice of {real['Dataset']}: {real['Dice (%)']:.2f} %."]
    said += answer(comparisons)[:1] if len(rows) > 1 else []
    logger.info("%s The table: %s", " ".join(said), out)
