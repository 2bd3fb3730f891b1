"""Data sets whose masks lie beside their images, named as public ones name them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from study_files import write_png

from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest
from pig.data.readers import import_data
from pig.data.readers.patterns import Pattern, proposal
from pig.system.errors import UserError

SHAPE = (24, 16)


def grey(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, SHAPE).astype(np.uint8)


def spot(row: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[row : row + 3, 4:8] = 255
    return mask


def write(root: Path, **files: np.ndarray) -> Path:
    for name, pixels in files.items():
        write_png(root / name, pixels)
    return root


def imported(root: Path, out: Path, **settings: object) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Image and mask of each row, by the stem of its image."""
    table = read_manifest(import_data("folders", root, settings, out))
    return {
        Path(volume).name: (read_grey(image), read_mask(mask) * np.uint8(255))
        for volume, image, mask in zip(table["volume_id"], table["image_path"], table["mask_path"], strict=True)
    }


def test_several_masks_of_an_image_are_united(tmp_path: Path) -> None:
    """As in BUSI."""
    root = write(tmp_path / "in", **{
        "benign/benign (1).png": grey(1), "benign/benign (1)_mask.png": spot(2),
        "benign/benign (1)_mask_1.png": spot(12),
        "benign/benign (10).png": grey(2), "benign/benign (10)_mask.png": spot(5),
        "normal/normal (1).png": grey(3), "normal/normal (1)_mask.png": 0 * spot(0),
    })  # fmt: skip
    settings = {"images": "*/*.png", "masks": "*/*_mask*.png", "patient": "/(.+)$", "without_lesion": "keep"}
    found = imported(root, tmp_path / "out", **settings)
    assert sorted(found) == ["benign (1)", "benign (10)", "normal (1)"]
    assert (found["benign (1)"][0] == grey(1)).all()
    assert (found["benign (1)"][1] == np.maximum(spot(2), spot(12))).all()
    assert (found["benign (10)"][1] == spot(5)).all()
    assert not found["normal (1)"][1].any()


def test_a_prefix_takes_the_place_of_another(tmp_path: Path) -> None:
    """As in BUS-BRA."""
    root = write(tmp_path / "in", **{
        "Images/bus_0001-l.png": grey(1), "Masks/mask_0001-l.png": spot(2),
        "Images/bus_0001-r.png": grey(2), "Masks/mask_0001-r.png": spot(9),
    })  # fmt: skip
    settings = {"images": "Images/bus_*.png", "masks": "Masks/mask_*.png", "patient": "bus_([0-9]+)"}
    found = imported(root, tmp_path / "out", **settings)
    assert {name: int(mask.argmax() // 16) for name, (_, mask) in found.items()} == {"bus_0001-l": 2, "bus_0001-r": 9}


def test_other_files_beside_them_are_left(tmp_path: Path) -> None:
    """As in ISIC 2017: superpixels beside the images, and masks elsewhere."""
    root = write(tmp_path / "in", **{
        "data/ISIC_1_superpixels.png": grey(9), "gt/ISIC_1_segmentation.png": spot(3), "gt/ISIC_1.csv.png": spot(7),
    })  # fmt: skip
    Image.fromarray(grey(1)).save(root / "data/ISIC_1.jpg", quality=100)
    settings = {"images": "data/*.jpg", "masks": "gt/*_segmentation.png", "patient": "(ISIC_[0-9]+)"}
    found = imported(root, tmp_path / "out", **settings)
    assert list(found) == ["ISIC_1"]
    assert (found["ISIC_1"][1] == spot(3)).all()


def test_an_ending_may_be_in_capitals(tmp_path: Path) -> None:
    root = write(tmp_path / "in", **{"1.png": grey(1), "1_mask.PNG": spot(1), "2.PNG": grey(2), "2_mask.png": spot(2)})
    settings = {"images": "*.png", "masks": "*_mask.png", "patient": "(.)"}
    found = imported(root, tmp_path / "out", **settings)
    assert sorted(found) == ["1", "2"]
    for number in (1, 2):
        assert (found[str(number)][0] == grey(number)).all() and (found[str(number)][1] == spot(number)).all()
    write_png(root / "1.PNG", grey(3))
    with pytest.raises(UserError, match="has 1 error.*\n.*1.png and .*1.PNG have one stem; remove one"):
        imported(root, tmp_path / "none", **settings, faults="skip")


def test_masks_of_one_stem_are_united_and_images_of_one_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "in", **{"a/image.png": grey(1), "a/mask.png": spot(1)})
    Image.fromarray(spot(4)).save(root / "a/mask.bmp")
    settings = {"images": "*/image.png", "masks": "*/mask.*", "patient": "(.)"}
    ((_, mask),) = imported(root, tmp_path / "out", **settings).values()
    assert (mask == spot(1) | spot(4)).all()
    Image.fromarray(grey(2)).save(root / "a/image.bmp")
    settings |= {"images": "*/image.*"}
    with pytest.raises(UserError, match=r"image.png and .*image.bmp have one stem; remove one"):
        imported(root, tmp_path / "none", **settings, faults="skip")


def test_files_of_a_pattern_that_are_not_read_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write(tmp_path / "in", **{"images/1.png": grey(1), "masks/1.png": spot(1)})
    for name in ("images/2.webp", "masks/2.webp", "masks/3.webp", "elsewhere.webp"):
        (root / name).write_bytes(b"RIFF")
    assert list(imported(root, tmp_path / "out", images="images/*", masks="masks/*", patient="(.)")) == ["1"]
    assert caplog.messages == [f"{root}: 3 of the files have endings that are not read, as 2.webp"]


def test_any_depth(tmp_path: Path) -> None:
    root = write(tmp_path / "in", **{
        "a.png": grey(1), "a_mask.png": spot(1), "deep/er/b.png": grey(2), "deep/er/b_mask.png": spot(2)
    })  # fmt: skip
    found = imported(root, tmp_path / "out", images="**.png", masks="**_mask.png", patient="([ab])$")
    assert sorted(found) == ["a", "b"]
    assert (found["b"][1] == spot(2)).all()


@pytest.mark.parametrize("folders", [True, False])
def test_an_image_without_a_mask_is_an_error_or_healthy(tmp_path: Path, folders: bool) -> None:
    names = ("images/1.png", "images/2.png", "masks/1.png") if folders else ("1.png", "2.png", "1_mask.png")
    root = write(tmp_path / "in", **dict(zip(names, (grey(1), grey(2), spot(4)), strict=True)))
    settings = {"patient": "([12])"} | ({} if folders else {"images": "*.png", "masks": "*_mask.png"})
    with pytest.raises(UserError, match="2.png has no mask"):
        imported(root, tmp_path / "out", **settings)
    healthy = settings | {"missing_mask": "healthy"}
    assert list(imported(root, tmp_path / "out", **healthy)) == ["1"]  # without a lesion, left out as any
    found = imported(root, tmp_path / "out", **healthy, without_lesion="keep")
    assert {name: bool(mask.any()) for name, (_, mask) in found.items()} == {"1": True, "2": False}
    assert found["2"][1].shape == SHAPE


def test_a_mask_without_an_image_and_masks_of_another_size_are_errors(tmp_path: Path) -> None:
    root = write(tmp_path / "in", **{"1.png": grey(1), "1_mask.png": spot(1), "2_mask.png": spot(2)})
    settings = {"images": "*.png", "masks": "*_mask*.png", "patient": "(.)"}
    with pytest.raises(UserError, match=r"2_mask.png has no image by \*.png"):
        imported(root, tmp_path / "out", **settings)
    (root / "2_mask.png").rename(root / "1_mask_b.png")
    write_png(root / "1_mask_b.png", spot(2)[:, :-1])
    with pytest.raises(UserError, match=r"1_mask_b.png is 15 x 24 pixels, its image 16 x 24; they must match"):
        imported(root, tmp_path / "out", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": "*.png"}, r"masks: must have each wildcard of images \('\*.png'\)"),
        ({"images": "*/*.png", "masks": "*_mask.png"}, "masks: must have each wildcard of images"),
        ({"masks": "*_mask.png"}, "masks: must have each wildcard of images"),
        ({"images": "*.png", "masks": "*_m.png", "mask_suffix": "_m"}, "mask_suffix: is of no use beside wildcards"),
    ],
)
def test_wildcards_that_cannot_pair_are_refused(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    write(tmp_path / "in", **{"1.png": grey(1)})
    with pytest.raises(UserError, match=message):
        import_data("folders", tmp_path / "in", {"patient": "(.)", **settings}, tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (["b (1).png", "b (1)_mask.png"], 'images: "*.png", masks: "*_mask.png"'),
        (["x/b (1).png", "x/b (1)_mask.png", "x/b (1)_mask_1.png"], 'images: "*/*.png", masks: "*/*_mask*.png"'),
        (["a.jpg", "a_segmentation.png"], 'images: "*.jpg", masks: "*_segmentation.png"'),
        (["bus_1.png", "mask_1.png"], 'images: "bus_*.png", masks: "mask_*.png"'),
        (["p/1.tif", "p/1_mask.tif"], 'images: "*/*.tif", masks: "*/*_mask.tif"'),
        (["a.png", "b.png"], None),
        (["notes.txt", "a_mask.txt"], None),
    ],
)
def test_what_seems_to_fit_is_proposed(tmp_path: Path, names: list[str], proposed: str | None) -> None:
    assert proposal(names) == proposed
    if proposed and names[0].endswith(".png"):
        root = write(tmp_path / "in", **{name: spot(1) if "mask" in name else grey(1) for name in names})
        with pytest.raises(UserError, match="masks that seem to lie beside their images") as caught:
            import_data("folders", root, {"patient": "(.+)"}, tmp_path / "out")
        given_back = str(caught.value).partition(": give ")[2]
        images, masks = (part.split('"')[1] for part in given_back.split(", "))
        assert imported(root, tmp_path / "out", patient="(.+)", images=images, masks=masks)


@given(st.lists(st.text("ab_/.*", max_size=6), min_size=1, max_size=3))
def test_a_pattern_without_wildcards_is_itself(parts: list[str]) -> None:
    name = "".join(parts).replace("*", "")
    assert Pattern(name).key(name) == ()
    assert Pattern(name + "x").key(name) is None
