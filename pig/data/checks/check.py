"""Checks the data before a run: every file is read, every error and warning is reported, and a page shows the rest.

Errors are what the preprocessing and the folds refuse, found by calling them, and one image that is given for two
patients, which would be a leak between folds. Warnings are what may be as it should.
"""

import logging
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from pig.data.checks.facts import Facts, look_at_volume
from pig.data.checks.likeness import ALIKE, BITS, nearest_stranger
from pig.data.checks.warnings import (
    mixed_labels,
    mixed_types,
    name_warnings,
    one_image_each,
    weak_masks,
    without_colours,
)
from pig.data.folds import make_folds, refuse_without_lesion
from pig.data.manifest import read_manifest, read_table, refuse, row_number
from pig.data.preprocess import group_volumes
from pig.data.settings import PreprocessSettings
from pig.system.errors import UserError
from pig.system.files import atomic_path, read_json, write_json
from pig.system.processes import mapped
from pig.system.progress import track

logger = logging.getLogger("pig")

ROW_FAULT = re.compile(r"row (\d+): (.*)", re.DOTALL)
WARNINGS_LOGGED = 20


def check(
    manifest_path: str | Path,
    settings: PreprocessSettings,
    out: str | Path,
    folds: int,
    seed: int = 0,
    jobs: int = 1,
    stop: bool = True,
) -> None:
    """Read all pairs of a manifest once and write to ``out``: report.html, check.csv (a row per image), errors.json.

    Args:
        manifest_path: see ``pig.data.manifest.read_manifest``.
        settings: of the preprocessing that is to come: what it would refuse is an error here.
        out: a folder; other files in it stay.
        folds: the number of folds that is to come.
        seed: of the folds.
        jobs: processes; memory is that of one volume for each, and about 1 KiB for each image.
        stop: raise errors once the files are written; or leave that to ``refuse_errors``, as the workflow does, since
            Snakemake deletes what a failed job has written.

    Raises:
        UserError: the manifest cannot be read as a table with its columns; or, after the files are written, there are
            errors: all of them, each with its row.
    """
    from pig.data.checks.page import write_page

    manifest, facts = _rows(manifest_path)
    sound = manifest.loc[[not fact.faults for fact in facts]]
    volumes = [[item._replace(row=sound.index[item.row]) for item in volume] for volume in group_volumes(sound)]
    results = mapped(partial(look_at_volume, settings=settings), volumes, jobs=jobs, chunksize=4)
    for found in track(results, "looking at volumes", len(volumes)):
        for fact in found:
            facts[fact.row] = fact
    patients = manifest["patient_id"].fillna("")
    fold_of, general = _folds(manifest, facts, folds, seed)
    nearest, distance = _compare(facts, patients)
    _warn_across_rows(facts, manifest)
    general_warnings = [
        *name_warnings(patients),
        *one_image_each(len(patients), len({*patients})),
        *mixed_types(fact.dtype for fact in facts),
        *mixed_labels(fact.mask_values for fact in facts if not fact.faults),
        *without_colours(fact.coloured for fact in facts),
        *weak_masks(manifest.get("mask_source", [])),
    ]

    table = _table(manifest, facts, patients.map(fold_of), nearest, distance)
    with atomic_path(Path(out) / "check.csv") as temporary:
        table.to_csv(temporary, index=False)
    with atomic_path(Path(out) / "report.html") as temporary:
        write_page(temporary, manifest_path, table, general, general_warnings)

    warnings = general_warnings + [
        f"row {row_number(fact.row)}: {warning}" for fact in facts for warning in fact.warnings
    ]
    for warning in warnings[:WARNINGS_LOGGED]:
        logger.warning("%s", warning)
    if len(warnings) > WARNINGS_LOGGED:
        logger.warning("and %d warnings more: see %s", len(warnings) - WARNINGS_LOGGED, Path(out) / "report.html")
    errors = general + [f"row {row_number(fact.row)}: {fault}" for fact in facts for fault in fact.faults]
    write_json(Path(out) / "errors.json", {"manifest": str(manifest_path), "errors": errors})
    logger.info(
        "%d pairs, %d errors, %d warnings: %s", len(facts), len(errors), len(warnings), Path(out) / "report.html"
    )
    if stop:
        refuse(manifest_path, errors)


def refuse_errors(found: str | Path, out: str | Path) -> None:
    """Raise the errors that ``check`` has written to ``found``, its errors.json; if there are none, write ``out``.

    Raises:
        UserError: there are errors: all of them.
    """
    verdict = read_json(found)
    refuse(verdict["manifest"], verdict["errors"])
    with atomic_path(out) as temporary:
        temporary.write_text("no errors\n", encoding="ascii")


def _rows(path: str | Path) -> tuple[pd.DataFrame, list[Facts]]:
    """Return the manifest and, for each row, the faults that ``read_manifest`` finds in it."""
    try:
        manifest = read_manifest(path)
        return manifest, [Facts(row) for row in range(len(manifest))]
    except UserError as error:
        found = [ROW_FAULT.fullmatch(fault) for fault in error.faults]
        if not found or None in found:
            raise  # no table at all: there is nothing to look at
    manifest = read_table(path)
    facts = [Facts(row) for row in range(len(manifest))]
    for match in found:
        if match:
            facts[int(match[1]) - row_number(0)].faults.append(match[2])
    for name in ("image_path", "mask_path"):
        manifest[name] = [str(Path(path).absolute().parent / cell) for cell in manifest[name].fillna("")]
    return manifest, facts


def _folds(manifest: pd.DataFrame, facts: list[Facts], count: int, seed: int) -> tuple[dict[str, int], list[str]]:
    """Return patient -> fold, as ``pig folds`` will deal them, and what it would refuse.

    A mask that could not be read may hold a lesion: it is an error of its own.
    """
    named = manifest[manifest["patient_id"].notna()]
    try:
        table = make_folds(named, count, seed)
    except UserError as error:
        return {}, [str(error)]
    fold_of = dict(zip(table["patient_id"], table["fold"].astype(int), strict=True))
    rows = np.flatnonzero(manifest["patient_id"].notna())
    try:
        refuse_without_lesion(named["patient_id"].map(fold_of).to_numpy(), lambda at: facts[rows[at]].mask_area != 0)
    except UserError as error:
        return fold_of, [str(error)]
    return fold_of, []


def _compare(facts: list[Facts], patients: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Add faults and warnings for images that are alike; return row -> nearest row of another patient, and distance."""
    name_of = patients.tolist()
    first: dict[str, int] = {}
    copies = set()
    for fact in facts:
        if fact.digest is None:
            continue
        other = first.setdefault(fact.digest, fact.row)
        if other == fact.row:
            continue
        copies |= {other, fact.row}
        if name_of[other] != name_of[fact.row]:
            fact.faults.append(
                f"the same pixels as row {row_number(other)}, there of patient {name_of[other]}, here of "
                f"{name_of[fact.row]}; give both one patient_id, or remove one"
            )
        else:
            fact.warnings.append(f"the same pixels as row {row_number(other)}; it will count twice")

    hashed = [fact for fact in facts if fact.hash is not None]
    rows = [fact.row for fact in hashed]
    if not hashed:
        return pd.Series(dtype="Int64"), pd.Series(dtype="Int64")
    codes = pd.factorize(patients.iloc[rows])[0]
    index, bits = nearest_stranger(np.stack([fact.hash for fact in hashed if fact.hash is not None]), codes)
    nearest = pd.Series({row: row_number(rows[near]) for row, near in zip(rows, index, strict=True) if near >= 0})
    distance = pd.Series({row: int(n) for row, n in zip(rows, bits, strict=True) if n <= BITS})
    for fact in hashed:
        if fact.row in distance and distance[fact.row] <= ALIKE and fact.row not in copies:
            fact.warnings.append(
                f"much like row {nearest[fact.row]} of another patient ({distance[fact.row]} of {BITS} bits differ); "
                "is it the same person, or the same image twice?"
            )
    return nearest, distance


def _warn_across_rows(facts: list[Facts], manifest: pd.DataFrame) -> None:
    """Add the warnings that arise between rows: one mask for several images."""
    first: dict[str, int] = {}
    for fact, path in zip(facts, manifest["mask_path"], strict=True):
        other = first.setdefault(path, fact.row)
        if other != fact.row and not fact.faults:
            fact.warnings.append(f"the same mask file as row {row_number(other)}")


def _table(
    manifest: pd.DataFrame, facts: list[Facts], folds: pd.Series, nearest: pd.Series, distance: pd.Series
) -> pd.DataFrame:
    """Return one row per image, ``row`` as a spreadsheet counts them."""
    table = pd.DataFrame([asdict(fact) for fact in facts]).drop(columns=["hash", "digest", "coloured"])
    whole = ["height", "width", "low", "high", "mask_height", "mask_width", "mask_area"]
    table = table.astype(dict.fromkeys(whole, "Int64")).rename(columns={"mask_area": "mask_area_px"})
    share = table["mask_area_px"] / (table["mask_height"] * table["mask_width"])
    table["mask_area_pct"] = (100 * share).astype("Float64").round(3)
    table["fold"] = folds.astype("Int64").to_numpy()
    table["nearest_row"] = nearest.reindex(table.index).astype("Int64")
    table["nearest_bits"] = distance.reindex(table.index).astype("Int64")
    for name in ("faults", "warnings"):
        table[name] = table.pop(name).map("; ".join)
    table["row"] = table["row"].map(row_number)
    named = ["patient_id", "image_path", "mask_path", "view", "laterality", "volume_id", "mask_source"]
    shown = manifest[[name for name in named if name in manifest]].reset_index(drop=True)
    return pd.concat([table[["row"]], shown, table.drop(columns="row")], axis=1)
