"""`pig status` of a study that runs, was killed, has failed, and is finished."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import CONFIGS, run, start, trains, wait_for

from pig.study.status import Job, Status, read_status
from pig.study.status_text import as_text, duration


def pig_status(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pig")), "status", str(directory), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def states(directory: Path) -> dict[str, str]:
    return {job.name: job.state for job in read_status(directory).jobs}


def test_where_nothing_was_started(tmp_path: Path) -> None:
    shown = pig_status(tmp_path)
    assert shown.returncode == 2
    assert "no run was started in" in shown.stderr


def test_a_finished_study(small_run: Path) -> None:
    status = read_status(small_run)
    assert not status.under_way
    assert status.locked is None
    assert status.seconds_left == 0
    assert {job.state for job in status.jobs} == {"done"}
    assert len(status.jobs) == 17
    assert all(job.seconds and job.seconds > 0 for job in status.jobs)
    shown = pig_status(small_run).stdout
    assert shown.startswith("17 jobs: 17 done, 0 running, 0 failed, 0 waiting\n")
    assert shown.endswith("All is done.\n")
    # Networks of 24 steps draw noise; each synthesis has warned of it in its log.
    (odd,) = re.findall(r"^  synthesise pig fold0 shard0: (.*)\n      (\S+); so are 4 of 4 shards$", shown, re.M)
    assert "neighbouring pixels differ by" in odd[0] and odd[0].endswith("%)")
    assert odd[1] == "results/logs/synthesise/pig/fold0/shard0.log"
    rules = [line.split()[0] for line in shown.splitlines()[3:13]]
    of_tables = ["fid", "table1", "table2", "gallery"]
    assert rules == ["phantom", "preprocess", "folds", "fit", "synthesise", "segment", *of_tables]
    content = json.loads(pig_status(small_run, "--json").stdout)
    assert content["counts"] == {"done": 17, "running": 0, "failed": 0, "waiting": 0}
    assert {job["rule"] for job in content["jobs"]} == set(rules)


def test_a_run_from_its_start_over_its_death_to_a_failure(longer_study: Path) -> None:
    configs = [*CONFIGS, "longer.yaml"]
    target = "results/segmentation/pig_16/fold0/seed0/slices.csv"
    process = start(longer_study, "--", target, configs=configs)
    try:
        wait_for(lambda: trains(longer_study), process)
        status = read_status(longer_study)
        assert status.under_way
        expected = {
            "phantom phantom": "done",
            "preprocess store": "done",
            "folds": "done",
            "fit pig fold0": "running",  # anew: what it made before was removed
            "synthesise pig fold0 shard0": "waiting",  # from the model of before: what is there is old
            "synthesise pig fold0 shard1": "waiting",
            "segment pig_16 fold0 seed0": "waiting",
        }
        assert {job.name: job.state for job in status.jobs} == expected
        training = next(job for job in status.jobs if job.state == "running")
        assert training.seconds is not None
        assert 0 < training.seconds < 120
        shown = pig_status(longer_study).stdout
        assert "7 jobs: 3 done, 1 running, 0 failed, 3 waiting" in shown
        assert "Running:\n  fit pig fold0" in shown
        assert "A run is under way since" in shown
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    # Killed: the job is no longer running, and the lock that is left is explained.
    deadline = time.monotonic() + 10
    while states(longer_study)["fit pig fold0"] == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert states(longer_study) == expected | {"fit pig fold0": "failed"}
    shown = pig_status(longer_study).stdout
    assert "Failed:\n  fit pig fold0: results/logs/fit/pig/fold0.log" in shown
    assert "It was killed and has left its lock in .snakemake/locks" in shown
    assert "--unlock" in shown
    assert run(longer_study, "--unlock", configs=configs)[0] == 0
    assert "The same command goes on with it." in pig_status(longer_study).stdout

    # Failed: a store that is damaged.
    pixels = longer_study / "results/data/store/masks.npy"
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"\1")
    assert run(longer_study, "--rerun-triggers", "params", "--", target, configs=configs)[0] != 0
    status = read_status(longer_study)
    failed = [job for job in status.jobs if job.state == "failed"]
    assert [job.name for job in failed] == ["fit pig fold0"]
    assert failed[0].log == "results/logs/fit/pig/fold0.log"
    assert failed[0].message is not None
    assert "The pixels of the store results/data/store are damaged" in failed[0].message


def plan_of(directory: Path, jobs: list[dict[str, object]], started: float) -> None:
    plan = {"started": started, "host": "here", "process": 1, "locks": "locks", "jobs": jobs}
    (directory / "results").mkdir(exist_ok=True)
    (directory / "results/plan.json").write_text(json.dumps(plan))


def entry(fold: int) -> dict[str, object]:
    return {
        "rule": "fit",
        "wildcards": {"generator": "pig", "fold": str(fold)},
        "outputs": [f"results/models/pig/fold{fold}"],
        "log": f"results/logs/fit/pig/fold{fold}.log",
        "benchmark": f"results/benchmarks/fit/pig/fold{fold}.tsv",
        "needed": True,
    }


def test_the_time_left_comes_from_finished_jobs_and_from_the_rate_of_running_ones(tmp_path: Path) -> None:
    import fcntl

    now = time.time()
    plan_of(tmp_path, [entry(fold) for fold in range(4)], now - 1000)
    for folder in ("models/pig/fold0", "logs/fit/pig", "benchmarks/fit/pig", "events/fit/pig/fold1"):
        (tmp_path / "results" / folder).mkdir(parents=True)
    (tmp_path / "results/benchmarks/fit/pig/fold0.tsv").write_text("s\th:m:s\n200.0\t0:03:20\n")
    log = tmp_path / "results/logs/fit/pig/fold1.log"
    begun = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(now - 50))
    log.write_text(f"12:00:00 started {begun} on here, process 7: pig fit\n")

    with log.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        status = read_status(tmp_path)
        assert [job.state for job in status.jobs] == ["done", "running", "waiting", "waiting"]
        # 150 s of the one that runs, 200 s of each that waits; one runs at a time.
        assert status.seconds_left == pytest.approx(550, abs=3)
        assert status.unmeasured == []

        # It is slower than its sister was: 2 steps in 10 s, and 100 to go.
        events = [{"time": now - 10, "name": "pig", "step": 398, "total": 500, "loss": 1.0}]
        events.append({"time": now, "name": "pig", "step": 400, "total": 500})
        text = "".join(json.dumps(event) + "\n" for event in events) + '{"time": 12'
        (tmp_path / "results/events/fit/pig/fold1/events.jsonl").write_text(text)
        running = read_status(tmp_path).jobs[1]
        assert (running.step, running.total) == (400, 500)
        assert running.left == pytest.approx(500)
        assert "fit pig fold1, step 400 of 500, 8 min left" in as_text(read_status(tmp_path))
    assert read_status(tmp_path).jobs[1].state == "failed"


def watch(directory: Path) -> tuple[subprocess.Popen[bytes], Callable[[], str]]:
    """Start `pig status --watch` on a terminal of its own; return it, and what reads on to its next drawing."""
    here, there = pty.openpty()
    command = [str(Path(sys.executable).with_name("pig")), "status", str(directory), "--watch"]
    process = subprocess.Popen(command, stdout=there, stderr=there)
    os.close(there)

    def seen() -> str:
        try:
            return os.read(here, 100_000).decode()
        except OSError:  # the other end is closed
            return ""

    return process, seen


def test_it_is_watched_until_the_run_ends_or_one_has_seen_enough(tmp_path: Path) -> None:
    import fcntl

    refused = pig_status(tmp_path, "--watch")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--watch draws on a terminal, and the output is none" in refused.stderr

    plan_of(tmp_path, [entry(0)], time.time())
    with (tmp_path / "results/plan.json").open() as held:  # a run is under way
        fcntl.flock(held, fcntl.LOCK_EX)
        process, seen = watch(tmp_path)
        first = seen()
        assert first.startswith("\033[H\033[J1 jobs: 0 done, 0 running, 0 failed, 1 waiting")
        assert "Time left: not known yet for fit, of which no job is finished yet." in first.replace("\r", "")
        assert "about" not in first
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "Traceback" not in seen()
        process, seen = watch(tmp_path)
        assert "1 waiting" in seen()
    assert process.wait(20) == 0  # the run has ended
    assert "No run is under way" in seen()


def test_what_no_job_has_measured_is_named() -> None:
    jobs = [Job("fit", "fit", "fit", "waiting", "a.log", left=30.0), Job("fid", "fid", "fid", "waiting", "b.log")]
    text = as_text(Status(jobs, True, None, 0.0, "here", 1, 30.0, ["fid"]))
    assert "Time left: about 30 s, and more for fid, of which no job is finished yet." in text


def test_durations() -> None:
    said = [duration(seconds) for seconds in (3.2, 89, 90, 5399, 5400, 90000)]
    assert said == ["3 s", "89 s", "2 min", "90 min", "1.5 h", "25.0 h"]
