"""A bit that flips, or an end that is missing, is noticed before anything is computed from it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pig.data.folds import read_folds, split
from pig.data.shards import read_shards
from pig.data.store import Store
from pig.evaluation.segmenter import load_segmenter
from pig.methods.model_folder import load_generator, read_description
from pig.report.slices import read_arms
from pig.report.tables import table1
from pig.system.errors import UserError


@pytest.fixture
def study(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the results of the small study."""
    return shutil.copytree(small_run / "results", tmp_path / "results")


def flips(path: Path, step: int) -> Iterator[int]:
    """Flip a bit of every ``step``-th byte of a file in turn; yield its place, and put it back."""
    whole = path.read_bytes()
    for place in range(0, len(whole), step):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 7
        path.write_bytes(changed)
        yield place
    path.write_bytes(whole)


def cuts(path: Path) -> Iterator[int]:
    """Cut a file short at a few lengths in turn; yield the length, and put it back."""
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 3, len(whole) - 2):
        path.write_bytes(whole[:length])
        yield length
    path.write_bytes(whole)


def damages(path: Path, step: int) -> Iterator[int]:
    yield from flips(path, step)
    yield from cuts(path)


def refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("name", "step"), [("images.npy", 401), ("masks.npy", 301), ("manifest.csv", 17)])
def test_a_damaged_store_is_named(study: Path, name: str, step: int) -> None:
    for place in damages(study / "data/store" / name, step):
        said = refusal(lambda: Store.open(study / "data/store"))
        assert said is not None, place
        assert "data/store" in said
        assert "run `pig preprocess` again" in said
    Store.open(study / "data/store")


def test_a_damaged_table_of_folds_is_named(study: Path) -> None:
    store = Store.open(study / "data/store")
    folds = study / "data/folds.csv"
    for place in damages(folds, 1):
        said = refusal(lambda: split(store, read_folds(folds), 0))
        assert said is not None, place
        assert "folds.csv" in said
    # Who deals the patients by hand says so by taking the checksum away.
    folds.write_text(folds.read_text().replace(",0", ",9").replace(",1", ",0").replace(",9", ",1"))
    assert "If the change was meant, delete the checksum alone" in str(refusal(lambda: read_folds(folds)))
    (study / "data/folds.csv.sha256").unlink()
    assert len(read_folds(folds)) == 4


def test_a_damaged_shard_is_named_or_reads_the_same(study: Path) -> None:
    shard = study / "synthetic/pig/fold0/shard0.npz"
    whole = read_shards([shard])
    noticed = 0
    for _ in damages(shard, 37):
        try:
            read = read_shards([shard])
        except UserError as error:
            noticed += 1
            assert str(shard) in str(error)
            assert "delete it and draw it again" in str(error)
        else:  # of an archive some bytes say nothing: dates, the names' second copies
            assert np.array_equal(read.images, whole.images)
            assert np.array_equal(read.masks, whole.masks)
            assert read.provenance == whole.provenance
    assert noticed > 0.8 * shard.stat().st_size / 37


def test_a_header_damaged_to_a_smaller_shape_is_named(study: Path) -> None:
    shard = study / "synthetic/pig/fold0/shard0.npz"
    with np.load(shard) as file:
        arrays = dict(file)
    np.savez(shard, **arrays)  # uncompressed, so that the headers can be seen
    read_shards([shard])
    shape, smaller = b"'shape': (8, 32, 32)", b"'shape': (8, 32, 30)"
    for name in (b"images.npy", b"masks.npy"):
        whole = shard.read_bytes()
        at = whole.index(shape, whole.index(name))
        shard.write_bytes(whole[:at] + smaller + whole[at + len(shape) :])
        said = refusal(lambda: read_shards([shard]))
        assert said is not None, name
        assert f"{name.decode().removesuffix('.npy')} of [8, 32, 30] are said to take" in said
        shard.write_bytes(whole)


def test_a_damaged_model_is_named(study: Path) -> None:
    model = study / "models/pig/fold0"
    weights = sorted(model.glob("*.safetensors"))
    assert weights
    for file in weights:
        for place in damages(file, file.stat().st_size // 7):
            said = refusal(lambda: load_generator(model, {"steps": 2}))
            assert said is not None, place
            assert f"{file} is missing or damaged; delete {model} and run the training again" in said


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("models/pig/fold0/generator.json", lambda path: read_description(path.parent)),
        ("segmentation/real/fold0/seed0/record.json", lambda path: load_segmenter(path.parent)[2]),
        ("fid/pig/fold0.json", lambda path: table1({"PIG": [path]}).to_dict()),
    ],
)
def test_a_damaged_record_is_named_or_reads_the_same(study: Path, name: str, read: Callable[[Path], object]) -> None:
    record = study / name
    whole, noticed = read(record), 0
    for _ in damages(record, 13):
        try:
            again = read(record)
        except UserError as error:
            noticed += 1
            assert str(record) in str(error)
        else:  # a flipped bit in the indentation may leave white space
            assert again == whole
    assert noticed > 0.7 * record.stat().st_size / 13


def test_a_damaged_count_is_named(study: Path) -> None:
    arms = {arm: [study / f"segmentation/{arm}/fold{k}/seed0/slices.csv" for k in (0, 1)] for arm in ("real", "pig_16")}
    read_arms(arms)
    for place in damages(arms["pig_16"][1], 1):
        said = refusal(lambda: read_arms(arms))
        assert said is not None, place
        assert "slices.csv" in said or "fold 1" in said, said
