"""The report of a study: one HTML file that opens anywhere, loads nothing, and names where each number comes from."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from pig.evaluation.kinds import METHOD, plain
from pig.evaluation.statistics import FOLDS, NEW
from pig.report.audit import Audit
from pig.report.measures import in_brief
from pig.report.quality import NOTES
from pig.report.reading import LEGEND, against_controls, answer, controls_of, design, of_dice, verdict
from pig.system.files import atomic_path
from pig.system.pages import picture, render

TEMPLATE = Path(__file__).with_name("report.html")
ROW = 34  # height of a row of the plot, of a width of 1000
PLOT = (330, 960)  # where its axis begins and ends


@dataclass(frozen=True)
class Bar:
    """One row of the plot: an arm against real data alone, in points of Dice; positions are of the drawing."""

    arm: str
    control: bool
    text: str
    words: str
    y: int
    middle: float
    low: float
    high: float
    folds: list[float]


@dataclass(frozen=True)
class Plot:
    """A forest plot, ready to be drawn."""

    bars: list[Bar]
    ticks: list[tuple[float, str]]
    zero: float
    height: int


def write_report(
    path: Path,
    *,
    table2: pd.DataFrame,
    comparisons: pd.DataFrame,
    scores: pd.DataFrame,
    measures: pd.DataFrame,
    more: Mapping[str, pd.DataFrame],
    nnunet: Mapping[str, pd.DataFrame],
    figures: Sequence[Path],
    predictions: Sequence[Path],
    audit: Audit,
    config: Mapping[str, Any],
) -> None:
    """Write the report.

    Args:
        path: the file.
        table2: as :func:`pig.report.tables.write_table2` writes it; so are the next three.
        comparisons: arms against each other.
        scores: by arm, fold and seed.
        measures: of outlines and lesions, by arm.
        more: further tables, by the name of their CSV file.
        nnunet: ``table2.csv`` and ``comparisons.csv`` of nnU-Net; {}: it was not asked for.
        figures: PNG files, with what they show in their names.
        predictions: PNG files, with what they show in their text ``Description``.
        audit: of the records of all results.
        config: of the study; {}: unknown.
    """
    page = render(
        TEMPLATE,
        data=table2.Dataset.iloc[0],
        **_of_table2(table2, comparisons),
        legend=LEGEND,
        plot=forest(comparisons, scores),
        tested=NEW if NEW in set(comparisons.tested) else "patients of the folds",
        measures=_cells(in_brief(measures)),
        more={name: _cells(table) for name, table in more.items()},
        quality_notes=NOTES,
        nnunet=_of_table2(nnunet["table2.csv"], nnunet["comparisons.csv"]) if nnunet else None,
        figures=_pictures(figures),
        predictions=_pictures(predictions),
        audit=audit,
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True) if config else "",
        config_file=path.with_name("config.yaml").is_file(),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _of_table2(table2: pd.DataFrame, comparisons: pd.DataFrame) -> dict[str, Any]:
    """Return what the page says of table 2, by either network."""
    return {
        "answer": answer(comparisons),
        "design": [*design(comparisons)],
        "table2": _cells(table2),
        "held": _cells(against_controls(comparisons)),
        "controls": controls_of(comparisons),
    }


def forest(comparisons: pd.DataFrame, scores: pd.DataFrame) -> Plot:
    """Return each arm's difference to real data alone: mean, interval over folds, and the mean of each fold."""
    dice = of_dice(comparisons)
    if dice.empty:
        return Plot([], [], 0, 0)
    real, tested = dice.against.iloc[0], dice.tested.iloc[0]
    rows = dice[dice.against == real]
    of_folds = by_fold(scores, tested)
    differences = {arm: 100 * (of_folds[arm] - of_folds[real]).to_numpy() for arm in rows.arm}
    shown = np.concatenate([0 * rows.low_folds, 100 * rows.low_folds, 100 * rows.high_folds, *differences.values()])
    low, high = np.nanmin(shown), np.nanmax(shown)
    step = next(step for step in (1, 2, 5, 10, 20, 50) if (high - low) / step <= 10 or step == 50)
    first, last = int(np.floor(low / step)) * step, int(np.ceil(high / step)) * step

    def place(points: float) -> float:
        return round(PLOT[0] + (points - first) / max(last - first, step) * (PLOT[1] - PLOT[0]), 1)

    bars = [
        Bar(
            arm=plain(row.arm),
            control=row.kind != METHOD,
            text=f"{100 * row.difference:+.1f} ({100 * row.low_folds:+.1f} to {100 * row.high_folds:+.1f})",
            words=verdict(row),
            y=ROW * (number + 1),
            middle=place(100 * row.difference),
            low=place(100 * np.nan_to_num(row.low_folds, nan=row.difference)),
            high=place(100 * np.nan_to_num(row.high_folds, nan=row.difference)),
            folds=[place(value) for value in differences[row.arm]],
        )
        for number, row in enumerate(rows.itertuples())
    ]
    ticks = [(place(value), f"{value:+d}" if value else "0") for value in range(first, last + 1, step)]
    return Plot(bars, ticks, place(0), ROW * (len(bars) + 1))


def by_fold(scores: pd.DataFrame, tested: str) -> pd.DataFrame:
    """Return the mean Dice a patient of each fold (rows) and arm (columns), over seeds."""
    wanted = scores[(scores.metric == "dice") & (scores.averaging == "per patient")]
    wanted = wanted[wanted.tested == (NEW if tested == NEW else FOLDS)]
    return wanted.pivot_table(index="fold", columns="arm", values="value")


def _cells(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table as text, an empty cell for what is missing."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.2f}"
        return str(value)

    numbers = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    rows = [[text(value) for value in row] for row in table.itertuples(index=False)]
    return {"header": list(zip(table.columns, numbers, strict=True)), "numbers": numbers, "rows": rows}


def _pictures(files: Iterable[Path]) -> list[tuple[str, str]]:
    """Return the address and the caption, which is its alternative text too, of each picture."""
    return [(picture(file.read_bytes()), _caption(file)) for file in files]


def _caption(file: Path) -> str:
    with Image.open(file) as opened:
        if said := opened.info.get("Description"):
            return str(said)
    kind, _, generator = file.stem.partition("_")
    return {
        "gallery": f"Pairs drawn by {generator} beside real ones, with the outlines of their masks",
        "strip": f"How {generator} draws pairs out of noise, step by step",
        "closest": f"Pairs drawn by {generator.replace('_fold', ', fold ')} that lie nearest to training images",
    }.get(kind, file.stem)


def figures_in(folder: Path, present: Collection[str] | None = None) -> list[Path]:
    """Return the figures in a folder, galleries first: all, or those that are ``present``."""
    found = [file for file in folder.glob("*.png") if present is None or f"{folder.name}/{file.name}" in present]
    return sorted(found, key=lambda file: (not file.name.startswith("gallery"), file.name))


def read_tables(folder: Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return those of these tables that were made."""
    return {name: pd.read_csv(folder / name) for name in names if (folder / name).is_file()}
