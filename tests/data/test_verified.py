"""A store is read whole once on a machine, and again whenever one of its files may have changed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_store import write_store

from pig.data import store, verified
from pig.data.store import Store
from pig.errors import UserError


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The number of pairs of each store that was read whole."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(verified, "SETTLED_NS", 0)
    counted: list[int] = []
    read = store.fingerprint

    def counting(images: np.ndarray, *more: object) -> str:
        counted.append(len(images))
        return read(images, *more)

    monkeypatch.setattr(store, "fingerprint", counting)
    return counted


def flip_a_bit(path: Path) -> None:
    with (path / "images.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))


def test_a_store_is_read_once(tmp_path: Path, reads: list[int]) -> None:
    write_store(tmp_path / "store", ["a", "b"])
    reads.clear()
    for _ in range(3):
        Store.open(tmp_path / "store")
    assert reads in ([], [2])  # write_store has opened it, too


def test_a_store_that_changed_is_read_again(tmp_path: Path, reads: list[int]) -> None:
    path = write_store(tmp_path / "store", ["a", "b"]).path
    Store.open(path)
    flip_a_bit(path)
    with pytest.raises(UserError, match="pixels of the store .* are damaged"):
        Store.open(path)
    with pytest.raises(UserError, match="pixels of the store .* are damaged"):
        Store.open(path)


def test_a_change_that_hides_its_time_is_seen(tmp_path: Path, reads: list[int]) -> None:
    path = write_store(tmp_path / "store", ["a", "b"]).path
    before = (path / "images.npy").stat()
    Store.open(path)
    flip_a_bit(path)
    os.utime(path / "images.npy", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match="are damaged"):
        Store.open(path)


def test_another_store_in_the_same_place_is_read(tmp_path: Path, reads: list[int]) -> None:
    path = write_store(tmp_path / "store", ["a", "b"]).path
    Store.open(path)
    shutil.rmtree(path)
    write_store(path, ["a", "c"])
    reads.clear()
    shutil.copytree(path, tmp_path / "copy")
    Store.open(tmp_path / "copy")
    assert reads == [2]


def test_what_changed_just_now_is_not_trusted(
    tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "SETTLED_NS", 10**12)
    write_store(tmp_path / "store", ["a", "b"])
    reads.clear()
    Store.open(tmp_path / "store")
    Store.open(tmp_path / "store")
    assert reads == [2, 2]


def spoil(folder: Path) -> None:
    for note in folder.rglob("*"):
        if note.is_file():
            note.write_bytes(b"\xff{")


def take_away(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


@pytest.mark.parametrize("harm", [spoil, take_away])
def test_without_notes_it_is_read(tmp_path: Path, reads: list[int], harm: Callable[[Path], None]) -> None:
    write_store(tmp_path / "store", ["a", "b"])
    Store.open(tmp_path / "store")
    harm(tmp_path / "cache")
    reads.clear()
    Store.open(tmp_path / "store")
    assert reads == [2]
