"""CSV as spreadsheets write it: commas, semicolons or tabs, UTF-8 or UTF-16, a line ``sep=;``, empty ends of rows.

What is read becomes plain CSV: commas, a name above each column, as many cells in each row. What could be read in two
ways is refused with its row, because pandas would shift columns (a row that is longer than the header) or rows (a blank
line) without a word.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pig.system.errors import UserError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def plain_csv(path: Path) -> str:
    """Return the table in the file ``path`` as plain CSV; "" if the file is empty.

    Raises:
        UserError: it is in another encoding, its header can be read in two ways, two columns have one name or one with
            content has none, a row is blank or has more cells than the header.
        OSError: the file cannot be read.
        csv.Error: it is no CSV at all.
    """
    text, delimiter = _text(path), None
    first, _, rest = text.partition("\n")
    said = first.rstrip("\r")
    if said.lower().startswith("sep=") and len(said) == len("sep=;"):
        delimiter, text = said[-1], rest
    lines = text.splitlines()
    if not lines:
        return ""
    delimiter = delimiter or _delimiter(path, lines[0])
    rows = [*csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)]
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(_even(path, rows))
    return written.getvalue()


def _text(path: Path) -> str:
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
        if "\0" in text:
            raise UnicodeError("it holds the character 0, as UTF-16 without its mark does")
    except UnicodeError as error:
        raise UserError(
            f"{path} is not a readable CSV table in UTF-8: {error}. Save it as UTF-8 (in Excel: CSV UTF-8)."
        ) from None
    return text


def _delimiter(path: Path, header: str) -> str:
    """Return what stands between the names of the header; a comma if it is a single name."""
    columns = {mark: len(next(csv.reader([header], delimiter=mark), [])) for mark in DELIMITERS}
    most = max(columns.values())
    found = [mark for mark, count in columns.items() if count == most]
    if most > 1 and len(found) > 1:
        names = " and ".join(DELIMITERS[mark] for mark in found)
        raise UserError(f"{path}: the header has as many {names}; separate columns by one of them; quote the other.")
    return found[0] if most > 1 else ","


def _even(path: Path, rows: list[list[str]]) -> Iterator[list[str]]:
    """Yield the header without spaces around its names, then each row with as many cells."""
    names = [name.strip() for name in rows[0]] if rows else []
    if repeated := sorted({name for name in names if name and names.count(name) > 1}):
        raise UserError(f"{path} has several columns named {', '.join(repeated)}; keep one of each.")
    named = [place for place, name in enumerate(names) if name]
    unnamed = [place for place, name in enumerate(names) if not name]
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            raise UserError(f"{path}: row {number} is blank (row 1 is the header); remove it.")
        for place in [*unnamed, *range(len(names), len(row))]:
            if place < len(row) and row[place].strip():
                raise UserError(
                    f"{path}: row {number} has '{row[place]}' in column {place + 1}, for which the header (row 1) has "
                    "no name; give it one, or quote a cell that holds the separator."
                )
    yield [names[place] for place in named]
    for row in rows[1:]:
        yield [row[place] if place < len(row) else "" for place in named]
