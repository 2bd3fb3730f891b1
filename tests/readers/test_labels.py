"""What the values of a mask mean: blurred masks, values that nobody announced, nnU-Net's ignore, links."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from study_files import write_png

from pig.data.images import read_mask, threshold_for
from pig.data.manifest import read_manifest
from pig.data.readers import import_data
from pig.data.readers.labels import Labels, lesion_of
from pig.system.errors import UserError

SIDE = 64


def disc(radius: float = 15.0, value: int = 255) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return ((y - 30) ** 2 + (x - 25) ** 2 <= radius**2).astype(np.uint8) * value


def write_pair(root: Path, name: str, mask: np.ndarray, ending: str = "png", **how: object) -> None:
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
    write_png(root / f"images/{name}.png", image)
    (root / "masks").mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(root / f"masks/{name}.{ending}", **how)  # type: ignore[arg-type]


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    return 2 * float((found & true).sum()) / float(found.sum() + true.sum())


def blurred(mask: np.ndarray, kind: str) -> np.ndarray:
    if kind == "interpolated":
        return np.asarray(Image.fromarray(mask).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BILINEAR))[::2, ::2]
    return mask


@pytest.mark.parametrize(("kind", "ending"), [("jpeg", "jpg"), ("interpolated", "png")])
def test_a_blurred_mask_is_named_and_its_threshold_gives_the_lesion_back(
    tmp_path: Path, kind: str, ending: str
) -> None:
    true = disc() > 0
    write_pair(tmp_path / "in", "p1", blurred(disc(), kind), ending)
    for labels, instead in (([], ""), ([255], " in place of labels")):
        with pytest.raises(UserError, match=rf"crowd around 0 and 255, .*; set threshold: 127.5{instead}, and what"):
            import_data("folders", tmp_path / "in", {"patient": "(p1)", "labels": labels}, tmp_path / "out")
    settings = {"patient": "(p1)", "threshold": 127.5}
    table = read_manifest(import_data("folders", tmp_path / "in", settings, tmp_path / "out"))
    found = read_mask(table["mask_path"][0]) > 0
    assert overlap(found, true) > 0.985
    assert found.sum() == pytest.approx(true.sum(), rel=0.02)
    assert json.loads((tmp_path / "out/import.json").read_text())["settings"]["threshold"] == 127.5
    with pytest.raises(UserError, match=r"crowd around 0 and 255, .*import the data with a threshold"):
        read_mask(next((tmp_path / "in/masks").iterdir()))


def test_nearly_whole_numbers_are_named(tmp_path: Path) -> None:
    voxels = (disc(value=1)[..., None] * np.float32(0.9999999)).astype(np.float32)
    for name, array in (("images", np.arange(SIDE * SIDE).reshape(SIDE, SIDE, 1).astype(np.int16)), ("masks", voxels)):
        (tmp_path / "in" / name).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1, 1, 1])), tmp_path / f"in/{name}/p1.nii")
    with pytest.raises(UserError, match=r"2 values that crowd around 0 and 1, .*; set threshold: 0\.5"):
        import_data("folders", tmp_path / "in", {"patient": "(p1)"}, tmp_path / "out")
    settings = {"patient": "(p1)", "threshold": 0.5}
    table = read_manifest(import_data("folders", tmp_path / "in", settings, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == (disc() > 0).T).all()


@given(arrays.arrays(np.uint8, (12, 12), elements=st.sampled_from([0, 1, 2, 5, 17, 200, 255])))
def test_a_map_of_a_few_labels_is_not_taken_for_blurred(values: np.ndarray) -> None:
    assert threshold_for(values) is None


def test_a_map_of_many_organs_is_not_taken_for_blurred() -> None:
    organs = np.zeros((SIDE, SIDE), np.uint8)
    for label in range(1, 25):
        organs[(label * 5) // 64 * 12 : (label * 5) // 64 * 12 + 10, (label * 5) % 60 : (label * 5) % 60 + 4] = label
    assert threshold_for(organs) is None


def test_values_that_nobody_announced_are_errors(tmp_path: Path) -> None:
    write_pair(tmp_path / "in", "p1", disc(value=1))
    write_pair(tmp_path / "in", "p2", disc(value=255))
    with pytest.raises(
        UserError, match=r"masks/p2.png has the values 255, which are neither among labels \(1\) nor background \(0\)"
    ):
        import_data("folders", tmp_path / "in", {"patient": "(p.)", "labels": [1]}, tmp_path / "out")
    settings = {"patient": "(p.)", "labels": [1], "background": [0, 255], "without_lesion": "keep"}
    table = read_manifest(import_data("folders", tmp_path / "in", settings, tmp_path / "out"))
    assert [bool(read_mask(path).any()) for path in table["mask_path"]] == [True, False]
    both = {"patient": "(p.)", "labels": [1, 255]}
    assert len(read_manifest(import_data("folders", tmp_path / "in", both, tmp_path / "out"))) == 2


def test_a_background_that_is_not_zero() -> None:
    values = np.array([[1, 2], [1, 1]])
    assert lesion_of(values, Labels(background=(1,)), "m").tolist() == [[False, True], [False, False]]


def test_a_threshold_beside_labels_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path / "in", "p1", disc())
    settings = {"patient": "(p1)", "labels": [255], "threshold": 100}
    with pytest.raises(UserError, match=r"dataset\.import\.threshold: is of no use beside labels"):
        import_data("folders", tmp_path / "in", settings, tmp_path / "out")


def nnunet(root: Path, mask: np.ndarray, labels: dict[str, object]) -> Path:
    write_png(root / "imagesTr/p1_0000.png", np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE))
    write_png(root / "labelsTr/p1.png", mask)
    said = {"channel_names": {"0": "x"}, "labels": labels, "numTraining": 1, "file_ending": ".png"}
    (root / "dataset.json").write_text(json.dumps(said))
    return root


def test_nnunets_ignore_is_not_background(tmp_path: Path) -> None:
    mask = disc(value=1)
    mask[:4] = 2
    root = nnunet(tmp_path / "in", mask, {"background": 0, "mass": 1, "ignore": 2})
    with pytest.raises(UserError, match=r"p1.png has pixels of the label ignore \(2\)"):
        import_data("nnunet", root, {"patient": "(p1)"}, tmp_path / "out")


def test_a_blurred_mask_of_nnunet_is_to_be_saved_again(tmp_path: Path) -> None:
    """Its layout has no threshold to be set."""
    root = nnunet(tmp_path / "in", blurred(disc(value=200), "interpolated"), {"background": 0, "mass": 200})
    with pytest.raises(UserError, match="crowd around 0 and 200, .*; save it again with its labels alone"):
        import_data("nnunet", root, {"patient": "(p1)"}, tmp_path / "out")


def test_nnunets_labels_are_those_it_declares(tmp_path: Path) -> None:
    mask = disc(value=1)
    mask[:4] = 3
    root = nnunet(tmp_path / "in", mask, {"background": 0, "mass": 1, "cyst": 2})
    with pytest.raises(
        UserError, match=r"p1.png has the values 3, which are neither among labels \(1\) nor background"
    ):
        import_data("nnunet", root, {"patient": "(p1)", "labels": ["mass"]}, tmp_path / "out")
    mask[:4] = 2  # declared, and not asked for
    root = nnunet(tmp_path / "in", mask, {"background": 0, "mass": 1, "cyst": 2})
    table = read_manifest(import_data("nnunet", root, {"patient": "(p1)", "labels": ["mass"]}, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == (mask == 1)).all()


def test_linked_folders_are_read_and_those_that_lead_back_are_errors(tmp_path: Path) -> None:
    write_pair(tmp_path / "far", "p1", disc())
    for name in ("images", "masks"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "scan").symlink_to(tmp_path / "far" / name)
    settings = {"patient": "/(p1)"}
    assert len(read_manifest(import_data("folders", tmp_path / "in", settings, tmp_path / "out"))) == 1
    (tmp_path / "in/images/again").symlink_to(tmp_path / "in/images")
    with pytest.raises(UserError, match="images/again is a link to a folder above it"):
        import_data("folders", tmp_path / "in", settings, tmp_path / "out")


@pytest.mark.parametrize("more", [{"missing_mask": "healthy", "without_lesion": "keep", "faults": "skip"}, {}])
@pytest.mark.parametrize("side_by_side", [True, False])
def test_a_link_to_a_mask_that_is_not_there_is_no_missing_mask(tmp_path: Path, more: dict, side_by_side: bool) -> None:
    """As of a data set that is not fetched yet: without the mask its lesion would become background."""
    for name in ("p1_1", "p2_1"):
        write_pair(tmp_path / "in", name, disc())
    (tmp_path / "in/masks/p1_1.png").unlink()
    (tmp_path / "in/masks/p1_1.png").symlink_to(tmp_path / "annex/p1_1.png")
    settings = {"patient": "(p[0-9])_", **more}
    settings |= {"images": "images/*.png", "masks": "masks/*.png"} if side_by_side else {}
    with pytest.raises(UserError, match=r"masks/p1_1.png is a link to a file that is not there; fetch that file"):
        import_data("folders", tmp_path / "in", settings, tmp_path / "out")


def test_what_is_no_folder_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "table.csv").touch()
    with pytest.raises(UserError, match=r"table.csv"):
        import_data("folders", tmp_path / "table.csv", {"patient": "(p)"}, tmp_path / "out")


def test_labels_that_each_are_the_only_one_of_their_mask(tmp_path: Path) -> None:
    """1 may be the organ and 2 the lesion: which, only the user knows."""
    write_pair(tmp_path / "in", "p1", disc(value=1))
    write_pair(tmp_path / "in", "p2", disc(value=2))
    for faults in ("stop", "skip"):
        with pytest.raises(UserError, match=r"one label each beside background, but not all the same \(1, 2\)"):
            import_data("folders", tmp_path / "in", {"patient": "(p.)", "faults": faults}, tmp_path / "out")
    write_pair(tmp_path / "in", "p3", disc(value=1))  # most have 1 now
    with pytest.raises(UserError, match=r"not all the same \(1, 2\)"):
        import_data("folders", tmp_path / "in", {"patient": "(p.)"}, tmp_path / "out")
    skipping = {"patient": "(p.)", "faults": "skip"}
    table = read_manifest(import_data("folders", tmp_path / "in", skipping, tmp_path / "out"))
    assert table["patient_id"].tolist() == ["p1", "p3"] and len(list((tmp_path / "out/masks").iterdir())) == 2
    skipped = (tmp_path / "out/skipped.csv").read_text()
    assert "p2: its mask has the label 2 alone, and those of most others 1" in skipped
    (tmp_path / "in/images/p3.png").unlink()
    (tmp_path / "in/masks/p3.png").unlink()
    area = (disc() > 0).sum()
    for settings, expected in (({"labels": [1, 2]}, [area, area]), ({"labels": [2], "background": [0, 1]}, [0, area])):
        given = {"patient": "(p.)", "without_lesion": "keep", **settings}
        table = read_manifest(import_data("folders", tmp_path / "in", given, tmp_path / "out"))
        assert [int(read_mask(path).sum()) for path in table["mask_path"]] == expected
