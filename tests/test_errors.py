"""Long lists of faults: one kind takes few lines, and no row is lost."""

import pickle
import re

from hypothesis import given
from hypothesis import strategies as st

from pig.system.errors import UserError, in_brief

HEADING = "manifest.csv has 9 errors (row 1 is the header); fix the rows or remove them:"


def listed(*faults: str) -> UserError:
    return UserError(HEADING, faults)


def test_a_list_of_faults_is_one_message_and_survives_another_process() -> None:
    error = listed("row 2: is empty", "row 3: is odd")
    assert str(error) == f"{HEADING}\n  row 2: is empty\n  row 3: is odd"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.heading, again.faults) == (UserError, str(error), HEADING, error.faults)


def test_many_faults_of_a_kind_are_three_and_the_rows_of_the_others() -> None:
    missing = [f"row {row}: image_path images/p{row}_1.png does not exist" for row in (2, 3, 5, 6, 7, 9, 12, 11)]
    other = "row 4: the mask has the values [0, 1, 2]"
    assert in_brief(listed(*missing[:2], other, *missing[2:])).split("\n") == [
        HEADING,
        *(f"  {line}" for line in missing[:3]),
        "  and 5 more like these: rows 6 to 7, 9, 11 to 12",
        f"  {other}",
    ]


def test_what_is_no_row_is_named() -> None:
    for end in (" has no mask", ": has no mask"):
        lines = [f"images/p{number}.png{end}" for number in range(7)]
        *_, last = in_brief(listed(*lines)).split("\n")
        assert last == "  and 4 more like these: images/p3.png, images/p4.png, images/p5.png, images/p6.png"


def test_few_faults_and_faults_of_other_kinds_stay_as_they_are() -> None:
    words = ["too", "old", "odd", "new", "late", "late", "early"]
    for error in (
        UserError("One sentence."),
        listed(*(f"row {row}: is {'odd' if row == 3 else 'empty'}" for row in range(2, 8))),
        listed(*(f"row {row}: is {word}" for row, word in enumerate(words))),
    ):
        assert in_brief(error) == str(error)


@given(st.lists(st.integers(2, 10_000), unique=True, min_size=1), st.lists(st.integers(2, 9_999), max_size=9))
def test_each_row_of_each_kind_can_be_read_from_it(missing: list[int], empty: list[int]) -> None:
    lines = [f"row {row}: image_path 'a b {row}.png' does not exist" for row in missing]
    lines += [f"row {row}: patient_id is empty" for row in empty]
    shown = in_brief(listed(*lines)).split("\n")[1:]
    assert len(shown) <= 4 + max(4, min(len(empty), 5)) + 1
    kind, rows = "", {"does not exist": set[int](), "is empty": set[int]()}
    for line in shown:
        if match := re.fullmatch(r"  row (\d+): .*(does not exist|is empty)", line):
            kind = match[2]
            rows[kind].add(int(match[1]))
        else:
            for run in line.partition("rows ")[2].split(", "):
                first, _, last = run.partition(" to ")
                rows[kind] |= {*range(int(first), int(last or first) + 1)}
    assert rows == {"does not exist": {*missing}, "is empty": {*empty}}
