"""Snakemake's records of how each file was made are kept with the results, in ``results/metadata``.

They tell Snakemake that a setting or the code has changed since a file was made. Snakemake keeps them in
``.snakemake/metadata``. There they would be lost when ``results`` is copied elsewhere or ``.snakemake`` is deleted, and
Snakemake would take every file for one of the present configuration. So that folder is a link to ``results/metadata``.
"""

import contextlib
import re
import shutil
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from pig.system.errors import UserError

RECORDS = Path("results/metadata")
LINK = Path(".snakemake/metadata")
INCOMPLETE = Path(".snakemake/incomplete")  # of jobs that were killed, which Snakemake itself runs again
LONGEST = 254  # of a part of a record's name
SHOWN = 5


def find_records() -> None:
    """Let Snakemake find the records of results that are there before it looks for them."""
    if RECORDS.is_dir() and not LINK.is_symlink():  # copied results, or a copy of all without its links
        shutil.rmtree(LINK, ignore_errors=True)
        _link()
    elif LINK.is_symlink():
        RECORDS.mkdir(parents=True, exist_ok=True)  # results was deleted


def keep_records() -> None:
    """Move the records of a new study, or of one that an older version has made, to the results."""
    if LINK.is_dir() and not LINK.is_symlink():
        RECORDS.parent.mkdir(exist_ok=True)
        shutil.move(LINK, RECORDS)
        _link()


def _link() -> None:
    INCOMPLETE.mkdir(parents=True, exist_ok=True)  # without it Snakemake takes the records for those of an old version
    with contextlib.suppress(FileExistsError):  # a dry-run beside this run was first
        LINK.symlink_to(Path("..") / RECORDS, target_is_directory=True)


def refuse_unknown(workflow: Any) -> None:
    """Refuse outputs of which there is no record, unless this call writes records of what is there, or runs nothing.

    Args:
        workflow: Snakemake's, with all rules.

    Raises:
        UserError: names them, and what can be done.
    """
    if {"--touch", "-t", "--unlock"} & {*sys.argv}:
        return
    if unknown := [path for rule in workflow.rules for path in _existing(rule) if not _recorded(path)]:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise UserError(
            f"{', '.join(unknown[:SHOWN])}{more}: {RECORDS} has no record of how this was made, so that it may be of "
            "other settings. Delete what is named here to have it made again. If everything in results was made "
            "with this very configuration, keep it by giving the command once with `--touch --forceall` before `--`."
        )


def _existing(rule: Any) -> list[str]:
    """Return the outputs of a rule that are there."""
    found = []
    for output in rule.output:
        if not output.is_storage:
            paths = Path().glob(re.sub(r"\{[^{}]*\}", "*", str(output)))
            found += [path for path in sorted(map(str, paths)) if output.match(path)]
    return found


def _recorded(path: str) -> bool:
    return any((folder / record_name(path)).is_file() for folder in (LINK, INCOMPLETE))


def record_name(path: str) -> Path:
    """Return the name that Snakemake gives to the record of a file."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[start : start + LONGEST] for start in range(0, len(name), LONGEST)]
    return Path(*[f"@{part}" for part in parts[:-1]], parts[-1])
