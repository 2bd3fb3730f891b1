"""PIG trained on the study of discs by the command line, small and quick."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from discs import NETWORK, SCHEDULE

SIZE = 16
ROOT = Path(__file__).resolve().parents[2]
PIG = "pig.methods.pig.PIG"


def pig_model(**training: object) -> dict[str, object]:
    settings = {"batch_size": 4, "learning_rate": 1e-3, "clip_norm": 1.0, "ema_decay": 0.9, **training}
    return {
        "image_size": SIZE, "training": settings, "network": NETWORK, "schedule": SCHEDULE, "prediction": "v",
        "condition": "predicted", "antithetic": True,
    }  # fmt: skip


def fit_words(study: Path, model: dict[str, object], run: Path, cls: str = PIG, *more: str) -> list[str]:
    """The words of ``pig fit`` that trains on fold 1 into ``run``/out, with work and events beside it."""
    return [
        "fit", "--store", str(study / "store"), "--folds", str(study / "folds.csv"), "--fold", "1", "--name", "pig",
        "--class", cls, "--settings", json.dumps(model), "--work", str(run / "work"), "--out", str(run / "out"),
        "--events", str(run / "events"), *more,
    ]  # fmt: skip


def start(words: list[str], run: Path, program: tuple[str, ...] = ("-m", "pig.cli")) -> subprocess.Popen[bytes]:
    """Start ``pig`` in ``run``; what it says goes to ``run``/log."""
    run.mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
    with (run / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, *program, *words], cwd=run, env=environment, stdout=log, stderr=log)


def wait_for(process: subprocess.Popen[bytes], run: Path, pattern: str, since: int = 0) -> None:
    """Wait until the log, from byte ``since`` on, has the pattern."""
    end = time.monotonic() + 120
    while not re.search(pattern, (run / "log").read_bytes()[since:].decode()):
        assert process.poll() is None and time.monotonic() < end, (run / "log").read_text()
        time.sleep(0.005)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of weights."""
    files = sorted(folder.glob("*.safetensors"))
    assert files, folder
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def events(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "events" / "events.jsonl").read_text().splitlines()]
