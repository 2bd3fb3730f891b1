"""Shards are read in the order of their pairs, as many as are asked for, each pixel held once."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from discs import make_study
from hypothesis import given, settings
from hypothesis import strategies as st

from pig.cli import main
from pig.data.resize import resize_pairs
from pig.data.shards import read_shards
from pig.system.errors import UserError


def write(path: Path, first: int, images: np.ndarray, masks: np.ndarray | None, **said: object) -> Path:
    """Write a shard that holds these arrays, whatever they are."""
    provenance = {"generator": "toy", "fold": 0, "seed": 0, "model_files": {}, "patients": ["p0000"], "first": first}
    provenance |= {"last": first + len(images), **said}
    arrays = {"images": images, "first": np.array(first), "provenance": np.array(json.dumps(provenance))}
    np.savez(path, **arrays, **({} if masks is None else {"masks": masks}))
    return path


def pairs(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 65536, (count, size, size)).astype(np.uint16)
    return images, rng.integers(0, 2, images.shape).astype(np.uint8)


def shards(folder: Path, images: np.ndarray, masks: np.ndarray | None, length: int) -> list[Path]:
    return [
        write(folder / f"{i}.npz", i, images[i : i + length], None if masks is None else masks[i : i + length])
        for i in range(0, len(images), length)
    ]


@settings(max_examples=40)
@given(st.data())
def test_the_first_pairs_at_any_size(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 90), "pairs")
    length = data.draw(st.integers(1, 50), "in a shard")
    count = data.draw(st.none() | st.integers(1, total), "count")
    size = data.draw(st.sampled_from([None, 3, 6, 9]), "size")
    images, masks = pairs(total, 6)
    with_masks = data.draw(st.booleans(), "masks")
    paths = shards(tmp_path_factory.mktemp("shards"), images, masks if with_masks else None, length)
    found = read_shards(data.draw(st.permutations(paths)), count, size)
    if size is not None:
        images, masks = resize_pairs(images, masks, size)
    assert np.array_equal(found.images, images[:count])
    assert found.images.dtype == np.uint16
    if with_masks:
        assert found.masks is not None
        assert np.array_equal(found.masks[:], masks[:count])
        assert found.masks[:].dtype == np.uint8
    else:
        assert found.masks is None
    assert [said["first"] for said in found.provenance] == list(range(0, count or total, length))


@pytest.mark.parametrize("size", [None, 32])
def test_each_pixel_is_held_once(tmp_path: Path, size: int | None) -> None:
    paths = shards(tmp_path, *pairs(400, 64), 200)
    tracemalloc.start()
    try:
        found = read_shards(paths, 300, size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.masks is not None
    held = found.images.nbytes + found.masks.bits.nbytes
    assert held == 300 * (size or 64) ** 2 * 17 / 8  # 16 bits of the image, one of the mask
    assert peak < held + 1.5e6  # 32 pairs of 64 x 64 x 2 bytes as read, as bytes, and resized


def test_pixels_beyond_the_count_are_not_read(tmp_path: Path) -> None:
    images, masks = pairs(12, 8)
    first, second, third = shards(tmp_path, images, masks, 4)
    whole = third.read_bytes()
    at = whole.index(images[9].tobytes())
    third.write_bytes(whole[:at] + b"\0" + whole[at + 1 :])
    assert np.array_equal(read_shards([third, second, first], 8).images, images[:8])
    for count in (9, None):  # the damaged pair is not among the first nine; its shard is read to its end
        with pytest.raises(UserError, match=r"8.npz is damaged \(Bad CRC-32 .*delete it and draw it again"):
            read_shards([first, second, third], count)


@pytest.mark.parametrize("values", [(0, 255), (0, 2), (1, 3)])
def test_masks_of_other_values_are_refused(tmp_path: Path, values: tuple[int, int]) -> None:
    images, masks = pairs(40, 8)
    masks[35] = np.array(values, np.uint8)[masks[35]]
    listed = ", ".join(map(str, sorted({0, 1, *values})))
    with pytest.raises(UserError, match=rf"s.npz holds masks with the values {listed}, not 0 and 1 alone"):
        read_shards([write(tmp_path / "s.npz", 0, images, masks)], 2)


def test_shards_of_different_content_are_refused(tmp_path: Path) -> None:
    images, masks = pairs(4, 8)
    first = write(tmp_path / "first.npz", 0, images, masks)
    with pytest.raises(UserError, match="next.npz holds images, but others images and masks"):
        read_shards([first, write(tmp_path / "next.npz", 4, images, None)])
    with pytest.raises(UserError, match=r"next.npz holds images of \[4, 4\] pixels, not of \[8, 8\]"):
        read_shards([first, write(tmp_path / "next.npz", 4, images[:, :4, :4], masks[:, :4, :4])])
    with pytest.raises(UserError, match=r"wrong.npz holds masks of \[8, 4\] pixels, not of \[8, 8\]"):
        read_shards([write(tmp_path / "wrong.npz", 0, images, masks[:, :, :4])])
    with pytest.raises(UserError, match=r"wrong.npz holds images of int32 \[4, 8, 8\], not 4 of uint16"):
        read_shards([write(tmp_path / "wrong.npz", 0, images.astype(np.int32), masks)])
    with pytest.raises(UserError, match=r"wrong.npz holds masks of uint8 \[3, 8, 8\], not 4 of uint8"):
        read_shards([write(tmp_path / "wrong.npz", 0, images, masks[:3])])


@pytest.mark.parametrize(
    ("said", "sentence"),
    [({"last": 0}, "its provenance names no pairs"), ({"generator": None}, None), ({}, "its provenance lacks fold")],
)
def test_a_provenance_that_says_too_little_is_damage(tmp_path: Path, said: dict, sentence: str | None) -> None:
    path = write(tmp_path / "s.npz", 0, *pairs(2, 4), **said)
    if not said:
        np.savez(path, images=pairs(2, 4)[0], provenance=np.array(json.dumps(
            {"generator": "toy", "seed": 0, "model_files": {}, "first": 0, "last": 2})))  # fmt: skip
    if sentence is None:
        assert len(read_shards([path]).images) == 2
        return
    with pytest.raises(UserError, match=rf"s.npz is damaged \({sentence}\)"):
        read_shards([path])


def test_a_shard_without_images_is_damaged(tmp_path: Path) -> None:
    said = {"generator": "t", "fold": 0, "seed": 0, "model_files": {}, "first": 0, "last": 2}
    np.savez(tmp_path / "s.npz", masks=pairs(2, 4)[1], provenance=np.array(json.dumps(said)))
    with pytest.raises(UserError, match=r"s.npz is damaged \(it holds no images\)"):
        read_shards([tmp_path / "s.npz"])


def test_lesions_that_vanish_are_counted_over_all_shards(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = np.zeros((6, 16, 16), np.uint16)
    masks = np.zeros(images.shape, np.uint8)
    masks[[0, 3, 4], 5, 5] = 1  # a pixel of 16 vanishes at 4 x 4
    masks[1, 4:12, 4:12] = 1
    read_shards(shards(tmp_path, images, masks, 2), image_size=4)
    assert caplog.messages == ["3 synthetic lesions of 6 vanish at 4 pixels."]
    caplog.clear()
    read_shards(shards(tmp_path, images[1:3], masks[1:3], 2), image_size=4)
    assert not caplog.messages


@pytest.mark.parametrize("count", [0, -3])
def test_no_pairs_cannot_be_asked_for(tmp_path: Path, count: int) -> None:
    path = write(tmp_path / "s.npz", 0, *pairs(2, 4))
    with pytest.raises(UserError, match=f"{count} synthetic pairs are asked for; ask for 1 or more"):
        read_shards([path], count)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, folds.csv and the shard s.npz of 12 pairs of fold 0."""
    from pig.data.folds import read_folds, split
    from pig.data.store import Store

    folder = make_study(tmp_path_factory.mktemp("discs") / "study", 32)
    patients = split(Store.open(folder / "store"), read_folds(folder / "folds.csv"), 0)[0].patients
    write(folder / "s.npz", 0, *pairs(12, 32), patients=patients)
    return folder


@pytest.mark.parametrize(("words", "used"), [([], 12), (["--count", "5"], 5)], ids=["all", "five"])
def test_a_segmentation_takes_all_pairs_unless_a_count_is_given(
    study: Path, tmp_path: Path, words: list[str], used: int
) -> None:
    training = {"batch_size": 2, "learning_rate": 1e-3, "steps": 1}
    settings = {"encoder": "resnet18", "encoder_depth": 3, "image_size": 16, "training": training}
    where = ["--store", study / "store", "--folds", study / "folds.csv", "--fold", 0, "--work", tmp_path / "work"]
    what = ["--settings", json.dumps(settings), "--synthetic", study / "s.npz", "--out", tmp_path / "out", *words]
    assert main(["segment", *map(str, where), *map(str, what)]) == 0
    assert json.loads((tmp_path / "out/record.json").read_text())["synthetic_pairs"] == used


@pytest.mark.parametrize("command", ["segment", "fid", "export"])
@pytest.mark.parametrize("count", ["0", "-1", "1.5", "many"])
def test_a_count_is_a_number_of_pairs(command: str, count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, f"--count={count}", "--out", "out"])
    assert end.value.code == 2
    assert f"argument --count: expected a whole number, 1 or more, got '{count}'" in capsys.readouterr().err


@pytest.mark.parametrize("while_reading", [False, True])
def test_synthetic_lesions_that_vanish_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, while_reading: bool
) -> None:
    masks = np.zeros((3, 8, 8), np.uint8)
    masks[0, 0, 0] = masks[1, 2:4, 2:4] = 1  # a quarter of a new pixel, a whole one, and none
    said = {"generator": "g", "fold": 0, "seed": 0, "model_files": {}, "first": 0, "last": 3}
    images, provenance = np.zeros((3, 8, 8), np.uint16), np.array(json.dumps(said))
    np.savez(tmp_path / "s.npz", images=images, masks=masks, first=np.array(0), provenance=provenance)
    pool = read_shards([tmp_path / "s.npz"], image_size=4 if while_reading else None).pool(4)
    assert pool.masks[:].any((1, 2)).tolist() == [False, True, False]
    assert caplog.text.count("1 synthetic lesions of 3 vanish at 4 pixels") == 1
