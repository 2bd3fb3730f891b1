"""The last line of a command's log: what came out, and where it lies."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from disc_study import settings
from discs import discs

from pig.cli import main
from pig.evaluation.overlap import overlap_scores
from pig.report.slices import SLICE_COLUMNS
from pig.steps.segment import said_of
from pig.system.files import read_sealed


@pytest.fixture
def last_line(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="pig")

    def run(*words: object) -> str:
        caplog.clear()
        assert main([*map(str, words)]) == 0
        return caplog.messages[-1]

    return run


@pytest.fixture
def shard(disc_run: Path, tmp_path: Path) -> Path:
    """Five pairs of a generator of fold 1, as `pig synthesise` leaves them."""
    images, masks = discs(5, seed=3)
    folds = pd.read_csv(disc_run / "folds.csv")
    provenance = {
        "generator": "toy", "class": "toy.Toy", "fold": 1, "seed": 0, "first": 0, "last": 5, "masks_from": "model",
        "patients": folds.patient_id[folds.fold != 1].tolist(), "sampling": {}, "model_files": {},
    }  # fmt: skip
    path = tmp_path / "shard0.npz"
    np.savez(path, images=images, masks=masks, first=np.array(0), provenance=np.array(json.dumps(provenance)))
    return path


def test_segment(disc_run: Path, tmp_path: Path, shard: Path, last_line) -> None:
    wanted = json.dumps(dataclasses.asdict(settings()))
    out = tmp_path / "out"
    words = ["--store", disc_run / "store", "--folds", disc_run / "folds.csv", "--fold", 1, "--seed", 2]
    words += ["--settings", wanted, "--synthetic", shard, "--work", tmp_path / "work"]
    said = last_line("segment", *words, "--out", out)
    dice = 100 * overlap_scores(pd.read_csv(out / "slices.csv")).dice.mean()
    assert said == f"fold 1, seed 2: Dice {dice:.2f} % on the 20 slices with a lesion of the test fold: {out}"
    assert main(["reproduce", str(out)]) == 0  # with the shard, too


def test_of_a_test_without_any_lesion_no_dice_is_told() -> None:
    rows = pd.DataFrame({"tp": [0, 0, 3], "fp": [0, 4, 1], "fn": [0, 0, 0]})
    counts = {"slices.csv": rows, "new_patients.csv": rows[:2]}
    assert said_of(counts) == (
        "Dice 85.71 % on the 1 slices with a lesion of the test fold, no slice with a lesion of new patients"
    )


def test_fid(disc_run: Path, tmp_path: Path, shard: Path, last_line) -> None:
    words = ["--store", disc_run / "store", "--folds", disc_run / "folds.csv", "--fold", 1, "--features", "encoder"]
    weights = ["--weights", disc_run / "seg/fold1/seed5", "--cache", tmp_path / "cache"]
    out = tmp_path / "fid.json"
    said = last_line("fid", *words, *weights, "--synthetic", shard, "--out", out)
    fid = read_sealed(out, "")["fid"]
    assert said == f"FID {fid:.4g} (encoder) of 5 images of toy to 20 real ones, fold 1: {out}"


def test_export(disc_run: Path, tmp_path: Path, shard: Path, last_line) -> None:
    out = tmp_path / "png"
    assert last_line("export", "--format", "png", "--synthetic", shard, "--count", 4, "--out", out) == (
        f"4 pairs of toy, fold 1: {out}"
    )
    real = ["--store", disc_run / "store", "--folds", disc_run / "folds.csv", "--number", 7, "--title", "Discs"]
    said = last_line("export", "--format", "nnunet", "--synthetic", shard, *real, "--out", tmp_path / "raw")
    assert said == f"40 real and 5 generated cases: {tmp_path / 'raw/Dataset007_Discs'}"
    assert len(list((tmp_path / "raw/Dataset007_Discs/imagesTr").iterdir())) == 45


def test_table2(tmp_path: Path, last_line) -> None:
    def arm(name: str, tp: Sequence[int]) -> str:
        for fold in range(3):
            folder = tmp_path / f"{name}/fold{fold}/seed0"
            folder.mkdir(parents=True)
            found = [(2 * fold + i, tp[fold] + i) for i in (0, 1)]
            counts = [
                (fold, 0, f"p{number}", number, right, 5, 20 - right, 75, 2.0, 0.5, 1, 1, 0) for number, right in found
            ]
            pd.DataFrame(counts, columns=[*SLICE_COLUMNS]).to_csv(folder / "slices.csv", index=False)
        return f"{name}={tmp_path / name}"

    rows = ["--row", arm("Real", [10, 11, 9]), "--row", arm("More", [11, 12, 10]), "--row", arm("Less", [8, 12, 6])]
    out = tmp_path / "table2.csv"
    said = last_line("table2", *rows, "--fold-count", 3, "--seeds", 0, "--out", out)
    dice = pd.read_csv(out)["Dice (%)"][0]
    assert said.startswith(f"Dice of Real: {dice:.2f} %. ") and said.endswith(f" The table: {out}")
    markdown = out.with_suffix(".md").read_text()
    better = markdown.count(": shown to be better than Real.")
    shown = {0: "None", 1: "One", 2: "All"}[better]
    assert f"{shown} of the 2 arms with generated pairs" in said and "shown to help the segmentation" in said
    alone = last_line("table2", *rows[:2], "--fold-count", 3, "--seeds", 0, "--out", out)
    assert alone == f"Dice of Real: {dice:.2f} %. The table: {out}"
