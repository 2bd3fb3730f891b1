"""What pairs look like beside those of real patients: noise, copies and odd masks are seen, real pairs are not odd."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from discs import discs

from pig.data.looks import MEASURES, beside_real, joined, measures, odd_looks, unlike
from pig.data.store import PairDataset, Store, allocate, complete

SIZE, PATIENTS = 32, 12


def store_of(folder: Path, images: np.ndarray, masks: np.ndarray) -> PairDataset:
    """Pairs of patients with four each."""
    folder.mkdir()
    stored, lesions = allocate(folder, len(images), images.shape[-1], 3 if images.ndim == 4 else 1)
    stored[:], lesions[:] = images, masks
    names = [f"p{number // 4}" for number in range(len(images))]
    table = pd.DataFrame({"image_path": names, "mask_path": names, "patient_id": names})
    complete(folder, stored, lesions, table, "stretch")
    return PairDataset(Store.open(folder), np.arange(len(images)), images.shape[-1])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairDataset:
    return store_of(tmp_path_factory.mktemp("looks") / "store", *discs(4 * PATIENTS, seed=0, size=SIZE))


def test_the_measures_by_hand() -> None:
    image = np.zeros((1, 8, 8), np.uint16)
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, 2:4, 4:8] = mask[0, 7, 0] = 1  # two pieces, 9 pixels
    image[0, 2:4, 4:8] = 65535
    (row,) = measures(image, mask).itertuples(index=False)
    assert row.area == 9 / 64 and row.pieces == 2
    assert row.row == pytest.approx((4 * 2 + 4 * 3 + 7) / 9 / 8 + 0.5 / 8)
    assert row.column == pytest.approx((2 * (4 + 5 + 6 + 7) + 0) / 9 / 8 + 0.5 / 8)
    assert row.contrast == pytest.approx(8 / 9)  # around the two pieces, a pixel wide, all is 0
    assert row.grey == 8 / 64
    # Steps of 1: down, 4 into the square and 4 out of it; right, 2 into it; of 56 each.
    assert row.grain == pytest.approx((8 / 56 + 2 / 56) / 2)


def test_real_pairs_of_other_patients_are_not_odd(pairs: PairDataset) -> None:
    looks = beside_real(*discs(64, seed=1, size=SIZE), pairs)
    assert list(looks) == list(MEASURES)
    assert unlike(looks) == {}


def test_noise_is_odd(pairs: PairDataset) -> None:
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2**16, (16, SIZE, SIZE)), rng.integers(0, 2, (16, SIZE, SIZE))
    looks = beside_real(images.astype(np.uint16), masks.astype(np.uint8), pairs)
    odd = unlike(looks)
    assert {"area", "contrast", "grain"} <= set(odd)
    assert looks["grain"]["drawn"] == pytest.approx(1 / 3, abs=0.01)  # of two uniform numbers
    assert odd["grain"].startswith("neighbouring pixels differ by 33.") and " to " in odd["grain"]


def test_copies_are_odd_though_nothing_else_is(pairs: PairDataset) -> None:
    images, masks = pairs.pixels()
    looks = beside_real(images, masks, pairs)
    assert set(unlike(looks)) == {"copies"}
    assert unlike(looks)["copies"] == "pictures like one of another patient are 100.0 % (0.0 % to 1.0 %)"
    few = np.concatenate([discs(196, seed=2, size=SIZE)[0], images[:1]])  # one of 197
    assert "copies" not in unlike(beside_real(few, None, pairs))


def test_speckled_and_empty_masks_are_odd(pairs: PairDataset) -> None:
    images, masks = discs(8, seed=1, size=SIZE)
    speckled = masks.copy()
    speckled[:, ::4, ::4] = 1
    assert "pieces" in unlike(beside_real(images, speckled, pairs))
    looks = beside_real(images, np.zeros_like(masks), pairs)
    assert unlike(looks) == {"area": "all masks are empty"}
    assert looks["contrast"]["drawn"] is None
    half = masks.copy()
    half[::2] = 0  # empty ones do not count
    assert beside_real(images, half, pairs)["area"]["drawn"] == pytest.approx(masks[1::2].mean())


def test_images_alone_have_no_measures_of_lesions(pairs: PairDataset) -> None:
    assert list(beside_real(discs(4, seed=1, size=SIZE)[0], None, pairs)) == ["grey", "grain", "copies"]


def test_pairs_of_another_size_are_held_against_real_ones_of_that_size(pairs: PairDataset) -> None:
    looks = beside_real(*discs(64, seed=1, size=SIZE // 2), pairs)
    real = measures(*PairDataset(pairs.store, pairs.rows, SIZE // 2).pixels())
    assert looks["grain"]["least"] <= real.grain.mean() <= looks["grain"]["greatest"]


def test_of_colours_the_mean_counts(pairs: PairDataset, tmp_path: Path) -> None:
    images, masks = discs(32, seed=3, size=SIZE)
    colours = np.stack([images, images, images], axis=1)
    of_colours, of_grey = measures(colours, masks), measures(images, masks)
    assert np.abs(of_colours - of_grey).max().max() < 1e-9
    in_colour = store_of(tmp_path / "store", colours, masks)
    assert beside_real(colours[:4], masks[:4], in_colour)["copies"]["drawn"] == 1


def test_shards_are_joined_by_their_pairs() -> None:
    area, copies = {"least": 0.1, "greatest": 0.2}, {"least": 0.0, "greatest": 0.01}
    one = {"area": {"drawn": 0.1, **area}, "copies": {"drawn": 0.5, **copies}}
    two = {"area": {"drawn": None, **area}, "copies": {"drawn": 0.1, **copies}}
    both = joined([one, two], [1, 3])
    assert both["area"] == {"drawn": 0.1, "least": 0.1, "greatest": 0.2}
    assert both["copies"]["drawn"] == pytest.approx((0.5 + 3 * 0.1) / 4)
    shards = [{"first": 0, "last": 1, "looks": one}, {"first": 1, "last": 4, "looks": two}]
    assert odd_looks(shards) == ["copies"]
    assert odd_looks([*shards, {"first": 4, "last": 5}]) == odd_looks([]) == []
