"""A finished study in Python: the tour of docs/ and the example of the README run as they are written."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from study_runs import ROOT

from pig.data.shards import read_shards
from pig.data.store import to_uint16
from pig.report.slices import examples, read_slices


def test_the_tour_shows_a_study_and_changes_nothing(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(small_run / "results")
    run = subprocess.run([sys.executable, ROOT / "docs/tour.py"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "8 real pairs of 4 patients, 32 pixels a side"
    shown = examples(read_slices([small_run / "results/segmentation/real/fold0/seed0/slices.csv"]))
    assert lines[3:6] == [
        f"{name} slice: row {of.slice} of the store, Dice {of.dice:.4f}" for name, of in shown.iterrows()
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"results", "tour.png"}
    with Image.open(tmp_path / "tour.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20


def test_the_readme_draws_the_pairs_of_the_study(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    known: dict[str, Any] = {}
    monkeypatch.chdir(small_run)
    exec(compile(block, "README.md", "exec"), known)
    drawn = read_shards(sorted(small_run.glob("results/synthetic/pig/fold0/shard*.npz")))
    assert known["store"].masks.shape == known["store"].images.shape
    np.testing.assert_array_equal(to_uint16(known["pairs"].images[:, 0]), drawn.images)
    np.testing.assert_array_equal(known["pairs"].masks[:, 0], drawn.masks[:])
