"""The generator in docs/extending.md is one: it is taken from the page and run."""

import re
import sys
from pathlib import Path

import numpy as np
import yaml

from pig.fitting import fit
from pig.shards import read_shards
from pig.synthesis import synthesise

from .conftest import SIZE

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()


def test_the_page_gives_a_working_generator(study, tmp_path, monkeypatch):
    code, study_file = re.search(r"```python\n(.*?)```", PAGE, re.S)[1], re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1]
    (tmp_path / "my_method.py").write_text(code)
    entry = yaml.safe_load(study_file)["generators"]["mean"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = entry["model"] | {"image_size": SIZE}
    data = (study / "store", study / "folds.csv")
    fit(*data, 1, "mean", entry["class"], model, 0, {}, tmp_path / "work", tmp_path / "fold1")
    for first, last in ((0, 5), (5, 9)):
        out = tmp_path / f"{first}.npz"
        synthesise(tmp_path / "fold1", "mean", entry["class"], entry["sampling"], 0, *data, first, last, 4, out)
    pairs = read_shards([tmp_path / "0.npz", tmp_path / "5.npz"], 9)
    assert pairs.images.shape == (9, SIZE, SIZE)
    assert pairs.masks.any((1, 2)).all()
    assert not np.array_equal(pairs.images[0], pairs.images[1])
