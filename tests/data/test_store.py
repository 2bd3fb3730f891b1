import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from study_files import write_store

from pig.data.resize import resize_pairs
from pig.data.store import PairDataset, Store, fingerprint, to_uint16, to_unit
from pig.system.errors import UserError


def test_the_ends_and_the_middle_of_the_scale() -> None:
    x = to_unit(np.array([0, 1, 65535], np.uint16))
    assert x.dtype == torch.float32
    assert x[0] == -1
    assert x[2] == 1
    assert x[1].item() == pytest.approx(-1 + 2 / 65535, abs=1e-7)
    assert to_uint16(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0, 32768, 65535]  # 32767.5 to even


def test_every_step_survives_the_round_trip_and_stays_in_range() -> None:
    steps = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    x = to_unit(steps)
    assert x.abs().max() == 1
    assert (np.diff(x.numpy().ravel()) > 0).all()
    assert (to_uint16(x) == steps).all()


@given(st.lists(st.floats(-1, 1, width=32), min_size=1))
def test_rounding_is_to_the_nearest_step(values: list[float]) -> None:
    back = to_unit(to_uint16(torch.tensor(values, dtype=torch.float32)))
    assert np.abs(back.numpy() - np.array(values)).max() <= 1 / 65535 + 1e-7


@pytest.mark.parametrize("value", [1.0001, -1.5, float("nan"), float("inf")])
def test_nothing_is_clipped(value: float) -> None:
    with pytest.raises(ValueError, match=r"clamp|not finite"):
        to_uint16(torch.tensor([0.0, value]))


def test_batches_at_the_size_of_the_store(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", ["b", "a", "b", "c"])
    each_its_own = np.load(store.path / "masks.npy", mmap_mode="r+")
    each_its_own[:] = np.random.default_rng(1).integers(0, 2, each_its_own.shape)
    each_its_own.flush()
    assert (store.size, len(store.manifest)) == (8, 4)
    pairs = PairDataset(store, np.array([3, 0, 2]), 8)
    assert len(pairs) == 3
    assert pairs.patients == ["b", "c"]
    images, masks = pairs.batch(np.array([2, 0]))
    assert images.shape == masks.shape == (2, 1, 8, 8)
    assert images.dtype == masks.dtype == torch.float32
    assert torch.equal(images[:, 0], to_unit(store.images[[2, 3]]))
    assert torch.equal(masks[:, 0], torch.from_numpy(store.masks[[2, 3]].astype(np.float32)))


def test_batches_at_another_size_come_from_the_stored_pixels(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", ["a", "b", "c"])
    pairs = PairDataset(store, np.array([2, 1]), 8)
    small = pairs.at(2)
    assert (small.image_size, small.patients, len(small)) == (2, ["b", "c"], 2)
    images, masks = resize_pairs(store.images[[1]], store.masks[[1]], 2)
    batch = small.batch(np.array([1]))
    assert torch.equal(batch[0][0], to_unit(images))
    assert torch.equal(batch[1][0], torch.from_numpy(masks.astype(np.float32)))
    assert torch.equal(small.at(4).batch(np.array([0]))[0], pairs.at(4).batch(np.array([0]))[0])
    assert torch.equal(small.at(8).batch(np.array([0]))[0], pairs.batch(np.array([0]))[0])
    assert pairs.at(8) is pairs


def test_more_rows_than_are_resized_at_once(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", ["a"] * 130, size=4)
    last = PairDataset(store, np.arange(130), 2).batch(np.array([0, 64, 129]))[0]
    assert torch.equal(last[:, 0], to_unit(resize_pairs(store.images, store.masks, 2)[0][[0, 64, 129]]))


def test_lesions_that_vanish_are_refused_and_named(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", list("abcdefghi"))
    masks = np.load(store.path / "masks.npy", mmap_mode="r+")
    masks[:] = 0
    masks[0] = 1  # row 1 stays without a lesion
    masks[2:, 3, 3] = 1
    assert PairDataset(store, np.arange(2), 4).batch(np.arange(2))[1].sum((1, 2, 3)).tolist() == [16, 0]
    said = r"7 of 9 pairs have a lesion that vanishes at 4 x 4 .*: row 4 \(patient c\), .* 8 \(patient g\), \.\.\. of "
    with pytest.raises(UserError, match=said + re.escape(f"{store.path}/manifest.csv; choose a larger image_size")):
        PairDataset(store, np.arange(9), 4)
    with pytest.raises(UserError, match=r"1 of 2 pairs have a lesion that vanishes .*: row 7 \(patient f\) of"):
        PairDataset(store, np.array([5, 0]), 4)


def test_the_fingerprint_is_of_pixels_and_patients(tmp_path: Path) -> None:
    store = write_store(tmp_path / "one", ["a", "b"])
    assert store.fingerprint == write_store(tmp_path / "two", ["a", "b"]).fingerprint
    assert store.fingerprint == fingerprint(store.images, store.masks, ["a", "b"])
    images, masks = store.images.copy(), store.masks.copy()
    images[1, 7, 7] ^= 1
    masks[1, 7, 7] ^= 1
    others = {
        store.fingerprint,
        fingerprint(store.images, store.masks, ["a", "c"]),
        fingerprint(images, store.masks, ["a", "b"]),
        fingerprint(store.images, masks, ["a", "b"]),
    }
    assert len(others) == 4


def test_a_store_is_read_only(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", ["a", "b"])
    with pytest.raises(ValueError, match="read-only"):
        store.images[0, 0, 0] = 1


def test_patients_stay_text(tmp_path: Path) -> None:
    assert write_store(tmp_path / "store", ["007", "7"]).manifest["patient_id"].tolist() == ["007", "7"]


def remove(name: str):
    return lambda path: (path / name).unlink()


def rewrite(name: str, array: np.ndarray):
    return lambda path: np.save(path / name, array)


def describe(**change: object):
    def apply(path: Path) -> None:
        content = json.loads((path / "store.json").read_text()) | change
        (path / "store.json").write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    return apply


def cut_short(name: str, size: int):
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:size])


def change_lines(change):
    def apply(path: Path) -> None:
        lines = (path / "manifest.csv").read_text().splitlines()
        (path / "manifest.csv").write_text("\n".join(change(lines)) + "\n")

    return apply


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (shutil.rmtree, "does not exist; run `pig preprocess`"),
        (remove("images.npy"), r"incomplete, images\.npy is missing"),
        (remove("masks.npy"), r"incomplete, masks\.npy is missing"),
        (remove("manifest.csv"), r"incomplete, manifest\.csv is missing"),
        (remove("store.json"), r"incomplete, store\.json is missing"),
        (cut_short("store.json", 20), r"store\.json is not readable JSON"),
        (describe(count="two"), r"store\.json does not give"),
        (describe(fingerprint=None), r"store\.json does not give"),
        (describe(preprocessing={"size": "big"}), r"store\.json: preprocessing\.size: expected int, got 'big'"),
        (describe(count=3), r"images\.npy holds uint16 \[2, 8, 8\], not uint16 \[3, 8, 8\]"),
        (describe(size=16), r"images\.npy holds uint16 \[2, 8, 8\], not uint16 \[2, 16, 16\]"),
        (cut_short("images.npy", 150), r"images\.npy is not a readable array"),
        (cut_short("masks.npy", 0), r"masks\.npy is not a readable array"),
        (rewrite("images.npy", np.zeros((2, 8, 8), np.uint8)), r"holds uint8 .* not uint16"),
        (rewrite("masks.npy", np.zeros((2, 8, 7), np.uint8)), r"masks\.npy holds uint8 \[2, 8, 7\]"),
        (rewrite("masks.npy", np.array([{}])), r"masks\.npy is not a readable array"),
        (change_lines(lambda lines: lines[:-1]), r"manifest\.csv is damaged"),
        (change_lines(lambda lines: ["image_path,mask_path,patient", *lines[1:]]), r"manifest\.csv is damaged"),
        (change_lines(lambda lines: [*lines[:-1], "1,1,"]), r"manifest\.csv is damaged"),
    ],
)
def test_a_broken_store(tmp_path: Path, harm, message: str) -> None:
    write_store(tmp_path / "store", ["a", "b"])
    harm(tmp_path / "store")
    with pytest.raises(UserError, match=message) as caught:
        Store.open(tmp_path / "store")
    assert str(tmp_path / "store") in str(caught.value)
    assert "run" in str(caught.value)
