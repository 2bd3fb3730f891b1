"""What users bring: colours, palettes, odd masks, odd paths, odd patients."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from study_files import lesion, ramp, write_png, write_study

from pig.cli import main
from pig.data.folds import make_folds
from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest
from pig.data.preprocess import build_store
from pig.data.settings import PreprocessSettings
from pig.data.store import Store
from pig.system.errors import UserError


def test_colours_become_luminance_only_when_asked(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    path = write_png(tmp_path / "a.png", colours)
    with pytest.raises(UserError, match=r"pixels of type RGB; save it as .* set preprocessing\.colour to luminance"):
        read_grey(path)
    grey = read_grey(path, "luminance")
    assert grey.dtype == np.uint16
    # ITU-R BT.601: 0.299, 0.587, 0.114 of full scale; a grey stays itself.
    assert grey.tolist() == [[round(0.299 * 65535), round(0.587 * 65535), round(0.114 * 65535), 9 * 257]]


def test_palettes_alpha_and_jpeg(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    palette.save(tmp_path / "p.png")
    assert read_mask(tmp_path / "p.png").tolist() == [[0, 1]]
    assert read_grey(tmp_path / "p.png", "luminance").tolist() == [[0, round(0.299 * 65535)]]
    clear = np.dstack([np.full((2, 2, 3), 7, np.uint8), np.array([[255, 255], [255, 0]], np.uint8)])
    with pytest.raises(UserError, match="transparent pixels"):
        read_grey(write_png(tmp_path / "c.png", clear), "luminance")
    clear[..., 3] = 255
    assert (read_grey(write_png(tmp_path / "c.png", clear), "luminance") == 7 * 257).all()
    Image.fromarray(np.full((8, 8), 100, np.uint8)).save(tmp_path / "j.jpg")
    assert (read_grey(tmp_path / "j.jpg") == 100).all()


def test_masks_saved_in_colour_without_colours(tmp_path: Path) -> None:
    grey = np.repeat(lesion()[..., None], 3, axis=2)
    assert (read_mask(write_png(tmp_path / "m.png", grey)) == (lesion() > 0)).all()
    grey[0, 0] = [255, 0, 0]
    with pytest.raises(UserError, match="pixels of type RGB; save the mask as grey"):
        read_mask(write_png(tmp_path / "m.png", grey))


def test_float_masks(tmp_path: Path) -> None:
    Image.fromarray(lesion().astype(np.float32) / 255).save(tmp_path / "m.tif")
    with pytest.raises(UserError, match="pixels of type F; save the mask as grey"):
        read_mask(tmp_path / "m.tif")


def test_a_mask_of_32_bits_keeps_large_labels(tmp_path: Path) -> None:
    assert read_mask(write_png(tmp_path / "m.tif", np.array([[0, 65536]], np.int32))).tolist() == [[0, 1]]


def test_16_bits_clipped_to_8_have_no_contrast(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a"])
    write_png(tmp_path / "images/0.png", np.minimum(ramp(), 255).astype(np.uint8))
    with pytest.raises(UserError, match="row 2: no contrast"):
        build_store(manifest, PreprocessSettings(8), tmp_path / "store")


@pytest.mark.parametrize("other", ["ANNA", "anna", "Anna\u0301"])
def test_a_patient_in_two_spellings(tmp_path: Path, other: str) -> None:
    first = "Ann\u00e1" if "\u0301" in other else "Anna"
    with pytest.raises(UserError, match=r"row 4: patient_id .* is spelled .* in row 2"):
        read_manifest(write_study(tmp_path, [first, "b", other]))


def test_spaces_within_a_patient(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row 3: patient_id 'A  B' is spelled 'A B' in row 2"):
        read_manifest(write_study(tmp_path, ["A B", "A  B"]))
    assert len(read_manifest(write_study(tmp_path, ["A1", "A-1", "007", "7"]))) == 4


def test_a_relative_path_that_leaves_the_folder(tmp_path: Path) -> None:
    path = write_study(tmp_path / "study")
    write_png(tmp_path / "secret.png", ramp())
    text = path.read_text()
    path.write_text(text.replace("images/0.png", "images/../../secret.png"))
    with pytest.raises(UserError, match=r"row 2: image_path images/../../secret.png leaves the manifest's folder"):
        read_manifest(path)
    path.write_text(text.replace("images/0.png", str(tmp_path / "secret.png")))
    assert read_manifest(path)["image_path"][0] == str(tmp_path / "secret.png")
    (tmp_path / "study/link.png").symlink_to(tmp_path / "secret.png")
    path.write_text(text.replace("images/0.png", "link.png"))
    with pytest.raises(UserError, match=r"row 2: image_path link.png leaves the manifest's folder"):
        read_manifest(path)


def test_a_parquet_manifest(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["007", "8"], density=["a", None])
    table = pd.read_csv(path, dtype={"patient_id": str})
    table.to_parquet(tmp_path / "m.parquet")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "m.parquet"), read_manifest(path), check_dtype=False)
    table.assign(patient_id=[7, 8]).to_parquet(tmp_path / "m.parquet")
    assert read_manifest(tmp_path / "m.parquet")["patient_id"].tolist() == ["7", "8"]
    table.assign(patient_id=[7.0, None]).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(UserError, match="patient_id holds numbers with a point"):
        read_manifest(tmp_path / "m.parquet")
    shuffled = table.assign(patient_id=["007", "8"]).iloc[[1, 0]]  # pandas writes the order that rows had before
    shuffled.to_parquet(tmp_path / "m.parquet")
    read = read_manifest(tmp_path / "m.parquet")
    assert (read.index.tolist(), read["patient_id"].tolist()) == ([0, 1], ["8", "007"])
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not a readable Parquet table"):
        read_manifest(tmp_path / "m.parquet")


def test_one_patient_in_all_data() -> None:
    with pytest.raises(UserError, match="the data have 1 patient;"):
        make_folds(pd.DataFrame({"patient_id": ["a", "a"]}), 2, 0)


def test_fewer_patients_than_folds(tmp_path: Path) -> None:
    """By the command line, on a store that was made from files."""
    manifest = write_study(tmp_path, ["a", "b", "b"])
    store = build_store(manifest, PreprocessSettings(8), tmp_path / "store").path
    words = ["folds", "--store", str(store), "--fold-count", "3", "--out", str(tmp_path / "folds.csv")]
    assert main(words) == 2
    assert not (tmp_path / "folds.csv").exists()
    words[4] = "2"
    assert main(words) == 0


def test_two_bad_files_among_thousands_are_named_with_their_rows(tmp_path: Path) -> None:
    count = 3000
    for kind, pixels in (("images", ramp()), ("masks", lesion())):
        first = write_png(tmp_path / kind / "0.png", pixels)
        for number in range(1, count):
            (tmp_path / kind / f"{number}.png").hardlink_to(first)
    rows = [(f"images/{n}.png", f"masks/{n}.png", n // 3) for n in range(count)]
    table = pd.DataFrame(rows, columns=["image_path", "mask_path", "patient_id"])
    table.to_csv(tmp_path / "m.csv", index=False)
    for path in (tmp_path / "images/1234.png", tmp_path / "masks/2998.png"):
        whole = path.read_bytes()
        path.unlink()
        path.write_bytes(whole[:-60])
    with pytest.raises(UserError) as caught:
        build_store(tmp_path / "m.csv", PreprocessSettings(8), tmp_path / "store")
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert len(lines) == 3
    assert "has 2 errors" in lines[0]
    assert lines[1].startswith(f"row 1236: {tmp_path}/images/1234.png cannot be read")
    assert lines[2].startswith(f"row 3000: {tmp_path}/masks/2998.png cannot be read")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_in_images_and_masks(tmp_path: Path, value: float) -> None:
    """TIFF is the one image format here that can hold them."""
    manifest = write_study(tmp_path, ["a"])
    pixels = ramp().astype(np.float32)
    pixels[12, 8] = value
    Image.fromarray(pixels).save(tmp_path / "images/0.png", "TIFF")
    Image.fromarray(pixels).save(tmp_path / "masks/0.png", "TIFF")
    with pytest.raises(UserError) as caught:
        build_store(manifest, PreprocessSettings(8), tmp_path / "store")
    said = str(caught.value)
    assert "row 2: " in said
    assert "images/0.png has pixels of type F; save it as 8- or 16-bit grey" in said
    assert "masks/0.png has pixels of type F; save the mask as grey" in said


@pytest.mark.parametrize("target", ["absent.png", "loop.png", "folder"])
def test_a_link_that_leads_to_no_file(tmp_path: Path, target: str) -> None:
    manifest = write_study(tmp_path, ["a", "b"])
    (tmp_path / "folder").mkdir()
    (tmp_path / "images/0.png").unlink()
    (tmp_path / "loop.png").symlink_to(tmp_path / "images/0.png")
    (tmp_path / "images/0.png").symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=r"has 1 error .*\n  row 2: image_path .*images/0\.png is not a file"):
        read_manifest(manifest)


def test_one_image_in_two_rows_by_two_links(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a", "b"])
    (tmp_path / "images/1.png").unlink()
    (tmp_path / "images/1.png").symlink_to(tmp_path / "images/0.png")
    with pytest.raises(UserError, match="row 3: the same image as row 2"):
        read_manifest(manifest)


def test_spaces_and_other_letters_in_every_name(tmp_path: Path) -> None:
    folder = tmp_path / "Ma\u00df, \u00c4rzte \u6570\u636e"
    manifest = write_study(folder, ["J\u00f6rg 1", "\u60a3\u8005"])
    table = pd.read_csv(manifest)
    for kind in ("image", "mask"):
        (folder / f"{kind}s/0.png").rename(folder / f"{kind}s/gr\u00fcn & 'blau' 1.png")
        table.loc[0, f"{kind}_path"] = f"{kind}s/gr\u00fcn & 'blau' 1.png"
    table.to_csv(manifest, index=False)
    out = folder / "der Speicher"
    assert main(["preprocess", "--manifest", str(manifest), "--settings", "{size: 8}", "--out", str(out)]) == 0
    store = Store.open(out)
    assert store.manifest["patient_id"].tolist() == ["J\u00f6rg 1", "\u60a3\u8005"]
    assert store.masks.any((1, 2)).all()
