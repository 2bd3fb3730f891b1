"""What a run sets out to do, written to ``results/plan.json`` when it starts; ``pig status`` reads it."""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import Any, TextIO

from pig.system.files import write_json

PLAN = Path("results/plan.json")
_held: list[TextIO] = []


def write_plan(workflow: Any, locks: Path) -> None:
    """Write the jobs of a run, and hold a lock on the file for as long as this process lives.

    Args:
        workflow: Snakemake's, with all jobs of the run.
        locks: the folder of Snakemake's own locks, which stay behind when it is killed.
    """
    dag = workflow.dag
    order = {rule.name: number for number, rule in enumerate(workflow.rules)}
    jobs = [
        {
            "rule": job.rule.name,
            "wildcards": dict(job.wildcards_dict),
            "outputs": [str(file) for file in job.output if not file.is_storage],
            "log": str(job.log[0]),
            "benchmark": str(job.benchmark),
            "needed": bool(dag.needrun(job)),
        }
        for job in sorted(dag.jobs, key=lambda job: order[job.rule.name])
        if job.log and job.benchmark
    ]
    written = {
        "started": time.time(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "locks": str(locks),
        "jobs": jobs,
    }
    write_json(PLAN, written)
    file = PLAN.open("a")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _held.append(file)
