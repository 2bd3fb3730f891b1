"""The manifest: one row per image with its mask and the patient it belongs to."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pig.errors import UserError

REQUIRED = ("image_path", "mask_path", "patient_id")
# Read as text, or "007" becomes 7 and two spellings of a patient become one.
TEXT = (*REQUIRED, "view", "laterality", "volume_id", "density", "shape", "margin")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV table in which an empty cell, and nothing else, is a missing value ("NA" may be a patient).

    Raises:
        UserError: the file is missing, is not CSV in UTF-8, or gives two columns the same name.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = next(csv.reader(file), [])
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"{path} has several columns named {', '.join(repeated)}; keep one of each.")
        return pd.read_csv(
            path,
            dtype=dict.fromkeys(TEXT, "str"),
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
        )
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path, or run the step that makes it.") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError, csv.Error) as error:
        raise UserError(f"{path} is not a readable CSV table in UTF-8: {error}") from None


def row_number(index: int) -> int:
    """Return the number a spreadsheet shows for the data row ``index`` (0-based): the header is row 1."""
    return index + 2


def refuse(path: str | Path, faults: Sequence[str]) -> None:
    """Raise one UserError that lists all ``faults`` of the manifest ``path``, if there are any."""
    if faults:
        heading = f"{path} has {len(faults)} fault{'s' * (len(faults) > 1)} (row 1 is the header)"
        raise UserError("\n  ".join([f"{heading}; mend the rows or remove them:", *faults]))


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read and check a manifest.

    Args:
        path: a CSV file in UTF-8 with the columns ``image_path``, ``mask_path`` and ``patient_id``; any
            further columns are kept. A relative path in it starts at the manifest's folder.

    Returns:
        One row per image in the order of the file; both paths absolute; ``patient_id`` as text ("007" stays).

    Raises:
        UserError: columns or rows are missing, a cell is empty, a patient_id begins or ends with a space, a
            file does not exist, or an image stands in two rows. All faults are listed, each with its row.
    """
    path = Path(path)
    table = read_table(path)
    if missing := [name for name in REQUIRED if name not in table.columns]:
        raise UserError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; a manifest has "
            f"{', '.join(REQUIRED)}, and this one has {', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise UserError(f"{path} has a header and no rows; write one row per image.")

    folder = path.absolute().parent
    cells = {name: table[name].fillna("").tolist() for name in REQUIRED}
    faults = []
    first_row: dict[Path, int] = {}
    for index, (image_path, _, patient) in enumerate(zip(*cells.values(), strict=True)):
        number = row_number(index)
        faults += [f"row {number}: {name} is empty" for name in REQUIRED if not cells[name][index].strip()]
        if patient.strip() and patient != patient.strip():
            faults.append(f"row {number}: patient_id {patient!r} begins or ends with a space")
        for name in ("image_path", "mask_path"):
            if cells[name][index].strip() and not (folder / cells[name][index]).is_file():
                faults.append(f"row {number}: {name} {folder / cells[name][index]} is not a file")
        if image_path.strip():
            image = (folder / image_path).resolve()
            if image in first_row:
                faults.append(f"row {number}: the same image as row {first_row[image]}: {image_path}")
            first_row.setdefault(image, number)
    refuse(path, faults)
    for name in ("image_path", "mask_path"):
        table[name] = [str(folder / cell) for cell in cells[name]]
    return table
