"""Sum up what the study cost."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pig.report.cost import costs, write_costs
from pig.study.arms import REAL, arms_of, data_label, generator_labels
from pig.study.config import check_config
from pig.study.jobs import counts_drawn, owner, shards_of
from pig.system.source import ROOT

NOTES = (
    "Wall time of the jobs, two or more of which may have shared the machine; their start-up is left out. In cost.csv "
    "are processor time, images and devices, and what the segmentations cost.",
    "A part that several methods build on counts for each of them.",
)


def ledger(*, results: Path, config: Mapping[str, Any], out: Path) -> None:
    """Write cost by method and kind of work as CSV to ``out``, and a table in brief as Markdown beside it.

    Args:
        results: the folder of results.
        config: of the study, whole; what it does not name is left over from another one, and does not count.
        out: the CSV file.

    Raises:
        UserError: the configuration cannot work, or a result that it names is missing, half-written or damaged.
    """
    config = copy.deepcopy(dict(config))
    check_config(config, ROOT / "workflow/schemas/config.schema.yaml")
    labels, drawn = generator_labels(config["generators"]), counts_drawn(config)
    places = [(name, f"fold{fold}", count) for name, folds in drawn.items() for fold, count in folds.items()]
    arms = {REAL: data_label(config["dataset"])} | {arm.name: arm.label(labels) for arm in arms_of(config)}
    runs = [f"fold{k}/seed{s}" for k in range(config["folds"]["count"]) for s in config["segmentation"]["seeds"]]
    table = costs(
        [(labels[name], results / "models" / owner(config, name) / fold) for name, fold, _ in places],
        [
            (labels[name], results / "synthetic" / name / fold / f"shard{j}.npz")
            for name, fold, count in places
            for j in range(shards_of(config, count))
        ],
        [(label, results / "segmentation" / arm / run) for arm, label in arms.items() for run in runs],
    )
    write_costs(table, out, NOTES)
