"""What was counted and measured of every tested slice: the ``slices.csv`` of arms, read and held against each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pig.evaluation.boundary import BOUNDARY
from pig.evaluation.lesions import LESIONS
from pig.evaluation.overlap import COUNTS, has_lesion, overlap_scores
from pig.system.errors import UserError
from pig.system.files import read_sealed, sha256

WHOLE = ("fold", "seed", "slice", *COUNTS, *LESIONS)
SLICE_COLUMNS = ("fold", "seed", "patient_id", "slice", *COUNTS, *BOUNDARY, *LESIONS)


def read_slices(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read the ``slices.csv`` of one arm: every fold and seed of it.

    Returns:
        Their rows, with the column ``path`` of the file each came from.

    Raises:
        UserError: a file is missing, broken or damaged, holds an impossible number, or holds a slice twice.
    """
    if not paths:
        raise UserError("no slices.csv given; run the segmentations of this arm first.")
    frames = []
    for path in map(Path, paths):
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except FileNotFoundError:
            raise UserError(f"{path} does not exist; run its segmentation first.") from None
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not a readable CSV ({error}); run its segmentation again.") from None
        if tuple(frame.columns) != SLICE_COLUMNS:
            raise UserError(
                f"{path} has the columns {', '.join(frame.columns)}, expected {', '.join(SLICE_COLUMNS)}; "
                "run its segmentation again."
            )
        _refuse_damage(path)
        if frame.empty:
            raise UserError(f"{path} has no rows; look at folds.csv and run its segmentation again.")
        for column in (*WHOLE, *BOUNDARY):
            fraction, kind = ("", "whole number") if column in WHOLE else (r"(\.[0-9]+)?(e-[0-9]+)?", "number")
            bad = ~frame[column].str.fullmatch(f"[0-9]+{fraction}")
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                raise UserError(
                    f"{path}, line {row + 2}: {column} is '{frame[column].iloc[row]}', expected a {kind}, 0 or more; "
                    "run its segmentation again."
                )
            frame[column] = frame[column].astype(np.int64 if column in WHOLE else np.float64)
        frames.append(frame.assign(path=str(path)))
    rows = pd.concat(frames, ignore_index=True)
    twice = rows.duplicated(["fold", "seed", "slice"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise UserError(
            f"{first.path}: slice {first.slice} of fold {first.fold}, seed {first.seed} is there twice; give "
            "each fold and seed of an arm once."
        )
    return rows


def examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the slices of greatest, median and least Dice, of those with a lesion (of all, if none has one).

    Args:
        rows: as of :func:`read_slices`, of one network. Of an even number the lower one of the middle is the median; of
            slices with the same Dice the first is the worst, and the last the best.

    Returns:
        Three rows, by ``best``, ``median``, ``worst``, with the column ``dice``, in [0, 1].
    """
    rows = rows.assign(dice=overlap_scores(rows).dice)
    with_lesion = rows[has_lesion(rows)]
    ordered = (rows if with_lesion.empty else with_lesion).sort_values("dice", kind="stable")
    return ordered.iloc[[-1, (len(ordered) - 1) // 2, 0]].set_axis(["best", "median", "worst"])


def _refuse_damage(path: Path) -> None:
    """Refuse a file that is not the one of which the record beside it, if there is one, has the checksum.

    Counts can be held against those of other arms; measures cannot.
    """
    record = path.with_name("record.json")
    if record.is_file():
        tables = read_sealed(record, "run its segmentation again.").get("tables", {})
        if tables.get(path.name) != sha256(path):
            raise UserError(
                f"{path} is damaged, or was changed after it was written: it does not fit {record}; run its "
                "segmentation again."
            )


def read_arms(arms: Mapping[str, Sequence[str | Path]]) -> dict[str, pd.DataFrame]:
    """Read the slices of all arms and see that they can be compared.

    Args:
        arms: label -> its ``slices.csv`` files.

    Raises:
        UserError: what :func:`read_slices` raises; an arm lacks a fold or seed that another has; or two arms
            were tested on different slices, true masks or image sizes.
    """
    if not arms:
        raise UserError("table 2 has no rows; name at least one arm.")
    read = {label: read_slices(paths) for label, paths in arms.items()}
    reference_label, reference = next(iter(read.items()))
    for label, rows in read.items():
        runs, reference_runs = (set(zip(r.fold, r.seed, strict=True)) for r in (rows, reference))
        if runs != reference_runs:
            fold, seed = min(runs ^ reference_runs)
            has, lacks = (label, reference_label) if (fold, seed) in runs else (reference_label, label)
            raise UserError(
                f"arm '{lacks}' lacks the slices.csv of fold {fold}, seed {seed}, which arm '{has}' has; "
                "give every arm the same folds and seeds."
            )
        ours, theirs = (_tested(r) for r in (rows, reference))
        if not ours.equals(theirs):
            fold, seed = min(run for run in runs if not ours.loc[run].equals(theirs.loc[run]))
            path = rows.path[(rows.fold == fold) & (rows.seed == seed)].iloc[0]
            other = reference.path[(reference.fold == fold) & (reference.seed == seed)].iloc[0]
            raise UserError(
                f"{path} and {other} were tested on different slices, true masks or image sizes; run both "
                "segmentations again on the same data, folds and segmentation.image_size."
            )
    return read


def _tested(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what was tested on: slices, their patients, lesion and total pixels, by fold and seed."""
    return (
        rows.assign(lesion=rows.tp + rows.fn, pixels=rows[list(COUNTS)].sum(axis=1))
        .set_index(["fold", "seed"])[["slice", "patient_id", "lesion", "pixels"]]
        .set_index("slice", append=True)
        .sort_index()
    )
