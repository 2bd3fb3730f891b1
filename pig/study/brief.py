"""What a run prints: a line for each job, what came out of it, and errors in full.

Snakemake's own fourteen lines a job, with the settings as JSON, stay in its log file, whose name is its last line.
"""

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

from pig.study.status import job_name, last_line

RESULTS = ("segment", "fid", "table2")  # rules whose log ends with what came out
UNSAID = ("shellcmd", "job_started")  # kinds of messages
BUSY = "Select jobs to execute..."  # is said once a job, and is of no kind


class OneLineAJob(logging.Handler):
    """Prints a line for each job where Snakemake's handler prints many; all else is left to that one.

    Attributes:
        whole: Snakemake's handler of the terminal, with the filter that its ``--quiet`` asks for.
    """

    def __init__(self, whole: "logging.StreamHandler[Any]") -> None:
        super().__init__()
        self.whole = whole
        self._progress = ""
        self._results: dict[int, Path] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message of Snakemake's, shortly or as it is, or not at all."""
        said = record.__dict__
        event = getattr(said.get("event"), "value", None)
        if event in UNSAID or record.msg == BUSY or not self.whole.filter(record):
            return
        if event == "progress":
            self._progress = f"{said['done']} of {said['total']} done, "
            if said["done"] == said["total"]:
                self._print(f"all {said['total']} done")
        elif event == "job_info":
            if said["log"]:  # a mere target has none
                self._print(f"{self._progress}now {job_name(said['rule_name'], said['wildcards'])}")
            if said["log"] and said["rule_name"] in RESULTS:
                self._results[said["jobid"]] = Path(said["log"][0])
        elif event == "job_finished":
            if result := _result(self._results.pop(said["job_id"], None)):
                self._print(f"  {result}")
        else:
            self.whole.handle(record)

    def _print(self, line: str) -> None:
        self.whole.stream.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        self.whole.flush()


def _result(log: Path | None) -> str:
    """Return the last line of a log, without its time; "" if there is none, or it lies elsewhere."""
    if log is None:
        return ""
    with contextlib.suppress(OSError):
        return last_line(log).partition(" ")[2]
    return ""


def print_briefly(logger: logging.Logger) -> None:
    """Let Snakemake print a line a job; where a plugin prints instead (``--logger``), nothing is changed."""
    for handler in [handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"]:
        assert isinstance(handler, logging.StreamHandler)
        logger.removeHandler(handler)
        logger.addHandler(OneLineAJob(handler))
