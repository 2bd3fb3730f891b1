"""`pig reproduce`: a segmentation made again from its record, and whatever keeps it from coming out the same."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from pig.cli import main
from pig.evaluation import segmentation
from pig.report.reproduced import compare_segmentations, differences
from pig.system.files import read_sealed, write_sealed


@pytest.fixture
def study(disc_run: Path, tmp_path: Path) -> Path:
    """A copy of a working folder with a segmentation in it."""
    return shutil.copytree(disc_run, tmp_path / "study")


RUN = "seg/fold1/seed5"


def test_it_comes_out_the_same(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From another working directory, in a study that was moved; the folder is left as it was."""
    before = {path.name: path.read_bytes() for path in (study / RUN).iterdir()}
    assert main(["reproduce", str(study / RUN)]) == 0
    said = capsys.readouterr().out
    assert f"{study / RUN} is the same, bit for bit: the weights, and the counts of 20 slices of the test fold." in said
    assert "Device, threads, precision, versions and code are those of the record." in said
    assert {path.name: path.read_bytes() for path in (study / RUN).iterdir()} == before


def test_another_training_is_told_with_what_differs(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_sealed(study / RUN / "record.json", "")
    versions = record["versions"] | {"torch": "1.0"}
    older = {"device": "Abacus", "versions": versions, "precision": "float8", "code": "0", "threads": 1}
    older |= {"instruction_set": "4004", "commit": "abc"}
    write_sealed(study / RUN / "record.json", record | older)
    monkeypatch.setattr(segmentation, "augment", lambda images, masks, *_: (images, 0 * masks))
    assert main(["reproduce", str(study / RUN)]) == 2
    said = capsys.readouterr().err
    counted = pd.read_csv(study / RUN / "slices.csv")
    mean = (200 * counted.tp / (2 * counted.tp + counted.fp + counted.fn)).mean()
    assert "is not the same: the Dice of a slice of the test fold differs by up to" in said
    assert f"({mean:.2f} in the record, 0.00 now)" in said  # it has learnt that there are no lesions
    for difference in (
        "the device: Abacus in the record, ", "torch: 1.0 in the record, ", "the precision of training: float8 in",
        "the code is another one: commit abc in the record, ", "the instruction set: 4004 in the record, ",
    ):  # fmt: skip
        assert difference in said
    assert "threads:" not in said and "numpy:" not in said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("folds.csv", "folds.csv is not what the segmentation was made from"),
        ("store/images.npy", "The pixels of the store"),
        (f"{RUN}/slices.csv", "slices.csv is not as it was written"),
        (f"{RUN}/model.safetensors", "model.safetensors is not as it was written"),
        (f"{RUN}/record.json", "is damaged, or was changed after it was written"),
    ],
)
def test_a_changed_file_is_found(study: Path, name: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((study / name).read_bytes())
    place = len(content) - 20
    content[place] ^= 1
    (study / name).write_bytes(content)
    assert main(["reproduce", str(study / RUN)]) == 2
    assert sentence in capsys.readouterr().err


def test_all_that_is_missing_is_named(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "folds.csv").unlink()
    shutil.rmtree(study / "store")
    assert main(["reproduce", str(study / RUN)]) == 2
    said = capsys.readouterr().err
    assert "store does not exist" in said and "folds.csv does not exist" in said
    record = read_sealed(study / RUN / "record.json", "")
    write_sealed(study / RUN / "record.json", record | {"step": None})
    assert main(["reproduce", str(study / RUN)]) == 2
    assert "does not say how the segmentation was asked for" in capsys.readouterr().err
    assert main(["reproduce", str(study / "store")]) == 2
    assert "record.json does not exist" in capsys.readouterr().err


def test_differences_by_hand(study: Path) -> None:
    run, other = study / RUN, study / "other"
    shutil.copytree(run, other)
    weights = load_file(run / "model.safetensors")
    name = next(key for key, value in weights.items() if value.is_floating_point())
    weights[name].view(-1)[0] += 0.25
    save_file(weights, other / "model.safetensors")
    for folder in (run, other):
        (folder / "record.json").unlink()  # which has the checksums of what is changed here
    same, sentence = compare_segmentations(run, other)
    assert same and sentence == (
        "the same scores, from the same counts of 20 slices of the test fold; a weight differs by up to 0.25"
    )
    table = pd.read_csv(run / "slices.csv")
    table.loc[:, ["tp", "fp", "fn", "tn"]] = [50, 0, 0, 974]
    table.to_csv(run / "slices.csv", index=False)
    row = 7
    table.loc[row, ["tp", "fp", "fn", "tn"]] = [30, 0, 20, 974]  # Dice 60 / 80
    table.to_csv(other / "slices.csv", index=False)
    same, sentence = compare_segmentations(run, other)
    assert not same and sentence == (
        f"not the same: the Dice of a slice of the test fold differs by up to 25 points (slice {table.slice[row]}), "
        "their mean by 1.25 points (100.00 in the record, 98.75 now); a weight differs by up to 0.25"
    )


def test_the_same_surroundings_differ_in_nothing() -> None:
    now = {"device": "a", "threads": 2, "precision": "float32", "versions": {"torch": "1"}, "code": "x"}
    now |= {"instruction_set": "b", "commit": "c"}
    assert [*differences(now, now)] == []
    assert [*differences(now | {"processes": 1}, now)] == []
    assert [*differences(now | {"processes": 2}, now)] == ["processes: 2 in the record, 1 here"]
    assert [*differences(now | {"commit": "d"}, now)] == []  # the same code
    assert [*differences(now | {"commit": "d", "code": "y"}, now)] == [
        "the code is another one: commit d in the record, c here"
    ]
    assert [*differences(now | {"code": "y"}, now)] == ["the code is another one"]
    assert [*differences(now, now | {"threads": 3, "versions": {"numpy": "2"}})] == [
        "threads: 2 in the record, 3 here", "numpy: unknown in the record, 2 here",
        "torch: 1 in the record, unknown here",
    ]  # fmt: skip
