"""CSV as spreadsheets write it: the same table in each way of writing, and what can be read in two ways is refused."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pig.data.manifest import read_table
from pig.data.spreadsheet import plain_csv
from pig.system.errors import UserError

NAMES = ["image_path", "mask_path", "patient_id"]
# Letters of several alphabets, and what has a meaning in CSV; a cell is not blank, and has no spaces around it.
CELLS = st.text(st.sampled_from("aZ0;,\t\"'é中 .\n"), min_size=1).map(str.strip).filter(bool)


def written(rows: list[list[str]], delimiter: str, line_end: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    return text.getvalue()


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=4),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    said=st.booleans(),
    empty_ends=st.integers(0, 3),
    blank_lines=st.integers(0, 2),
    spaces=st.booleans(),
)
def test_a_table_is_the_same_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, encoding: str, line_end: str,
    said: bool, empty_ends: int, blank_lines: int, spaces: bool,
) -> None:  # fmt: skip
    header = [f" {name} " if spaces else name for name in NAMES]
    ends = [""] * empty_ends
    text = written([row + ends for row in (header, *rows)], delimiter, line_end)
    text += (delimiter * (2 + empty_ends) + line_end) * blank_lines
    path = tmp_path_factory.mktemp("csv") / "m.csv"
    path.write_bytes((f"sep={delimiter}{line_end}" * said + text).encode(encoding))
    table = read_table(path)
    assert list(table.columns) == NAMES
    assert table.to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1\n", [["a", "b"], ["1", ""]]),  # a short row ends in empty cells
        ("a,b\n1,2,\n3,4,,\n", [["a", "b"], ["1", "2"], ["3", "4"]]),
        ("a;b,c;d\n1;2,3;4\n", [["a", "b,c", "d"], ["1", "2,3", "4"]]),  # more semicolons than commas
        ("sep=,\na;b,c\n1,2\n", [["a;b", "c"], ["1", "2"]]),
        ("one\nx\n", [["one"], ["x"]]),
        ("a,,b\n1,,2\n", [["a", "b"], ["1", "2"]]),  # a column without name and content
        ("", []),
    ],
)
def test_rows_by_hand(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    assert [*csv.reader(plain_csv(path).splitlines())] == rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a,b\n1,2,3\n", r"row 2 has '3' in column 3, for which the header \(row 1\) has no name"),
        (b"a,b\n1,2\n,,\n3,4\n", r"row 3 is blank \(row 1 is the header\)"),
        (b"a,b\n1,2\n\n3,4\n", "row 3 is blank"),
        (b"a,b,\n1,2,x\n", "row 2 has 'x' in column 3"),
        (b"a,b;c\n1,2;3\n", "the header has as many commas and semicolons"),
        (b"a, a\n1,2\n", "several columns named a"),
        ("a,b\nMüller,2\n".encode("cp1252"), "not a readable CSV table in UTF-8: .*Save it as UTF-8"),
        ("\ufeffa,b\n1,2\n".encode("utf-16-le")[:-1], "not a readable CSV table in UTF-8"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"m\.csv.*{sentence}"):
        read_table(path)


@given(content=st.binary(max_size=60))
def test_any_file_is_a_table_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("csv") / "m.csv"
    path.write_bytes(content)
    try:
        read_table(path)
    except UserError as error:
        assert str(path) in str(error)
