"""The status of a study as a person reads it, and as a program does."""

import json
import time
from dataclasses import asdict

from pig.study.status import STATES, Job, Status, durations


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
    took = durations(status.jobs)
    for rule in dict.fromkeys(job.rule for job in status.jobs):
        row = "".join(f"{status.count(state, rule) or '-':>9}" for state in STATES)
        lines.append(f"{rule:{width}}{row}{took[rule]:10.1f}" if rule in took else f"{rule:{width}}{row}")
    running = [job for job in status.jobs if job.state == "running"]
    if running:
        lines += ["", "Running:"]
        for job in running:
            step = f", step {job.step} of {job.total}" if job.total else ""
            left = "" if job.left is None else f", {duration(job.left)} left" if job.left >= 1 else ", nearly done"
            lines.append(f"  {job.name}{step}{left}")
    failed = [job for job in status.jobs if job.state == "failed"]
    if failed:
        lines += ["", "Failed:"]
        lines += [f"  {job.name}: {job.log}\n      {job.message}" for job in failed]
    lines += [*_odd(status), "", *_outlook(status, when, who)]
    return "\n".join(lines)


def _outlook(status: Status, when: str, who: str) -> list[str]:
    """Say whether the work goes on, and what to do if not."""
    if status.count("done") == len(status.jobs):
        return ["All is done."]
    left = f"about {duration(status.seconds_left)}" if status.seconds_left >= 1 else ""
    if status.unmeasured:
        left += ", and more for " if left else "not known yet for "
        left += f"{', '.join(status.unmeasured)}, of which no job is finished yet"
    left = left or "seconds"
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


def _odd(status: Status) -> list[str]:
    """Name the generators of which syntheses have warned, and the log of the first one, with what it said."""
    drawn: dict[str, list[Job]] = {}
    for job in status.jobs:
        if job.state == "done" and job.rule == "synthesise":
            drawn.setdefault(job.kind, []).append(job)
    notes = []
    for jobs in drawn.values():
        if odd := [job for job in jobs if job.odd]:
            notes += [f"  {odd[0].name}: {odd[0].odd}", f"      {odd[0].log}; so are {len(odd)} of {len(jobs)} shards"]
    return ["", "Like the pairs of no training patient (theirs in brackets):", *notes] if notes else []


def duration(seconds: float) -> str:
    """Return seconds as "40 s", "12 min" or "5.3 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
