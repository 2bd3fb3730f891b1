"""When the jobs of a study would be done, on so many cores and GPUs."""

import heapq
from collections import defaultdict
from collections.abc import Sequence

from pig.study.jobs import Job

THREADS = {"phantom": 8, "import_data": 8, "check": 8, "preprocess": 8}  # of a job; all others have one
ON_GPU = {"fit", "synthesise", "segment", "fid", "quality", "strip", "overlay"}  # one each, where there are any


def makespan(jobs: Sequence[Job], seconds: Sequence[float], cores: int, gpus: int) -> float:
    """Return the seconds until all jobs are done, by list scheduling (Graham 1966).

    Whenever there are cores for it, and a GPU if it uses one, the first job starts whose inputs are there. Jobs side by
    side are taken not to slow each other down.

    Args:
        jobs: all of them.
        seconds: of each job, on the cores that it gets.
        cores: that they share; a job that asks for more than all gets all.
        gpus: that they share; 0: all compute on cores.
    """
    waits = [len(job.needs) for job in jobs]
    then: list[list[int]] = [[] for _ in jobs]
    for number, job in enumerate(jobs):
        for need in job.needs:
            then[need].append(number)
    ready: dict[tuple[int, int], list[int]] = defaultdict(list)  # by cores and GPUs

    def claim(number: int) -> tuple[int, int]:
        rule = jobs[number].rule
        return min(THREADS.get(rule, 1), cores), int(gpus > 0 and rule in ON_GPU)

    def startable() -> tuple[int, int] | None:
        fits = [claim for claim, numbers in ready.items() if numbers and claim[0] <= free[0] and claim[1] <= free[1]]
        return min(fits, key=lambda claim: ready[claim][0], default=None)

    for number, waiting in enumerate(waits):
        if not waiting:
            heapq.heappush(ready[claim(number)], number)
    running: list[tuple[float, int]] = []
    now, free = 0.0, (cores, gpus)
    while True:
        while (takes := startable()) is not None:
            number = heapq.heappop(ready[takes])
            heapq.heappush(running, (now + seconds[number], number))
            free = free[0] - takes[0], free[1] - takes[1]
        if not running:
            return now
        now, number = heapq.heappop(running)
        takes = claim(number)
        free = free[0] + takes[0], free[1] + takes[1]
        for follower in then[number]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready[claim(follower)], follower)
