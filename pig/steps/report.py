"""Write the report of a study: its answer, tables, figures, audit and configuration on one page."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pig.report.audit import audit
from pig.report.page import figures_in, read_tables, write_report
from pig.report.quality import in_brief
from pig.study.config import check_config
from pig.study.jobs import results_of
from pig.system.errors import UserError
from pig.system.source import ROOT


def report(*, results: Path, config: Mapping[str, Any], out: Path) -> None:
    """Write the page ``out`` from what lies in the folder of results.

    With a configuration, what it does not name is left over from another one, and is not looked at.

    Args:
        results: the folder; its ``table2.csv``, ``comparisons.csv``, ``scores.csv`` and ``measures.csv`` must be there,
            and what else there is is shown: ``table1.csv``, ``quality.csv``, ``cost.csv``, figures, predictions, and
            table 2 by nnU-Net.
        config: of the study, whole, to be shown; {}: none, and all that is there is taken for the study's.
        out: the HTML file.

    Raises:
        UserError: a table is missing or of an earlier version, a record is damaged, or the configuration cannot work.
    """
    of_table2 = ("table2.csv", "comparisons.csv", "scores.csv", "measures.csv")
    if missing := [name for name in of_table2 if not (results / name).is_file()]:
        raise UserError(
            f"{results / missing[0]} does not exist; make it with `snakemake --cores all results/table2.csv`."
        )
    table2, comparisons, scores, measures = (pd.read_csv(results / name) for name in of_table2)
    _refuse_earlier(comparisons, results / "comparisons.csv", "results/table2.csv")
    nnunet = read_tables(results / "nnunet", ("table2.csv", "comparisons.csv"))
    if len(nnunet) == 2:
        _refuse_earlier(nnunet["comparisons.csv"], results / "nnunet/comparisons.csv", "results/nnunet/table2.csv")
    present = None
    if config:
        config = copy.deepcopy(dict(config))
        check_config(config, ROOT / "workflow/schemas/config.schema.yaml")  # which gives all models the image_size
        present = results_of(config)
    more = read_tables(results, ("table1.csv", "quality.csv", "cost.csv"))
    write_report(
        out,
        table2=table2,
        comparisons=comparisons,
        scores=scores,
        measures=measures,
        more={name: in_brief(table) if name == "quality.csv" else table for name, table in more.items()},
        nnunet=nnunet if len(nnunet) == 2 else {},
        figures=figures_in(results / "figures", present),
        predictions=figures_in(results / "predictions"),
        audit=audit(results, present),
        config=config,
    )


def _refuse_earlier(comparisons: pd.DataFrame, path: Path, target: str) -> None:
    if lacking := [name for name in ("kind", "seeds") if name not in comparisons.columns]:
        raise UserError(
            f"{path} lacks the column {lacking[0]}; it is of an earlier version. Make it again with "
            f"`snakemake --cores all {target}`."
        )
