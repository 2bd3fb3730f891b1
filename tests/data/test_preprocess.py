import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from study_files import lesion, ramp, write_png, write_study

from pig.data.images import read_grey, read_mask
from pig.data.preprocess import build_store, group_volumes
from pig.data.resize import resize_image, resize_mask
from pig.data.settings import PreprocessSettings
from pig.data.store import Store
from pig.data.volume import Slice, prepare_volume
from pig.system.errors import UserError
from pig.system.settings import parse


def build(manifest: Path, size: int = 20, aspect: str = "stretch", jobs: int = 1) -> Store:
    return build_store(manifest, PreprocessSettings(size, aspect), manifest.parent / "store", jobs)


def windowed(image: np.ndarray) -> np.ndarray:
    """The recipe in a few lines: percentiles of what is not the minimum, clipped, 0..65535."""
    low, high = np.percentile(image[image > image.min()], [0.5, 99.5], method="inverted_cdf")
    return np.clip((image.astype(float) - low) / (high - low), 0, 1) * 65535


def test_a_store_by_hand(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["007", "b"], density=["a", "d"], diameter_mm=[4.5, 6.0])
    store = build(manifest)
    image, mask = ramp()[4:, 3:], lesion()[4:, 3:]  # the blank part cut: 20 x 13 pixels
    for row in range(2):
        expected = np.rint(resize_image(windowed(np.pad(image + row, ((1, 0), (0, 0))))[1:], 20, 20))
        assert (store.images[row] == expected).all()
        assert (store.masks[row] == resize_mask(mask > 0, 20, 20)).all()
    assert store.manifest["patient_id"].tolist() == ["007", "b"]
    assert store.manifest["diameter_mm"].tolist() == [4.5, 6.0]
    assert json.loads((store.path / "store.json").read_text()) == {
        "size": 20, "channels": 1, "aspect": "stretch", "count": 2, "fingerprint": store.fingerprint,
        "manifest": hashlib.sha256((store.path / "manifest.csv").read_bytes()).hexdigest(),
        "preprocessing": {
            "size": 20, "aspect": "stretch", "anatomy": "any", "window": "percentile", "colour": "refuse",
            "empty_masks": "refuse",
        },
    }  # fmt: skip
    assert store.preprocessing == PreprocessSettings(20)
    geometry = store.manifest.loc[0, "source_h":].to_dict()
    assert geometry == {
        "source_h": 24, "source_w": 16, "crop_y0": 4, "crop_x0": 3, "crop_h": 20, "crop_w": 13,
        "pad_h": 0, "pad_w": 0, "scale_y": 1, "scale_x": 20 / 13,
    }  # fmt: skip


def test_padding_keeps_the_proportions(tmp_path: Path) -> None:
    store = build(write_study(tmp_path), size=10, aspect="pad")
    geometry = store.manifest.loc[0, "pad_h":].to_dict()
    assert geometry == {"pad_h": 0, "pad_w": 7, "scale_y": 0.5, "scale_x": 0.5}
    # The lesion of 8 x 8 pixels from (10, 6) on lies in the box from (4, 3) on: 6..13, 3..10; halved.
    expected = np.zeros((10, 10), np.uint8)
    expected[3:7, 2:5] = 1  # columns 1.5..5.5: of 1 and 5 half is covered
    expected[3:7, 1] = expected[3:7, 5] = 1
    assert store.masks[0].tolist() == expected.tolist()
    assert (store.images[0][:, 7:] == 0).all()
    assert (store.images[0][1:, :6] > 0).all()


@given(st.tuples(*[st.integers(3, 12)] * 2), st.tuples(*[st.integers(0, 5)] * 4), st.sampled_from(["stretch", "pad"]))
def test_the_geometry_leads_back_to_the_source(
    tmp_path_factory: pytest.TempPathFactory, box: tuple[int, int], margins: tuple[int, ...], aspect: str
) -> None:
    """A single lesion pixel, found again in its source from the store's mask and the recorded geometry."""
    folder = tmp_path_factory.mktemp("study")
    (height, width), (top, bottom, left, right) = box, margins
    inner = np.arange(1, height * width + 1, dtype=np.uint16).reshape(box)
    image = np.pad(inner, ((top, bottom), (left, right)))
    mask = np.zeros(image.shape, np.uint8)
    y, x = top + height // 2, left + width // 3
    mask[y, x] = 255
    paths = (str(write_png(folder / name, array)) for name, array in (("i.png", image), ("m.png", mask)))
    prepared = prepare_volume([Slice(0, *paths)], PreprocessSettings(4 * max(box), aspect))
    geometry = prepared.geometry
    assert (geometry.source_h, geometry.source_w) == image.shape
    centre = np.argwhere(prepared.masks[0]).mean(axis=0) + 0.5
    back = np.array([geometry.crop_y0, geometry.crop_x0]) + centre / [geometry.scale_y, geometry.scale_x]
    assert back == pytest.approx([y + 0.5, x + 0.5], abs=0.5)


def test_the_slices_of_a_volume_share_box_and_window(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["p", "p", "q"], volume_id=["v", "v", "v"])
    write_png(
        tmp_path / "images/1.png", np.where(ramp(top=2, left=5) > 0, 5 * ramp(top=2, left=5), 0).astype(np.uint16)
    )
    store = build(manifest)
    boxes = store.manifest[["crop_y0", "crop_x0", "crop_h", "crop_w"]].to_numpy().tolist()
    assert boxes == [[2, 3, 22, 13], [2, 3, 22, 13], [4, 3, 20, 13]]
    both = windowed(np.stack([read_grey(tmp_path / f"images/{n}.png") for n in (0, 1)]))[:, 2:, 3:]
    for row in (0, 1):
        assert (store.images[row] == np.rint(resize_image(both[row], 20, 20))).all()
    # The third image, alike the first but of another patient, is windowed by itself and so is brighter.
    assert store.images[2].mean() > 2 * store.images[0].mean()


def test_blank_is_the_smallest_grey_value_of_all_slices(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["p", "p"], volume_id=["v", "v"])
    write_png(tmp_path / "images/1.png", np.maximum(ramp(), 7))  # nothing in it is blank, since 0 is
    boxes = build(manifest).manifest[["crop_y0", "crop_x0", "crop_h", "crop_w"]].to_numpy().tolist()
    assert boxes == [[0, 0, 24, 16]] * 2


def test_a_mask_does_not_widen_the_box(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = write_study(tmp_path)
    mask = lesion()
    mask[0, 0] = 255
    write_png(tmp_path / "masks/0.png", mask)
    assert build(manifest).manifest.loc[0, ["crop_y0", "crop_x0", "crop_h", "crop_w"]].tolist() == [4, 3, 20, 13]
    assert f"row 2: 1 of {(mask > 0).sum()} pixels of the lesion" in caplog.text


def test_volumes_are_named_by_patient_and_volume() -> None:
    table = pd.DataFrame({"image_path": list("abcdef"), "mask_path": list("ABCDEF"), "patient_id": list("ppqppp")})
    assert [[s.row for s in volume] for volume in group_volumes(table)] == [[0], [1], [2], [3], [4], [5]]
    table["volume_id"] = ["1", "2", "1", "1", None, None]
    assert [[s.row for s in volume] for volume in group_volumes(table)] == [[0, 3], [1], [2], [4], [5]]


def test_processes_change_nothing(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a", "a", "b", "c"], volume_id=["1", "1", "1", "1"])
    settings = PreprocessSettings(8)
    one = build_store(manifest, settings, tmp_path / "one", jobs=1)
    two = build_store(manifest, settings, tmp_path / "two", jobs=2)
    for name in ("images.npy", "masks.npy", "manifest.csv", "store.json"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_files(tmp_path: Path, suffix: str, dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (5, 7), dtype, endpoint=True)
    read = read_grey(write_png(tmp_path / f"a.{suffix}", image))
    assert read.dtype == dtype
    assert (read == image).all()


def test_big_endian_and_32_bit_files_of_16_bits(tmp_path: Path) -> None:
    image = np.array([[0, 300], [40000, 65535]], np.int32)
    assert read_grey(write_png(tmp_path / "a.tif", image)).tolist() == image.tolist()
    Image.fromarray(image.astype(">u2")).save(tmp_path / "b.tif")
    assert read_grey(tmp_path / "b.tif").tolist() == image.tolist()
    with pytest.raises(UserError, match="from 0 to 65536"):
        read_grey(write_png(tmp_path / "c.tif", image + (image > 60000)))


@pytest.mark.parametrize(
    "pixels", [np.uint8([[0, 1]]), np.uint8([[0, 255]]), np.uint16([[0, 65535]]), np.array([[False, True]])]
)
def test_masks_of_zero_and_one_other_value(tmp_path: Path, pixels: np.ndarray) -> None:
    mask = read_mask(write_png(tmp_path / "m.png", pixels))
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 1]]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


FAULTS = {
    "truncated": (lambda f: truncate(f / "images/0.png"), "images/0.png cannot be read"),
    "truncated mask": (lambda f: truncate(f / "masks/0.png"), "masks/0.png cannot be read"),
    "no image": (lambda f: (f / "images/0.png").write_text("grey"), "images/0.png cannot be read"),
    "colour": (
        lambda f: write_png(f / "images/0.png", np.full((24, 16, 3), (1, 2, 3), np.uint8)),
        "images/0.png has pixels of type RGB; save it as 8- or 16-bit grey",
    ),
    "colour mask": (
        lambda f: write_png(f / "masks/0.png", np.zeros((24, 16, 4), np.uint8)),
        "masks/0.png has pixels of type RGBA",
    ),
    "float": (
        lambda f: Image.fromarray(np.full((24, 16), np.nan, np.float32)).save(f / "images/0.png", "TIFF"),
        "images/0.png has pixels of type F",
    ),
    "size": (
        lambda f: write_png(f / "masks/0.png", lesion()[1:]),
        "masks/0.png is 16 x 23 pixels, its image 16 x 24 pixels",
    ),
    "labels": (
        lambda f: write_png(f / "masks/0.png", np.maximum(lesion(), np.eye(24, 16, dtype=np.uint8))),
        "masks/0.png has 3 values (0, 1, 255); a mask has 0 and one other",
    ),
    "empty": (lambda f: write_png(f / "masks/0.png", 0 * lesion()), "masks/0.png is an empty mask"),
    "blank": (lambda f: write_png(f / "images/0.png", 0 * ramp() + 7), "images/0.png is blank: every pixel is 7"),
    "no contrast": (
        lambda f: write_png(f / "images/0.png", (ramp() > 0).astype(np.uint16) * 900),
        "no contrast: 0.5% and 99.5% of the grey values of its volume are 900",
    ),
    "frames": (
        lambda f: Image.fromarray(ramp()).save(
            f / "images/0.png", "TIFF", save_all=True, append_images=[Image.fromarray(ramp())]
        ),
        "images/0.png holds 2 frames",
    ),
    "vanished": (
        lambda f: write_png(f / "masks/0.png", (np.arange(24 * 16) == 200).reshape(24, 16)),
        "masks/0.png vanishes at 8 x 8 pixels",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_file_is_named_with_its_row(tmp_path: Path, name: str) -> None:
    manifest = write_study(tmp_path, ["a", "b"])
    harm, message = FAULTS[name]
    harm(tmp_path)
    with pytest.raises(UserError) as caught:
        build(manifest, size=8)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith(f"{manifest} has 1 error ")
    assert lines[1].strip().startswith("row 2: ")
    assert message in lines[1]
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_faulty_files_are_listed_and_an_older_store_stays(tmp_path: Path, jobs: int) -> None:
    manifest = write_study(tmp_path, ["a", "a", "b", "c"], volume_id=["1", "1", "1", "1"])
    before = build(manifest, size=8).fingerprint
    truncate(tmp_path / "images/0.png")
    write_png(tmp_path / "masks/0.png", 0 * lesion())
    write_png(tmp_path / "masks/3.png", lesion()[:, 1:])
    with pytest.raises(UserError) as caught:
        build(manifest, size=16, jobs=jobs)
    rows = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert rows == ["row 2", "row 2", "row 5"]
    assert Store.open(tmp_path / "store").fingerprint == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "manifest.csv", "masks", "store"]


def test_slices_of_one_volume_have_one_size(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a", "a"], volume_id=["1", "1"])
    write_png(tmp_path / "images/1.png", ramp(30, 16))
    write_png(tmp_path / "masks/1.png", lesion(30, 16))
    with pytest.raises(UserError, match=r"row 3: .*images/1.png is 16 x 30 pixels, other slices .* 16 x 24 pixels"):
        build(manifest)


def test_columns_of_the_geometry_are_not_overwritten(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, crop_h=[1, 2])
    with pytest.raises(UserError, match="has the column crop_h, which the preprocessing writes"):
        build(manifest)


def test_settings_are_checked() -> None:
    with pytest.raises(UserError, match=r"^size: must be above 0, got 0\.$"):
        PreprocessSettings(0)
    with pytest.raises(UserError, match=r"^preprocessing\.aspect: 'crop' is not one of 'stretch', 'pad'\.$"):
        parse(PreprocessSettings, {"size": 8, "aspect": "crop"}, "preprocessing")
