"""A checkpoint is resumed by the code that wrote it: the user's class too, and comments do not count."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from training_study import ROOT, SIZE

from pig.cli import main
from pig.training import run as training_run

MINE = '''
import os
import signal
from pathlib import Path

from torch import nn

from losses import distance
from pig.methods.base import Identity
from pig.methods.model_folder import save_weights
from pig.training.loop import train
from pig.training.settings import TrainingSettings


class Mine:
    """Learns one number."""

    takes_masks = False
    makes_masks = True

    def __init__(self, model, sampling):
        self.image_size = model["image_size"]
        self.network = nn.Linear(1, 1)
        self.identity = Identity()
        self.steps = 0

    def fit(self, pairs, run):
        def loss(images, masks, rng):
            self.steps += 1
            if self.steps == 4 and not Path("go").exists():
                os.kill(os.getpid(), signal.SIGTERM)
            return distance(self.network(images.mean().reshape(1, 1)))

        settings = TrainingSettings(batch_size=2, learning_rate=0.1, steps=10)
        train({"network": self.network}, {"network": loss}, pairs, settings, run, "mine")

    def save(self, path):
        save_weights(path, network=self.network)
'''
LOSSES = "def distance(x):\n    return x.square().mean()\n"
MODEL = {"image_size": SIZE}


def fit(directory: Path, study: Path, model: dict[str, object]) -> tuple[int, str]:
    """Run ``pig fit`` with the project in ``directory``; return its exit status and what it said."""
    words = [
        "fit", "--store", str(study / "store"), "--folds", str(study / "folds.csv"), "--fold", "1", "--name", "mine",
        "--class", "mine.Mine", "--settings", json.dumps(model), "--work", "work", "--out", "out",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(directory), "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(
        [sys.executable, "-m", "pig.cli", *words],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout


@pytest.fixture(scope="module")
def stopped(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project and a user's class in a folder, with a training that was stopped after 4 of 10 steps."""
    directory = tmp_path_factory.mktemp("project")
    for package in ("pig", "baselines"):
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "mine.py").write_text(MINE)
    (directory / "losses.py").write_text(LOSSES)
    status, said = fit(directory, study, MODEL)
    assert status == 75, said
    (directory / "go").touch()
    return directory


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def comments(project: Path) -> None:
    append(project / "mine.py", "# the end\n")
    append(project / "pig/study/status.py", "ANOTHER = 1\n")
    sentence = "a step of it on one screen."
    training = (project / "pig/training/loop.py").read_text()
    assert sentence in training
    (project / "pig/training/loop.py").write_text(training.replace(sentence, "in other words."))


def users_loss(project: Path) -> None:
    (project / "losses.py").write_text(LOSSES.replace("square", "abs"))


def own_code(project: Path) -> None:
    append(project / "pig/training/optimiser.py", "ANOTHER = 1\n")


def nothing(project: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "model", "resumes"),
    [
        (comments, MODEL, True),
        (users_loss, MODEL, False),
        (own_code, MODEL, False),
        (nothing, MODEL | {"width": 2}, False),
    ],
    ids=["comments", "users loss", "own code", "model settings"],
)
def test_a_training_goes_on_with_the_same_code_and_settings_alone(
    stopped: Path, study: Path, tmp_path: Path, change: object, model: dict[str, object], resumes: bool
) -> None:
    project = shutil.copytree(stopped, tmp_path / "project")
    change(project)  # type: ignore[operator]
    status, said = fit(project, study, model)
    assert status == 0, said
    assert ("mine: going on from step 4 of 10" in said) == resumes
    left = [path.name for path in (project / "work").rglob("*") if path.is_file()]
    if resumes:
        assert left == []
    else:
        assert "is of other settings, data or code, and is not used" in said
        assert len(left) == 1 and left[0].startswith("step000000004.") and left[0].endswith(".other")


def test_a_segmentation_depends_on_its_own_code(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(training_run, "source_hash", lambda *modules: hashed.append(modules) or "hash")
    training = {"batch_size": 4, "steps": 1, "learning_rate": 0.001}
    settings = json.dumps({"image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3, "training": training})
    words = [
        "segment", "--store", str(study / "store"), "--folds", str(study / "folds.csv"), "--fold", "1",
        "--settings", settings, "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(words) == 0
    assert hashed == [("pig.evaluation.segmentation",)]
