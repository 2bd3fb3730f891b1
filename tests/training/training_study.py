"""A store of bright discs, and PIG trained on it by the command line, small and quick."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pig.data.folds import make_folds
from pig.data.store import allocate, complete

SIZE = 16
ROOT = Path(__file__).resolve().parents[2]
NETWORK = {"channels": [8, 16], "attention": [False, True], "res_blocks": 1, "head_channels": 8, "norm_groups": 4}
SCHEDULE = {"timesteps": 32, "beta_1": 0.003, "beta_T": 0.5}
PIG = "pig.paired_diffusion.PairedDiffusion"


def make_study(folder: Path) -> Path:
    """Write ``folder``/store, of 24 pairs of 6 patients, and ``folder``/folds.csv."""
    (folder / "store").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, masks = allocate(folder / "store", 24, SIZE)
    y, x = np.mgrid[:SIZE, :SIZE]
    for image, mask in zip(images, masks, strict=True):
        cy, cx, r = *rng.uniform(5, 11, 2), rng.uniform(2, 4)
        mask[:] = (y - cy) ** 2 + (x - cx) ** 2 < r**2
        image[:] = np.clip(20000 + 4000 * rng.normal(size=mask.shape) + 20000.0 * mask, 0, 65535)
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": [f"p{i // 4}" for i in range(24)]})
    complete(folder / "store", images, masks, table, "stretch")
    make_folds(table, 3, 0).to_csv(folder / "folds.csv", index=False)
    return folder


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
        "--class", cls, "--model", json.dumps(model), "--work", str(run / "work"), "--out", str(run / "out"),
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
