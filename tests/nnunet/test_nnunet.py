"""nnU-Net on an arm's pairs, by the command: what it learns, what it is planned on, what is counted, and a stop.

They need the package nnunetv2, in an environment of its own (docs/testing.md); elsewhere only its absence is tested.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from discs import discs, make_study
from PIL import Image

from pig.data.export import write_case
from pig.data.folds import read_folds, split
from pig.data.store import Store, allocate, complete
from pig.evaluation.segmenter import load_segmenter
from pig.report.slices import read_arms
from pig.steps.reproduce import reproduce
from pig.system.errors import UserError
from pig.system.files import read_sealed

needs_nnunet = pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="needs the extra nnunet")
SIZE = 32
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def command(study: Path, out: Path, *more: object, epochs: int = 1, iterations: int = 2) -> list[str]:
    settings = json.dumps({"epochs": epochs, "iterations": iterations, "image_size": SIZE})
    words = [
        *["--store", study / "store", "--folds", study / "folds.csv", "--fold", 1, "--settings", settings],
        *["--work", out.with_name(f"{out.name} work"), "--out", out, *more],
    ]
    return [sys.executable, "-m", "pig", "nnunet", *map(str, words)]


def run(study: Path, out: Path, *more: object, **length: int) -> Path:
    done = subprocess.run(command(study, out, *more, **length), env=ONE_THREAD, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(out / "model/fold_0/checkpoint_final.pth", weights_only=False)
    found: dict[str, torch.Tensor] = checkpoint["network_weights"]
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs of six patients, three folds, and a store of other patients, whose discs are dark."""
    folder = make_study(tmp_path_factory.mktemp("discs"), SIZE)
    (folder / "others").mkdir()
    images, masks = allocate(folder / "others", 8, SIZE)
    images[:], masks[:] = discs(8, seed=1, size=SIZE)
    images[:] = 60000 - images[:]
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": [f"q{i // 2}" for i in range(8)]})
    complete(folder / "others", images, masks, table, "stretch")
    return folder


@pytest.fixture(scope="module")
def real(study: Path) -> Path:
    """Trained on real pairs for long enough to find the discs."""
    return run(study, study / "real", epochs=2, iterations=20)


@needs_nnunet
def test_it_finds_discs_in_patients_it_has_not_seen(study: Path, real: Path) -> None:
    rows = read_arms({"real": [real / "slices.csv"]})["real"]
    _, tested = split(Store.open(study / "store"), read_folds(study / "folds.csv"), 1)
    assert rows.slice.tolist() == tested.rows.tolist() and {*rows.patient_id} == {*tested.patients}
    counts = rows[["tp", "fp", "fn", "tn"]].sum()
    assert counts.sum() == len(rows) * SIZE**2
    assert counts.tp + counts.fn == tested.store.masks[tested.rows].sum()
    assert 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn) > 0.9
    record = read_sealed(real / "record.json", "")
    assert record["engine"] == "nnunet" and record["real_pairs"] == 16 and record["synthetic_pairs"] == 0
    assert not {*record["train_patients"]} & {*record["test_patients"]}
    assert not (study / "real work").exists()


@needs_nnunet
def test_it_learns_from_what_an_arm_adds(study: Path, real: Path) -> None:
    """Shown bright discs alone it does not find dark ones; with those of other patients among its pairs it does."""
    folder = study / "dark"
    folder.mkdir()
    images, masks = allocate(folder, 4, SIZE)
    images[:], masks[:] = discs(4, seed=2, size=SIZE)
    images[:] = 60000 - images[:]
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": ["r0", "r1", "r2", "r3"]})
    complete(folder, images, masks, table, "stretch")
    found = {}
    for name, more in {"bright alone": [], "both": ["--oracle", study / "others"]}.items():
        arm = run(study, study / name, "--test", folder, *more, epochs=2, iterations=20)
        rows = pd.read_csv(arm / "new_patients.csv")
        found[name] = rows.tp.sum() / (rows.tp + rows.fn).sum()
    assert found["both"] > 0.7 and found["bright alone"] < 0.3, found


@needs_nnunet
def test_the_plan_does_not_depend_on_the_arm(study: Path, real: Path) -> None:
    plan = (real / "model/plans.json").read_bytes()
    for name, more in {
        "more": ["--oracle", study / "others"],
        "half": ["--real", 0.5],
        "none": ["--real", 0, "--oracle", study / "others"],
    }.items():
        arm = run(study, study / name, *more)
        assert (arm / "model/plans.json").read_bytes() == plan
        record = read_sealed(arm / "record.json", "")
        assert (record["real_pairs"], record["synthetic_pairs"]) == {"more": (16, 8), "half": (8, 0), "none": (0, 8)}[
            name
        ]


@needs_nnunet
def test_the_same_seed_gives_the_same_bits_also_after_a_stop(study: Path) -> None:
    whole = run(study, study / "whole", epochs=3, iterations=5)
    stopped = study / "stopped"
    process = subprocess.Popen(command(study, stopped, epochs=3, iterations=5), env=ONE_THREAD)
    work = study / "stopped work"
    while not (latest := [*work.glob("*/results/*/*/fold_0/checkpoint_latest.pth")]):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75
    assert not stopped.exists()
    latest[0].with_name("checkpoint_final.pth").write_bytes(b"half-written")  # as by a stop a moment later
    run(study, stopped, epochs=3, iterations=5)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(stopped)[name]), name
    assert (whole / "slices.csv").read_bytes() == (stopped / "slices.csv").read_bytes()
    other = weights(run(study, study / "other", "--seed", 1, epochs=3, iterations=5))
    assert any(not torch.equal(tensor, other[name]) for name, tensor in weights(whole).items())


@needs_nnunet
def test_its_model_is_one_that_nnunet_reads_and_pig_does_not(study: Path, real: Path) -> None:
    """nnU-Net's own command segments the test slices as they were counted."""
    raw, found = study / "raw", study / "found"
    store = Store.open(study / "store")
    rows = pd.read_csv(real / "slices.csv")
    (raw / "imagesTr").mkdir(parents=True)
    (raw / "labelsTr").mkdir()
    for row in rows.slice:
        write_case(raw, f"{row:03d}", store.images[row], store.masks[row])
    folders = {f"nnUNet_{name}": str(study / name) for name in ("raw", "preprocessed", "results")}
    words = ["-i", raw / "imagesTr", "-o", found, "-m", real / "model", "-f", 0, "-device", "cpu", "-npp", 1, "-nps", 1]
    program = Path(sys.executable).with_name("nnUNetv2_predict_from_modelfolder")
    subprocess.run([program, *map(str, words)], check=True, env=ONE_THREAD | folders, capture_output=True)
    for row, tp, fp in zip(rows.slice, rows.tp, rows.fp, strict=True):
        mask = np.asarray(Image.open(found / f"{row:03d}.png")) == 1
        assert (mask & (store.masks[row] == 1)).sum() == tp and mask.sum() == tp + fp
    with pytest.raises(UserError, match="is of nnU-Net, which reads it by itself"):
        load_segmenter(real)
    with pytest.raises(UserError, match="is of nnU-Net"):
        reproduce(path=real)


@needs_nnunet
def test_a_patient_that_is_tested_on_is_no_patient_to_learn_from(study: Path) -> None:
    words = command(study, study / "leak", "--oracle", study / "store")
    done = subprocess.run(words, env=ONE_THREAD, capture_output=True, text=True)
    assert done.returncode == 2 and "of the fold it would be tested on" in done.stderr
    assert not (study / "leak").exists()


@pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is not None, reason="nnU-Net is installed")
def test_without_the_package_it_says_what_to_install(study: Path) -> None:
    done = subprocess.run(command(study, study / "absent"), env=ONE_THREAD, capture_output=True, text=True)
    assert done.returncode == 2
    assert "nnU-Net is not installed" in done.stderr and "pip install 'nnunetv2>=2.8,<3'" in done.stderr
    assert not (study / "absent").exists() and not (study / "absent work").exists()
