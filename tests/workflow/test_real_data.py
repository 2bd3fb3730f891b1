"""Data as they lie on a disk, through the whole workflow: imported, checked, under pseudonyms, and out again."""

import io
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dicom_files import NAME, UID, item, write_dicom
from PIL import Image
from study_files import lesion, ramp, write_png
from study_runs import ROOT, TINY, overlay, plan, snakemake

from pig.cli import main

# The digits are so many that no random number of the results holds them.
IDS = ["Mueller-4711081599", "DBT-P0081547113", "1.2.840.113619.2.55.3", "Ärztin_007"]
SECRET_FIELDS = {
    "PatientBirthDate": "19371128", "InstitutionName": "Charite Geheim", "AccessionNumber": "ACC99887",
    "ReferringPhysicianName": "Doctor^Referring", "StudyDate": "20190731", "DeviceSerialNumber": "SN-55512",
    "StudyDescription": "Verdacht links",
}  # fmt: skip
# No arm but PIG's, so that it is quick.
SMALL = {
    "folds": {"count": 2},
    "preprocessing": {"size": 32, "aspect": "pad", "anatomy": "breast", "window": "full"},
    "table1": {"generators": ["pig"], "count": 4},
    "table2": {"arms": [{"generator": "pig", "count": 4}]},
}


def write_bcs_dbt(root: Path) -> None:
    """A volume with a box for each patient, in the layout of BCS-DBT, with headers full of what must not get out."""
    paths, boxes = [], []
    for number, patient in enumerate(IDS):
        rng = np.random.default_rng(number)
        volume = np.zeros((8, 48, 40), np.uint16)
        volume[:, 4:44, :30] = rng.integers(200, 900, (8, 40, 30), np.uint16)
        folder = f"{patient}/{UID}.{number}/{UID}.9{number}"
        measures = item(PixelSpacing=[0.5, 0.5], SliceThickness=1.0)
        write_dicom(
            root / folder / "1-1.dcm",
            volume,
            PatientID=patient,
            SpecificCharacterSet="ISO_IR 192",
            SharedFunctionalGroupsSequence=item(
                PixelMeasuresSequence=measures, FrameVOILUTSequence=item(WindowCenter=512, WindowWidth=1025)
            ),
            **SECRET_FIELDS,
        )
        key = {"PatientID": patient, "StudyUID": f"{UID}.{number}", "View": "lcc"}
        paths.append({**key, "descriptive_path": f"{folder}/1-1.dcm", "classic_path": f"{folder}/1-1.dcm"})
        boxes.append({**key, "Subject": number, "Slice": 3, "X": 8, "Y": 16, "Width": 12, "Height": 12,
                      "Class": "cancer", "AD": 0, "VolumeSlices": 8})  # fmt: skip
    pd.DataFrame(paths).to_csv(root / "file-paths.csv", index=False)
    pd.DataFrame(boxes).to_csv(root / "boxes.csv", index=False)


def held(data: bytes) -> bytes:
    """Everything some bytes hold, unpacked: the members of an archive, the chunks and pixels of a PNG."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return data + b"".join(held(archive.read(name)) for name in archive.namelist())
    if not data.startswith(b"\x89PNG"):
        return data
    at, packed = 8, b""
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        packed += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return data + zlib.decompress(packed)


def found(folder: Path, words: list[str]) -> list[tuple[str, str]]:
    """The files below ``folder`` that hold a word, in themselves or in their name."""
    encodings = [(word, {word.encode(), word.encode("utf-16-le"), word.encode("unicode-escape")}) for word in words]
    hits = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        content = name.encode() + (held(path.read_bytes()) if path.is_file() else b"")
        hits += [(name, word) for word, codes in encodings if any(code in content for code in codes)]
    return hits


def test_no_output_of_a_whole_run_holds_a_name_a_uid_or_a_date_of_the_input(tmp_path: Path) -> None:
    write_bcs_dbt(tmp_path / "sent")
    data = {"name": "Own", "import": {"from": "bcs-dbt", "root": "sent"}, "salt": "keys/salt"}
    run = snakemake(tmp_path, "--cores", "2", *overlay(tmp_path, "study", dataset=data, **SMALL), "all")
    assert run.returncode == 0, run.stdout
    results = tmp_path / "results"
    exported, store = tmp_path / "exported", str(results / "data/store")
    shards = [str(results / f"synthetic/pig/fold{fold}/shard0.npz") for fold in (0, 1)]
    folds = str(results / "data/folds.csv")
    nnunet = ["--store", store, "--folds", folds, "--number", "1", "--title", "T", "--out", str(exported / "raw")]
    assert main(["export", "--format", "png", "--synthetic", shards[0], "--out", str(exported / "png")]) == 0
    assert main(["export", "--format", "nnunet", "--synthetic", *shards, *nnunet]) == 0
    assert main(["invert", "--store", store, "--out", str(exported / "back")]) == 0

    parts = ["Mueller", "4711081599", "0081547113", "Ärztin", "Secret", UID[-12:], "Charite"]
    secrets = [*IDS, *parts, NAME, UID, *SECRET_FIELDS.values()]
    assert len(found(tmp_path / "sent", secrets)) > len(secrets)  # the search finds them where they are
    assert found(results, secrets) == []
    assert found(exported, secrets) == []
    salt = (tmp_path / "keys/salt").read_text().strip()
    assert found(results, [salt]) == found(exported, [salt]) == []

    table = pd.read_csv(results / "data/store/manifest.csv")
    assert table["patient_id"].nunique() == len(IDS)
    assert table["patient_id"].str.fullmatch("p[0-9a-f]{16}").all()
    assert set(table["mask_source"]) == {"box_ellipse"}
    # The word that weak masks must never lack.
    assert "Own (weak masks: ellipses in boxes)" in (results / "table2.csv").read_text()
    assert "weak masks, ellipses drawn into boxes, not outlines" in (results / "data/report.html").read_text()


def write_folders(root: Path, patients: int = 4) -> None:
    """Two folders: two images of each patient, of noise, so that no two are alike."""
    for number in range(2 * patients):
        noise = np.random.default_rng(number).integers(0, 20000, (24, 16), np.uint16)
        stem = f"Pat {number // 2}_{number}"
        write_png(root / f"images/{stem}.png", (ramp() > 0) * (ramp() + noise))
        write_png(root / f"masks/{stem}.png", lesion())


OWN = {"name": "Own", "import": {"from": "folders", "root": "my data", "patient": "^(.+)_[0-9]+$"}}


def test_two_folders_are_imported_checked_and_preprocessed_by_one_command(tmp_path: Path) -> None:
    write_folders(tmp_path / "my data")
    words = overlay(tmp_path, "study", dataset=OWN, preprocessing={"size": 16})
    run = snakemake(tmp_path, "--cores", "2", *words, "results/data/folds.csv")
    assert run.returncode == 0, run.stdout
    assert "8 images of 4 patients" in " ".join((tmp_path / "results/data/report.html").read_text().split())
    assert len(pd.read_csv(tmp_path / "results/data/check.csv")) == 8
    assert len(pd.read_csv(tmp_path / "results/data/folds.csv")) == 4
    assert plan(tmp_path, *words, "results/data/folds.csv").counts == {}

    # Other folds are checked, and nothing is preprocessed anew; other settings of the layout import anew.
    seeded = overlay(tmp_path, "seed", dataset=OWN, preprocessing={"size": 16}, folds={"count": 2, "seed": 3})
    assert plan(tmp_path, *seeded, "results/data/folds.csv").counts == {"check": 1, "verdict": 1, "folds": 1}
    changed = OWN | {"import": OWN["import"] | {"without_lesion": "keep"}}
    counts = plan(tmp_path, *overlay(tmp_path, "kept", dataset=changed, preprocessing={"size": 16}), "verdict").counts
    assert counts == {"import_data": 1, "check": 1, "verdict": 1}


def test_what_a_run_and_a_look_leave_with_the_data_imports_nothing_anew(tmp_path: Path) -> None:
    """The salt and the configuration lie in the folder of the data, masks in another one; a name has two digits."""
    root = tmp_path / "my data"
    write_folders(root)
    (root / "masks").rename(tmp_path / "masks")
    layout = OWN["import"] | {"masks": "../masks", "patient": "^(Pat [0-9]{1})_[0-9]+$"}
    (root / "mine.yaml").write_text(yaml.safe_dump({"dataset": {"import": layout, "salt": "my data/salt"}}))
    words = ["--configfile", TINY, root / "mine.yaml", "--", "results/data/imported"]
    assert plan(tmp_path, *words[:-1], "all").counts["report"] == 1
    run = snakemake(tmp_path, "--cores", "1", *words)
    assert run.returncode == 0, run.stdout
    assert (root / "salt").is_file()
    assert plan(tmp_path, *words).counts == {}
    for name in (".DS_Store", "images/Thumbs.db", "mine.plan.yaml"):
        (root / name).write_bytes(b"1")
    assert plan(tmp_path, *words).counts == {}
    correct(tmp_path / "masks/Pat 0_0.png")
    assert plan(tmp_path, *words).counts == {"import_data": 1}


def test_errors_stop_and_leave_the_report(tmp_path: Path) -> None:
    write_folders(tmp_path / "my data")
    image = tmp_path / "my data/images/Pat 1_2.png"
    image.write_bytes(image.read_bytes()[:-60])
    other = np.asarray(Image.open(tmp_path / "my data/images/Pat 0_0.png"))
    write_png(tmp_path / "my data/images/Pat 3_6.png", other)  # of another patient: a leak
    words = overlay(tmp_path, "study", dataset=OWN, preprocessing={"size": 16})
    run = snakemake(tmp_path, "--cores", "2", *words, "results/data/folds.csv")
    assert run.returncode != 0
    for sentence in ("Pat 1_2.png cannot be read", "the same pixels as row 2, there of patient Pat 0, here of Pat 3"):
        assert sentence in run.stdout  # the log of the job that failed
        assert sentence in (tmp_path / "results/data/report.html").read_text()
    assert not (tmp_path / "results/data/folds.csv").exists()
    run = snakemake(tmp_path, "--cores", "1", *words, "verdict")
    assert run.returncode != 0
    assert "has 2 errors" in run.stdout


def test_a_manifest_with_a_salt_is_imported_and_the_phantom_has_none(tmp_path: Path) -> None:
    write_folders(tmp_path / "my data", 1)
    table = {"image_path": ["images/Pat 0_0.png"], "mask_path": ["masks/Pat 0_0.png"], "patient_id": ["Pat 0"]}
    pd.DataFrame(table).to_csv(tmp_path / "my data/table.csv", index=False)
    salted = {"manifest": "my data/table.csv", "salt": "salt"}
    text = plan(tmp_path, *overlay(tmp_path, "salted", dataset=salted), "results/data/store").text
    assert "pig import --from manifest --root 'my data/table.csv'" in text
    assert "--salt=salt" in text
    run = snakemake(tmp_path, "--dry-run", *overlay(tmp_path, "wrong", dataset={"salt": "salt"}), "all")
    assert "dataset.salt is of no use with the phantom" in run.stdout


@pytest.mark.parametrize("name", ["bcs-dbt", "cbis-ddsm", "inbreast", "t-synth"])
def test_each_public_set_is_one_command(tmp_path: Path, name: str) -> None:
    studies = [ROOT / "workflow/configs/paper.yaml", ROOT / f"workflow/configs/{name}.yaml"]
    (tmp_path / "data" / name).mkdir(parents=True)
    result = plan(tmp_path, "--configfile", *studies, "--", "results/table2.csv")
    assert f"pig import --from {name} --root data/{name} " in result.text
    assert result.counts["import_data"] == result.counts["check"] == result.counts["preprocess"] == 1
    assert "phantom" not in result.counts
    weak = "'--row=BCS-DBT (weak masks: ellipses in boxes)=results/segmentation/real'"
    assert (weak in result.text) == (name == "bcs-dbt")


def correct(mask: Path) -> None:
    """Another lesion in the same file: of the same size on the disk, as a worst case, but later."""
    before = mask.stat()
    pixels = np.roll(np.asarray(Image.open(mask)), 1, axis=0)
    write_png(mask, pixels)
    os.truncate(mask, max(before.st_size, mask.stat().st_size))
    os.utime(mask, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.mark.parametrize("way", ["folders", "manifest", "salted"])
def test_a_mask_that_is_corrected_in_place_makes_all_that_follows_again(tmp_path: Path, way: str) -> None:
    root = tmp_path / "my data"
    write_folders(root, 2)
    stems = sorted(path.stem for path in (root / "images").iterdir())
    columns = {"image_path": [f"images/{s}.png" for s in stems], "mask_path": [f"masks/{s}.png" for s in stems]}
    pd.DataFrame(columns | {"patient_id": [s.partition("_")[0] for s in stems]}).to_csv(root / "m.csv", index=False)
    own = {"manifest": "my data/m.csv", "name": "Own"} | ({"salt": "salt"} if way == "salted" else {})
    dataset = OWN if way == "folders" else own
    words = overlay(tmp_path, "study", dataset=dataset, preprocessing={"size": 16}, folds={"count": 2})
    run = snakemake(tmp_path, "--cores", "2", *words, "results/data/folds.csv")
    assert run.returncode == 0, run.stdout
    assert plan(tmp_path, *words, "results/data/folds.csv").counts == {}
    correct(root / f"masks/{stems[2]}.png")
    again = {"preprocess": 1, "check": 1, "verdict": 1, "folds": 1}
    imported = {} if way == "manifest" else {"import_data": 1}
    assert plan(tmp_path, *words, "results/data/folds.csv").counts == again | imported
