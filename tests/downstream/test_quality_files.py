"""`pig quality` and `pig quality_table`: the files they write, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from discs import discs
from matplotlib.image import imread

from pig.data.folds import read_folds, split
from pig.data.store import Store
from pig.evaluation.frechet import frechet_distance
from pig.report.quality import in_brief, write_quality, write_quality_table
from pig.steps.quality import quality
from pig.system.errors import UserError
from pig.system.files import read_sealed, write_sealed


def written(folder: Path, patients: list[str], images: np.ndarray, masks: np.ndarray) -> Path:
    """A shard of a generator of fold 1 that learnt from these patients."""
    n = len(images)
    provenance = {"generator": "toy", "fold": 1, "seed": 0, "first": 0, "last": n, "model_files": {}}
    provenance |= {"patients": patients, "masks_from": "model"}
    path = folder / "shard0.npz"
    np.savez(path, images=images, masks=masks, first=np.array(0), provenance=np.array(json.dumps(provenance)))
    return path


def measure(run: Path, folder: Path, shard: Path, segmentation: Path | None = None) -> Path:
    own = run / "seg/fold1/seed5"
    quality(
        store=run / "store", folds=run / "folds.csv", fold=1, synthetic=[shard], count=None,
        segmentation=segmentation or own, features="encoder", weights=own, cache=folder / "cache",
        figure=folder / "closest.png", out=folder / "quality.json",
    )  # fmt: skip
    return folder / "quality.json"


def test_what_is_measured_of_a_planted_copy_is_written_tabulated_and_drawn(disc_run: Path, tmp_path: Path) -> None:
    train, test = split(Store.open(disc_run / "store"), read_folds(disc_run / "folds.csv"), 1)
    images, masks = discs(24, seed=3)
    images[5], masks[5] = (of[2] for of in train.pixels())
    file = measure(disc_run, tmp_path, written(tmp_path, train.patients, images, masks))
    write_quality_table([("Toy", file)], tmp_path / "quality.csv")
    table = pd.read_csv(tmp_path / "quality.csv")
    assert set(table.generator) == {"Toy"} and set(table.fold) == {1} and set(table.n) == {20}
    rows = table.set_index(["of", "against", "measure"])
    assert rows.loc[("image", "training", "copies"), "value"] == pytest.approx(1 / 24)
    # Whole images of the 20 held-out ones against the training ones, as for table 1
    real = [of.pixels()[0] for of in (test, train)]
    floor = frechet_distance(*real, "encoder", disc_run / "seg/fold1/seed5")
    assert rows.loc[("image", "training", "fid"), "floor"] == pytest.approx(floor, rel=1e-3)
    # The segmentation finds discs, held-out ones too.
    assert rows.loc[("pair", "held-out", "faithfulness"), ["value", "floor"]].min() > 0.7
    assert "| Masks: compactness" in (tmp_path / "quality.md").read_text()
    assert imread(tmp_path / "closest.png").std() > 0.05
    record = read_sealed(file, "")
    assert (record["generator"], record["pairs"], record["training"], record["held_out"]) == ("toy", 24, 20, 20)


def test_a_planted_leak_is_refused(disc_run: Path, tmp_path: Path) -> None:
    train, test = split(Store.open(disc_run / "store"), read_folds(disc_run / "folds.csv"), 1)
    leaking = written(tmp_path, [*train.patients, test.patients[0]], *discs(8, seed=3))
    with pytest.raises(UserError, match=f"'toy' learnt from patient {test.patients[0]} "):
        measure(disc_run, tmp_path, leaking)
    assert not (tmp_path / "quality.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [({"synthetic_pairs": 8}, "on 8 synthetic pairs too"), ({"train_patients": None}, "segmentation .* learnt")],
)
def test_a_segmentation_that_saw_too_much_is_refused(
    disc_run: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    train, test = split(Store.open(disc_run / "store"), read_folds(disc_run / "folds.csv"), 1)
    folder, whole = tmp_path / "seg", disc_run / "seg/fold1/seed5"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((whole / "model.safetensors").read_bytes())
    change = {key: value or test.patients for key, value in change.items()}
    write_sealed(folder / "record.json", read_sealed(whole / "record.json", "") | change)
    shard = written(tmp_path, train.patients, *discs(8, seed=3))
    with pytest.raises(UserError, match=words):
        measure(disc_run, tmp_path, shard, folder)


ROWS = [("image", "held-out", "fid", 4.0, 3.0, 6.0, 5.0, 20), ("image", "held-out", "kid", 0.5, 0.4, 0.6, 0.1, 20)]


def measured(path: Path, fold: int, features: str = "encoder") -> Path:
    columns = ["of", "against", "measure", "value", "low", "high", "floor", "n"]
    write_quality(path, pd.DataFrame(ROWS, columns=columns), fold=fold, features=features)
    return path


def test_in_brief_what_the_floor_is_not_told_from_is_marked_and_folds_are_averaged(tmp_path: Path) -> None:
    write_quality_table([("A", measured(tmp_path / "a.json", 0))], tmp_path / "q.csv")
    brief = in_brief(pd.read_csv(tmp_path / "q.csv"))
    assert brief.columns.tolist() == ["Measure", "Real pairs (the floor)", "A"]
    assert brief.to_numpy().tolist() == [
        ["Images to held-out patients: FID", "5", "≈ 4"],
        ["Images to held-out patients: KID", "0.1", "0.5"],
    ]
    two = pd.read_csv(tmp_path / "q.csv")
    two = pd.concat([two, two.assign(fold=1, value=two.value + 2)])
    assert in_brief(two)["A"].tolist() == ["5", "1.5"]
    other = pd.read_csv(tmp_path / "q.csv").head(1).assign(generator="B", floor=9.0)
    brief = in_brief(pd.concat([pd.read_csv(tmp_path / "q.csv"), other]))
    assert brief.iloc[0].tolist()[1:] == ["5 to 9", "≈ 4", "4"] and brief.iloc[1].B == ""


def test_other_features_do_not_compare(tmp_path: Path) -> None:
    files = [("A", measured(tmp_path / "a.json", 0)), ("B", measured(tmp_path / "b.json", 0, "inception"))]
    with pytest.raises(UserError, match=r"a\.json is of features encoder and .*b\.json of inception"):
        write_quality_table(files, tmp_path / "q.csv")
    assert not (tmp_path / "q.csv").exists()
