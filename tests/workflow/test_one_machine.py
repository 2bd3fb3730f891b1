"""What the default profile and the submitting machine say of GPUs, and a finished run of its result."""

import os
import re
from pathlib import Path

import pytest
from study_runs import TINY, snakemake

from pig.study.snakemake import gpu_warning, what_next


@pytest.mark.parametrize(
    ("gpus", "words", "limit"), [("0", [], 1), ("3", [], 3), ("3", ["--resources", "gpu=2"], 2)], ids=str
)
def test_as_many_jobs_use_a_gpu_at_a_time_as_there_are(finished: Path, gpus: str, words: list[str], limit: int) -> None:
    again = ["--cores", "1", *words, "--forcerun", "table2", "--configfile", TINY, "--", "results/table2.csv"]
    run = snakemake(finished, *again, PIG_GPUS=gpus)
    assert run.returncode == 0, run.stdout
    assert f'Provided resources: gpu=Resource("gpu", {limit})' in run.stdout
    assert "PIG_GPUS is not set" not in run.stdout
    assert "The table and its reading: results/table2.md. Galleries of what was drawn: results/figures. " in run.stdout
    lines = [line for line in run.stdout.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    now, result, done = (line.partition(" ")[2] for line in lines)  # of one job
    assert (now, done) == ("now table2", "all 1 done")
    assert result.startswith("  Dice of Tiny: ") and result.endswith("The table: results/table2.csv")
    assert "pig table2" not in run.stdout and "reason:" not in run.stdout  # they are in Snakemake's log


@pytest.mark.parametrize(
    ("remote", "asked", "visible", "sentence"),
    [
        (True, None, "", "this machine has 0 GPUs, so the jobs ask for no GPU"),
        (True, None, "0,1", "this machine has 2 GPUs, so the jobs ask for one GPU for each job that can use one"),
        (True, "1", "", None),
        (False, None, "", None),
    ],
)
def test_the_submitting_machine_decides_nothing_in_silence(
    monkeypatch: pytest.MonkeyPatch, remote: bool, asked: str | None, visible: str, sentence: str | None
) -> None:
    monkeypatch.setattr("pig.system.gpus.installed", list)  # whatever this machine has
    monkeypatch.delenv("PIG_GPUS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if asked is not None:
        monkeypatch.setenv("PIG_GPUS", asked)
    said = gpu_warning(remote)
    assert said is None if sentence is None else said is not None and sentence in said


def test_a_finished_run_names_its_result_and_the_next_command(tmp_path: Path) -> None:
    assert what_next(tmp_path) == ""
    (tmp_path / "table2.md").touch()
    assert f"{tmp_path}/table2.md" in what_next(tmp_path) and "snakemake --cores all" in what_next(tmp_path)
    (tmp_path / "report.html").touch()
    assert what_next(tmp_path).startswith(f"The report: {tmp_path}/report.html")
    os.utime(tmp_path / "report.html", (0, 0))  # of an older table
    assert "adds" in what_next(tmp_path)
