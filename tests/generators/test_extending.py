"""The generators in docs/extending.md are some: they are taken from the page and run.

That the second one learns pairs is tested beside the other methods, in behaviour/test_overfit.py.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from discs import NETWORK

from pig.data.shards import read_shards
from pig.steps.fit import fit
from pig.steps.synthesise import synthesise
from pig.study.merged import merged_config
from pig.system.errors import UserError

from .conftest import SIZE

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()


def test_the_page_gives_a_working_generator(study, tmp_path, monkeypatch):
    code, study_file = re.search(r"```python\n(.*?)```", PAGE, re.S)[1], re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1]
    (tmp_path / "my_method.py").write_text(code)
    entry = yaml.safe_load(study_file)["generators"]["mean"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = entry["model"] | {"image_size": SIZE}
    common = {
        "store": study / "store", "folds": study / "folds.csv", "name": "mean", "cls": entry["class"], "seed": 0
    }  # fmt: skip
    fit(**common, fold=1, model=model, work=tmp_path / "work", out=tmp_path / "fold1")
    for first, last in ((0, 5), (5, 9)):
        out = tmp_path / f"{first}.npz"
        synthesise(
            **common, model=tmp_path / "fold1", sampling=entry["sampling"], first=first, last=last, batch_size=4,
            out=out,
        )  # fmt: skip
    pairs = read_shards([tmp_path / "0.npz", tmp_path / "5.npz"], 9)
    assert pairs.images.shape == (9, SIZE, SIZE)
    assert pairs.masks[:].any((1, 2)).all()
    assert not np.array_equal(pairs.images[0], pairs.images[1])


def test_the_page_adds_a_row_to_both_tables_of_the_default_study(tmp_path, monkeypatch):
    code, beside = re.search(r"```python\n(.*?)```", PAGE, re.S)[1], re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[1]
    (tmp_path / "my_method.py").write_text(code)
    (tmp_path / "my_study.yaml").write_text(beside)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    expected = merged_config([])
    expected["generators"]["mean"] = yaml.safe_load(beside)["generators"]["mean"]
    expected["table1"]["generators"].append("mean")
    expected["table2"]["arms"].append({"generator": "mean", "count": 1024})
    assert merged_config([tmp_path / "my_study.yaml"]) == expected


def test_the_page_gives_a_working_network(study, tmp_path, monkeypatch):
    code, entry = re.findall(r"```python\n(.*?)```", PAGE, re.S)[1], re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[2]
    (tmp_path / "my_flow.py").write_text(code)
    (tmp_path / "my_study.yaml").write_text(entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    flow = merged_config([tmp_path / "my_study.yaml"])["generators"]["flow"]
    training = flow["model"]["training"] | {"steps": 3, "warmup_steps": 1}
    model = flow["model"] | {"image_size": SIZE, "network": NETWORK, "training": training}
    common = {
        "store": study / "store", "folds": study / "folds.csv", "name": "flow", "cls": flow["class"], "seed": 0
    }  # fmt: skip
    fit(**common, fold=1, model=model, work=tmp_path / "work", out=tmp_path / "fold1")
    synthesise(
        **common, model=tmp_path / "fold1", sampling=flow["sampling"], first=0, last=3, batch_size=2,
        out=tmp_path / "0.npz",
    )  # fmt: skip
    assert read_shards([tmp_path / "0.npz"], 3).masks[:].shape == (3, SIZE, SIZE)
    (tmp_path / "my_study.yaml").write_text(entry.replace("sampling: {steps", "sampling: {step"))
    with pytest.raises(UserError, match=r"generators\.flow\.sampling\.step"):
        merged_config([tmp_path / "my_study.yaml"])
