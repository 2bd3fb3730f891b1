"""What an arm adds: new patients' pairs, and pairs with wrong masks; and that new patients are tested on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from disc_study import SIZE, settings
from discs import discs

from pig.data.bits import BitMasks
from pig.data.shards import Synthetic
from pig.data.store import PairDataset, Store, allocate, complete
from pig.evaluation.added import new_patients, the_same_again, with_wrong_masks
from pig.evaluation.arm_pairs import Asked
from pig.evaluation.copy_paste import copy_paste
from pig.evaluation.segmentation import run_arm
from pig.system.errors import UserError

Split = tuple[PairDataset, PairDataset]


def new_store(folder: Path, patients: list[str], seed: int = 5) -> Store:
    """A pair of each patient."""
    folder.mkdir()
    images, masks = allocate(folder, len(patients), SIZE)
    images[:], masks[:] = discs(len(patients), seed)
    manifest = pd.DataFrame({"image_path": "i.png", "mask_path": "m.png", "patient_id": patients})
    complete(folder, images, masks, manifest, "stretch")
    return Store.open(folder)


def made(count: int) -> Synthetic:
    images, masks = discs(count, 3)
    return Synthetic(images, BitMasks.of(masks), [{"generator": "g", "fold": 0, "patients": ["nobody"]}])


def test_the_oracle_adds_the_first_real_pairs(tmp_path: Path) -> None:
    store = new_store(tmp_path / "new", ["n0", "n1", "n2"])
    added = new_patients(store, 2, fold=1, image_size=SIZE)
    assert np.array_equal(added.images, store.images[:2]) and np.array_equal(added.masks[:], store.masks[:2])
    assert (added.provenance[0]["fold"], added.provenance[0]["patients"]) == (1, ["n0", "n1"])
    assert len(new_patients(store, None, fold=1, image_size=SIZE).images) == 3
    small = new_patients(store, None, fold=1, image_size=SIZE // 2)
    assert small.images.shape == (3, SIZE // 2, SIZE // 2) == small.masks.shape
    with pytest.raises(UserError, match="4 pairs of new patients are asked for, and .*new holds 3"):
        new_patients(store, 4, fold=1, image_size=SIZE)


@pytest.mark.parametrize("kind", ["synthetic", "oracle"])
def test_an_arm_adds_the_first_pairs_as_many_as_are_asked_for(store: Store, tmp_path: Path, kind: str) -> None:
    given, folds, shard = new_store(tmp_path / "new", [*"abcdefgh"]), tmp_path / "folds.csv", tmp_path / "shard.npz"
    said = {"generator": "g", "fold": 0, "seed": 0, "model_files": {}, "patients": ["p0"], "first": 0, "last": 8}
    np.savez(shard, images=given.images, masks=given.masks, first=0, provenance=json.dumps(said))
    pd.DataFrame({"patient_id": [f"p{i}" for i in range(10)], "fold": 5 * [0, 1]}).to_csv(folds, index=False)
    words: dict[str, Any] = {"synthetic": {"synthetic": [shard]}, "oracle": {"oracle": given.path}}[kind]
    added = Asked(store.path, folds, **words, count=5).pairs(fold=0, seed=0, image_size=SIZE).synthetic
    assert added is not None and added.masks is not None
    assert np.array_equal(added.images, given.images[:5]) and np.array_equal(added.masks[:], given.masks[:5])


@pytest.mark.parametrize("count", [7, 20, 50])
def test_oversampling_adds_the_training_pairs_again_each_as_often(pairs: Split, count: int) -> None:
    train, _ = pairs
    added = the_same_again(train, count, seed=0, fold=1, image_size=SIZE)
    images, masks = train.pixels()
    numbers = {image.tobytes(): i for i, image in enumerate(images)}
    assert len(numbers) == 20
    drawn = [numbers[image.tobytes()] for image in added.images]
    assert len(drawn) == count
    for number, mask in zip(drawn, added.masks, strict=True):
        assert np.array_equal(mask, masks[number])
    assert np.ptp(np.bincount(drawn, minlength=20)) <= 1
    (said,) = added.provenance
    assert (said["generator"], said["fold"], said["patients"]) == ("oversampling", 1, ["p0", "p2", "p4", "p6", "p8"])
    assert said["data"] == train.store.fingerprint
    again, other_seed, other_fold = (the_same_again(train, count, s, f, SIZE) for s, f in ((0, 1), (1, 1), (0, 0)))
    assert np.array_equal(again.images, added.images)
    assert not np.array_equal(other_seed.images, added.images)
    assert not np.array_equal(other_fold.images, added.images)


@pytest.mark.parametrize("make", [the_same_again, copy_paste])
def test_pairs_made_of_test_patients_are_refused(pairs: Split, tmp_path: Path, make: Callable[..., Synthetic]) -> None:
    """As those of a generator that has seen them."""
    made_of_test = make(pairs[1], 4, 0, 0, SIZE)
    with pytest.raises(UserError, match="the synthetic pairs of generator '.*' learnt from patient p1"):
        run(pairs, tmp_path, None, made_of_test)
    record = json.loads((run(pairs, tmp_path, None, make(pairs[0], 4, 0, 0, SIZE)) / "record.json").read_text())
    assert (record["real_pairs"], record["synthetic_pairs"]) == (20, 4)


@pytest.mark.parametrize("count", [2, 3, 24])
def test_no_pair_keeps_its_mask_and_no_mask_is_lost(count: int) -> None:
    added = made(count)
    wrong = with_wrong_masks(added, seed=0, fold=0)
    assert np.array_equal(wrong.images, added.images)
    numbers = {mask.tobytes(): i for i, mask in enumerate(added.masks)}
    assert len(numbers) == count
    given = [numbers[mask.tobytes()] for mask in wrong.masks]
    assert sorted(given) == list(range(count))
    assert all(own != other for own, other in enumerate(given))
    assert wrong.provenance == [{**added.provenance[0], "masks": "shuffled"}]
    assert "masks" not in added.provenance[0]


def test_wrong_masks_depend_on_seed_and_fold() -> None:
    first, again, seed, fold = (
        with_wrong_masks(made(24), *key).masks[:].tobytes() for key in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert first == again
    assert len({first, seed, fold}) == 3


def test_a_single_pair_or_images_alone_have_no_masks_to_exchange() -> None:
    images_alone = Synthetic(made(3).images, None, [])
    for added in (made(1), images_alone):
        with pytest.raises(UserError, match="two or more pairs with masks are needed"):
            with_wrong_masks(added, 0, 0)


def run(
    pairs: Split, out: Path, new: Store | None, synthetic: Synthetic | None = None, leaky: bool = False
) -> Path:  # fmt: skip
    new_pairs = None if new is None else PairDataset(new, np.arange(len(new.images)), SIZE)
    run_arm(
        train_pairs=pairs[0], synthetic=synthetic, test_pairs=pairs[1], new_pairs=new_pairs, leaky=leaky,
        settings=settings(), fold=0, seed=0, work=out / "work", out=out / "out",
    )  # fmt: skip
    return out / "out"


def test_new_patients_are_tested_by_the_same_network(pairs: Split, tmp_path: Path) -> None:
    """If the new patients are those of the fold by other names, both files have the same counts."""
    names = [f"new {patient}" for patient in pairs[1].store.manifest["patient_id"].iloc[pairs[1].rows]]
    folder = tmp_path / "same"
    folder.mkdir()
    images, masks = allocate(folder, len(names), SIZE)
    images[:], masks[:] = pairs[1].pixels()
    complete(folder, images, masks, pd.DataFrame({"patient_id": names, "image_path": "i", "mask_path": "m"}), "stretch")
    out = run(pairs, tmp_path / "run", Store.open(folder))
    ours, theirs = pd.read_csv(out / "slices.csv"), pd.read_csv(out / "new_patients.csv")
    assert theirs.patient_id.tolist() == names
    assert theirs.slice.tolist() == list(range(len(names)))
    columns = ["fold", "seed", "tp", "fp", "fn", "tn"]
    assert ours[columns].equals(theirs[columns])


def test_without_new_patients_there_is_no_such_file(pairs: Split, tmp_path: Path) -> None:
    assert not (run(pairs, tmp_path, None) / "new_patients.csv").exists()


def test_new_patients_whom_the_network_has_seen_are_refused(pairs: Split, tmp_path: Path) -> None:
    seen = new_store(tmp_path / "seen", [pairs[0].patients[0]])
    with pytest.raises(UserError, match="the set of real training pairs learnt from patient"):
        run(pairs, tmp_path / "a", seen)
    added = new_patients(new_store(tmp_path / "added", ["n0", "n1"]), None, fold=0, image_size=SIZE)
    tested = new_store(tmp_path / "tested", ["n1", "n2"])
    with pytest.raises(UserError, match="the synthetic pairs of generator 'new patients' learnt from patient n1"):
        run(pairs, tmp_path / "b", tested, added)


def test_a_leaky_control_may_have_seen_the_test_fold_and_no_new_patient(pairs: Split, tmp_path: Path) -> None:
    added, new = made(4), new_store(tmp_path / "new", ["n0", "n1"])
    added.provenance[0] |= {"patients": [pairs[1].patients[0]], "leaky": True}
    record = json.loads((run(pairs, tmp_path / "a", new, added, leaky=True) / "record.json").read_text())
    assert (record["leaky"], record["synthetic"][0]["leaky"]) == (True, True)
    with pytest.raises(UserError, match=f"learnt from patient {pairs[1].patients[0]}"):
        run(pairs, tmp_path / "b", new, added)
    added.provenance[0]["patients"].append("n1")
    with pytest.raises(UserError, match="learnt from patient n1"):
        run(pairs, tmp_path / "b", new, added, leaky=True)
    with pytest.raises(UserError, match="--leaky is of the pairs of a generator, and none are given"):
        run(pairs, tmp_path / "b", new, leaky=True)


def test_without_real_pairs_the_added_ones_alone_are_learnt(pairs: Split, tmp_path: Path) -> None:
    nobody = PairDataset(pairs[0].store, pairs[0].rows[:0], SIZE)
    record = json.loads((run((nobody, pairs[1]), tmp_path, None, made(8)) / "record.json").read_text())
    assert (record["real_pairs"], record["synthetic_pairs"], record["train_patients"]) == (0, 8, [])
