"""Whatever a file declares, the memory and time that it takes are bounded: the sentence comes before the pixels."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from dicom_files import write_dicom
from study_files import ramp, write_png

from pig.data.images import read_grey, size_of
from pig.data.limits import refuse_giant
from pig.data.readers import import_data
from pig.data.readers.dicom import read_header
from pig.data.readers.labels import Labels
from pig.data.readers.slices import read_pairs
from pig.data.readers.t_synth import _labels
from pig.system.errors import UserError

COCO = {"annotations": "coco.json", "patient": "^(p[0-9]+)_"}


def write_coco(root: Path, outline: object, height: object = 24, width: object = 16) -> Path:
    write_png(root / "p1_1.png", ramp())
    content = {
        "images": [{"id": 7, "file_name": "p1_1.png", "height": height, "width": width}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "segmentation": outline}],
        "categories": [{"id": 3, "name": "mass"}],
    }
    (root / "coco.json").write_text(json.dumps(content))
    return root


SQUARE = [[6, 10, 14, 10, 14, 18, 6, 18]]


@pytest.mark.parametrize(
    ("outline", "size", "sentence"),
    [
        (SQUARE, (200_000, 100_000), "says 100000 x 200000 pixels, and the image has 16 x 24"),
        (SQUARE, (16, 24), "says 24 x 16 pixels, and the image has 16 x 24"),
        (SQUARE, (-24, 16), "has height -24 and width 16"),
        (SQUARE, ("24", 16), "has height '24' and width 16"),
        ([[6, 10, 1e9, 10, 14, 18]], (24, 16), "not on the image of 16 x 24 pixels"),
        ([[-3, 10, 14, 10, 14, 18]], (24, 16), "not on the image"),  # 2 pixels beyond it may be
        ([[6, 10, 14, 10, 14, 27]], (24, 16), "not on the image"),
        ([[6, 10, 10**400, 10, 14, 18]], (24, 16), "numbers that are beyond any image"),
        ([[6, 10, float("nan"), 10, 14, 18]], (24, 16), "not on the image"),
        ([[0, 0, 15, 23] * 500], (24, 16), "an outline of 1000 points is longer than the image has pixels"),
        ({"counts": [-1, 385], "size": [24, 16]}, (24, 16), "not all whole numbers, 0 or more"),
        ({"counts": "zzzzzzzzzz", "size": [24, 16]}, (24, 16), "run lengths that cannot be read"),
    ],
)
def test_coco(tmp_path: Path, outline: object, size: tuple[object, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        import_data("coco", write_coco(tmp_path / "in", outline, *size), COCO, tmp_path / "out")


def test_a_declared_size_takes_no_memory(tmp_path: Path) -> None:
    """20 GB of mask, by the record of a picture of 16 x 24 pixels, in a process that may have 2 GB."""
    root = write_coco(tmp_path / "in", SQUARE, 200_000, 100_000)
    words = ["import", "--from", "coco", "--root", root, "--settings", json.dumps(COCO), "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-m", "pig.cli", *map(str, words)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "the image has 16 x 24" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_giant_dicom_is_refused_by_its_header(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((4, 4), np.uint16), Rows=60000, Columns=60000)
    with pytest.raises(UserError, match=r"a\.dcm declares 60000 x 60000 pixels"):
        read_header(path)


def test_a_giant_nifti_is_refused_by_its_header(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()  # dim[1..3]
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(UserError, match=r"a\.nii declares 30000 x 30000 x 30000 x 1 pixels"):
        next(read_pairs(tmp_path / "a.nii", [tmp_path / "a.nii"], {}, Labels(), 2))


def test_giant_labels_of_t_synth_are_refused_by_their_header(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("dbt", (4000, 4000, 4000), np.uint8, chunks=(1, 4000, 4000))  # takes no room
    with pytest.raises(UserError, match="declares 4000 x 4000 x 4000 x 1 pixels"):
        _labels(tmp_path / "a.h5")


def test_what_is_large_in_life_is_read(tmp_path: Path) -> None:
    refuse_giant("a film", 6000, 5000)
    refuse_giant("a tomosynthesis volume", 2500, 2000, 90)
    assert size_of(write_png(tmp_path / "a.png", ramp())) == (24, 16)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_how_many_pixels_an_image_may_have_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_png(tmp_path / "a.png", ramp())
    monkeypatch.setenv("PIG_PIXELS_AT_MOST", "300")
    named = r"a\.png declares too many pixels, and at most 300 .* set the environment variable PIG_PIXELS_AT_MOST"
    for read in (read_grey, size_of):
        with pytest.raises(UserError, match=named):
            read(path)
    with pytest.raises(UserError, match="declares 24 x 16 pixels, and at most 300 are read"):
        refuse_giant(path, 24, 16)
    monkeypatch.setenv("PIG_PIXELS_AT_MOST", "384")
    assert (read_grey(path) == ramp()).all() and size_of(path) == (24, 16)
    monkeypatch.setenv("PIG_VOXELS_AT_MOST", "20")
    with pytest.raises(UserError, match="3 x 3 x 3 pixels, and at most 20 .* environment variable PIG_VOXELS_AT_MOST"):
        refuse_giant("a volume", 3, 3, 3)
    monkeypatch.setenv("PIG_VOXELS_AT_MOST", "27")
    refuse_giant("a volume", 3, 3, 3)
    for wrong in ("0", "1e6", "-5", "", "many"):
        monkeypatch.setenv("PIG_PIXELS_AT_MOST", wrong)
        with pytest.raises(UserError, match=f"PIG_PIXELS_AT_MOST is '{wrong}'; give a whole number above 0, or none"):
            size_of(path)
