"""A store is hashed once on a machine, and again when one of its files has changed in any way."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from study_files import write_store

from pig.data import store as module
from pig.data import verified
from pig.data.store import Store
from pig.system.errors import UserError

Hashed = list[int]


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hashed:
    """The bytes of each hashing; stamps lie in the test's folder, and files need not settle."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(verified, "SETTLED", 0)
    seen: Hashed = []
    real = module.fingerprint

    def counted(images: np.ndarray, masks: np.ndarray, patients: list[str]) -> str:
        seen.append(images.nbytes + masks.nbytes)
        return real(images, masks, patients)

    monkeypatch.setattr(module, "fingerprint", counted)
    return seen


@pytest.fixture
def path(hashed: Hashed, tmp_path: Path) -> Path:
    """A store that was verified."""
    write_store(tmp_path / "store", ["a", "b"])
    del hashed[:]
    return tmp_path / "store"


def test_the_second_opening_hashes_nothing(path: Path, hashed: Hashed) -> None:
    assert Store.open(path).images.shape == (2, 8, 8)
    assert hashed == []
    shutil.copytree(path, path.with_name("copy"))
    Store.open(path.with_name("copy"))  # other files
    assert hashed == [2 * 8 * 8 * 3]


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("name", ["images.npy", "masks.npy"])
def test_a_changed_pixel_is_refused_even_with_the_old_date(path: Path, name: str, restore: bool) -> None:
    before = (path / name).stat()
    array = np.load(path / name, mmap_mode="r+")
    array[1, 7, 7] ^= 1
    array.flush()
    if restore:
        os.utime(path / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match="pixels of the store .* are damaged"):
        Store.open(path)
    with pytest.raises(UserError, match="pixels of the store .* are damaged"):  # what was refused is not remembered
        Store.open(path)


def test_the_small_files_are_verified_each_time(path: Path) -> None:
    (path / "manifest.csv").write_text((path / "manifest.csv").read_text().replace("a", "A"))
    with pytest.raises(UserError, match=r"manifest\.csv is damaged"):
        Store.open(path)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[1]"])
def test_a_damaged_stamp_is_ignored(path: Path, hashed: Hashed, content: bytes) -> None:
    (stamp,) = (path.parent / "cache/pig/stores").iterdir()
    stamp.write_bytes(content)
    Store.open(path)
    assert len(hashed) == 1
    Store.open(path)  # with the stamp that was written again
    assert len(hashed) == 1


def test_another_machine_verifies_for_itself(path: Path, hashed: Hashed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified.platform, "node", lambda: "another")
    Store.open(path)
    assert len(hashed) == 1


def test_where_nothing_can_be_kept_each_opening_verifies(
    path: Path, hashed: Hashed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path.parent / "file"))  # a folder cannot be made in it, even by root
    Store.open(path)
    Store.open(path)
    assert len(hashed) == 2


def test_what_has_just_been_changed_is_not_trusted(path: Path, hashed: Hashed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "SETTLED", 60)
    (path / "images.npy").touch()
    Store.open(path)
    Store.open(path)
    assert len(hashed) == 2  # another change could get the same time


def test_many_at_once(path: Path, hashed: Hashed) -> None:
    shutil.rmtree(path.parent / "cache")
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(Store.open, [path] * 16))
    assert {store.fingerprint for store in stores} == {stores[0].fingerprint}
    done = len(hashed)
    Store.open(path)
    assert len(hashed) == done
