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
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pig.system.errors import UserError
from pig.system.files import HOST, read_json

PLAN = Path("results/plan.json")
STATES = ("done", "running", "failed", "waiting")
STARTED = re.compile(r"^\S+ started (\S+)", re.M)  # the first line of a log; see :func:`announce`


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
    took = _durations(jobs)
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


def _job(directory: Path, entry: Mapping[str, Any], started: float) -> Job:
    benchmark, log = directory / entry["benchmark"], directory / entry["log"]
    wildcards = entry["wildcards"]
    names = ("generator", "arm", "population", "stored")  # which say by themselves what they are
    owner = next((wildcards[key] for key in names if key in wildcards), "")
    places = [f"{key}{value}" for key, value in wildcards.items() if key not in names]
    job = Job(
        name=" ".join([entry["rule"], *filter(None, [owner]), *places]),
        rule=entry["rule"],
        kind=" ".join([entry["rule"], *filter(None, [owner])]),
        state="waiting",
        log=entry["log"],
    )
    there = all((directory / output).exists() for output in entry["outputs"])
    if there and (not entry["needed"] or _written(benchmark) >= started):
        job.state, job.seconds = "done", _benchmarked(benchmark)
    elif is_held(log):
        job.state, job.seconds = "running", _running_for(log)
    elif _written(log) >= started:
        job.state = "failed"
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        job.message = next((line.strip() for line in reversed(lines) if line.strip()), "")
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


def _durations(jobs: Iterable[Job]) -> dict[str, float]:
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


def as_json(status: Status) -> str:
    """Return all of a status, and the counts, as JSON."""
    counts = {state: status.count(state) for state in STATES}
    return json.dumps({"counts": counts, **asdict(status)}, indent=2)


def as_text(status: Status) -> str:
    """Return a status as a person reads it."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.started))
    who = f"process {status.process} on {status.host}"
    counts = ", ".join(f"{status.count(state)} {state}" for state in STATES)
    lines = [f"{len(status.jobs)} jobs: {counts}", ""]
    width = max(len(job.rule) for job in status.jobs)
    lines.append(f"{'rule':{width}}" + "".join(f"{state:>9}" for state in STATES) + f"{'s a job':>10}")
    took = _durations(status.jobs)
    for rule in dict.fromkeys(job.rule for job in status.jobs):
        row = "".join(f"{status.count(state, rule) or '-':>9}" for state in STATES)
        lines.append(f"{rule:{width}}{row}{took[rule]:10.1f}" if rule in took else f"{rule:{width}}{row}")
    running = [job for job in status.jobs if job.state == "running"]
    if running:
        lines += ["", "Running:"]
        for job in running:
            step = f", step {job.step} of {job.total}" if job.total else ""
            left = f", {duration(job.left)} left" if job.left is not None else ""
            lines.append(f"  {job.name}{step}{left}")
    failed = [job for job in status.jobs if job.state == "failed"]
    if failed:
        lines += ["", "Failed:"]
        lines += [f"  {job.name}: {job.log}\n      {job.message}" for job in failed]
    lines += ["", *_outlook(status, when, who)]
    return "\n".join(lines)


def _outlook(status: Status, when: str, who: str) -> list[str]:
    """Say whether the work goes on, and what to do if not."""
    if status.count("done") == len(status.jobs):
        return ["All is done."]
    left = f"about {duration(status.seconds_left)}"
    if status.unmeasured:
        left += f", and more for {', '.join(status.unmeasured)}, of which no job is finished yet"
    if status.under_way:
        return [f"A run is under way since {when} ({who}). Time left: {left}."]
    lines = [f"No run is under way; the last began {when} ({who}). Work left for one job at a time: {left}."]
    if status.count("running"):
        lines.append("Jobs of it are still running: wait for them, or stop them, before the next run.")
    if status.locked:
        lines.append(
            f"It was killed and has left its lock in {status.locked}. If no Snakemake works on this folder from "
            "another machine, give the same command with --unlock, and then the same command."
        )
    else:
        lines.append("The same command goes on with it.")
    return lines


def duration(seconds: float) -> str:
    """Return seconds as "40 s", "12 min" or "5.3 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
