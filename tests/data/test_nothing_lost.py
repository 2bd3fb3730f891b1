"""`--out` that names a folder of the user's: nothing of it may be lost."""

from pathlib import Path

import pytest
from study_files import lesion, ramp, write_png, write_study

from pig.cli import main

FOLDERS = ["import", "--from", "folders", "--settings", '{patient: "^(p[0-9])"}']


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_folders(root: Path) -> None:
    for name in ("p1", "p2"):
        write_png(root / f"images/{name}.png", ramp())
        write_png(root / f"masks/{name}.png", lesion())


@pytest.mark.parametrize("out", ["mine", "mine/images", "."])
def test_an_import_into_the_data_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
    write_folders(tmp_path / "mine")
    before = files(tmp_path)
    assert main([*FOLDERS, "--root", str(tmp_path / "mine"), "--out", str(tmp_path / out)]) == 2
    assert "name a folder that does not exist" in capsys.readouterr().err
    assert files(tmp_path) == before


def test_an_import_of_an_import_into_itself(tmp_path: Path) -> None:
    """It has the mark by which an earlier import is known, and would be replaced, but for its being read."""
    write_folders(tmp_path / "mine")
    assert main([*FOLDERS, "--root", str(tmp_path / "mine"), "--out", str(tmp_path / "in")]) == 0
    assert main([*FOLDERS, "--root", str(tmp_path / "mine"), "--out", str(tmp_path / "in")]) == 0  # replaced
    before = files(tmp_path)
    table = ["import", "--from", "manifest", "--root", str(tmp_path / "in/manifest.csv")]
    assert main([*table, "--out", str(tmp_path / "in")]) == 2
    assert files(tmp_path) == before


def test_a_store_in_the_folder_of_its_manifest_and_masks_carried_back_onto_themselves(tmp_path: Path) -> None:
    manifest = write_study(tmp_path / "mine")
    before = files(tmp_path)
    for out in (tmp_path / "mine", tmp_path):
        assert main(["preprocess", "--manifest", str(manifest), "--settings", "{size: 32}", "--out", str(out)]) == 2
    assert files(tmp_path) == before
    store, predicted = str(tmp_path / "store"), str(tmp_path / "predicted")
    assert main(["preprocess", "--manifest", str(manifest), "--settings", "{size: 32}", "--out", store]) == 0
    write_png(tmp_path / "predicted/000001.png", lesion(32, 32))
    before = files(tmp_path)
    for out in (predicted, str(tmp_path)):
        assert main(["invert", "--store", store, "--masks", predicted, "--out", out]) == 2
    assert files(tmp_path) == before
