"""A study whose jobs and whose Snakemake are killed again and again ends with the bytes of an undisturbed one."""

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
from small_study import TABLES, contents, differing, run, start

KILLS = {"phantom": 2, "preprocess": 2, "fit": 6, "synthesise": 5, "segment": 5}
WHOLE = 3  # of Snakemake with all its jobs, as by a machine that goes down
ALONE = 2  # of Snakemake alone, whose jobs run on
WAITS = float("inf")  # the moment of a job that is killed as soon as it has written a checkpoint


def jobs(snakemake: int) -> Iterator[tuple[str, psutil.Process]]:
    """Yield (command, process) of each running ``pig`` that Snakemake, or what it left behind, has started."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if os.getpgid(process.pid) == snakemake and len(words) > 2 and Path(words[1]).name == "pig":
                yield words[2], process
        except (psutil.Error, ProcessLookupError):
            continue


def kill(process: psutil.Process) -> bool:
    """Kill one process as the kernel does when memory runs out; return whether it still ran."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        process.kill()
        process.wait(timeout=30)
    except psutil.NoSuchProcess:
        return False
    return True


class Assassin:
    """Kills, at moments that a seed decides, what a run of Snakemake has started, and counts it."""

    def __init__(self, seed: int, seconds: dict[str, float]) -> None:
        self.rng = random.Random(seed)
        self.seconds = seconds  # of an undisturbed job, by command
        self.haste = 1.0  # a part of these: they were measured, it may be, when the machine was busier
        self.of_all = [*["whole"] * WHOLE, *["alone"] * ALONE]
        self.rng.shuffle(self.of_all)
        self.kills: Counter[str] = Counter()
        self.in_training = 0  # whose own checkpoint outlives them

    def has_killed_enough(self) -> bool:
        """Return whether at least 20 kills were made, of each kind, and of a training after a checkpoint."""
        return self.kills.total() >= 20 and set(self.kills) == {*KILLS, "whole", "alone"} and self.in_training > 0

    def attend(self, snakemake: subprocess.Popen[str]) -> None:
        """Follow one run of Snakemake to its end, whoever brings it about."""
        moments: dict[int, float] = {}
        end = time.monotonic() + self.rng.uniform(4, 12) if self.of_all and self.rng.random() < 0.5 else None
        while snakemake.poll() is None:
            for command, process in jobs(snakemake.pid):
                if self.kills[command] >= KILLS.get(command, 0):
                    continue
                if process.pid not in moments:
                    # Every other training is killed after a checkpoint, most others before: importing takes longest.
                    waits = command in ("fit", "segment") and self.rng.random() < 0.5
                    delay = self.rng.uniform(0, 0.9) * self.haste * self.seconds[command]
                    moments[process.pid] = WAITS if waits else time.monotonic() + delay
                written = checkpoints(process)
                due = bool(written) if moments[process.pid] == WAITS else moments[process.pid] <= time.monotonic()
                if due and kill(process):
                    self.kills[command] += 1
                    self.in_training += any(file.exists() for file in written)
            if end and time.monotonic() > end:
                kind = self.of_all.pop()
                if kind == "whole":
                    os.killpg(snakemake.pid, signal.SIGKILL)
                else:
                    snakemake.kill()
                self.kills[kind] += 1
                snakemake.wait()
            time.sleep(0.02)


def checkpoints(job: psutil.Process) -> list[Path]:
    """Return the checkpoints that a training has written since it was started."""
    try:
        words = job.cmdline()
        work = Path(job.cwd()) / words[words.index("--work") + 1]
        return [file for file in work.rglob("step*.safetensors") if file.stat().st_mtime > job.create_time()]
    except (psutil.Error, ValueError, FileNotFoundError):
        return []


def resumed(directory: Path) -> set[Path]:
    """Return the logs of the trainings that went on from a checkpoint; the next attempt writes them anew."""
    logs = (directory / "results/logs").rglob("*.log")
    return {log for log in logs if re.search(r"going on from step \d+", log.read_text())}


def seconds_of_jobs(study: Path) -> dict[str, float]:
    def fastest(command: str) -> float:
        files = (study / "results/benchmarks").glob(f"{command}*/**/*.tsv")
        alone = study / f"results/benchmarks/{command}.tsv"
        return min(float(pd.read_csv(file, sep="\t")["s"].iloc[0]) for file in ([alone] if alone.exists() else files))

    return {command: fastest(command) for command in KILLS}


def follow(directory: Path, assassin: Assassin) -> tuple[list[int], set[Path]]:
    """Run the study in ``directory``, again and again, until it is whole; return the process groups and who resumed."""
    groups, went_on = [], set()
    for _ in range(60):
        snakemake = start(directory, "--", *TABLES)
        groups.append(snakemake.pid)
        assassin.attend(snakemake)
        went_on |= resumed(directory)
        if snakemake.returncode == 0:
            break
        if snakemake.returncode < 0:
            status, said = run(directory, "--unlock")
            assert status == 0, said
    assert snakemake.returncode == 0, (directory / "out.txt").read_text()[-5000:]
    return groups, went_on


def test_twenty_kills_change_no_byte(small_run: Path, tmp_path: Path) -> None:
    assassin = Assassin(seed=5, seconds=seconds_of_jobs(small_run))
    groups, went_on, whole = [], set(), contents(small_run)
    for study in map(str, range(4)):  # a second one, where too many jobs of the first were quicker than their moment
        directory = tmp_path / study
        directory.mkdir()
        its_groups, its_resumed = follow(directory, assassin)
        groups += its_groups
        went_on |= its_resumed

        # All is as in the undisturbed run, and nothing else lies about.
        assert differing(contents(directory), whole) == []
        hidden = [path for path in (directory / "results").rglob(".*") if path.name != ".snakemake_timestamp"]
        assert hidden == []
        if assassin.has_killed_enough() and went_on:
            break
        assassin.haste /= 2
    print(f"{assassin.kills}, {assassin.in_training} after a checkpoint, {len(groups)} runs, the last of study {study}")
    assert assassin.kills.total() >= 20, assassin.kills
    assert set(assassin.kills) == {*KILLS, "whole", "alone"}

    # Trainings that were killed after a checkpoint went on from it.
    assert assassin.in_training > 0
    assert went_on

    # No process is left.
    assert [process for process in psutil.process_iter() if lives_in(process, groups)] == []


def lives_in(process: psutil.Process, groups: list[int]) -> bool:
    """Return whether a process of one of the groups runs; others on the machine end while this is asked."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) in groups
    except (psutil.Error, ProcessLookupError):
        return False
