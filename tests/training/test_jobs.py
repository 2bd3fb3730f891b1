"""Training as jobs of the workflow: what a failed one says, and what its devices change."""

from pathlib import Path

import pytest
import yaml
from small_study import CONFIGS, TABLES, run


def test_a_failed_job_names_its_log_and_shows_the_error(tmp_path: Path) -> None:
    rows = "".join(f"image{i}.png,mask{i}.png,patient{i}\n" for i in range(8))
    (tmp_path / "own.csv").write_text("image_path,mask_path,patient_id\n" + rows)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"dataset": {"manifest": "own.csv"}}))
    configs = [*CONFIGS, str(tmp_path / "own.yaml")]
    status, said = run(tmp_path, "--", "results/data/store", configs=configs)
    assert status == 1
    assert "Error in rule preprocess" in said
    assert "log: results/logs/preprocess/store.log" in said
    assert "image2.png is not a file\n" in said  # of the log, in the output of Snakemake
    assert "  and 5 more like these: rows 5 to 9\n" in said


def test_several_processes_are_asked_for_where_the_job_runs(tmp_path: Path) -> None:
    status, said = run(tmp_path, "-n", "--set-resources", "fit:processes=2", "--", *TABLES)
    assert status == 0, said
    lines = [line for line in said.splitlines() if line.startswith("Shell command: pig fit")]
    assert lines and all("--processes 2 " in line for line in lines)


def test_another_number_of_processes_trains_nothing_anew(small_run: Path) -> None:
    status, said = run(small_run, "-n", "--set-resources", "fit:processes=2", "--", *TABLES)
    assert status == 0 and "Nothing to be done" in said, said


@pytest.mark.parametrize("rule", ["phantom", "preprocess/store", "fit/pig/fold0", "segment/real/fold0/seed0"])
def test_each_job_leaves_its_events_where_its_log_is(small_run: Path, rule: str) -> None:
    assert (small_run / "results" / "logs" / f"{rule}.log").exists()
    assert (small_run / "results" / "events" / rule / "events.jsonl").stat().st_size > 0
