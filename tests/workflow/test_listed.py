"""The state of a user's files: any change of one of them is seen, and nothing that is wrong with them stops a plan."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pig.study.listed import state_of_folder, state_of_manifest


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(b"1234")
        os.utime(tmp_path / f"{name}.png", ns=(10**18, 10**18))
    (tmp_path / "m.csv").write_text("image_path,mask_path,patient_id\na.png,b.png,1\n")
    return tmp_path


CHANGES: dict[str, Callable[[Path], object]] = {
    "time": lambda mask: os.utime(mask, ns=(10**18, 10**18 + 1)),
    "size": lambda mask: (mask.write_bytes(b"12345"), os.utime(mask, ns=(10**18, 10**18))),
    "gone": lambda mask: mask.unlink(),
    "renamed": lambda mask: mask.rename(mask.with_name("c.png")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(data: Path, change: str) -> None:
    before = state_of_manifest("m.csv"), state_of_folder(data)
    assert before == (state_of_manifest("m.csv"), state_of_folder(data))
    CHANGES[change](data / "b.png")
    after = state_of_manifest("m.csv"), state_of_folder(data)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_the_study_writes_is_no_change_of_its_data(data: Path) -> None:
    before = state_of_folder(data)
    (data / "results/data").mkdir(parents=True)
    (data / "results/data/store").write_text("new")
    assert state_of_folder(data) == before
    (data / "sub/results").mkdir(parents=True)
    (data / "sub/results/mask.png").write_text("new")  # of that name, and data all the same
    assert state_of_folder(data) != before


def test_masks_behind_a_linked_folder_are_seen(data: Path) -> None:
    elsewhere = data.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.png").write_bytes(b"1234")
    (data / "masks").symlink_to(elsewhere, target_is_directory=True)
    before = state_of_folder(data)
    (elsewhere / "c.png").write_bytes(b"12345")
    assert state_of_folder(data) != before


def test_links_in_a_circle_end(data: Path) -> None:
    """Up to the root itself, to each other, and to themselves."""
    before = state_of_folder(data)
    for name, target in (("up", data), ("one/two", data / "two"), ("two/one", data / "one")):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).symlink_to(target, target_is_directory=True)
    assert state_of_folder(data) == before
    (data / "self").symlink_to("self")
    assert state_of_folder(data) != before  # a file that is missing
    (data / "two/x.png").write_bytes(b"1")
    assert state_of_folder(data) != before


@pytest.mark.parametrize("whole", [True, False])
def test_parts_outside_the_root_are_seen(data: Path, whole: bool) -> None:
    (data / "root").mkdir()
    (data / "x").mkdir()
    parts = [str(data / "x") if whole else "../x", "../found.json", "*.png"]
    before = state_of_folder(data / "root", parts)
    (data / "x/c.png").write_bytes(b"1")
    after = state_of_folder(data / "root", parts)
    assert after != before and state_of_folder(data / "root") != after
    (data / "found.json").write_text("{}")
    assert state_of_folder(data / "root", parts) != after


NO_DATA = [".DS_Store", "._a.png", "sub/Thumbs.db", "__MACOSX/x", ".snakemake/log", "mine.yaml", "sub/mine.plan.yml"]


@pytest.mark.parametrize("name", [*NO_DATA, "salt"])
def test_what_is_no_data_is_no_change(data: Path, name: str) -> None:
    before = state_of_folder(data, left_out=["salt"])
    (data / name).parent.mkdir(exist_ok=True)
    (data / name).write_text("new")
    assert state_of_folder(data, left_out=["salt"]) == before
    (data / name).with_name("new.png").write_text("new")
    hidden = (data / name).parent.name in ("__MACOSX", ".snakemake")
    assert (state_of_folder(data, left_out=["salt"]) == before) == hidden


def test_what_is_left_out_is_known_behind_a_link(data: Path) -> None:
    (data.parent / "link").symlink_to(data, target_is_directory=True)
    before = state_of_folder(data.parent / "link", left_out=["salt"])
    (data / "salt").write_text("new")
    (data / "results").mkdir()
    (data / "results/x.png").write_text("new")
    assert state_of_folder(data.parent / "link", left_out=["salt"]) == before


@pytest.mark.parametrize(
    "table", [b"", b"\xff\xfe\x00", b"image_path\n", b"image_path,mask_path\n,a\0b\n", b"x,x\n1,2\n"]
)
def test_a_table_that_is_wrong_is_left_to_the_check(data: Path, table: bytes) -> None:
    (data / "m.csv").write_bytes(table)
    assert len(state_of_manifest("m.csv")) == 16
    assert len(state_of_manifest("nowhere.csv")) == 16
