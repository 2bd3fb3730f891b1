"""How the tests are spread over the processes of pytest-xdist: what shares a finished run stays together."""

import re
from functools import cache
from pathlib import Path

SHARED = {"finished": r"\bfinished: Path", "small run": r"\b(small_run|longer_study): Path"}
# They begin, so that none is left over at the end, when the other process has nothing more to do.
LONGEST = ["finished", "small run", "test_paper_smoke.py", "test_memory.py", "test_mutants.py"]


@cache
def group(file: Path) -> str:
    """Return what the tests of a file stay together with: those that use the same finished run, else their file."""
    text = file.read_text(encoding="utf-8")
    return next((name for name, used in SHARED.items() if re.search(used, text)), file.name)


def turn(file: Path) -> int:
    """Return when the tests of a file have their turn, 0 being the first."""
    return LONGEST.index(group(file)) if group(file) in LONGEST else len(LONGEST)
