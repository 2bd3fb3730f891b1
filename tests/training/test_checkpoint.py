"""What may happen to a checkpoint on a disk: it is found out, named, and the one before it is used."""

import pickle
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pig.system.errors import UserError
from pig.training.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint

STATE = {
    "module": {"w": torch.arange(24.0).reshape(4, 6), "steps": torch.tensor(7), "half": torch.ones(3).bfloat16()},
    "none": torch.zeros(0),
    "rate": 0.1,
}


def two(folder: Path) -> Path:
    """Write checkpoints of steps 1 and 2; return the path of the newer."""
    save_checkpoint(folder, 1, "f", STATE)
    save_checkpoint(folder, 2, "f", STATE)
    return folder / "step000000002.safetensors"


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    two(tmp_path)
    step, state = load_checkpoint(tmp_path, "f") or (0, {})
    assert step == 2 and state["rate"] == 0.1
    for key, value in STATE["module"].items():  # type: ignore[attr-defined]
        assert torch.equal(state["module"][key], value) and state["module"][key].dtype == value.dtype
    assert state["none"].shape == (0,)


def test_a_changed_bit_is_found_wherever_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    newest = two(tmp_path)
    whole, rng = newest.read_bytes(), random.Random(0)
    for place in range(len(whole)):
        harmed = bytearray(whole)
        harmed[place] ^= 1 << rng.randrange(8)
        newest.write_bytes(harmed)
        caplog.clear()
        step, _ = load_checkpoint(tmp_path, "f") or (0, {})
        assert step == 1, place
        assert str(newest) in caplog.text and "is damaged" in caplog.text
        assert not newest.exists()


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("harm", ["cut", "empty", "pickle", "folder"])
def test_what_is_no_checkpoint_is_named_and_never_run(
    tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    newest = two(tmp_path)
    whole = newest.read_bytes()
    newest.unlink()
    if harm == "folder":
        newest.mkdir()
    else:
        bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
        newest.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "pickle": bomb}[harm])
    step, _ = load_checkpoint(tmp_path, "f") or (0, {})
    assert step == 1
    assert f"{newest} is damaged" in caplog.text
    assert not (tmp_path / "exploded").exists()


def test_without_a_whole_one_it_begins_anew(tmp_path: Path) -> None:
    two(tmp_path)
    for path in tmp_path.glob("step*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    assert load_checkpoint(tmp_path, "f") is None
    save_checkpoint(tmp_path, 1, "f", STATE)  # and its checkpoints are kept, beside the damaged
    assert (load_checkpoint(tmp_path, "f") or (0,))[0] == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_said_and_the_checkpoints_before_stay(small_disk: Path) -> None:
    def state(step: int) -> dict[str, torch.Tensor]:
        return {"w": torch.full((20_000,), float(step))}  # 80 kB

    save_checkpoint(small_disk, 1, "f", state(1))
    save_checkpoint(small_disk, 2, "f", state(2))
    kept = sorted(small_disk.iterdir())
    (small_disk / "other").write_bytes(bytes(60_000))
    with pytest.raises(UserError, match=r"step000000003\.safetensors.*full"):
        save_checkpoint(small_disk, 3, "f", state(3))
    assert sorted(small_disk.glob("step*")) == kept
    assert not [path for path in small_disk.iterdir() if path.name.startswith(".")]
    step, loaded = load_checkpoint(small_disk, "f") or (0, {})
    assert step == 2 and torch.equal(loaded["w"], state(2)["w"])
    (small_disk / "other").unlink()
    save_checkpoint(small_disk, 3, "f", state(3))


def test_one_of_other_settings_is_put_aside_and_used_again_with_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = two(tmp_path)
    assert load_checkpoint(tmp_path, "other") is None
    assert f"{newest} is of other settings, data or code, and is not used" in caplog.text
    assert "step000000002.f.other" in caplog.text and "delete it" in caplog.text
    save_checkpoint(tmp_path, 2, "other", STATE | {"rate": 0.7})
    save_checkpoint(tmp_path, 3, "other", STATE | {"rate": 0.8})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step000000001.f.other", "step000000002.f.other", "step000000002.safetensors", "step000000003.safetensors",
    ]  # fmt: skip
    step, state = load_checkpoint(tmp_path, "f") or (0, {})
    assert (step, state["rate"]) == (2, 0.1)
    step, state = load_checkpoint(tmp_path, "other") or (0, {})
    assert (step, state["rate"]) == (3, 0.8)


def test_one_of_other_settings_and_the_same_step_is_not_overwritten(tmp_path: Path) -> None:
    for step in (500, 1000):
        save_checkpoint(tmp_path, step, "a", STATE)
    assert load_checkpoint(tmp_path, "b") is None
    save_checkpoint(tmp_path, 500, "b", STATE | {"rate": 0.7})
    assert (load_checkpoint(tmp_path, "a") or (0,))[0] == 1000
    step, state = load_checkpoint(tmp_path, "b") or (0, {})
    assert (step, state["rate"]) == (500, 0.7)


def test_one_of_other_settings_that_cannot_be_put_aside_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, 500, "a", STATE)

    def refused(path: Path, target: Path) -> Path:
        raise PermissionError(f"{path} to {target}")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(PermissionError):
        load_checkpoint(tmp_path, "b")


def test_those_of_other_settings_and_earlier_steps_outlive_what_is_written_next(tmp_path: Path) -> None:
    for step in (500, 1000):
        save_checkpoint(tmp_path, step, "a", STATE)
    assert load_checkpoint(tmp_path, "b") is None
    for step in (100, 237):
        save_checkpoint(tmp_path, step, "b", STATE | {"rate": 0.7})
    assert (load_checkpoint(tmp_path, "a") or (0,))[0] == 1000
    save_checkpoint(tmp_path, 1500, "a", STATE)
    step, state = load_checkpoint(tmp_path, "b") or (0, {})
    assert (step, state["rate"]) == (237, 0.7)


def test_a_finished_training_takes_its_own_checkpoints_and_leaves_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    work = tmp_path / "work"
    two(work / "phase")
    remove_checkpoints(work, "f")
    assert not work.exists()
    two(work / "phase")
    load_checkpoint(work / "phase", "other")
    save_checkpoint(work / "phase", 3, "other", STATE)
    save_checkpoint(work / "phase that this training does not have", 4, "g", STATE)
    remove_checkpoints(work, "other")
    left = sorted(path.name for path in work.rglob("*") if path.is_file())
    assert left == ["step000000001.f.other", "step000000002.f.other", "step000000004.g.other"]
    assert f"3 checkpoints of other settings, data or code stay in {work}" in caplog.text
