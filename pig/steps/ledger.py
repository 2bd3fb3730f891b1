"""Sum up what the study cost."""

from collections.abc import Sequence
from pathlib import Path

from pig.report.cost import costs, write_costs

NOTES = (
    "Wall time of the jobs, two or more of which may have shared the machine; their start-up is left out. In cost.csv "
    "are processor time, images and devices, and what the segmentations cost.",
    "A part that several methods build on counts for each of them.",
)


def ledger(
    *,
    models: Sequence[tuple[str, Path]],
    drawn: Sequence[tuple[str, Path]],
    segmentations: Sequence[tuple[str, Path]],
    out: Path,
) -> None:
    """Write cost by method and kind of work as CSV to ``out``, and a table in brief as Markdown beside it.

    Args:
        models: label of a method and its model folder, for each fold.
        drawn: label of a method and a shard of its pairs.
        segmentations: label of an arm and the folder of one of its segmentations.
        out: the CSV file.
    """
    write_costs(costs(models, drawn, segmentations), out, NOTES)
