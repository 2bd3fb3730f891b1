"""Studies on a real Slurm: hit by all that hits a job there, and still the tables of an undisturbed local run."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest
from study_runs import ROOT, TINY, command, overlay, snakemake

# Jobs are promised GPUs that do not exist: there the check of what PyTorch finds is off.
PRETENDED = os.pathsep.join(filter(None, [str(ROOT / "tests/cluster/pretended"), os.environ.get("PYTHONPATH")]))

# The profile as it is; only the looks at jobs come sooner, and the node is small.
PROFILE = [
    *["--workflow-profile", ROOT / "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"],
    *["--latency-wait", "10", "--max-threads", "2"],
]
IMPATIENT = [sys.executable, str(Path(__file__).with_name("impatient.py"))]

# A generator whose trainings meet with misfortune: each attempt is counted in a file.
UNLUCKY = '''
import time
from pathlib import Path

from baselines.segguided import SegGuidedDif


class Unlucky(SegGuidedDif):
    """Crawls in the first attempt from step 41 of 60; in fold 0 the second attempt fails."""

    def fit(self, pairs, run):
        attempts = Path(f"attempts{run.fold}")
        attempts.write_text(attempts.read_text() + "x" if attempts.exists() else "x")
        attempt = len(attempts.read_text())
        if run.fold == 0 and attempt == 2:
            raise RuntimeError("the second attempt fails")
        calls = 0

        def crawl(*_):
            nonlocal calls
            calls += 1
            if attempt == 1 and calls > 40:
                time.sleep(3)

        self.network.register_forward_pre_hook(crawl)
        super().fit(pairs, run)
'''


class Job(NamedTuple):
    """A job as squeue tells of it."""

    number: str
    state: str
    memory: str
    start: str
    end: str
    what: str


def jobs(what: str = "") -> list[Job]:
    """Return all jobs, also finished ones, whose comment (rule and wildcards) holds ``what``, oldest first."""
    listed = subprocess.run(
        ["squeue", "--states=all", "--noheader", "--format=%i|%T|%m|%S|%e|%k", "--sort=i"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [job for line in listed.stdout.splitlines() if what in (job := Job(*line.split("|"))).what]


def until(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Wait for something to happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}: {jobs()}"
        time.sleep(0.2)


def submit(directory: Path, *words: str | Path) -> list[str]:
    """Return the words that run Snakemake with the profile in ``directory``."""
    _, *rest = command(directory, *PROFILE, *words)
    return IMPATIENT + rest


@contextmanager
def running(directory: Path, *words: str | Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Snakemake beside the test; its output goes to ``run.log``."""
    with (directory / "run.log").open("ab") as log:
        process = subprocess.Popen(
            submit(directory, *words),
            env=os.environ | {"PYTHONPATH": PRETENDED} | environment,
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def unlucky(directory: Path) -> list[str | Path]:
    """Return the words of a study whose one generator is the unlucky one."""
    training = {"steps": 60, "log_every": 20, "checkpoint_every": 20}
    return overlay(
        directory,
        "unlucky",
        generators={"segguided": {"class": "unlucky.Unlucky", "model": {"training": training}}},
        table2={"arms": [{"generator": "segguided", "count": 8}], "controls": []},
        dataset={"new_patients": {"oracle": 0, "test": 0, "normal": 0}},
    )


def crawling(study: Path, fold: int) -> str:
    """Wait until the training of a fold crawls behind its second checkpoint; return its job."""
    folder = study / f"results/work/models/segguided/fold{fold}/network"
    until(lambda: any(folder.glob("step*40.safetensors")), f"a checkpoint of fold {fold}")
    [job] = jobs(f"rule_fit_wildcards_segguided_{fold}")
    return job.number


@pytest.mark.parametrize("slurm", [2], indirect=True)
def test_a_study_hit_by_failure_time_limit_and_scancel_gives_the_table_of_a_local_run(
    slurm: None, finished: Path, tmp_path: Path
) -> None:
    words = unlucky(tmp_path)
    study, local = tmp_path / "study", tmp_path / "local"
    study.mkdir()
    shutil.copytree(finished, local)  # its data and its segmentations of real pairs stand as they are
    for directory in (study, local):
        (directory / "unlucky.py").write_text(UNLUCKY)

    with running(study, *words, "results/table2.csv", PIG_GPUS="1") as run:
        subprocess.run(["scontrol", "update", f"JobId={crawling(study, 0)}", "EndTime=now+1"], check=True)
        subprocess.run(["scancel", crawling(study, 1)], check=True)
        assert run.wait(timeout=400) == 0, (study / "run.log").read_text()

    # Each attempt was a job of its own, with more memory.
    first, second = ([(job.state, job.memory) for job in jobs(f"fit_wildcards_segguided_{k}")] for k in (0, 1))
    assert first == [("TIMEOUT", "4000M"), ("FAILED", "8000M"), ("COMPLETED", "12000M")]
    assert second == [("CANCELLED", "4000M"), ("COMPLETED", "8000M")]
    for fold in (0, 1):
        log = (study / f"results/logs/fit/segguided/fold{fold}.log").read_text()
        assert re.search(r"going on from step [45]\d of 60", log), log
        assert "step 20 of 60" not in log

    # No two jobs had one GPU at the same time.
    def gpu(name: str) -> str:
        return (study / f"results/logs/{name}.log").read_text().partition("GPU ")[2][0]

    logs = {
        "rule_segment_wildcards_{}_{}_0": "segment/{}/fold{}/seed0",
        "rule_synthesise_wildcards_{}_{}_0": "synthesise/{}/fold{}/shard0",
    }
    used = [
        (job, gpu(log.format(arm, fold)))
        for what, log in logs.items()
        for arm in ("real", "segguided", "segguided_8")
        for fold in (0, 1)
        for job in jobs(what.format(arm, fold))
    ]
    assert len(used) == 6
    assert {name for _, name in used} == {"0", "1"}
    for (one, name), (other, its_name) in combinations(used, 2):
        if max(one.start, other.start) < min(one.end, other.end):
            assert name != its_name, (one, other)

    for fold in (0, 1):
        (local / f"attempts{fold}").write_text("xx")  # the third goes well
    reference = snakemake(local, "--cores", "2", *words, "results/table2.csv")
    assert reference.returncode == 0, reference.stdout
    for name in ("table2.csv", "scores.csv", "segmentation/segguided_8/fold0/seed0/slices.csv"):
        assert (study / "results" / name).read_bytes() == (local / "results" / name).read_bytes(), name


@pytest.mark.parametrize("slurm", [0], indirect=True)
def test_after_a_kill_of_snakemake_the_documented_way_goes_on(slurm: None, finished: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(finished, study)
    (study / "unlucky.py").write_text(UNLUCKY)
    words = [*unlucky(tmp_path), "results/models/segguided/fold1"]
    with running(study, *words, PIG_GPUS="0") as run:
        orphan = crawling(study, 1)
        run.kill()
        run.wait()
    assert [job.state for job in jobs() if job.number == orphan] == ["RUNNING"]

    again = snakemake(study, *PROFILE, *words)
    assert again.returncode != 0
    assert "Directory cannot be locked" in again.stdout

    named = subprocess.run(["squeue", "--me", "--noheader", "--format=%j"], capture_output=True, text=True, check=True)
    name = named.stdout.strip()
    assert name.startswith("pig_")
    subprocess.run(["scancel", "--me", f"--name={name}"], check=True)
    until(lambda: not subprocess.check_output(["squeue", "--me", "--noheader"]), "the orphan's end")
    assert snakemake(study, "--unlock").returncode == 0
    with running(study, *words, PIG_GPUS="0") as run:
        assert run.wait(timeout=400) == 0, (study / "run.log").read_text()
    log = (study / "results/logs/fit/segguided/fold1.log").read_text()
    assert re.search(r"going on from step [45]\d of 60", log), log


@pytest.mark.parametrize("slurm", [0], indirect=True)
def test_gpus_are_asked_for_as_one_setting_says(slurm: None, finished: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(finished, study)

    def make(rules: list[str], *files: str, **environment: str) -> tuple[int, str]:
        clean = {key: value for key, value in os.environ.items() if key != "PIG_GPUS"}
        words = ["--forcerun", *rules, "--configfile", TINY, "--retries", "0", "--", *files]
        run = subprocess.run(
            submit(study, *words),
            env=clean | {"CUDA_VISIBLE_DEVICES": ""} | environment,
            cwd=study,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return run.returncode, run.stdout

    # The node has none: whoever asks is refused, in Slurm's words.
    status, said = make(["fit"], "results/models/segguided/fold1", PIG_GPUS="1")
    assert status != 0
    assert "Invalid generic resource (gres) specification" in said
    assert "PIG_GPUS is not set" not in said
    assert not jobs()

    # Without a word the submitting machine is the measure, and Snakemake says so. The three jobs share an allocation.
    figures = [f"results/figures/{name}.png" for name in ("gallery_pig", "gallery_ldm", "strip_pig")]
    status, said = make(["gallery", "strip"], *figures)
    assert status == 0, said
    assert "PIG_GPUS is not set, and this machine has 0 GPUs, so the jobs ask for no GPU" in said
    [job] = jobs("figures")
    assert job.state == "COMPLETED"
