"""The manifest: one row per image with its mask and the patient it belongs to."""

import csv
import io
import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from pig.data.spreadsheet import plain_csv
from pig.system.errors import UserError

REQUIRED = ("image_path", "mask_path", "patient_id")
NOBODY = ("na", "n/a", "#n/a", "nan", "none", "null")  # as R, spreadsheets and Python write a missing value
# Read as text, or "007" becomes 7 and two spellings of a patient become one.
TEXT = (*REQUIRED, "view", "laterality", "volume_id", "density", "shape", "margin")


def read_table(path: str | Path, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table as Parquet or CSV.

    In CSV an empty cell, and nothing else, is a missing value: "NA" may be a patient.

    Args:
        path: the file; Parquet ends in .parquet.
        text: columns to be read as text, beside those of ``TEXT``.

    Raises:
        UserError: the file is missing, or is neither Parquet nor a CSV that can be read in one way alone
            (:mod:`pig.data.spreadsheet`).
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return _read_parquet(path, {*TEXT, *text})
    try:
        return _read_csv(io.StringIO(plain_csv(path)), text)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path, or run the step that makes it.") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, OSError, csv.Error) as error:
        raise UserError(f"{path} is not a readable CSV table: {error}") from None


def read_own_table(path: Path) -> pd.DataFrame:
    """Read a table that ``DataFrame.to_csv`` has written and that is known to be unchanged since.

    As :func:`read_table`, without its doubts about spreadsheets, which take most of the time.
    """
    return _read_csv(path)


def _read_csv(source: Path | io.StringIO, text: Sequence[str] = ()) -> pd.DataFrame:
    return pd.read_csv(
        source, dtype=dict.fromkeys((*TEXT, *text), "str"), keep_default_na=False, na_values=[""], encoding="utf-8"
    )


def _read_parquet(path: Path, text: Collection[str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path).reset_index(drop=True)  # rows are numbered, whatever they were called
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path, or run the step that makes it.") from None
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pyarrow; pip install 'pig-benchmark[parquet]'.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable Parquet table: {error}") from None
    for name in text:
        if name in table.columns:
            if pd.api.types.is_float_dtype(table[name]):
                raise UserError(f"{path}: the column {name} holds numbers with a point; write it as text.")
            table[name] = table[name].astype("str").where(table[name].notna())
    return table


def row_number(index: int) -> int:
    """Return the number a spreadsheet shows for the data row ``index`` (0-based): the header is row 1."""
    return index + 2


def refuse(path: str | Path, faults: Sequence[str]) -> None:
    """Raise one UserError that lists all ``faults`` of the manifest ``path``, if there are any."""
    if faults:
        heading = f"{path} has {len(faults)} error{'s' * (len(faults) > 1)} (row 1 is the header)"
        raise UserError(f"{heading}; fix the rows or remove them:", faults)


def leaves(folder: Path, relative: str) -> bool:
    """Return whether a relative path leads out of the folder it starts in, by itself or through a link."""
    if Path(relative).is_absolute():
        return False
    climbs = Path(os.path.normpath(relative)).parts[:1] == ("..",)
    end = Path(os.path.realpath(folder / relative))  # unlike resolve(), it bears links that lead in a circle
    return climbs or not end.is_relative_to(folder.resolve())


def spellings(patients: Sequence[str]) -> list[tuple[int, int]]:
    """Return (position, earlier position) for each new spelling of a patient who was spelled otherwise before.

    Two spellings differ in upper and lower case, in spaces, in how Unicode composes a letter, or in the point that a
    spreadsheet adds to a number (12 and 12.0). The two would be dealt into folds as two patients.
    """
    found = []
    first: dict[str, int] = {}
    for position, patient in enumerate(patients):
        key = " ".join(unicodedata.normalize("NFKC", patient).casefold().split())
        key = re.sub(r"^(\d+)\.0+$", r"\1", key)
        earlier = first.setdefault(key, position)
        if key and patient.strip() != patients[earlier].strip():
            found.append((position, earlier))
    return found


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read and check a manifest.

    Args:
        path: a CSV file in UTF-8 with the columns ``image_path``, ``mask_path`` and ``patient_id``; any
            further columns are kept. A relative path in it starts at the manifest's folder.

    Returns:
        One row per image in the order of the file; both paths absolute; ``patient_id`` as text ("007" stays).

    Raises:
        UserError: columns or rows are missing, a cell is empty, a patient_id begins or ends with a space or is
            spelled in two ways, a relative path leaves the manifest's folder (by ".." or through a link), a file
            does not exist, or an image stands in two rows. All faults are listed, each with its row.
    """
    return check_manifest(path, read_table(path))


def check_manifest(path: str | Path, table: pd.DataFrame) -> pd.DataFrame:
    """Check the table of a manifest that was read from ``path``; see ``read_manifest``."""
    refuse(path, [*chain.from_iterable(own + shared for own, shared in zip(*faults_of(path, table), strict=True))])
    return with_whole_paths(path, table)


def faults_of(path: str | Path, table: pd.DataFrame) -> tuple[list[list[str]], list[list[str]]]:
    """Return for each row of a manifest what is wrong with it by itself, and what beside the rows above it.

    Raises:
        UserError: columns or rows are missing.
    """
    path = Path(path)
    if missing := [name for name in REQUIRED if name not in table.columns]:
        raise UserError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; a manifest has "
            f"{', '.join(REQUIRED)}, and this one has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise UserError(f"{path} has a header and no rows; write one row per image.")

    folder = path.absolute().parent
    cells = {name: table[name].fillna("").tolist() for name in REQUIRED}
    own = []
    shared: list[list[str]] = [[] for _ in range(len(table))]
    first_row: dict[str, int] = {}
    for index, (image_path, _, patient) in enumerate(zip(*cells.values(), strict=True)):
        number = row_number(index)
        wrong = [f"row {number}: {name} is empty" for name in REQUIRED if not cells[name][index].strip()]
        if patient.strip() and patient != patient.strip():
            wrong.append(f"row {number}: patient_id {patient!r} begins or ends with a space")
        if patient.casefold() in NOBODY:
            wrong.append(f"row {number}: patient_id {patient!r} stands for a missing value; give each row its patient")
        for name in ("image_path", "mask_path"):
            if cells[name][index].strip() and (why := _wrong_path(folder, cells[name][index])):
                wrong.append(f"row {number}: {name} {why}")
        own.append(wrong)
        if image_path.strip() and "\0" not in image_path:
            image = os.path.realpath(folder / image_path)  # which goes on where links lead in a circle
            if image in first_row:
                shared[index].append(f"row {number}: the same image as row {first_row[image]}: {image_path}")
            first_row.setdefault(image, number)
    patients = cells["patient_id"]
    for index, earlier in spellings(patients):
        shared[index].append(
            f"row {row_number(index)}: patient_id {patients[index]!r} is spelled {patients[earlier]!r} in row "
            f"{row_number(earlier)}; spell a patient in one way"
        )
    return own, shared


def _wrong_path(folder: Path, cell: str) -> str:
    """Return what is wrong with a path in a manifest, "" if nothing."""
    try:
        if leaves(folder, cell):
            return f"{cell} leaves the manifest's folder; write the whole path from the root, if that is meant"
        return "" if (folder / cell).is_file() else f"{folder / cell} is not a file"
    except (OSError, ValueError) as error:  # too long, or with a character that no path has
        return f"{cell!r} is no path ({error})"


def with_whole_paths(path: str | Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of the manifest ``path`` with absolute paths of images and masks."""
    folder = Path(path).absolute().parent
    return table.assign(**{name: [str(folder / cell) for cell in table[name]] for name in ("image_path", "mask_path")})
