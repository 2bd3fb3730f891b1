"""Images that are stored in another way than they are shown: turned, inverted, by a palette, with few grey values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from study_files import lesion, ramp, write_png

from pig.data.images import orientation_of, read_grey, read_mask, read_plain, size_of
from pig.data.manifest import read_manifest
from pig.data.preprocess import build_store
from pig.data.readers import import_data
from pig.data.settings import PreprocessSettings
from pig.data.volume import Slice, prepare_volume
from pig.system.errors import UserError

# EXIF 2.3, tag 274: how what is shown comes from what is stored.
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}
FORMATS = {"png": {}, "jpg": {"quality": 100}, "tif": {}}


def save(path: Path, pixels: np.ndarray, orientation: int, **how: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(path, exif=exif, **how)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("ending", FORMATS)
def test_pixels_are_turned_as_the_file_says_in_every_format(tmp_path: Path, ending: str, orientation: int) -> None:
    stored = np.kron(np.arange(6).reshape(2, 3) * 40, np.ones((8, 8))).astype(np.uint8)
    path = save(tmp_path / f"a.{ending}", stored, orientation, **FORMATS[ending])
    shown = TURNS[orientation](stored)
    assert orientation_of(path) == orientation
    assert size_of(path) == shown.shape
    for found in (read_grey(path), read_plain(path)):
        assert found.shape == shown.shape
        assert np.abs(found.astype(int) - shown).max() <= (3 if ending == "jpg" else 0)


def test_a_png_may_say_it_behind_its_pixels(tmp_path: Path) -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6)
    content = save(tmp_path / "a.png", stored, 6).read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    last = content.index(b"IEND") - 4
    assert start < content.index(b"IDAT")
    (tmp_path / "b.png").write_bytes(content[:start] + content[end:last] + content[start:end] + content[last:])
    assert orientation_of(tmp_path / "b.png") == 6
    assert size_of(tmp_path / "b.png") == (6, 4)
    assert (read_grey(tmp_path / "b.png") == np.rot90(stored, -1)).all()


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_image_that_is_turned_keeps_its_lesion_through_import(tmp_path: Path, orientation: int) -> None:
    image, mask = ramp(), lesion()
    image[mask > 0] = bright = int(np.iinfo(image.dtype).max)
    save(tmp_path / "in/images/p1.png", image, orientation)
    save(tmp_path / "in/masks/p1.png", mask, orientation)
    manifest = import_data("folders", tmp_path / "in", {"patient": "(p1)"}, tmp_path / "out")
    table = read_manifest(manifest)
    shown, where = read_grey(table["image_path"][0]), read_mask(table["mask_path"][0])
    assert (where == (TURNS[orientation](mask) > 0)).all()
    assert (shown == TURNS[orientation](image)).all()
    assert (shown[where > 0] == bright).all()
    store = build_store(manifest, PreprocessSettings(16), tmp_path / "store")
    inside = store.masks[0] > 0
    assert store.images[0][inside].mean() > 2 * store.images[0][~inside].mean()


def test_a_mask_that_is_not_turned_as_its_image_is_refused(tmp_path: Path) -> None:
    image = save(tmp_path / "in/images/p1.png", np.eye(16, dtype=np.uint8) * 255, 6)
    mask = write_png(tmp_path / "in/masks/p1.png", np.eye(16, dtype=np.uint8) * 255)
    message = r"images/p1.png says that its pixels are to be turned \(EXIF orientation 6\), .*masks/p1.png .* \(1\)"
    with pytest.raises(UserError, match=message):
        import_data("folders", tmp_path / "in", {"patient": "(p1)"}, tmp_path / "out")
    table = {"image_path": [str(image)], "mask_path": [str(mask)], "patient_id": ["p1"]}
    pd.DataFrame(table).to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(UserError, match=message):
        build_store(tmp_path / "manifest.csv", PreprocessSettings(16), tmp_path / "store")


@pytest.mark.parametrize("bits", [8, 16])
def test_white_is_zero_is_inverted_at_any_depth(tmp_path: Path, bits: int) -> None:
    most = 2**bits - 1
    shown = np.array([[0, most // 3, most], [most, 5, 0]], np.uint8 if bits == 8 else np.uint16)
    stored = shown if bits == 8 else most - shown  # of 8 bits Pillow inverts what it writes, too
    Image.fromarray(stored.astype(shown.dtype)).save(tmp_path / "w.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "w.tif") as file:
        assert file.tag_v2[262] == 0  # type: ignore[attr-defined]
    found = read_grey(tmp_path / "w.tif")
    assert found.dtype == shown.dtype
    assert (found == shown).all()


@pytest.mark.parametrize("entries", [[[0, 1], [1, 1]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]])
def test_a_palette_that_begins_with_white_does_not_invert_a_mask(tmp_path: Path, entries: list[list[int]]) -> None:
    pixels = np.array(entries, np.uint8)
    for name, colours in (("white first", [255] * 3 + [0] * 3), ("black first", [0] * 3 + [255] * 3)):
        image = Image.fromarray(pixels).convert("P")
        image.putdata(pixels.ravel().tolist())
        image.putpalette(colours)
        image.save(tmp_path / f"{name}.png")
    assert (read_mask(tmp_path / "white first.png") == (pixels == 0)).all()
    assert (read_mask(tmp_path / "black first.png") == (pixels == 1)).all()


def test_a_palette_of_colours_gives_its_entries(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putdata([0, 1])
    image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(tmp_path / "voc.png")
    assert read_mask(tmp_path / "voc.png").tolist() == [[0, 1]]


def test_slices_of_one_volume_have_one_type(tmp_path: Path) -> None:
    grey = np.arange(24 * 16, dtype=np.uint8).reshape(24, 16)
    write_png(tmp_path / "a.png", grey)
    write_png(tmp_path / "b.png", np.repeat(grey[..., None], 3, axis=2))
    write_png(tmp_path / "m.png", lesion())
    slices = [Slice(i, str(tmp_path / name), str(tmp_path / "m.png")) for i, name in enumerate(("a.png", "b.png"))]
    faults = prepare_volume(slices, PreprocessSettings(16, colour="luminance")).faults
    assert [row for row, _ in faults] == [1]
    assert "b.png is read as uint16, other slices of its volume uint8; save all of them alike" in faults[0][1]


@pytest.mark.parametrize(("most", "warned"), [(4095, True), (60_000, False)])
def test_twelve_bits_without_a_window_are_named(tmp_path: Path, most: int, warned: bool) -> None:
    image = (np.linspace(0, most, 24 * 16).reshape(24, 16)).astype(np.uint16)
    write_png(tmp_path / "a.png", image)
    write_png(tmp_path / "m.png", lesion())
    pair = [Slice(3, str(tmp_path / "a.png"), str(tmp_path / "m.png"))]
    warnings = prepare_volume(pair, PreprocessSettings(16, window="full")).warnings
    assert [row for row, sentence in warnings if f"{most} of 65535, is nearly black" in sentence] == [3] * warned
    sentences = [sentence for _, sentence in prepare_volume(pair, PreprocessSettings(16)).warnings]
    assert not [sentence for sentence in sentences if "nearly black" in sentence]


def test_a_number_with_and_without_a_point_is_one_patient(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_png(tmp_path / f"{name}.png", ramp())
        write_png(tmp_path / f"{name}m.png", lesion())
    table = {"image_path": ["a.png", "b.png"], "mask_path": ["am.png", "bm.png"], "patient_id": ["12", "12.0"]}
    pd.DataFrame(table).to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(UserError, match=r"row 3: patient_id '12\.0' is spelled '12' in row 2"):
        read_manifest(tmp_path / "manifest.csv")
