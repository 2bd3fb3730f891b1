"""How far a study is: what is done, running, failed and waiting, and the time left.

Three things on the disk tell, whichever scheduler runs the jobs:

- ``results/plan.json``: the jobs of the last run, written when it started; whoever runs it holds a lock on it.
- The log of a job: a running ``pig`` holds a lock on it, which the system releases however the process ends.
- The benchmark file of a job, written when it has succeeded; and the events of a training, with its steps.
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pig.system.errors import UserError
from pig.system.files import HOST, read_json

PLAN = Path("results/plan.json")
STATES = ("done", "running", "failed", "waiting")
TELLING = ("generator", "arm", "population", "stored")  # wildcards whose values say by themselves what they are
STARTED = re.compile(r"^\S+ started (\S+)", re.M)  # the first line of a log; see :func:`announce`
ODD = re.compile(r"looks like the pairs of no training patient: (.*) \(theirs are in brackets\)")  # of `pig synthesise`


@dataclass
class Job:
    """One job of the plan.

    Attributes:
        name: rule and wildcards, as "fit pig fold0".
        kind: the rule, and the generator or arm; jobs of one kind take alike.
        state: of :data:`STATES`; a job that was killed has failed.
        seconds: it took, if it is done; it has run for, if it is running.
        left: seconds, estimated, until it is done; None where nothing is known of its kind.
        step: of a training that is running; and how many there are.
        message: the last line of the log of one that failed.
        odd: what a synthesis that is done has warned of: in what its pairs look like those of no training patient.
    """

    name: str
    rule: str
    kind: str
    state: Literal["done", "running", "failed", "waiting"]
    log: str
    seconds: float | None = None
    left: float | None = None
    step: int | None = None
    total: int | None = None
    message: str | None = None
    odd: str | None = None


@dataclass
class Status:
    """Of a study.

    Attributes:
        jobs: all of the last run's plan.
        under_way: whether the Snakemake that wrote the plan still runs.
        locked: the folder of locks that a killed run has left, or None.
        started: when the last run began, seconds since 1970; and where.
        seconds_left: estimated, of the jobs whose rule has been measured.
        unmeasured: rules that have jobs to do of which none is finished or tells its rate.
    """

    jobs: list[Job]
    under_way: bool
    locked: str | None
    started: float
    host: str
    process: int
    seconds_left: float
    unmeasured: list[str]

    def count(self, state: str, rule: str | None = None) -> int:
        """Return the number of jobs in a state, of all rules or of one."""
        return sum(job.state == state and rule in (None, job.rule) for job in self.jobs)


def announce(command: str) -> None:
    """Begin the log of a job: lock the file that the standard error goes to, if it does, and say when this began.

    The lock holds until this process and its shell end, however they end.
    """
    with contextlib.suppress(OSError):  # no file, one that another job writes to, or a file system without locks
        fcntl.flock(sys.stderr.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    logging.getLogger("pig").info("started %s on %s, process %d: pig %s", now, HOST, os.getpid(), command)


def is_held(path: Path) -> bool:
    """Return whether a process holds the exclusive lock of a file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_status(directory: Path) -> Status:
    """Return the status of the study in a working directory.

    Raises:
        UserError: no run has been started there.
    """
    path = directory / PLAN
    if not path.exists():
        raise UserError(f"{path} does not exist: no run was started in {directory.absolute()}; name its folder.")
    plan = read_json(path)
    under_way = is_held(path)
    jobs = [_job(directory, entry, plan["started"]) for entry in plan["jobs"]]
    took = durations(jobs)
    for job in jobs:
        _estimate(job, took, directory)
    locks = directory / plan["locks"]
    locked = not under_way and locks.is_dir() and any(locks.iterdir())
    return Status(
        jobs,
        under_way,
        plan["locks"] if locked else None,
        plan["started"],
        plan["host"],
        plan["process"],
        _time_left(jobs),
        list(dict.fromkeys(job.rule for job in jobs if job.state != "done" and job.left is None)),
    )


def job_name(rule: str, wildcards: Mapping[str, str]) -> str:
    """Return what a person calls a job, as "segment pig_1024 fold0 seed0"."""
    owner = [wildcards[key] for key in TELLING if key in wildcards][:1]
    return " ".join([rule, *owner, *(f"{key}{value}" for key, value in wildcards.items() if key not in TELLING)])


def last_line(log: Path) -> str:
    """Return the last line of a log that is not blank; "" if there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _job(directory: Path, entry: Mapping[str, Any], started: float) -> Job:
    benchmark, log = directory / entry["benchmark"], directory / entry["log"]
    wildcards = entry["wildcards"]
    job = Job(
        name=job_name(entry["rule"], wildcards),
        rule=entry["rule"],
        kind=job_name(entry["rule"], {key: wildcards[key] for key in TELLING if key in wildcards}),
        state="waiting",
        log=entry["log"],
    )
    there = all((directory / output).exists() for output in entry["outputs"])
    if there and (not entry["needed"] or _written(benchmark) >= started):
        job.state, job.seconds = "done", _benchmarked(benchmark)
        if job.rule == "synthesise" and log.exists() and (found := ODD.search(log.read_text(errors="replace"))):
            job.odd = found[1]
    elif is_held(log):
        job.state, job.seconds = "running", _running_for(log)
    elif _written(log) >= started:
        job.state = "failed"
        job.message = last_line(log)
    return job


def _written(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _benchmarked(path: Path) -> float | None:
    """Return the seconds of a benchmark file: the first column of its second line."""
    if not path.exists():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    return float(lines[1].split("\t")[0]) if len(lines) > 1 else None


def _running_for(log: Path) -> float | None:
    with log.open(encoding="utf-8", errors="replace") as file:
        found = STARTED.search(file.read(2000))
    return max(0.0, time.time() - datetime.fromisoformat(found[1]).timestamp()) if found else None


def durations(jobs: Iterable[Job]) -> dict[str, float]:
    """Return the mean seconds of finished jobs, by kind and by rule."""
    seconds: dict[str, list[float]] = {}
    for job in jobs:
        if job.state == "done" and job.seconds is not None:
            for key in {job.kind, job.rule}:
                seconds.setdefault(key, []).append(job.seconds)
    return {key: statistics.fmean(values) for key, values in seconds.items()}


def _estimate(job: Job, took: Mapping[str, float], directory: Path) -> None:
    """Fill in the seconds that a job still needs, from jobs of its kind and from its own rate."""
    expected = took.get(job.kind, took.get(job.rule))
    if job.state in ("waiting", "failed"):
        job.left = expected
    elif job.state == "running":
        guesses = [] if expected is None else [max(0.0, expected - (job.seconds or 0.0))]
        events = read_events(directory, job.log)
        if events:
            job.step, job.total = events[-1]["step"], events[-1]["total"]
            if (rate := _rate(events)) is not None:
                guesses.append((events[-1]["total"] - events[-1]["step"]) / rate)
        job.left = max(guesses, default=None)


def read_events(directory: Path, log: str) -> list[dict[str, Any]]:
    """Return the events with a step that the job with this log has written; the last line may be half-written."""
    local = log[log.find("results/logs/") :]  # the log itself may be the local copy of a file in a storage
    path = directory / Path(local.replace("logs", "events", 1)).with_suffix("") / "events.jsonl"
    if not path.exists():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict) and {"time", "name", "step", "total"} <= event.keys():
            events.append(event)
    return events


def _rate(events: list[dict[str, Any]]) -> float | None:
    """Return steps a second between the last two events of the training that is under way."""
    of_last = [event for event in events if event["name"] == events[-1]["name"]][-2:]
    if len(of_last) < 2:
        return None
    steps, seconds = (of_last[1][key] - of_last[0][key] for key in ("step", "time"))
    return float(steps / seconds) if steps > 0 and seconds > 0 else None


def _time_left(jobs: list[Job]) -> float:
    """Return the work that is left over the number of jobs that run at a time; never less than the longest job."""
    left = [job.left for job in jobs if job.state != "done" and job.left is not None]
    at_once = max(1, sum(job.state == "running" for job in jobs))
    return max(sum(left) / at_once, max(left, default=0.0))
