"""Show which jobs of a study are done, running, failed and waiting, and the time left."""

import sys
import time
from pathlib import Path

from pig.study.status import read_status
from pig.study.status_text import as_json, as_text
from pig.system.errors import UserError
from pig.system.signals import Stopped

SECONDS_BETWEEN = 2
CLEAR = "\033[H\033[J"  # of a terminal: to the first line, and all after it is empty


def status(*, directory: Path, json: bool, watch: bool) -> None:
    """Print the state of the study in ``directory``, as JSON or as text.

    Args:
        directory: where Snakemake was started.
        json: print JSON.
        watch: print again every few seconds until the run ends, or Ctrl-C; on a terminal alone.

    Raises:
        UserError: no run was started there, or there is no terminal to be drawn on.
    """
    if not watch:
        found = read_status(directory)
        print(as_json(found) if json else as_text(found))
        return
    if not sys.stdout.isatty():
        raise UserError("--watch draws on a terminal, and the output is none; leave it out, or take --json.")
    try:
        while (found := read_status(directory)).under_way:
            print(f"{CLEAR}{as_text(found)}\n\nCtrl-C ends this view; the run goes on.", flush=True)
            time.sleep(SECONDS_BETWEEN)
        print(f"{CLEAR}{as_text(found)}")
    except Stopped:
        print()
