"""How long a study would take on so many devices: `python -m benchmarks.schedule --times results --devices 1 8 64`.

List scheduling (Graham 1966): whenever a device is free, it takes the next job whose inputs are there, trainings before
sampling before segmentations. The times of jobs are the means of a finished study's benchmark files, by rule; or they
are given. Left out: queues, transfers, and jobs that share a device.
"""

import argparse
import csv
import heapq
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

DEVICE_RULES = ("fit", "synthesise", "segment", "fid")


class Job(NamedTuple):
    """One job of the study, and the positions of those it waits for."""

    rule: str
    needs: tuple[int, ...]


def study(generators: int, folds: int, seeds: int, arms: int, shards: int) -> list[Job]:
    """Return the jobs that use a device: ``arms`` of each generator, beside the arm of real data."""
    jobs: list[Job] = []

    def add(rule: str, *needs: int) -> int:
        jobs.append(Job(rule, needs))
        return len(jobs) - 1

    trained = {(g, k): add("fit") for k in range(folds) for g in range(generators)}
    drawn = {at: [add("synthesise", fit) for _ in range(shards)] for at, fit in trained.items()}
    real = {k: [add("segment") for _ in range(seeds)] for k in range(folds)}
    for (_, k), parts in drawn.items():
        for _ in range(arms * seeds):
            add("segment", *parts)
        add("fid", *parts, real[k][0])
    return jobs


def makespan(jobs: Sequence[Job], seconds: Mapping[str, float], devices: int) -> float:
    """Return the seconds until all jobs are done."""
    order = {rule: number for number, rule in enumerate(DEVICE_RULES)}
    waits = [len(job.needs) for job in jobs]
    then: list[list[int]] = [[] for _ in jobs]
    for number, job in enumerate(jobs):
        for need in job.needs:
            then[need].append(number)
    ready = [(order[job.rule], number) for number, job in enumerate(jobs) if not job.needs]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < devices:
            _, number = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[jobs[number].rule], number))
        now, number = heapq.heappop(running)
        for follower in then[number]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, (order[jobs[follower].rule], follower))
    return now


def measured(results: Path) -> dict[str, float]:
    """Return the mean seconds of a finished study's jobs, by rule."""
    found: dict[str, float] = {}
    for rule in DEVICE_RULES:
        seconds = []
        for file in (results / "benchmarks" / rule).rglob("*.tsv"):
            with file.open() as table:
                seconds += [float(row["s"]) for row in csv.DictReader(table, delimiter="\t")]
        if seconds:
            found[rule] = statistics.fmean(seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generators", type=int, default=20)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", type=int, default=2, help="of each generator")
    parser.add_argument("--shards", type=int, default=100, help="of each generator and fold")
    parser.add_argument("--times", type=Path, help="results/ of a finished study")
    parser.add_argument("--seconds", type=json.loads, default={}, help='{"fit": 3600, ...}: instead of, or beside')
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 8, 64])
    a = parser.parse_args()
    seconds = (measured(a.times) if a.times else {}) | a.seconds
    if missing := [rule for rule in DEVICE_RULES if rule not in seconds]:
        parser.error(f"no time is known of {', '.join(missing)}; give --times or --seconds")
    jobs = study(a.generators, a.folds, a.seeds, a.arms, a.shards)
    work = sum(seconds[job.rule] for job in jobs)
    print(
        f"{len(jobs)} jobs, {work / 3600:.1f} hours of one device; " + str({k: round(v, 1) for k, v in seconds.items()})
    )
    for devices in a.devices:
        span = makespan(jobs, seconds, devices)
        print(f"{devices:5} devices: {span / 3600:8.1f} h, busy {work / span / devices:.0%}")


if __name__ == "__main__":
    main()
