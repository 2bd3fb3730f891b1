"""A disk that is full: a sentence that names what could not be written, and nothing half-written."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from pig.data.folds import write_folds
from pig.system.errors import UserError
from pig.system.files import atomic_directory, atomic_path, read_json, write_json


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of one MiB, where mounting is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def pig(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pig")), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def fill(disk: Path, leave: int) -> None:
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(max(0, free - leave)))


def test_files_and_folders_are_whole_or_absent(small_disk: Path) -> None:
    fill(small_disk, 8192)
    images = np.random.default_rng(0).integers(0, 2**16, (9, 64, 64), np.uint16)
    refused = pytest.raises(UserError, match=r"shard0.npz cannot be written: the disk is full. Make room")
    with refused, atomic_path(small_disk / "shard0.npz") as temporary:
        np.savez_compressed(temporary, images=images)
    refused = pytest.raises(UserError, match=r"model cannot be written: the disk is full")
    with refused, atomic_directory(small_disk / "model") as folder:
        save_file({"w": np.ones(100_000, np.float32)}, folder / "weights.safetensors")
    with pytest.raises(UserError, match=r"a.json cannot be written: the disk is full"):
        write_json(small_disk / "a.json", list(range(9999)))
    with pytest.raises(UserError, match=r"folds.csv cannot be written: the disk is full"):
        write_folds(pd.DataFrame({"patient_id": range(9999), "fold": 0}), small_disk / "folds.csv")
    assert [file.name for file in small_disk.iterdir()] == ["filler"]


def test_what_was_finished_stays(small_disk: Path) -> None:
    write_json(small_disk / "a.json", {"first": 1})
    fill(small_disk, 4096)
    with pytest.raises(UserError, match="the disk is full"):
        write_json(small_disk / "a.json", list(range(9999)))
    assert (small_disk / "a.json").read_text() == '{\n  "first": 1\n}\n'


def test_a_store_without_room_is_refused_before_it_is_filled(small_disk: Path, small_run: Path) -> None:
    manifest = small_run / "results/data/phantom/manifest.csv"
    run = pig("preprocess", "--manifest", manifest, "--settings", "{size: 512}", "--out", small_disk / "store")
    assert run.returncode == 2, run.stderr  # and not killed by a signal, as a memory map without room is
    assert f"pig preprocess: {small_disk / 'store'} cannot be written: the disk is full" in run.stderr
    assert list(small_disk.iterdir()) == []


def test_a_phantom_without_room_goes_on_when_there_is_some(small_disk: Path, small_run: Path) -> None:
    phantom = small_run / "results/data/phantom"
    settings = json.dumps(read_json(phantom / "population.json")["settings"])
    words = ["phantom", "--settings", settings, "--out", small_disk / "phantom", "--threads", "1"]
    fill(small_disk, 24_000)
    run = pig(*words)
    assert run.returncode == 2, run.stderr
    assert "is full" in run.stderr
    assert not (small_disk / "phantom/manifest.csv").exists()
    (small_disk / "filler").unlink()
    assert pig(*words).returncode == 0
    pictures = list(phantom.rglob("*.png"))
    assert len(pictures) == 16  # images and masks of 4 patients, 1 view, 2 slices
    for file in pictures:
        assert (small_disk / "phantom" / file.relative_to(phantom)).read_bytes() == file.read_bytes()
