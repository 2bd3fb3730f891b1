import json
import shutil

import numpy as np
import pytest

from pig.data.folds import read_folds, split
from pig.data.shards import read_provenance, read_shards, refuse_leak
from pig.data.store import Store
from pig.methods.model_folder import DESCRIPTION, read_description
from pig.steps.synthesise import synthesise
from pig.system.errors import UserError
from pig.system.files import write_sealed

from .conftest import SAMPLING, SIZE

CLASSES = {
    "PIG": "pig.methods.pig.PIG",
    "SegGuidedDif": "baselines.segguided.SegGuidedDif",
    "LDM": "baselines.ldm.LDM",
    "DDPM": "baselines.ddpm.DDPM",
}


def draw(study, trained, out, name="PIG", first=0, last=8, batch=4, folds="folds.csv"):
    sampling = {"clip": True} if name == "DDPM" else SAMPLING
    model = trained[name]
    synthesise(
        model=model, name=name, cls=CLASSES[name], sampling=sampling, seed=0, store=study / "store",
        folds=study / folds, first=first, last=last, batch_size=batch, out=out,
    )  # fmt: skip
    return out


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("PIG", [4]),  # at the edge of a batch
        ("PIG", [5]),  # within one
        ("PIG", [1, 2, 7, 8]),
        ("SegGuidedDif", [3, 7]),
        ("LDM", [5]),
        ("DDPM", [3]),
    ],
)
def test_pairs_do_not_depend_on_the_shards(study, trained, tmp_path, name, cuts):
    """However many, of whatever sizes, drawn in whatever order."""
    last = 9
    whole = read_shards([draw(study, trained, tmp_path / "whole.npz", name, last=last)], last)
    edges = list(zip([0, *cuts], [*cuts, last], strict=True))
    paths = [draw(study, trained, tmp_path / f"{a}.npz", name, first=a, last=b) for a, b in reversed(edges)]
    parts = read_shards(paths, last)
    assert np.array_equal(whole.images, parts.images)
    assert (whole.masks is None) == (parts.masks is None) == (name == "DDPM")
    if whole.masks is not None:
        assert np.array_equal(whole.masks[:], parts.masks[:])


def test_fewer_pairs_are_the_first_of_more(study, trained, tmp_path):
    shard = draw(study, trained, tmp_path / "shard.npz")
    few, many = read_shards([shard], 3), read_shards([shard], 8)
    assert np.array_equal(few.images, many.images[:3])
    assert few.images.shape == (3, SIZE, SIZE)
    assert few.masks[:].dtype == np.uint8
    assert set(np.unique(many.masks[:])) <= {0, 1}


def test_training_masks_are_taken_in_turn_and_alike_for_all_methods(study, trained, tmp_path):
    n = 20
    a = read_shards([draw(study, trained, tmp_path / "a.npz", "SegGuidedDif", last=n)], n)
    b = read_shards([draw(study, trained, tmp_path / "b.npz", "LDM", last=n)], n)
    assert np.array_equal(a.masks[:], b.masks[:])
    train_pairs, _ = split(Store.open(study / "store"), read_folds(study / "folds.csv"), 1)
    real = {mask.tobytes() for mask in train_pairs.batch(np.arange(16))[1].numpy().astype(np.uint8)}
    assert len(train_pairs) == 16
    assert {mask.tobytes() for mask in a.masks[:16]} == real  # each once, before any comes again
    assert np.array_equal(a.masks[16:], a.masks[:4])


def test_a_shard_says_where_it_is_from(study, trained, tmp_path):
    provenance = read_shards([draw(study, trained, tmp_path / "shard.npz")], 8).provenance[0]
    assert (provenance["generator"], provenance["fold"], provenance["seed"]) == ("PIG", 1, 0)
    assert provenance["masks_from"] == "model"
    assert provenance["data"] == Store.open(study / "store").fingerprint
    folds = read_folds(study / "folds.csv")
    assert provenance["patients"] == sorted(folds.loc[folds["fold"] != 1, "patient_id"])


def test_images_alone_are_no_pairs(study, trained, tmp_path):
    synthetic = read_shards([draw(study, trained, tmp_path / "shard.npz", "DDPM")], 8)
    assert synthetic.masks is None
    with pytest.raises(UserError, match="'DDPM' draws images without masks"):
        synthetic.pool(SIZE)


def test_a_pool_changes_size(study, trained, tmp_path):
    pool = read_shards([draw(study, trained, tmp_path / "shard.npz")], 6).pool(SIZE // 2)
    images, masks = pool.batch(np.array([0, 5]))
    assert len(pool) == 6
    assert images.shape == masks.shape == (2, 1, SIZE // 2, SIZE // 2)


def test_a_model_that_saw_a_test_patient_is_refused(study, trained, tmp_path):
    folds = read_folds(study / "folds.csv")
    folds["fold"] = (folds["fold"] + 1) % 3  # the folds were changed after training
    folds.to_csv(study / "moved.csv", index=False)
    with pytest.raises(UserError, match="learnt from patient p.*of the fold it would be tested on"):
        draw(study, trained, tmp_path / "shard.npz", folds="moved.csv")
    assert not (tmp_path / "shard.npz").exists()
    refuse_leak(["p1"], ["p2"], "nothing")


def test_a_model_of_other_data_is_refused(study, trained, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(trained["PIG"], model)
    write_sealed(model / DESCRIPTION, read_description(model) | {"data": "other"})
    with pytest.raises(UserError, match=f"model {model} was trained on other data than those of {study / 'store'}"):
        draw(study, {"PIG": model}, tmp_path / "shard.npz")
    assert not (tmp_path / "shard.npz").exists()


def test_shards_that_do_not_belong_together(study, trained, tmp_path):
    first = draw(study, trained, tmp_path / "a.npz", first=0, last=4)
    later = draw(study, trained, tmp_path / "b.npz", first=5, last=8)
    with pytest.raises(UserError, match="index 4 is missing"):
        read_shards([first, later], 8)
    with pytest.raises(UserError, match="index 0 is missing"):
        read_shards([later], 3)
    with pytest.raises(UserError, match="5 pairs are asked for, and the shards hold 4"):
        read_shards([first], 5)
    other = draw(study, trained, tmp_path / "c.npz", "SegGuidedDif", first=4, last=8)
    with pytest.raises(UserError, match="another generator"):
        read_shards([first, other], 8)


@pytest.mark.parametrize("damage", ["cut", "text", "no provenance", "absent"])
def test_a_damaged_shard_is_named(study, trained, tmp_path, damage):
    shard = draw(study, trained, tmp_path / "shard.npz")
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-50])
    elif damage == "text":
        shard.write_text("not an archive")
    elif damage == "no provenance":
        np.savez(shard, images=np.zeros((1, 2, 2), np.uint16))
    else:
        shard.unlink()
    with pytest.raises(UserError, match=r"shard.npz (is damaged|does not exist)"):
        read_shards([shard], 1)


def test_a_pickle_in_a_shard_is_not_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    np.savez(tmp_path / "shard.npz", provenance=np.array([Bomb()], dtype=object), images=np.zeros(1))
    with pytest.raises(UserError, match="is damaged"):
        read_shards([tmp_path / "shard.npz"], 1)
    assert not (tmp_path / "harm").exists()


def test_provenance_is_json(study, trained, tmp_path):
    with np.load(draw(study, trained, tmp_path / "shard.npz"), allow_pickle=False) as file:
        assert json.loads(str(file["provenance"]))["last"] == 8
        assert int(file["first"]) == 0


def test_what_looks_like_no_patients_pairs_is_a_warning(study, trained, tmp_path, caplog):
    draw(study, trained, tmp_path / "shard.npz")
    (said,) = [message for message in caplog.messages if "looks like the pairs of no training patient" in message]
    assert said.startswith("what PIG draws looks") and "neighbouring pixels differ by" in said
    looks = read_provenance(tmp_path / "shard.npz")["looks"]
    assert not looks["grain"]["least"] <= looks["grain"]["drawn"] <= looks["grain"]["greatest"]
