"""What a run prints: a line a job, what came out, errors in full."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from pig.study.brief import print_briefly

JOB: dict[str, Any] = {
    "rule_msg": None, "local": True, "is_checkpoint": False, "input": [], "output": ["out"], "benchmark": None,
    "reason": "", "resources": {"mem_mb": 1000}, "priority": 0, "threads": 1, "indent": False,
}  # fmt: skip
ERROR: dict[str, Any] = {"rule_msg": None, "input": [], "output": [], "conda_env": None, "aux": {}, "indent": False}


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """Snakemake's own handler of the terminal, on a logger and a terminal of the test."""
    out, logger = io.StringIO(), logging.Logger("snakemake of the test")
    filtered: Any = DefaultFilter(getattr(request, "param", set()), False, False, False, True)
    handler = ColorizingTextHandler(stream=out, formatter=DefaultFormatter(None, True), filter=filtered)
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    print_briefly(logger)
    yield logger, out


def tell(logger: logging.Logger, event: LogEvent, message: str = "", **more: Any) -> None:
    logger.info(message, extra={"event": event, **more})


def run(logger: logging.Logger, log: Path) -> None:
    """Two jobs, as Snakemake tells of them; the second one fails."""
    tell(logger, LogEvent.RUN_INFO, "Job stats:")
    logger.info("Select jobs to execute...")
    tell(logger, LogEvent.JOB_STARTED, "Execute 2 jobs...")
    arm = {"arm": "pig_8", "fold": "0", "seed": "1"}
    tell(logger, LogEvent.JOB_INFO, **JOB, jobid=7, rule_name="segment", log=[str(log)], wildcards=arm)
    tell(logger, LogEvent.SHELLCMD, cmd="pig segment --settings '{}'")
    tell(logger, LogEvent.JOB_FINISHED, "Finished jobid: 7", job_id=7)
    tell(logger, LogEvent.PROGRESS, done=1, total=2)
    tell(logger, LogEvent.JOB_INFO, **JOB, jobid=8, rule_name="fit", log=[str(log)], wildcards={"generator": "pig"})
    of_error = {"rule_name": "fit", "jobid": 8, "log": [str(log)], "shellcmd": "pig fit"}
    logger.error("Error", extra={"event": LogEvent.JOB_ERROR, **ERROR, **of_error})


def test_a_line_for_each_job_its_result_and_errors_in_full(
    logger: tuple[logging.Logger, io.StringIO], tmp_path: Path
) -> None:
    log = tmp_path / "pig.log"
    log.write_text("12:00:00 started\n12:01:02 fold 0, seed 1: Dice 12.34 %\n\n")
    run(logger[0], log)
    tell(logger[0], LogEvent.PROGRESS, done=2, total=2)
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in logger[1].getvalue().splitlines()]
    assert lines[:3] == ["Job stats:", "now segment pig_8 fold0 seed1", "  fold 0, seed 1: Dice 12.34 %"]
    assert lines[3] == "1 of 2 done, now fit pig"
    assert lines[5] == "Error in rule fit:" and f"    log: {log} (check log file(s) for error details)" in lines
    assert "12:00:00 started" not in lines and "started" in lines  # the log of what failed; its times were cut above
    assert lines[-1] == "all 2 done"


@pytest.mark.parametrize("logger", [{Quietness.RULES, Quietness.PROGRESS}], indirect=True)
def test_quiet_is_quiet(logger: tuple[logging.Logger, io.StringIO], tmp_path: Path) -> None:
    run(logger[0], tmp_path / "no.log")
    assert logger[1].getvalue() == ""
