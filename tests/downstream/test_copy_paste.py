"""Lesions pasted into other patients' pictures: from whom, where, and with which grey values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from pig.data.folds import split
from pig.data.store import PairDataset, Store, allocate, complete
from pig.evaluation.copy_paste import copy_paste, foreground
from pig.steps.segment import segment
from pig.system.errors import UserError

SIZE, RIM = 24, 1  # pixels: the rim is 1 / 24 of the side


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients, two pictures each; a patient's tissue and lesions have grey values that no other patient has.

    The tissue of patient p is 1000 p + 1000 to 1000 p + 1099, and 19000 more if p is odd, which fold 1 tests on;
    lesions are 30000 more. The right quarter is background, 0. The second picture has no lesion, but two if p is 0.
    """
    folder = tmp_path_factory.mktemp("patients")
    (folder / "store").mkdir()
    rng = np.random.default_rng(0)
    images, masks = allocate(folder / "store", 12, SIZE)
    for row in range(12):
        p = row // 2
        images[row] = 1000 * p + 1000 + 19000 * (p % 2) + rng.integers(0, 100, (SIZE, SIZE))
        if row % 2 == 0:
            masks[row, 4 : 7 + p % 3, 5:8] = 1
        if row == 1:
            masks[row, 2:4, 2:4] = masks[row, 12:15, 10:12] = 1
        images[row] += 30000 * masks[row].astype(np.uint16)
        images[row, :, 18:] = 0
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": [f"p{i // 2}" for i in range(12)]})
    complete(folder / "store", images, masks, table, "stretch")
    folds = pd.DataFrame({"patient_id": [f"p{i}" for i in range(6)], "fold": [i % 2 for i in range(6)]})
    folds.to_csv(folder / "folds.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def pairs(study: Path) -> PairDataset:
    """The training pairs of fold 1: patients 0, 2 and 4."""
    return split(Store.open(study / "store"), pd.read_csv(study / "folds.csv"), 1)[0]


def test_each_pair_is_a_real_one_with_a_lesion_of_another_patient_more(pairs: PairDataset) -> None:
    made = copy_paste(pairs, 60, seed=0, fold=1, image_size=SIZE)
    images, masks = pairs.pixels()
    pasted = set()
    for image, mask in zip(made.images, made.masks, strict=True):
        (row,) = np.flatnonzero((images == image).mean((1, 2)) > 0.7)
        old, target, changed = masks[row] > 0, images[row, 0, 0] // 1000 - 1, image != images[row]
        # The mask grew by one lesion, off the others and on the breast; its pixels are those of one other patient.
        new = (mask > 0) & ~old
        assert (mask > 0)[old].all() and ndimage.label(new, np.ones((3, 3)))[1] == 1
        assert not new[:, 18:].any()
        (donor,) = {*(image[new] // 1000 - 31)}
        assert donor != target
        # Grey values changed there and in a rim around it, in which they lie between the two patients' tissue.
        assert changed[new].all()
        away = ndimage.distance_transform_edt(~new)
        soft = changed & ~new
        assert soft.any() and not soft[away >= RIM + 1].any()
        assert not soft[old].any() and not soft[:, 18:].any()
        least, greatest = sorted((1000 * donor + 1000, 1000 * target + 1000))
        assert (image[soft] > least).all() and (image[soft] < greatest + 100).all()
        assert (abs(image[soft & (away == 1)] - (least + greatest + 100) / 2) <= 51).all()  # half of each, +-50
        pasted.add((int(donor), int(new.sum())))
    # All lesions of the three patients come up, each by itself: of 3 x 3, 2 x 2 and 3 x 2 pixels, of 5 x 3, of 4 x 3.
    assert pasted == {(0, 9), (0, 4), (0, 6), (2, 15), (4, 12)}


def test_what_is_pasted_comes_from_training_patients_alone(study: Path, pairs: PairDataset) -> None:
    made = copy_paste(pairs, 60, seed=0, fold=1, image_size=SIZE)
    tissue, lesions = made.images[made.masks[:] == 0], made.images[made.masks[:] > 0]
    assert tissue.max() < 6000 and lesions.min() >= 31000 and lesions.max() < 36000  # tested: 21000, 51000
    (said,) = made.provenance
    assert (said["generator"], said["fold"], said["patients"]) == ("copy-paste", 1, ["p0", "p2", "p4"])
    assert said["data"] == pairs.store.fingerprint


def test_seed_and_fold_alone_decide_what_is_made(pairs: PairDataset) -> None:
    def pixels(seed: int, fold: int) -> tuple[bytes, str]:
        made = copy_paste(pairs, 5, seed, fold, SIZE)
        return made.images.tobytes() + made.masks[:].tobytes(), made.provenance[0]["pixels"]

    first = pixels(0, 1)
    assert pixels(0, 1) == first
    assert len({first, pixels(1, 1), pixels(0, 0)}) == 3
    assert len({said for _, said in (first, pixels(1, 1), pixels(0, 0))}) == 3


def test_the_foreground_is_what_is_not_the_smallest_value_and_its_holes() -> None:
    image = np.full((5, 6), 7, np.uint16)
    image[:, 0] = image[2, 3] = 5  # background to the left, a dark pixel within
    assert foreground(image).tolist() == [[False] + [True] * 5] * 5
    assert not foreground(np.full((3, 3), 9, np.uint16)).any()


def test_pictures_of_another_size_are_pasted_at_that_size(pairs: PairDataset) -> None:
    made = copy_paste(pairs, 3, 0, 1, SIZE // 2)
    assert made.images.shape == made.masks.shape == (3, SIZE // 2, SIZE // 2)
    assert made.images.dtype == np.uint16 and made.masks[:].dtype == np.uint8 and made.masks[:].max() == 1


def of_two_patients(folder: Path, image: np.ndarray, lesion: tuple[slice, slice]) -> PairDataset:
    """A picture with a lesion, and one of another patient that is foreground up to its edges."""
    images, masks = allocate(folder, 2, len(image))
    images[0], images[1] = image, 20000
    images[1, 1, 1] = 0  # a hole
    masks[:] = 0
    masks[0][lesion] = 1
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": ["a", "b"]})
    complete(folder, images, masks, table, "stretch")
    return PairDataset(Store.open(folder), np.arange(2), len(image))


def test_a_lesion_comes_to_lie_at_every_edge(tmp_path: Path) -> None:
    pairs = of_two_patients(tmp_path, np.full((4, 4), 1000), np.s_[:3, :3])
    made = copy_paste(pairs, 60, seed=0, fold=0, image_size=4)
    assert {tuple(np.argwhere(mask)[0].tolist()) for mask in made.masks} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_nothing_of_the_background_around_a_lesion_is_pasted(tmp_path: Path) -> None:
    """Right of the lesion its own picture ends, so that there the other one stays as it is."""
    image = np.full((SIZE, SIZE), 1000)
    image[:, 12:] = 0
    pairs = of_two_patients(tmp_path, image, np.s_[8:12, 8:12])
    made = copy_paste(pairs, 20, seed=0, fold=0, image_size=SIZE)
    for changed, mask in zip(made.images != pairs.store.images[1], made.masks, strict=True):
        columns = np.flatnonzero(mask.any(0))
        assert not changed[:, columns[-1] + 1 :].any()
        assert columns[0] == 0 or changed[:, columns[0] - 1].any()


def test_a_lesion_without_a_place_is_a_sentence(study: Path, pairs: PairDataset) -> None:
    own = pairs.rows[:2]  # of one patient
    without = pairs.rows[3::2]  # no lesion
    for rows in (own, without):
        with pytest.raises(UserError, match="no lesion could be pasted into the picture of another patient"):
            copy_paste(PairDataset(pairs.store, rows, SIZE), 1, 0, 1, SIZE)


def given(study: Path, **more: object) -> dict[str, object]:
    """The arguments of the step, but for what is told it to add."""
    nothing = {"synthetic": None, "oracle": None, "source": None, "count": None, "shuffle_masks": False, "real": 1.0}
    training = {"batch_size": 2, "learning_rate": 1e-3, "steps": 1}
    return {
        "store": study / "store", "folds": study / "folds.csv", "fold": 1, "seed": 0, "test": None,
        "settings": {"image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3, "training": training},
        "work": study / "work", "out": study / "out", **nothing, **more,
    }  # fmt: skip


@pytest.mark.parametrize(("source", "share", "patients"), [("copy_paste", 1.0, 3), ("oversampling", 0.67, 2)])
def test_the_arm_is_made_of_the_patients_it_trains_on(
    study: Path, monkeypatch: pytest.MonkeyPatch, source: str, share: float, patients: int
) -> None:
    arms = []
    monkeypatch.setattr("pig.steps.segment.run_arm", lambda **arm: arms.append(arm) or {})
    segment(**given(study, source=source, count=7, real=share))  # type: ignore[arg-type]
    (arm,) = arms
    own, (said,) = arm["train_pairs"].patients, arm["synthetic"].provenance
    assert len(arm["synthetic"].images) == len(arm["synthetic"].masks) == 7
    assert said["patients"] == own and len(own) == patients
    tissue = arm["synthetic"].images[:, 0, 0] // 1000 - 1
    assert {f"p{number}" for number in tissue} <= {*own}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"source": "copy_paste"}, "--source is given without --count"),
        ({"source": "copy_paste", "count": 3, "oracle": Path("x")}, "more than one is given"),
        ({"source": "oversampling", "count": 3, "real": 0.0}, "--real is 0"),
    ],
)
def test_an_arm_that_cannot_be_made_is_a_sentence(study: Path, more: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        segment(**given(study, **more))  # type: ignore[arg-type]


def test_a_share_of_the_patients_without_a_lesion_is_refused(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of five training patients has a lesion, and two are left, whom the seed chooses."""
    store = Store.open(study / "store")
    masks = np.array(store.masks)
    masks[2:10] = 0
    (study / "other" / "store").mkdir(parents=True)
    images, empty = allocate(study / "other" / "store", 12, SIZE)
    images[:], empty[:] = store.images, masks
    complete(study / "other" / "store", images, empty, store.manifest, "stretch")
    folds = pd.DataFrame({"patient_id": [f"p{i}" for i in range(6)], "fold": [0, 0, 0, 0, 0, 1]})
    folds.to_csv(study / "other" / "folds.csv", index=False)
    arms = []
    monkeypatch.setattr("pig.steps.segment.run_arm", lambda **arm: arms.append(arm) or {})
    refused = 0
    for seed in range(8):
        words = given(study / "other", real=0.4, seed=seed)
        try:
            segment(**words)  # type: ignore[arg-type]
        except UserError as error:
            refused += 1
            assert "--real is 0.4, and none of the 2 patients that are left for training has a lesion" in str(error)
    assert all("p0" in arm["train_pairs"].patients for arm in arms)
    assert 0 < refused < 8 and refused + len(arms) == 8
    # Lesions that are added can be learnt from.
    for seed in range(8):
        segment(**given(study / "other", real=0.4, seed=seed, oracle=study / "store"))  # type: ignore[arg-type]
    assert len(arms) == 8 - refused + 8


def test_colours_are_pasted_channel_by_channel(study: Path, pairs: PairDataset, tmp_path: Path) -> None:
    grey = Store.open(study / "store")
    images, masks = allocate(tmp_path, len(grey.images), SIZE, channels=3)
    images[:] = grey.images[:, None] // np.array([1, 2, 4], np.uint16)[:, None, None]
    masks[:] = grey.masks
    complete(tmp_path, images, masks, grey.manifest, "stretch")
    made = copy_paste(PairDataset(Store.open(tmp_path), pairs.rows, SIZE), 8, seed=0, fold=1, image_size=SIZE)
    alike = copy_paste(pairs, 8, seed=0, fold=1, image_size=SIZE)
    assert made.images.shape == (8, 3, SIZE, SIZE)
    assert (made.masks[:] == alike.masks[:]).all() and (made.images[:, 0] == alike.images).all()
    for channel, share in ((1, 2), (2, 4)):
        assert np.abs(made.images[:, channel].astype(float) - alike.images / share).max() <= 1.5
