"""What a job takes before its own work: the start of Python and the libraries, the opening of stores and folders."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pig.study.random_pairs import write_random_store
from pig.study.reduced import FEW
from pig.system.errors import UserError

# Jobs with next to nothing to do: what they take is start-up.
TRAINING = {"batch_size": FEW, "learning_rate": 1.0e-3, "steps": 1}
NETWORK = {"channels": [8], "attention": [False], "res_blocks": 1, "head_channels": 8, "norm_groups": 8}
GENERATOR = "pig.methods.pig.PIG"
MODEL = {"image_size": 32, "network": NETWORK, "training": TRAINING}
SEGMENTATION = {"image_size": 32, "encoder": "resnet18", "encoder_depth": 3, "training": TRAINING}


def startup_seconds(folder: Path, clock: Callable[[], float]) -> dict[str, float]:
    """Return what jobs with next to nothing to do take by a clock, by rule, each a process as in the workflow."""
    store, folds, model = folder / "store", folder / "folds.csv", folder / "model"
    write_random_store(store, 4, 32)
    data = ["--store", store, "--folds", folds]
    seeds = ["--name", "pig", "--class", GENERATOR, "--sampling", '{"steps": 1}']
    jobs: dict[str, list[object]] = {
        "folds": ["--store", store, "--fold-count", 2, "--out", folds],
        "fit": [*data, *seeds, "--fold", 0, "--settings", json.dumps(MODEL), "--work", folder / "fit", "--out", model],
        "synthesise": [*data, *seeds, "--model", model, "--first", 0, "--last", 1, "--out", folder / "shard.npz"],
        "segment": [
            *[*data, "--fold", 0, "--settings", json.dumps(SEGMENTATION)],
            *["--work", folder / "segment", "--out", folder / "segmentation"],
        ],
    }
    took = {}
    for command, words in jobs.items():
        began = clock()
        run = subprocess.run(
            [sys.executable, "-m", "pig", command, *map(str, words)], capture_output=True, text=True, check=False
        )
        took[command] = clock() - began
        if run.returncode:
            raise UserError(f"'pig {command}' does not run on this machine: {run.stderr.strip()}")
    return took
