from pathlib import Path

import pytest
from study_files import write_study

from pig.data.manifest import read_manifest
from pig.system.errors import UserError


def test_paths_become_absolute_and_all_else_is_kept(tmp_path: Path) -> None:
    path = write_study(tmp_path / "ein Ordner, größer", ["007", "Nan1"], density=["b", None], diameter_mm=[4.5, 6.0])
    table = read_manifest(path)
    assert table["patient_id"].tolist() == ["007", "Nan1"]
    assert table["image_path"].tolist() == [str(path.parent / f"images/{n}.png") for n in (0, 1)]
    assert table["mask_path"].tolist() == [str(path.parent / f"masks/{n}.png") for n in (0, 1)]
    assert table["density"].isna().tolist() == [False, True]
    assert table["diameter_mm"].tolist() == [4.5, 6.0]


def test_relative_paths_start_at_the_manifest_whatever_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    assert Path(read_manifest("study/manifest.csv")["image_path"][0]) == tmp_path / "study/images/0.png"
    assert Path(read_manifest(Path("study/manifest.csv"))["image_path"][0]).is_absolute()


def test_a_byte_order_mark_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert read_manifest(path)["patient_id"].tolist() == ["007", "008"]


def test_every_fault_is_listed_at_once_with_its_row(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["a", "b"])
    with path.open("a") as file:
        file.write("images/0.png,masks/1.png,c\n")  # row 4: the image of row 2
        file.write("images/none.png,masks/1.png,\n")  # row 5: no file, no patient
        file.write("images/1.png,,b \n")  # row 6: the image of row 3, no mask, a space
        file.write("./images/../images/1.png,masks,d\n")  # row 7: the same once more; a folder
    with pytest.raises(UserError) as caught:
        read_manifest(path)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{path} has 8 errors")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "row 4", "row 5", "row 5", "row 6", "row 6", "row 6", "row 7", "row 7",
    ]  # fmt: skip
    message = str(caught.value)
    assert "row 4: the same image as row 2" in message
    assert "row 5: patient_id is empty" in message
    assert f"row 5: image_path {tmp_path / 'images/none.png'} is not a file" in message
    assert "row 6: mask_path is empty" in message
    assert "row 6: patient_id 'b ' begins or ends with a space" in message
    assert "row 6: the same image as row 3" in message
    assert f"row 7: mask_path {tmp_path / 'masks'} is not a file" in message
    assert "row 7: the same image as row 3" in message


@pytest.mark.parametrize("nobody", ["NA", "nan", "None", "NULL", "#N/A"])
def test_a_word_for_a_missing_value_is_no_patient(tmp_path: Path, nobody: str) -> None:
    path = write_study(tmp_path, ["a", "Nada", nobody])
    with pytest.raises(UserError, match=f"row 4: patient_id '{nobody}' stands for a missing value") as caught:
        read_manifest(path)
    assert "1 error" in str(caught.value)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("image,mask_path\na.png,b.png\n")
    with pytest.raises(UserError, match=r"lacks the columns image_path, patient_id.*this one has image, mask_path"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image_path,mask_path,patient_id\n", "no rows"),
        (b"", "not a readable CSV table"),
        (b"image_path,mask_path,patient_id\n\xff\xfe,b,c\n", "not a readable CSV table"),
        (b"image_path,mask_path,patient_id\na,b,c\na,b,c,d\n", "row 3 has 'd' in column 4"),
        (b"image_path,mask_path,patient_id,patient_id\na,b,c,d\n", "several columns named patient_id"),
    ],
)
def test_a_broken_table(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv does not exist"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(UserError, match="not a readable CSV table"):
        read_manifest(tmp_path)
