"""The ledger: sums of what records say, worked out by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from study_runs import TINY

from pig.report.cost import DRAW, FIT, PARTS, SEGMENT, costs, in_brief, write_costs
from pig.steps.ledger import ledger
from pig.study.jobs import results_of
from pig.study.merged import merged_config
from pig.system.errors import UserError
from pig.system.files import sha256, write_sealed

# Of the tiny study: two folds; in fold 0 all generators of table 1 with 16 pairs in one shard, PIG with 24 in two.
FITS = {"DDPM": 1, "DDIM": 1, "PIG": 2, "LDM": 1, "SegGuidedDif": 2, "ControlNet": 1}
DRAWN = {"DDPM": 1, "DDIM": 1, "PIG": 4, "LDM": 1, "SegGuidedDif": 2, "ControlNet": 1}
LABELS = [
    "Tiny", "+SegGuidedDif_8", "+PIG_8", "+PIG_24", "control: +real pairs of 3 new patients",
    "control: +PIG_8, masks shuffled", "control: strong augmentation",
]  # fmt: skip


def record(wall_s: float, images: int, peak: float = 1000.0, **more: Any) -> dict[str, Any]:
    return {
        "wall_s": wall_s, "cpu_s": 2 * wall_s, "images": images, "peak_memory_mb": peak, "peak_gpu_memory_mb": None,
        "device": "a processor",
    } | more  # fmt: skip


def model(folder: Path, of: dict[str, Any], part: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True)
    files = {}
    if part is not None:
        model(folder / "autoencoder", part)
        files["autoencoder/generator.json"] = sha256(folder / "autoencoder/generator.json")
    write_sealed(folder / "generator.json", {"files": files, "record": of})
    return folder


def shard(path: Path, of: dict[str, Any]) -> Path:
    said = {"generator": "g", "fold": 0, "seed": 0, "model_files": {}, "first": 0, "last": 1, "record": of}
    np.savez_compressed(path, provenance=np.array(json.dumps(said)))
    return path


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    on_gpu = record(30, 1600, peak_gpu_memory_mb=512.0, gpu_energy_j=5400.0, device="a GPU")
    models = [
        ("LDM", model(tmp_path / "ldm0", record(10, 800, 1500, earlier_s=4.5), part=record(6, 80))),
        ("LDM", model(tmp_path / "ldm1", record(12, 800), part=record(8, 80, 2000))),
        ("PIG", model(tmp_path / "pig0", on_gpu)),
    ]
    drawn = [
        ("LDM", shard(tmp_path / "a.npz", record(2, 100))),
        ("LDM", shard(tmp_path / "b.npz", record(3, 100))),
        ("PIG", shard(tmp_path / "c.npz", record(4, 10))),
    ]
    (tmp_path / "real").mkdir()
    write_sealed(tmp_path / "real/record.json", record(20, 400, earlier_s=1))
    return costs(models, drawn, [("Real", tmp_path / "real")])


def test_costs_are_summed_by_method_and_work(table: pd.DataFrame) -> None:
    found = table.set_index(["method", "work"])
    assert list(found.index) == [
        ("LDM", FIT), ("LDM", PARTS), ("PIG", FIT), ("LDM", DRAW), ("PIG", DRAW), ("Real", SEGMENT),
    ]  # fmt: skip
    assert found.loc[("LDM", FIT), ["jobs", "wall_s", "cpu_s", "images", "peak_memory_mb"]].tolist() == [
        2, 26.5, 44, 1600, 1500,
    ]  # fmt: skip
    assert found.wall_s["LDM", PARTS] == 14
    assert found.peak_memory_mb["LDM", PARTS] == 2000
    assert found.images_per_s["LDM", DRAW] == 40
    assert found.images_per_s["PIG", DRAW] == 2.5
    assert found.wall_s["Real", SEGMENT] == 21
    assert found.peak_gpu_memory_mb["PIG", FIT] == 512
    assert np.isnan(found.peak_gpu_memory_mb["LDM", FIT])
    assert found.gpu_energy_wh["PIG", FIT] == 1.5
    assert np.isnan(found.gpu_energy_wh["LDM", FIT]) and np.isnan(found.gpu_energy_wh["PIG", DRAW])
    assert found.devices["PIG", FIT] == "a GPU"


def test_in_brief_a_method_takes_its_own_training_and_that_of_its_parts(table: pd.DataFrame) -> None:
    brief = in_brief(table).set_index("Method")
    assert brief.loc["LDM"].tolist() == [13.25 + 7, 7, 40, 2000]
    assert brief.loc["PIG"].tolist() == [30, 0, 2.5, 1000]
    assert list(brief.index) == ["LDM", "PIG"]  # no segmentation


def test_parts_of_parts_are_of_the_training_of_a_fold_too(tmp_path: Path) -> None:
    folder = model(tmp_path / "control", record(10, 800))
    model(folder / "base", record(5, 80), part=record(7, 80))
    table = costs([("ControlNet", folder)], [("ControlNet", shard(tmp_path / "a.npz", record(2, 100)))], [])
    assert in_brief(table).set_index("Method").loc["ControlNet"].tolist() == [10 + 12, 12, 50, 1000]


def test_both_files_are_written(table: pd.DataFrame, tmp_path: Path) -> None:
    write_costs(table, tmp_path / "cost.csv", ["A note."])
    read = pd.read_csv(tmp_path / "cost.csv")
    assert read.wall_s.tolist() == table.wall_s.tolist()
    text = (tmp_path / "cost.md").read_text()
    assert "| LDM" in text and "20.2" in text and text.endswith("\n- A note.\n")


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    folder = model(tmp_path / "m", record(1, 1))
    (folder / "generator.json").write_text((folder / "generator.json").read_text().replace("1000", "1001"))
    with pytest.raises(UserError, match=r"generator\.json is damaged"):
        costs([("M", folder)], [], [])


def test_the_ledger_counts_what_the_configuration_names(tmp_path: Path) -> None:
    """Each job of a small study takes a second; what another configuration left in the folder does not count."""
    config, results = merged_config([TINY]), tmp_path / "results"
    results.mkdir()
    plan = results_of(config)
    left_over = ["models/mine/fold0", "synthetic/pig/fold2/shard0.npz", "segmentation/pig_9/fold0/seed0/record.json"]
    for name in [*plan, *left_over]:
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("models/"):
            model(path, record(1, 10))
        elif name.startswith("synthetic/"):
            shard(path, record(1, 10))
        elif name.startswith("segmentation/"):
            write_sealed(path, record(1, 10))
    ledger(results=results, config=config, out=tmp_path / "cost.csv")
    table = pd.read_csv(tmp_path / "cost.csv").set_index(["method", "work"])
    jobs = {key: int(number) for key, number in table.jobs.items()}
    assert jobs == {(label, FIT): n for label, n in FITS.items()} | {(label, DRAW): n for label, n in DRAWN.items()} | {
        (label, SEGMENT): 2 for label in LABELS
    }
    assert table.wall_s.tolist() == table.jobs.tolist()
    with pytest.raises(UserError, match="generators is missing"):
        ledger(results=results, config={}, out=tmp_path / "again.csv")
