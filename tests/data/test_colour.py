"""Images with colours: three channels from the file to the batch, and grey that stays what it was."""

import struct
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from PIL import Image
from study_files import lesion, ramp, write_png, write_study
from torch import Tensor

from pig.data.checks import check
from pig.data.images import read_colours, read_grey
from pig.data.preprocess import build_store
from pig.data.resize import resize_images
from pig.data.settings import PreprocessSettings
from pig.data.shards import SyntheticPool
from pig.data.store import PairDataset, Store
from pig.system.errors import UserError

KEEP = PreprocessSettings(size=20, window="full", colour="keep")
GREY_AS_BEFORE = {  # fingerprints of stores that were made before there were colours
    "percentile": ({"size": 20}, "a4c908a6891ee591251b8c107118fea1f639c6d15e810bb0dddf776c5e81d2e4"),
    "full": (
        {"size": 32, "aspect": "pad", "window": "full"},
        "3a82be70cac57e0d50d04c79d328cf96a59883fb9a7ae9283137b2b8bd62e7ea",
    ),
}


def painted(red: int = 200, green: int = 100, blue: int = 40, height: int = 24, width: int = 16) -> np.ndarray:
    """Black, with one colour from row 4 and column 3 on, which is brighter by 20 in the upper half."""
    image = np.zeros((height, width, 3), np.uint8)
    image[4:, 3:] = red, green, blue
    image[4:14, 3:] += np.uint8(20)
    return image


def write_colours(folder: Path, *pictures: np.ndarray) -> Path:
    manifest = write_study(folder, [f"p{number}" for number in range(len(pictures))])
    for number, picture in enumerate(pictures):
        write_png(folder / f"images/{number}.png", picture)
    return manifest


@pytest.mark.parametrize("name", GREY_AS_BEFORE)
def test_grey_is_as_it_was_before_there_were_colours(tmp_path: Path, name: str) -> None:
    settings, fingerprint = GREY_AS_BEFORE[name]
    store = build_store(write_study(tmp_path), PreprocessSettings(**settings), tmp_path / "store")
    assert store.fingerprint == fingerprint
    assert (store.channels, store.images.ndim) == (1, 3)


def test_a_store_in_colour_by_hand(tmp_path: Path) -> None:
    manifest = write_colours(tmp_path, painted(), painted(10, 30, 250 - 20))
    store = build_store(manifest, KEEP, tmp_path / "store")
    assert (store.size, store.channels, store.images.shape, store.masks.shape) == (20, 3, (2, 3, 20, 20), (2, 20, 20))
    # The box is rows 4 to 23 and columns 3 to 15; 20 rows stay 20, the 13 columns are all alike.
    values = (np.array([[200, 100, 40], [10, 30, 230]])[:, :, None] + np.where(np.arange(20) < 10, 20, 0)) * 257
    assert (store.images == values[..., None]).all()
    assert Store.open(store.path).fingerprint == store.fingerprint
    images, masks = PairDataset(store, np.array([1, 0]), 20).batch(np.array([1]))
    assert (images.shape, masks.shape) == ((1, 3, 20, 20), (1, 1, 20, 20))
    assert torch.allclose(images[0, :, 0, 0], torch.tensor([220, 120, 60]) / 127.5 - 1)
    smaller, _ = PairDataset(store, np.arange(2), 10).batch(np.array([1]))
    assert (smaller.shape, masks.sum()) == ((1, 3, 10, 10), masks[0, 0].sum())
    assert torch.allclose(smaller[0, :, 0, 0], torch.tensor([30, 50, 250]) / 127.5 - 1)


def test_a_pixel_is_blank_where_all_three_channels_are(tmp_path: Path) -> None:
    picture = painted()
    picture[2, 1] = 200, 0, 0
    store = build_store(write_colours(tmp_path, picture, painted()), KEEP, tmp_path / "store")
    boxes = store.manifest[["crop_y0", "crop_x0", "crop_h", "crop_w"]].to_numpy().tolist()
    assert boxes == [[2, 1, 22, 15], [4, 3, 20, 13]]


def test_one_window_for_the_three_channels_keeps_the_hue(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((24, 16, 3), np.uint8)
    picture[4:, 3:] = rng.integers(60, 120, (20, 13, 1)) * np.array([1.0, 0.5, 0.25])
    manifest = write_colours(tmp_path, picture, picture)
    store = build_store(manifest, PreprocessSettings(20, colour="keep"), tmp_path / "s")
    red, green, blue = store.images[0].reshape(3, -1).astype(float)
    assert (red > green).all() and (green >= blue).all() and (green > blue).any()
    low, high = 15, 119  # the least and the greatest value at 0.5 % and 99.5 %, of all channels together
    inside = picture[4:, 3:][:, 0].astype(float)
    expected = ((inside - low) / (high - low)).clip(0, 1) * 65535
    assert np.abs(store.images[0][:, :, 0].T - expected).max() < 65535 * 2 / (high - low)


def test_grey_beside_colours_has_three_equal_channels(tmp_path: Path) -> None:
    grey = np.zeros((24, 16), np.uint8)
    grey[4:, 3:] = np.arange(20 * 13).reshape(20, 13) % 251
    manifest = write_colours(tmp_path, painted(), grey)
    images = build_store(manifest, KEEP, tmp_path / "store").images
    assert (images[1] == images[1, :1]).all()
    assert (images[1, 0, :, 0] == grey[4:, 3].astype(np.uint16) * 257).all()


def test_what_cannot_be_a_colour_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "deep.png", ramp())
    with pytest.raises(UserError, match=r"deep\.png is grey of 16 bits, and with preprocessing\.colour keep"):
        read_colours(tmp_path / "deep.png")
    clear = np.dstack([painted(), np.full((24, 16), 255, np.uint8)])
    assert (read_colours(write_png(tmp_path / "opaque.png", clear)) == painted()).all()
    clear[0, 0, 3] = 254
    with pytest.raises(UserError, match="transparent pixels"):
        read_colours(write_png(tmp_path / "clear.png", clear))
    with pytest.raises(UserError, match=r"colour: must be refuse or luminance for anatomy breast"):
        PreprocessSettings(20, anatomy="breast", colour="keep")


def test_colours_without_colour_are_grey(tmp_path: Path) -> None:
    grey = np.arange(24 * 16, dtype=np.uint16).reshape(24, 16).astype(np.uint8)
    three = np.repeat(grey[..., None], 3, axis=2)
    assert (read_grey(write_png(tmp_path / "a.png", three)) == grey).all()
    three[5, 5, 2] ^= 1
    with pytest.raises(UserError, match=r"pixels of type RGB; .*preprocessing\.colour to luminance or keep"):
        read_grey(write_png(tmp_path / "a.png", three))


def test_a_store_of_another_number_of_channels_is_refused(tmp_path: Path) -> None:
    store = build_store(write_colours(tmp_path, painted(), painted()), KEEP, tmp_path / "store")
    text = (store.path / "store.json").read_text()
    for said, message in (("4", r"gives 4 channels, not 1 or 3"), ("1", r"images\.npy holds uint16 \[2, 3, 20, 20\]")):
        (store.path / "store.json").write_text(text.replace('"channels": 3', f'"channels": {said}'))
        with pytest.raises(UserError, match=message):
            Store.open(store.path)


def test_the_check_tells_of_colours_that_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    grey = np.repeat(painted()[..., :1], 3, axis=2)
    for name, pictures, told in (("grey", [grey, grey + np.uint8(1)], True), ("one", [grey, painted()], False)):
        caplog.clear()
        check(write_colours(tmp_path / name, *pictures), KEEP, tmp_path / name / "check", folds=2)
        assert ("no image has colours" in caplog.text) == told
        assert "data:image/png" in (tmp_path / name / "check/report.html").read_text()


@given(st.integers(1, 5), st.integers(1, 24), st.integers(0, 2**32 - 1))
def test_channels_are_resized_as_grey_images_are(count: int, size: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 2**16, (count, 3, 12, 12)).astype(np.uint16)
    resized = resize_images(images, size)
    for channel in range(3):
        assert (resized[:, channel] == resize_images(images[:, channel], size)).all()


def test_a_pool_of_synthetic_pairs_in_colour() -> None:
    images = np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).astype(np.uint16)
    masks = np.stack([lesion(4, 4), np.ones((4, 4), np.uint8)])
    batch: tuple[Tensor, Tensor] = SyntheticPool(images, masks).batch(np.array([1]))
    assert (batch[0].shape, batch[1].shape) == ((1, 3, 4, 4), (1, 1, 4, 4))
    assert torch.allclose(batch[0], torch.from_numpy(images[1:].astype(np.float32)) * 2 / 65535 - 1)


def test_colours_of_16_bits_whose_planes_lie_one_after_another_are_refused(tmp_path: Path) -> None:
    """TIFF with PlanarConfiguration 2: Pillow reads its bytes as pixels of 8 bits, without a word."""
    side, count = 4, 3
    planes = np.arange(count * side * side, dtype="<u2").tobytes()
    tags = [(256, 3, 1, side), (257, 3, 1, side), (258, 3, 3, None), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 3, None),
            (277, 3, 1, 3), (278, 3, 1, side), (279, 4, 3, None), (284, 3, 1, 2)]  # fmt: skip
    behind = 8 + 2 + 12 * len(tags) + 4
    bits, starts, sizes = behind, behind + 6, behind + 18
    first = behind + 30
    extra = struct.pack("<3H", 16, 16, 16)
    extra += struct.pack("<3I", *(first + plane * 2 * side * side for plane in range(count)))
    extra += struct.pack("<3I", *[2 * side * side] * count)
    where = {258: bits, 273: starts, 279: sizes}
    entries = b"".join(
        struct.pack("<HHI", tag, kind, number) + struct.pack("<I", where.get(tag, value or 0))
        for tag, kind, number, value in tags
    )
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
    (tmp_path / "a.tif").write_bytes(header + extra + planes)
    with Image.open(tmp_path / "a.tif") as file:
        assert file.mode == "RGB"
    with pytest.raises(UserError, match="has colours of 16 bits"):
        read_grey(tmp_path / "a.tif")
