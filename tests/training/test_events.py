"""What a job reports for programs: one JSON object a line, and curves that TensorBoard reads."""

import io
import json
import logging
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_study import PIG, events, fit_words, pig_model

from pig.cli import main
from pig.system.events import recording, report
from pig.system.progress import bar, track


def test_a_training_reports_losses_rate_and_memory(study: Path, tmp_path: Path) -> None:
    assert main(fit_words(study, pig_model(steps=6, log_every=2), tmp_path)) == 0
    found = events(tmp_path)
    assert [(e["name"], e["step"], e["total"]) for e in found] == [
        (name, step, 6) for name in ("guider", "denoiser") for step in (2, 4, 6)
    ]
    for event in found:
        assert set(event["loss"]) == {event["name"]}  # type: ignore[call-overload]
        assert event["rate"] > 0 and event["memory_mb"] > 100 and event["time"] > 1.7e9  # type: ignore[operator]

    curves = EventAccumulator(str(tmp_path / "events")).Reload()
    assert set(curves.Tags()["scalars"]) == {
        "guider/loss/guider", "guider/images per second", "denoiser/loss/denoiser", "denoiser/images per second"
    }  # fmt: skip
    drawn = [(scalar.step, scalar.value) for scalar in curves.Scalars("guider/loss/guider")]
    assert drawn == [(e["step"], pytest.approx(e["loss"]["guider"])) for e in found[:3]]  # type: ignore[index]

    synthesise = [
        "synthesise", "--store", str(study / "store"), "--folds", str(study / "folds.csv"), "--name", "pig",
        "--class", PIG, "--sampling", "{steps: 2}", "--model", str(tmp_path / "out"), "--first", "0", "--last", "4",
        "--batch", "2", "--out", str(tmp_path / "shard0.npz"), "--events", str(tmp_path / "drawn"),
    ]  # fmt: skip
    assert main(synthesise) == 0
    (line,) = (tmp_path / "drawn" / "events.jsonl").read_text().splitlines()
    event = json.loads(line)
    assert (event["name"], event["step"], event["total"]) == ("pig 0..4", 2, 2)
    assert "loss" not in event and not list((tmp_path / "drawn").glob("*tfevents*"))


def test_a_second_try_adds_to_the_file(tmp_path: Path) -> None:
    for step in (1, 2):
        with recording(tmp_path / "deep" / "events"):
            report("fit", step, 2, 10.0)
    lines = (tmp_path / "deep" / "events" / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with recording(None):
        report("fit", 1, 2, 10.0, {"a": 1.0})
    report("fit", 1, 2, 10.0, {"a": 1.0})
    assert list(track("abc", "letters", 3)) == ["a", "b", "c"]
    assert list(tmp_path.iterdir()) == []


def test_long_work_reports_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pig.system.progress.SECONDS_BETWEEN_LINES", 0)
    with recording(tmp_path):
        assert list(track("abc", "letters", 5, done=2, size=8)) == ["a", "b", "c"]
    found = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(event["step"], event["total"]) for event in found] == [(3, 5), (4, 5), (5, 5)]
    assert all(event["rate"] > 0 for event in found)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_of_the_log_do_not_run_into_the_bar(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    handler = logging.StreamHandler(terminal)
    monkeypatch.setattr(logging.root, "handlers", [handler])
    logger = logging.getLogger("pig")
    caplog.set_level(logging.INFO, "pig")  # which forgets what the logger remembers of its level, too
    for step in bar(range(3), "guider", 3):
        logger.info("step %d of 3", step + 1)
    shown = [line.rpartition("\r")[2].rstrip() for line in terminal.getvalue().split("\n")]  # what is not overwritten
    assert shown[:3] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert shown[3].startswith("guider: 100%") and "3/3" in shown[3]
    assert logging.root.handlers == [handler]
