"""The paper's two tables, and every score behind the second one, from ``slices.csv`` and FID files."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pig.evaluation.kinds import Kind, plain
from pig.evaluation.overlap import COUNTS, METRICS, has_lesion, of_patients_with_lesions, overlap_scores
from pig.evaluation.statistics import FOLDS, NEW, compare, patient_scores
from pig.report.measures import measures
from pig.report.oddities import footnotes, odd_arms
from pig.report.reading import LEGEND, against_controls, reading
from pig.report.slices import read_arms
from pig.system.errors import UserError
from pig.system.files import atomic_path, read_sealed

TITLES = {"dice": "Dice", "iou": "IoU", "precision": "Precision", "recall": "Recall"}
AVERAGINGS = ("per slice", "per patient", "pooled")


def score_runs(rows: pd.DataFrame, averaging: str) -> pd.DataFrame:
    """Return the scores of each fold and seed, of patients who have a lesion, as fractions.

    Args:
        rows: of one arm, from :func:`pig.report.slices.read_slices`.
        averaging: ``"per slice"`` averages the scores of slices with a lesion, as the paper's Table 2 must have done
            (its Dice and IoU cannot come from pooled pixels); ``"per patient"`` scores the summed counts of all slices
            of each patient and averages these; ``"pooled"`` scores the summed counts of the fold.

    Returns:
        Index fold, seed; columns dice, iou, precision, recall.
    """
    keys = {"per slice": ["slice"], "per patient": ["patient_id"], "pooled": []}[averaging]
    scored = rows[has_lesion(rows)] if averaging == "per slice" else of_patients_with_lesions(rows)
    counts = scored.groupby(["fold", "seed", *keys])[list(COUNTS)].sum()
    return overlap_scores(counts).groupby(["fold", "seed"]).mean()


def table2(arms: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the paper's Table 2, in percent.

    Scores are averaged over slices within each fold and seed, then over seeds, then over folds. The standard
    deviation is that of a sample (n - 1) over folds; with one fold it is NaN, written as an empty cell. With several
    seeds a further column has that of Dice over seeds, :func:`of_seeds`.

    Args:
        arms: label -> rows, in the order of the table, from :func:`pig.report.slices.read_arms`.
    """
    lines = []
    for label, rows in arms.items():
        runs = 100 * score_runs(rows, "per slice")
        folds = runs.groupby("fold").mean()
        mean, deviation = folds.mean(), folds.std(ddof=1)
        lines.append(
            {"Dataset": label}
            | {f"{TITLES[m]} (%)": mean[m] for m in METRICS}
            | {f"{TITLES[m]} SD": deviation[m] for m in METRICS}
            | of_seeds("Dice", runs.dice)
        )
    return pd.DataFrame(lines)


def of_seeds(name: str, runs: pd.Series) -> dict[str, float]:
    """Return a column that says how far the seeds of a fold are apart; with one seed, none.

    Args:
        name: of the score.
        runs: the score of each run, index fold, seed. The deviation is the root of the mean over folds of the variance
            of a sample (n - 1) over seeds.
    """
    folds = runs.groupby("fold")
    return {f"{name} SD of seeds": float(np.sqrt(folds.var(ddof=1).mean()))} if folds.size().max() > 1 else {}


def scores(arms: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every score of every run under each way of averaging.

    Returns:
        Columns arm, fold, seed, averaging, metric, value (a fraction in [0, 1]).
    """
    parts = []
    for label, rows in arms.items():
        for averaging in AVERAGINGS:
            long = score_runs(rows, averaging).reset_index().melt(["fold", "seed"], list(METRICS), "metric")
            parts.append(long.assign(arm=label, averaging=averaging))
    return pd.concat(parts, ignore_index=True)[["arm", "fold", "seed", "averaging", "metric", "value"]]


def table1(methods: Mapping[str, Sequence[str | Path]]) -> pd.DataFrame:
    """Return the paper's Table 1; the feature extractor stands in the name of the column.

    Args:
        methods: label -> JSON files, one a fold, each with ``fid``, ``features``, ``fold`` and ``generated``
            (the number of generated images).

    Returns:
        Columns ``Method``, ``FID (<features>)``; with several folds that is their mean, and ``FID SD`` is the
        standard deviation of a sample (n - 1) over folds.

    Raises:
        UserError: a file is missing or broken, or the files differ in features, number of images or folds, so
            that their FIDs do not compare.
    """
    return _table1(_read_fids(methods), methods)


def _table1(results: pd.DataFrame, methods: Collection[str]) -> pd.DataFrame:
    reference = results.iloc[0]
    for column in ("features", "generated"):
        other = results[results[column] != reference[column]]
        if len(other):
            raise UserError(
                f"{reference.path} has {column} {reference[column]} and {other.path.iloc[0]} has "
                f"{other[column].iloc[0]}: such FIDs do not compare; give every method the same."
            )
    folds = {label: results.fold[results.label == label].tolist() for label in methods}
    expected = sorted(set(folds[reference.label]))
    for label, own in folds.items():
        if sorted(own) != expected:
            raise UserError(
                f"FID of '{label}' is of folds {own}, but the table of folds {expected}; give every method "
                "the same folds, each once."
            )
    by_method = results.groupby("label", sort=False).fid
    table = pd.DataFrame({"Method": list(methods), f"FID ({reference.features})": by_method.mean().to_list()})
    return table.assign(**{"FID SD": by_method.std().to_list()}) if len(expected) > 1 else table


def cases(arms: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the Dice of each patient (rows) and arm (columns), over the networks that tested her, in [0, 1].

    Columns ``case_id`` and ``alg_<label>``, as tools for the comparison of algorithms read them (Christodoulou et al.
    2025, arXiv 2505.04720).
    """
    dice = {label: patient_scores(rows).dice.groupby("patient_id").mean() for label, rows in arms.items()}
    table = pd.DataFrame({f"alg_{plain(label)}": values for label, values in dice.items()})
    return table.rename_axis("case_id").reset_index()


def _read_fids(methods: Mapping[str, Sequence[str | Path]]) -> pd.DataFrame:
    """Return a row for each FID file, with the label of its method."""
    if not any(methods.values()):
        raise UserError("table 1 has no rows; name at least one generator.")
    return pd.DataFrame(
        [_read_fid(Path(path)) | {"label": label} for label, paths in methods.items() for path in paths]
    )


def _read_fid(path: Path) -> dict[str, Any]:
    result = read_sealed(path, "delete it and run 'pig fid' for it again.")
    found = {key: result[key] for key in ("fid", "features", "fold", "generated")}
    return found | {"path": str(path), "unlike": result.get("unlike", [])}


def _markdown(text: pd.DataFrame) -> str:
    """Return a table of text in Markdown: labels to the left, the rest to the right."""
    columns = [str(name).replace("|", r"\|") for name in text]
    escaped = text.assign(**{text.columns[0]: text.iloc[:, 0].str.replace("|", r"\|")}).set_axis(columns, axis=1)
    align = ("left", *("right" for _ in columns[1:]))
    return escaped.to_markdown(index=False, disable_numparse=True, colalign=align) + "\n"


def write_table(
    table: pd.DataFrame, path: str | Path, notes: Iterable[str] = (), below: pd.DataFrame | None = None
) -> None:
    """Write ``table`` with two decimals as CSV to ``path``, and as Markdown and LaTeX (booktabs) beside it.

    A NaN becomes an empty cell. In Markdown ``notes`` follow as a list, and ``below``, of text, as a second table.
    """
    path = Path(path)
    text = table.copy()
    for column in text.select_dtypes("number"):
        text[column] = ["" if np.isnan(value) else f"{value:.2f}" for value in table[column]]
    others = text.columns[1:]
    contents = {
        ".md": _markdown(text) + listed(notes) + ("" if below is None or below.empty else "\n" + _markdown(below)),
        ".tex": text.to_latex(index=False, escape=True, column_format="l" + "r" * len(others)),
        ".csv": text.to_csv(index=False),
    }
    for suffix, content in contents.items():
        with atomic_path(path.with_suffix(suffix)) as temporary:
            temporary.write_text(content, encoding="utf-8")


def listed(notes: Iterable[str]) -> str:
    """Return notes as a list in Markdown, with an empty line before it; nothing if there are none."""
    lines = [f"- {note}\n" for note in notes]
    return "".join(["\n", *lines]) if lines else ""


def write_table1(rows: Sequence[tuple[str, str | Path]], path: str | Path) -> None:
    """Write :func:`table1` of (label, FID file) rows, where a label comes once for each fold."""
    methods: dict[str, list[str | Path]] = {}
    for label, file in rows:
        methods.setdefault(label, []).append(file)
    results = _read_fids(methods)
    odd: dict[str, dict[int, list[str]]] = {label: {} for label in methods}
    for label, fold, unlike in zip(results.label, results.fold, results.unlike, strict=True):
        odd[label][fold] = unlike
    write_table(_table1(results, methods), path, footnotes(odd))


def write_table2(
    rows: Sequence[tuple[str, Sequence[str | Path]]],
    path: str | Path,
    controls: Mapping[str, Kind] | None = None,
    new: Mapping[str, Sequence[str | Path]] | None = None,
    densities: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write :func:`table2` of (label, ``slices.csv`` files) rows, and beside it what it rests on.

    That is :func:`scores` as scores.csv, :func:`cases` as cases.csv, :func:`pig.report.measures.measures` as
    measures.csv, and :func:`pig.evaluation.statistics.compare` as comparisons.csv, the reading of which stands under
    the Markdown.

    Args:
        rows: of each arm, in the order of the table; the first is that of real data alone.
        path: the CSV file.
        controls: label -> kind of the rows that are controls.
        new: label -> files such as ``slices.csv``, of patients who are in no fold.
        densities: patient -> density of the tissue, where it is known.

    Returns:
        The table, and the comparisons.

    Raises:
        UserError: as :func:`pig.report.slices.read_arms`; or a label comes twice.
    """
    labels = [label for label, _ in rows]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise UserError(f"table 2 has two rows '{twice[0]}'; give each arm a label of its own.")
    arms = read_arms(dict(rows))
    table, all_scores, comparisons = table2(arms), scores(arms).assign(tested=FOLDS), compare(arms, controls)
    measured, tested = measures(arms, FOLDS, densities), arms
    if new:
        on_new = tested = read_arms(new)
        name, runs = "Dice of new patients", [100 * score_runs(rows, "per patient").dice for rows in on_new.values()]
        columns = [{f"{name} (%)": dice.mean()} | of_seeds(name, dice) for dice in runs]
        table = table.join(pd.DataFrame(columns))
        all_scores = pd.concat([all_scores, scores(on_new).assign(tested=NEW)])
        comparisons = pd.concat([compare(on_new, controls, NEW), comparisons])
        measured = pd.concat([measures(on_new, NEW, densities), measured])
    held = against_controls(comparisons)
    notes = [*reading(comparisons), *footnotes(odd_arms(dict(rows))), *([] if held.empty else [f"Below: {LEGEND}"])]
    write_table(table, path, notes, held)
    beside = {"scores": all_scores, "comparisons": comparisons, "measures": measured, "cases": cases(tested)}
    for name, rest in beside.items():
        with atomic_path(Path(path).with_name(f"{name}.csv")) as temporary:
            rest.to_csv(temporary, index=False)
    return table, comparisons
