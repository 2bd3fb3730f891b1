"""Signals: a training finishes its step and writes a checkpoint, other work stops and leaves nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_study import SIZE, fit_words, pig_model, start

from pig.cli import main
from pig.system.files import atomic_directory, atomic_path
from pig.system.signals import SIGNALS, Stopped, handling_signals
from pig.training.checkpoint import load_checkpoint
from pig.training.loop import train
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings


class Steps:
    """Eight pairs; a signal comes while the batch of step ``at`` is read."""

    def __init__(self, at: int | None = None, number: signal.Signals = signal.SIGTERM) -> None:
        self.at, self.number, self.read = at, number, 0

    def __len__(self) -> int:
        return 8

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        self.read += 1
        if self.read == self.at:
            os.kill(os.getpid(), self.number)
        images = torch.linspace(-1, 1, 8)[torch.from_numpy(positions)].view(-1, 1, 1, 1)
        return images, images.abs()


SETTINGS = TrainingSettings(batch_size=2, learning_rate=0.01, steps=10, ema_decay=0.9, checkpoint_every=1000)


def run_phases(work: Path, *phases: Steps) -> nn.Module:
    """Train one network in two phases, as PIG and the autoencoder do."""
    torch.manual_seed(0)
    module: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(1, 4), nn.Dropout(0.3), nn.Linear(4, 1))
    for number, pairs in enumerate(phases):

        def loss(images: Tensor, masks: Tensor, rng: torch.Generator, module: nn.Module = module) -> Tensor:
            return (module(images) - masks.flatten(1)).square().mean()

        run = TrainingRun(work, 0, 0, "f")
        trained = train({"m": module}, {"m": loss}, pairs, SETTINGS, run, f"phase{number}")["m"]
        module = nn.Sequential(trained.requires_grad_(True), nn.Linear(1, 1))  # of the global random state
    return module


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_training_in_a_checkpoint(tmp_path: Path, number: signal.Signals) -> None:
    whole = run_phases(tmp_path / "whole", Steps(), Steps())
    cut = tmp_path / "cut"
    with handling_signals(), pytest.raises(Stopped, match="phase0 was stopped after step 4 of 10"):
        run_phases(cut, Steps(4, number))
    assert [path.name for path in (cut / "phase0").glob("step*")] == ["step000000004.safetensors"]
    first, second = Steps(), Steps()
    assert same(whole, run_phases(cut, first, second))
    assert (first.read, second.read) == (6, 10)


def test_what_a_stopped_run_has_spent_counts_for_the_one_that_goes_on(tmp_path: Path) -> None:
    def go_on(pairs: Steps) -> TrainingRun:
        module, run = nn.Linear(1, 1), TrainingRun(tmp_path, 0, 0, "f")

        def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
            return module(images).square().mean()

        train({"m": module}, {"m": loss}, pairs, SETTINGS, run, "phase")
        return run

    def spent() -> float:
        _, state = load_checkpoint(tmp_path / "phase", "f") or (0, {})
        return float(state["spent_s"])

    with handling_signals(), pytest.raises(Stopped):
        go_on(Steps(4, signal.SIGTERM))
    before = spent()
    resumed = go_on(Steps())
    assert resumed.earlier_s == before > 0
    assert resumed.images == 10 * 2  # of the whole training
    finished = go_on(Steps())
    assert finished.earlier_s == spent() > before


def test_a_finished_phase_is_not_trained_again(tmp_path: Path) -> None:
    whole = run_phases(tmp_path / "whole", Steps(), Steps())
    cut = tmp_path / "cut"
    with handling_signals(), pytest.raises(Stopped, match="phase1 was stopped after step 3 of 10"):
        run_phases(cut, Steps(), Steps(3))
    first, second = Steps(), Steps()
    assert same(whole, run_phases(cut, first, second))
    assert (first.read, second.read) == (0, 7)


def test_a_phase_that_was_killed_before_its_first_checkpoint_begins_alike(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    class Deadly(Steps):
        def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
            raise Killed

    whole = run_phases(tmp_path / "whole", Steps(), Steps())
    with pytest.raises(Killed):
        run_phases(tmp_path / "cut", Steps(), Deadly())
    assert same(whole, run_phases(tmp_path / "cut", Steps(), Steps()))


def test_a_signal_in_the_last_step_is_not_lost(tmp_path: Path) -> None:
    with handling_signals(), pytest.raises(Stopped, match="stopped by SIGTERM"):
        run_phases(tmp_path, Steps(10))
    assert (tmp_path / "phase0" / "step000000010.safetensors").exists()


def test_without_the_command_line_signals_are_the_callers_own(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with pytest.raises(KeyboardInterrupt):
        run_phases(tmp_path, Steps(4, signal.SIGINT))


FORKED = """
import os, signal, time
from pig.system.signals import handling_signals
begun, begin = os.pipe()
with handling_signals():
    child = os.fork()
    if not child:
        os.write(begin, b"!")
        time.sleep(60)
    os.read(begun, 1)
    os.kill(child, signal.SIGTERM)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]))
"""


def test_a_forked_worker_that_is_terminated_ends_without_a_word() -> None:
    """Libraries end the workers of their pools by SIGTERM; that is no wish of whoever started the command."""
    run = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=50)
    assert (run.stdout.strip(), run.stderr) == (str(int(signal.SIGTERM)), "")


@pytest.mark.parametrize("writer", [atomic_path, atomic_directory])
def test_other_work_leaves_nothing_half_written(tmp_path: Path, writer: type[atomic_path]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with handling_signals(), pytest.raises(Stopped, match="SIGTERM"), writer(tmp_path / "result.npz") as temporary:
        file = temporary / "part" if temporary.is_dir() else temporary
        file.write_text("half")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)  # the handler is run before that
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == handler


def test_a_shard_that_is_stopped_leaves_nothing(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pig.methods.pig import PIG

    assert main(fit_words(study, pig_model(steps=1), tmp_path)) == 0
    draw = PIG.sample
    drawn = 0

    def stopped(self: PIG, indices: range, masks: Tensor | None = None) -> object:
        nonlocal drawn
        drawn += 1
        if drawn == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, indices, masks)

    monkeypatch.setattr(PIG, "sample", stopped)
    words = [
        "synthesise", "--store", str(study / "store"), "--folds", str(study / "folds.csv"), "--name", "pig",
        "--class", "pig.methods.pig.PIG", "--sampling", "{steps: 2}", "--model", str(tmp_path / "out"),
        "--first", "0", "--last", "6", "--batch", "2", "--out", str(tmp_path / "shards" / "shard0.npz"),
    ]  # fmt: skip
    assert main(words) == 75
    assert "stopped by SIGTERM" in capsys.readouterr().err
    assert not list(tmp_path.glob("shards/*")) and drawn == 2
    assert main(words) == 0


def test_a_segmentation_that_is_stopped_goes_on(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pig.evaluation import segmentation

    training = {"batch_size": 4, "steps": 6, "learning_rate": 0.001}
    settings = json.dumps({"image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3, "training": training})

    def run(name: str) -> int:
        return main([
            "segment", "--store", str(study / "store"), "--folds", str(study / "folds.csv"), "--fold", "1",
            "--settings", settings, "--work", str(tmp_path / f"work {name}"), "--out", str(tmp_path / name),
        ])  # fmt: skip

    assert run("whole") == 0
    loss, calls = segmentation.dice_bce, 0

    def stopping(logits: Tensor, masks: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(logits, masks)

    monkeypatch.setattr(segmentation, "dice_bce", stopping)
    assert run("cut") == 75
    assert "segmentation was stopped after step 3 of 6" in capsys.readouterr().err
    assert run("cut") == 0 and calls == 6
    for file in ("model.safetensors", "slices.csv"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_phantom_that_is_stopped_goes_on(tmp_path: Path) -> None:
    """With two processes of its own, which end with it."""
    settings = "{patients: 8, views: [CC], slices_per_view: 2, spacing_mm: 2.0}"
    words = ["phantom", "--settings", settings, "--threads", "2", "--out", str(tmp_path / "phantom")]
    process = start(words, tmp_path)
    while not list(tmp_path.glob("phantom/patients/*.json")):
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 75
    assert "stopped by SIGTERM" in (tmp_path / "log").read_text().splitlines()[-1]
    made = len(list(tmp_path.glob("phantom/patients/*.json")))
    assert made < 8 and not (tmp_path / "phantom" / "manifest.csv").exists()
    assert start(words, tmp_path).wait() == 0
    assert len((tmp_path / "phantom" / "manifest.csv").read_text().splitlines()) == 1 + 8 * 2
