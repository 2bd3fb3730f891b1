"""Which masks a conditional generator is given, in place of its training pairs': those moved, and another's."""

import json
from pathlib import Path

import numpy as np
import pytest

from pig.data.folds import read_folds, split
from pig.data.given_masks import jitter, jittered, of_shards, of_training_pairs
from pig.data.shards import read_provenance, read_shards
from pig.data.store import Store
from pig.methods.model_folder import read_description
from pig.steps.synthesise import synthesise
from pig.system.errors import UserError

from .conftest import SAMPLING

CLASSES = {"PIG": "pig.methods.pig.PIG", "SegGuidedDif": "baselines.segguided.SegGuidedDif"}


def draw(study, trained, out, name="SegGuidedDif", first=0, last=8, **given) -> Path:
    synthesise(
        model=trained[name], name=name, cls=CLASSES[name], sampling=SAMPLING, seed=0, store=study / "store",
        folds=study / "folds.csv", first=first, last=last, batch_size=4, out=out, **given,
    )  # fmt: skip
    return out


class Draws:
    """Draws that are known beforehand: mirrored or not, degrees, growth, and a shift that is cut to what is allowed.

    Attributes:
        allowed: the least and the greatest shift, once it is drawn.
    """

    def __init__(self, mirrored: float, degrees: float, growth: float, shift: tuple[float, float]) -> None:
        self.mirrored, self.others = mirrored, [degrees, growth, np.array(shift)]

    def choice(self, _: list[float]) -> float:
        return self.mirrored

    def uniform(self, low: object, high: object) -> object:
        drawn, self.allowed = self.others.pop(0), (low, high)
        return np.clip(drawn, low, high) if self.others == [] else drawn


def at(row: int, column: int, lesion: np.ndarray, side: int = 20) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[row : row + lesion.shape[0], column : column + lesion.shape[1]] = lesion
    return mask


def test_a_lesion_is_mirrored_turned_and_shifted_about_its_own_centre() -> None:
    corner, same = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]], bool), (1.0, 0.0, 0.0)
    mask = at(5, 9, corner)
    assert np.array_equal(jitter(mask, Draws(*same, (0, 0))), mask)
    assert np.array_equal(jitter(mask, Draws(*same, (2, -1))), at(7, 8, corner))
    bar = np.ones((1, 5), bool)
    assert np.array_equal(jitter(at(6, 3, bar), Draws(1.0, 90.0, 0.0, (0, 0))), at(4, 5, bar.T))
    dots = np.array([[1, 0, 0, 1], [1, 0, 0, 0]], bool)  # their mean column is 1: 0 goes to 2, 3 to -1
    mirrored = np.array([[1, 0, 0, 1], [0, 0, 0, 1]], bool)
    assert np.array_equal(jitter(at(5, 6, dots), Draws(-1.0, 0.0, 0.0, (0, 0))), at(5, 5, mirrored))


def test_a_lesion_grows_and_shrinks_by_its_sides() -> None:
    square = at(20, 20, np.ones((16, 16), bool), 64)
    assert jitter(square, Draws(1.0, 0.0, 0.25, (0, 0))).sum() == 20 * 20
    assert jitter(square, Draws(1.0, 0.0, -0.25, (0, 0))).sum() == 12 * 12


def test_a_shift_cuts_nothing_off_and_is_a_tenth_of_the_side_at_most() -> None:
    corner = at(0, 18, np.ones((2, 2), bool))
    assert np.array_equal(jitter(corner, Draws(1.0, 0.0, 0.0, (-9, 9))), corner)
    assert np.array_equal(jitter(corner, Draws(1.0, 0.0, 0.0, (9, -9))), at(2, 16, np.ones((2, 2), bool)))
    whole = np.ones((20, 20), bool)
    assert jitter(whole, Draws(1.0, 0.0, 0.25, (0, 0))).all()  # larger than the picture


def test_the_shift_that_cuts_nothing_off_is_that_of_the_turned_lesion() -> None:
    # The mean of the hook is (1.2, 6.2). Turned by 90 degrees (row, column) becomes (-column, row) about it: its rows
    # are those from -0.6 to 2.4, so that it has to move down by 0.6 at least.
    hook = np.array([[1, 1, 1, 1], [1, 0, 0, 0]], bool)
    draws = Draws(1.0, 90.0, 0.0, (0, 0))
    jitter(at(1, 5, hook), draws)
    assert np.array(draws.allowed) == pytest.approx(np.array([[0.6, -2], [2, 2]]))


@pytest.mark.parametrize("seed", range(20))
def test_real_draws_keep_the_lesion(seed: int) -> None:
    lesion = at(0, 30, np.ones((9, 6), bool), 48)
    moved = jitter(lesion, np.random.default_rng(seed))
    assert 0.75**2 * 54 * 0.8 < moved.sum() < 1.25**2 * 54 * 1.2
    assert not np.array_equal(moved, lesion)
    empty = np.zeros((8, 8), bool)
    assert not jitter(empty, np.random.default_rng(seed)).any()


def test_jittered_masks_are_those_of_their_indices(pairs) -> None:
    training = of_training_pairs(pairs, 0, 1)
    given = jittered(training, 0, 1)
    masks = given(range(40)).numpy()
    assert masks.shape == (40, 1, 32, 32) and set(np.unique(masks)) == {0, 1} and masks.dtype == np.float32
    assert np.array_equal(given(range(17, 23)).numpy(), masks[17:23])
    assert not any(np.array_equal(mask, own) for mask, own in zip(masks, training(range(40)).numpy(), strict=True))
    assert not np.array_equal(masks[:16], masks[16:32])  # the training masks come again, moved otherwise
    others = [jittered(training, *key)(range(40)).numpy() for key in ((1, 1), (0, 0))]
    assert not any(np.array_equal(masks, other) for other in others)


def test_images_are_drawn_for_jittered_masks(study, trained, pairs, tmp_path) -> None:
    shard = read_shards([draw(study, trained, tmp_path / "a.npz", first=3, last=9, jitter_masks=True)], first=3)
    wanted = jittered(of_training_pairs(pairs, 0, 1), 0, 1)(range(3, 9)).numpy()
    assert np.array_equal(shard.masks[:], wanted[:, 0])
    assert shard.provenance[0]["masks_from"] == "jittered"
    assert "masks_of" not in shard.provenance[0]


def test_images_are_drawn_for_the_masks_of_the_same_indices(study, trained, tmp_path) -> None:
    """Pair i for the mask of pair i, whatever the shards; the images are not the source's."""
    source = draw(study, trained, tmp_path / "source.npz", "PIG", last=12)
    whole = read_shards([draw(study, trained, tmp_path / "whole.npz", last=12, masks_of=[source])])
    drawn = read_shards([source])
    assert np.array_equal(whole.masks[:], drawn.masks[:])
    assert len({mask.tobytes() for mask in whole.masks}) > 6
    assert not np.array_equal(whole.images, drawn.images)
    halves = [draw(study, trained, tmp_path / f"{a}.npz", "PIG", first=a, last=b) for a, b in ((0, 5), (5, 12))]
    parts = [
        draw(study, trained, tmp_path / f"for{a}.npz", first=a, last=b, masks_of=halves[a > 0 :][:1])
        for a, b in ((0, 5), (5, 12))
    ]
    again = read_shards(parts)
    assert np.array_equal(again.masks[:], whole.masks[:]) and np.array_equal(again.images, whole.images)


def test_of_a_shard_that_begins_earlier_the_same_indices_are_given(study, trained, tmp_path) -> None:
    source = draw(study, trained, tmp_path / "source.npz", "PIG", last=12)
    given, _ = of_shards([source], 5, 9, 32)
    masks = read_shards([source]).masks
    assert len({mask.tobytes() for mask in masks}) > 6
    assert np.array_equal(given(range(5, 9))[:, 0].numpy(), masks[5:9])
    assert np.array_equal(given(range(4, 10))[:, 0].numpy(), masks[[5, 5, 6, 7, 8, 8]])  # what is thrown away again


def test_a_shard_names_whose_masks_it_was_given(study, trained, tmp_path) -> None:
    """And the patients of both, by whom a leak is found."""
    source = draw(study, trained, tmp_path / "source.npz", "PIG")
    (said,) = read_shards([draw(study, trained, tmp_path / "a.npz", masks_of=[source])]).provenance
    assert (said["generator"], said["masks_from"]) == ("SegGuidedDif", "generator")
    assert said["masks_of"] == {
        "generator": "PIG", "class": CLASSES["PIG"], "seed": 0, "sampling": SAMPLING,
        "model_files": read_description(trained["PIG"])["files"],
    }  # fmt: skip
    folds = read_folds(study / "folds.csv")
    assert said["patients"] == sorted(folds.loc[folds["fold"] != 1, "patient_id"])
    more = changed(source, tmp_path / "more.npz", patients=["a stranger"])
    said = read_provenance(draw(study, trained, tmp_path / "b.npz", masks_of=[more]))
    assert "a stranger" in said["patients"] and set(said["patients"]) > {"a stranger"}


def changed(shard: Path, out: Path, **said: object) -> Path:
    """Write a shard that says something else of itself."""
    with np.load(shard) as file:
        arrays = dict(file)
    provenance = json.loads(str(arrays.pop("provenance"))) | said
    np.savez(out, provenance=np.array(json.dumps(provenance)), **arrays)
    return out


def test_masks_that_leak_or_do_not_fit_are_refused(study, trained, tmp_path) -> None:
    source = draw(study, trained, tmp_path / "source.npz", "PIG")
    tested = split(Store.open(study / "store"), read_folds(study / "folds.csv"), 1)[1].patients[0]
    for said, sentence in (
        ({"patients": [tested]}, f"generator 'PIG', whose masks are given, learnt from patient {tested}"),
        ({"fold": 0}, "is of fold 0, and the model of fold 1; give those of that fold"),
        ({"data": "other"}, "learnt from other data than the model"),
    ):
        shard = changed(source, tmp_path / "changed.npz", **said)
        with pytest.raises(UserError, match=sentence):
            draw(study, trained, tmp_path / "out.npz", masks_of=[shard])
    for arguments, sentence in (
        ({"last": 9}, "masks of the pairs 0 to 8 are needed, and the shards of 'PIG' hold those from 0 to 7"),
        ({"name": "PIG"}, "takes no masks to draw from; leave out --masks-of"),
        ({"jitter_masks": True}, "--masks-of and --jitter-masks exclude each other"),
    ):
        with pytest.raises(UserError, match=sentence):
            draw(study, trained, tmp_path / "out.npz", masks_of=[source], **arguments)
    with np.load(source) as file:
        np.savez(tmp_path / "bare.npz", **{key: file[key] for key in file if key != "masks"})
    with pytest.raises(UserError, match="'PIG' draws images without masks, so that it has none to give"):
        draw(study, trained, tmp_path / "out.npz", masks_of=[tmp_path / "bare.npz"])
    assert not (tmp_path / "out.npz").exists()


def test_masks_come_at_the_size_of_who_is_given_them(study, trained, tmp_path) -> None:
    source = draw(study, trained, tmp_path / "source.npz", "PIG")
    with np.load(source) as file:
        arrays = {key: file[key] for key in file}
    double = {key: np.kron(arrays[key], np.ones((1, 2, 2), arrays[key].dtype)) for key in ("images", "masks")}
    np.savez(tmp_path / "double.npz", **arrays | double)
    shard = read_shards([draw(study, trained, tmp_path / "a.npz", masks_of=[tmp_path / "double.npz"])])
    assert np.array_equal(shard.masks[:], arrays["masks"])
