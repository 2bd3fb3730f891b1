from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_files import lesion, write_png, write_study

from pig.data.breast import orient
from pig.data.geometry import to_source
from pig.data.preprocess import build_store
from pig.data.settings import PreprocessSettings
from pig.data.volume import Slice, prepare_volume


def mammogram(right: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A breast on the left with a label in the other corner, and a lesion in it."""
    y, x = np.mgrid[:120, :90]
    breast = ((x / 60) ** 2 + ((y - 60) / 50) ** 2) < 1
    image = np.where(breast, 20000 + 100 * x + 50 * y, 0).astype(np.uint16)
    image[2:12, 75:88] = 65535
    mask = (((x - 25) ** 2 + (y - 50) ** 2) < 64).astype(np.uint8)
    return (image[:, ::-1], mask[:, ::-1]) if right else (image, mask)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_what_is_carried_back_is_what_was_there(
    scale: int, height: int, width: int, top: int, left: int, flip: bool
) -> None:
    # Stored at one pixel per block of scale x scale, with padding to a square.
    side = max(height, width)
    rng = np.random.default_rng(0)
    stored = np.zeros((side, side), np.uint8)
    stored[:height, :width] = rng.integers(0, 2, (height, width))
    expected = np.zeros((top + height * scale + 2, left + width * scale + 3), np.uint8)
    # At scale 1 nothing is resized and any mask comes back; above, edges are smoothed: a full box keeps its own.
    if scale > 1:
        stored[:height, :width] = 1
        stored[:height, width:] = stored[height:] = 0
    inner = np.kron(stored[:height, :width], np.ones((scale, scale), np.uint8))
    expected[top : top + height * scale, left : left + width * scale] = inner
    row = {
        "source_h": expected.shape[0], "source_w": expected.shape[1], "crop_y0": top, "crop_x0": left,
        "crop_h": height * scale, "crop_w": width * scale, "pad_h": (side - height) * scale,
        "pad_w": (side - width) * scale, "flip": int(flip),
    }  # fmt: skip
    back = to_source(stored, row)
    corners = np.abs(back - (expected[:, ::-1] if flip else expected).astype(int)).sum()
    assert corners <= (0 if scale == 1 else 2 * scale * scale)


@pytest.mark.parametrize("aspect", ["stretch", "pad"])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("anatomy", ["any", "breast"])
def test_the_round_trip_through_a_store(tmp_path: Path, aspect: str, right: bool, anatomy: str) -> None:
    manifest = write_study(tmp_path, ["a"])
    image, mask = mammogram(right)
    write_png(tmp_path / "images/0.png", np.ascontiguousarray(image))
    write_png(tmp_path / "masks/0.png", np.ascontiguousarray(mask))
    store = build_store(manifest, PreprocessSettings(96, aspect, anatomy), tmp_path / "store")
    assert ("flip" in store.manifest) == (anatomy == "breast")
    back = to_source(store.masks[0], store.manifest.iloc[0])
    assert back.shape == mask.shape
    dice = 2 * (back & mask).sum() / (back.sum() + mask.sum())
    assert dice > 0.95


@pytest.mark.parametrize("background", [0, 3000])
@pytest.mark.parametrize("right", [False, True])
def test_the_breast_is_found_and_turned(right: bool, background: int) -> None:
    image, _ = mammogram(right)
    if background:  # film: the background is no single value
        noise = np.random.default_rng(0).integers(0, 500, image.shape)
        image = np.where(image == 0, background + noise, image).astype(np.uint16)
    (turned,), breast, flipped = orient([image])
    assert flipped == right
    left_image, left_mask = mammogram()
    assert breast[left_mask > 0].all()
    assert (turned[2:12, 75:88] == image.min()).all()
    inside = left_image > 0
    inside[2:12, 75:88] = False
    assert (turned[inside] == left_image[inside]).mean() > 0.99


def test_faint_tissue_is_breast_where_the_background_is_flat_and_where_it_is_film() -> None:
    bright, faint = np.s_[10:110, :30], np.s_[10:110, 30:50]
    flat = np.zeros((120, 90), np.uint16)
    flat[bright], flat[faint] = 60_000, 100  # far below any threshold between the two
    film = np.random.default_rng(0).integers(0, 30, flat.shape).astype(np.uint8)
    film[bright], film[faint] = 200, 80  # 80 is on the dark side of Otsu's threshold
    for image in (flat, film):
        _, breast, flipped = orient([image])
        assert breast[bright].all() and breast[faint].all() and not flipped
        assert not breast[:, 55:].any()


def test_dark_tissue_at_the_chest_wall_is_breast() -> None:
    image, _ = mammogram()
    image[55:65, :12] = 0  # open to the left
    _, breast, _ = orient([image])
    assert breast[55:65, :12].all()


def test_data_of_no_breasts_are_never_turned(tmp_path: Path) -> None:
    image, mask = mammogram(right=True)
    write_png(tmp_path / "i.png", np.ascontiguousarray(image))
    write_png(tmp_path / "m.png", np.ascontiguousarray(mask))
    prepared = prepare_volume([Slice(0, str(tmp_path / "i.png"), str(tmp_path / "m.png"))], PreprocessSettings(64))
    assert prepared.geometry is not None
    assert prepared.geometry.flip == 0
    assert np.argwhere(prepared.masks[0]).mean(axis=0)[1] > 32


def test_a_full_window_keeps_grey_values(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a"])
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_png(tmp_path / "images/0.png", image)
    write_png(tmp_path / "masks/0.png", lesion(16, 16))
    store = build_store(manifest, PreprocessSettings(16, window="full"), tmp_path / "store")
    assert (store.images[0] == image.astype(int) * 257).all()
    assert isinstance(store.manifest, pd.DataFrame)
