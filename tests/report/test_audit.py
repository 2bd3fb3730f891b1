"""What the records say: planted leaks are found, masks are counted, machines are named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pig.report.audit import audit
from pig.system.files import write_sealed


def segmentation(results: Path, arm: str = "real", fold: int = 0, of: str = "segmentation", **changes: Any) -> None:
    folder = results / f"{of}/{arm}/fold{fold}/seed0"
    folder.mkdir(parents=True)
    record: dict[str, Any] = {
        "fold": fold, "train_patients": ["a", "b"], "test_patients": ["c"], "new_patients": ["n"],
        "device": "a processor", "versions": {"torch": "2.0"}, "finished": "2026-01-01T00:00:00+0000",
    }  # fmt: skip
    write_sealed(folder / "record.json", record | changes)


def model(results: Path, patients: list[str], fold: int = 0, name: str = "pig", **said: Any) -> None:
    folder = results / f"models/{name}/fold{fold}"
    folder.mkdir(parents=True)
    write_sealed(folder / "generator.json", {"fold": fold, "patients": patients, **said})


def dealt(by: str) -> dict[str, Any]:
    """What a record says of the table of folds."""
    return {"step": {"options": {"folds": "results/data/folds.csv"}, "inputs": {"results/data/folds.csv": by}}}


def shard(results: Path, number: int, empty: int, drawn: float | None, fold: int = 0) -> None:
    path = results / f"synthetic/pig/fold{fold}/shard{number}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "generator": "pig", "fold": fold, "seed": 0, "model_files": {}, "first": 8 * number, "last": 8 * number + 8,
        "masks_from": "model", "empty_masks": empty, "looks": {"area": {"drawn": drawn, "least": 0.1, "greatest": 0.3}},
    }  # fmt: skip
    np.savez_compressed(path, provenance=np.array(json.dumps(said)))


def test_a_clean_study_has_no_leak(tmp_path: Path) -> None:
    segmentation(tmp_path)
    segmentation(
        tmp_path, "pig_8", device="a GPU", versions={"torch": "2.1"}, finished="2026-01-02T00:00:00+0000",
        commit="abc-dirty", instruction_set="AVX2", precision="bfloat16",
    )  # fmt: skip
    model(tmp_path, ["a", "b"])
    found = audit(tmp_path)
    assert (found.segmentations, found.models, found.leaks) == (2, 1, [])
    assert found.devices == ["a GPU (AVX2, bfloat16)", "a processor"]  # the other is of an earlier version
    assert found.commits == ["abc-dirty"]
    assert found.versions == ["torch 2.0", "torch 2.1"]
    assert found.finished == "2026-01-02T00:00:00+0000"


NNUNET = {"of": "nnunet", "engine": "nnunet", "settings": {"epochs": 4, "iterations": 250}}


def test_what_nnunet_learnt_from_is_looked_at_too(tmp_path: Path) -> None:
    segmentation(tmp_path, **dealt("now"))
    segmentation(tmp_path, **NNUNET, **dealt("now"), train_patients=["a", "c"])
    segmentation(tmp_path, "removed", **dealt("now"))
    segmentation(tmp_path, "removed", **NNUNET, **dealt("now"), train_patients=["c"])
    found = audit(tmp_path, {"segmentation/real/fold0/seed0/record.json"})
    assert (found.segmentations, found.nnunet, found.outdated) == (2, ["4 epochs of 250 steps"], [])
    assert found.leaks == [f"{tmp_path}/nnunet/real/fold0/seed0 was trained and tested on patient c (1 in all)."]
    assert len(audit(tmp_path).leaks) == 2


def test_what_nnunet_learnt_from_another_deal_of_folds_is_outdated_and_no_leak(tmp_path: Path) -> None:
    segmentation(tmp_path, **dealt("now"))
    segmentation(tmp_path, **NNUNET, **dealt("before"), train_patients=["c"], test_patients=["a", "b"])
    segmentation(tmp_path, "gone", **NNUNET)
    model(tmp_path, ["a", "b"], **dealt("now"))
    present = {"segmentation/real/fold0/seed0/record.json", "models/pig/fold0"}
    for of, outdated in ((present, ["real"]), (None, ["gone", "real"])):
        found = audit(tmp_path, of)
        assert (found.segmentations, found.leaks, found.nnunet) == (1, [], [])
        assert found.outdated == [f"{tmp_path}/nnunet/{arm}/fold0/seed0" for arm in outdated]


def test_generators_are_of_what_it_ran_on(tmp_path: Path) -> None:
    segmentation(tmp_path, commit="b")
    record = {"device": "a GPU", "precision": "bfloat16", "commit": "a", "versions": {"torch": "2.1"}}
    model(tmp_path, ["a"], record=record | {"finished": "2025-12-31T00:00:00+0000"})
    found = audit(tmp_path)
    assert (found.devices, found.commits) == (["a GPU (bfloat16)", "a processor"], ["a", "b"])
    assert (found.versions, found.finished) == (["torch 2.0", "torch 2.1"], "2026-01-01T00:00:00+0000")


def test_a_model_that_saw_a_test_patient_is_named(tmp_path: Path) -> None:
    segmentation(tmp_path)
    segmentation(tmp_path, fold=1, train_patients=["c"], test_patients=["a", "b"])
    model(tmp_path, ["a", "b"])  # which fold 0 may see
    model(tmp_path, ["a", "c"], fold=1)
    (leak,) = audit(tmp_path).leaks
    assert leak == f"{tmp_path}/models/pig/fold1 learnt from test patient a (1 in all)."


def test_a_leaky_control_is_listed_and_is_no_leak(tmp_path: Path) -> None:
    segmentation(tmp_path)
    model(tmp_path, ["a", "c"], leaky=True)
    found = audit(tmp_path)
    assert found.leaks == []
    assert found.leaky == [f"{tmp_path}/models/pig/fold0 learnt from test patient c (1 in all)."]
    model(tmp_path, ["a", "n"], fold=1, leaky=True)
    segmentation(tmp_path, fold=1)
    (leak,) = audit(tmp_path).leaks  # no control is to see who is in no fold
    assert leak == f"{tmp_path}/models/pig/fold1 learnt from test patient n (1 in all)."


def test_a_model_that_saw_a_new_patient_is_named(tmp_path: Path) -> None:
    segmentation(tmp_path)
    model(tmp_path, ["a", "n"])
    assert "learnt from test patient n" in audit(tmp_path).leaks[0]


def test_a_segmentation_that_was_tested_on_its_own_patients_is_named(tmp_path: Path) -> None:
    segmentation(tmp_path, test_patients=["b", "c"])
    assert "was trained and tested on patient b (1 in all)" in audit(tmp_path).leaks[0]


def test_masks_are_counted_over_the_shards_of_a_fold(tmp_path: Path) -> None:
    shard(tmp_path, 0, empty=2, drawn=0.1)
    shard(tmp_path, 1, empty=6, drawn=0.3)
    shard(tmp_path, 0, empty=8, drawn=None, fold=1)
    shard(tmp_path, 0, empty=0, drawn=0.31, fold=2)
    one, none, large = audit(tmp_path).drawn
    assert (one.generator, one.pairs, one.empty) == ("pig", 16, 8)
    assert one.looks["area"]["drawn"] == (0.1 + 0.3) / 2
    assert one.odd == []
    assert (none.empty, none.odd) == (8, ["all masks are empty"])
    assert large.odd == ["the lesion covers 31.0 % (10.0 % to 30.0 %)"]


NOW = {
    "segmentation/real/fold0/seed0/record.json", "segmentation/real/fold1/seed0/record.json", "models/pig/fold0",
    "synthetic/pig/fold0/shard0.npz",
}  # fmt: skip


@pytest.mark.parametrize("present", [None, NOW], ids=["all", "present"])
def test_what_another_table_of_folds_has_dealt_is_no_leak(tmp_path: Path, present: set[str] | None) -> None:
    """An arm that was removed before the patients were dealt anew: b was tested on in fold 0 then."""
    segmentation(tmp_path, **dealt("new"))
    segmentation(tmp_path, "removed", train_patients=["a", "c"], test_patients=["b"], **dealt("old"))
    model(tmp_path, ["a", "b"], **dealt("new"))
    assert audit(tmp_path, present).leaks == []
    segmentation(tmp_path, "real", 1, train_patients=["c"], test_patients=["a", "b"], **dealt("new"))
    assert audit(tmp_path, present).leaks == []


@pytest.mark.parametrize("present", [None, NOW], ids=["all", "present"])
@pytest.mark.parametrize("unsaid", ["segmentation", "model", "none"])
def test_a_leak_by_the_same_table_or_an_unknown_one_is_found(
    tmp_path: Path, present: set[str] | None, unsaid: str
) -> None:
    segmentation(tmp_path, **({} if unsaid == "segmentation" else dealt("new")))
    model(tmp_path, ["a", "c"], **({} if unsaid == "model" else dealt("new")))
    (leak,) = audit(tmp_path, present).leaks
    assert leak == f"{tmp_path}/models/pig/fold0 learnt from test patient c (1 in all)."


def test_models_of_other_folds_that_the_study_uses_leak(tmp_path: Path) -> None:
    segmentation(tmp_path, **dealt("new"))
    model(tmp_path, ["a", "c"], **dealt("old"))
    assert len(audit(tmp_path, NOW).leaks) == 1


def test_only_what_is_of_the_study_is_counted(tmp_path: Path) -> None:
    segmentation(tmp_path)
    segmentation(tmp_path, "removed", test_patients=["a"], device="an old machine")
    model(tmp_path, ["a", "b"])
    model(tmp_path, ["a", "c"], name="removed")
    shard(tmp_path, 0, empty=2, drawn=0.1)
    shard(tmp_path, 1, empty=6, drawn=0.3)  # of a larger arm than there is now
    found = audit(tmp_path, NOW)
    assert (found.segmentations, found.models, found.leaks, found.devices) == (1, 1, [], ["a processor"])
    assert [(drawn.pairs, drawn.empty) for drawn in found.drawn] == [(8, 2)]
    everything = audit(tmp_path)
    assert (everything.segmentations, everything.models, len(everything.leaks)) == (2, 2, 3)
    assert [(drawn.pairs, drawn.empty) for drawn in everything.drawn] == [(16, 8)]
