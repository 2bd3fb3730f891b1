"""`pig export` from shards and a store written by the tests; nothing is trained."""

import importlib.util
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pig.data.preprocess import build_store
from pig.data.pseudonyms import new_salt, pseudonymise
from pig.data.readers import import_data
from pig.data.resize import resize_pairs
from pig.data.settings import PreprocessSettings
from pig.data.store import Store, allocate, complete
from pig.steps.export import export_nnunet, export_png
from pig.system.errors import UserError

SIZE = 16
PATIENTS = ["DOE^JANE", "DOE^JANE", "ROE^RICHARD", "1.2.840.113619.2.55", "Müller, Ägidius", "007-1969-03-12"]
FOLDS = pd.DataFrame({"patient_id": sorted(set(PATIENTS)), "fold": [0, 1, 0, 1, 0]})
FOLD_OF = dict(FOLDS.itertuples(index=False))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    folder = tmp_path / "store"
    folder.mkdir()
    rng = np.random.default_rng(1)
    images, masks = allocate(folder, len(PATIENTS), SIZE)
    images[:] = rng.integers(0, 2**16, images.shape)
    masks[:, 4:9, 3:12] = 1
    paths = [f"/data/{patient}/scan.dcm" for patient in PATIENTS]
    table = pd.DataFrame({"image_path": paths, "mask_path": paths, "patient_id": PATIENTS, "volume_id": PATIENTS})
    complete(folder, images, masks, table, "stretch")
    return Store.open(folder)


def shard(
    path: Path,
    fold: int,
    count: int = 5,
    first: int = 0,
    size: int = SIZE,
    masks: bool = True,
    channels: int = 1,
    **other: Any,
) -> Path:
    """A shard as a generator of ``fold`` would leave it, which saw the patients of all other folds."""
    rng = np.random.default_rng([fold, first])
    provenance = {
        "generator": "pig",
        "class": "pig.methods.pig.PIG",
        "fold": fold,
        "seed": 3,
        "first": first,
        "last": first + count,
        "patients": [patient for patient in sorted(set(PATIENTS)) if FOLD_OF[patient] != fold],
        "masks_from": "model" if masks else None,
        "sampling": {"steps": 4},
        "model_files": {"guider.safetensors": f"hash{fold}"},
        "record": {"device": "workstation of ROE^RICHARD"},
        **other,
    }
    arrays: dict[str, Any] = {
        "images": rng.integers(0, 2**16, (count, *(channels,) * (channels > 1), size, size), np.uint16),
        "first": np.array(first),
        "provenance": np.array(json.dumps(provenance)),
    }
    if masks:
        arrays["masks"] = rng.integers(0, 2, (count, size, size), np.uint8)
    np.savez_compressed(path, **arrays)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)


@pytest.mark.parametrize("bits", [8, 16])
def test_png_by_hand(tmp_path: Path, bits: int) -> None:
    first, second = shard(tmp_path / "a.npz", 1, 3), shard(tmp_path / "b.npz", 1, 3, first=3)
    export_png([second, first], tmp_path / "out", count=5, bits=bits)
    table = pd.read_csv(tmp_path / "out/manifest.csv")
    assert table.iloc[4].to_dict() == {
        "image_path": "images/pig_f1_000004.png", "mask_path": "masks/pig_f1_000004.png", "generator": "pig",
        "fold": 1, "seed": 3, "index": 4, "masks_from": "model",
    }  # fmt: skip
    assert table["index"].tolist() == [0, 1, 2, 3, 4]
    drawn = np.load(second)
    image, mask = pixels(tmp_path / "out" / table["image_path"][4]), pixels(tmp_path / "out" / table["mask_path"][4])
    assert image.dtype == (np.uint8 if bits == 8 else np.uint16)
    expected = drawn["images"][1] if bits == 16 else np.floor(drawn["images"][1] / 257 + 0.5)
    assert (image == expected).all()
    assert (mask == 255 * drawn["masks"][1]).all()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "images", "manifest.csv", "masks", "provenance.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out/provenance.json").read_text())[0]["count"] == 5


def test_colours_are_png_with_three_channels(tmp_path: Path, store: Store) -> None:
    paths = [shard(tmp_path / f"{fold}.npz", fold, channels=3) for fold in (0, 1)]
    drawn = np.load(paths[0])["images"]
    export_png(paths[:1], tmp_path / "out")
    expected = np.floor(np.moveaxis(drawn[2], 0, 2) / 257 + 0.5)
    assert (pixels(tmp_path / "out/images/pig_f0_000002.png") == expected).all()
    with pytest.raises(UserError, match="colours are written as PNG of 8 bits a channel; leave out --bits 16"):
        export_png(paths[:1], tmp_path / "deep", bits=16)

    (tmp_path / "colours").mkdir()
    images, masks = allocate(tmp_path / "colours", len(PATIENTS), SIZE, channels=3)
    images[:] = np.random.default_rng(2).integers(0, 2**16, images.shape)
    masks[:] = store.masks
    table = store.manifest[["image_path", "mask_path", "patient_id"]]
    complete(tmp_path / "colours", images, masks, table, "stretch")
    out = export_nnunet(paths, Store.open(tmp_path / "colours"), FOLDS, tmp_path / "raw", number=7, name="Test")
    assert json.loads((out / "dataset.json").read_text())["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert (pixels(out / "imagesTr/pig_f0_000002_0000.png") == expected).all()
    real = np.floor(np.moveaxis(images[4], 0, 2) / 257 + 0.5)
    assert (pixels(out / "imagesTr/real_000004_0000.png") == real).all()

    manifest = import_data("nnunet", out, {"patient": "^(.+)$"}, tmp_path / "imported")
    again = build_store(manifest, PreprocessSettings(SIZE, window="full", colour="keep"), tmp_path / "again")
    assert again.manifest["patient_id"].nunique() == 5
    assert np.abs(again.images[4].astype(int) - images[4]).max() <= 128  # of 257, a step of 8 bits


def test_images_alone(tmp_path: Path, store: Store) -> None:
    path = shard(tmp_path / "a.npz", 0, masks=False)
    export_png([path], tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/manifest.csv")
    assert table["mask_path"].isna().all()
    assert not (tmp_path / "out/masks").exists()
    with pytest.raises(UserError, match="draws images without masks"):
        export_nnunet([path], store, FOLDS, tmp_path / "raw", number=7, name="Test")
    assert not list((tmp_path / "raw").iterdir())


def test_an_exported_manifest_is_no_real_data(tmp_path: Path) -> None:
    from pig.data.manifest import read_manifest

    export_png([shard(tmp_path / "a.npz", 0)], tmp_path / "out")
    with pytest.raises(UserError, match="lacks the column patient_id"):
        read_manifest(tmp_path / "out/manifest.csv")


def test_an_nnunet_data_set_by_hand(tmp_path: Path, store: Store) -> None:
    shards = [shard(tmp_path / "a.npz", 0), shard(tmp_path / "b.npz", 1)]
    out = export_nnunet(shards, store, FOLDS, tmp_path / "raw", number=7, name="Test", count=3)
    assert out == tmp_path / "raw/Dataset007_Test"
    assert json.loads((out / "dataset.json").read_text()) == {
        "channel_names": {"0": "grey"}, "labels": {"background": 0, "lesion": 1}, "numTraining": 12,
        "file_ending": ".png",
    }  # fmt: skip
    splits = json.loads((out / "splits_final.json").read_text())
    real = {fold: [f"real_{row:06d}" for row, name in enumerate(PATIENTS) if FOLD_OF[name] == fold] for fold in (0, 1)}
    for fold in (0, 1):
        made = [f"pig_f{fold}_{index:06d}" for index in range(3)]
        assert splits[fold] == {"train": real[1 - fold] + made, "val": real[fold]}
    cases = pd.read_csv(out / "cases.csv").set_index("case")
    assert sorted(cases.index) == sorted(path.stem for path in (out / "labelsTr").iterdir())
    assert sorted(f"{case}_0000" for case in cases.index) == sorted(path.stem for path in (out / "imagesTr").iterdir())
    assert cases.loc["pig_f1_000002", "fold":].tolist() == [1, "pig", 3, 2, "model"]
    assert cases["patient"].nunique() == 5
    assert cases.loc["real_000000", "patient"] == cases.loc["real_000001", "patient"]
    assert cases.loc["pig_f1_000002":, "patient"].isna().all()
    for row in range(len(PATIENTS)):
        assert (pixels(out / f"imagesTr/real_{row:06d}_0000.png") == store.images[row]).all()
        assert (pixels(out / f"labelsTr/real_{row:06d}.png") == store.masks[row]).all()
    assert (pixels(out / "labelsTr/pig_f1_000002.png") == np.load(shards[1])["masks"][2]).all()


def test_what_was_exported_comes_back_with_its_patients_and_without_what_was_generated(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    from pig.data.manifest import read_manifest
    from pig.data.readers import import_data

    shards = [shard(tmp_path / "a.npz", 0), shard(tmp_path / "b.npz", 1)]
    out = export_nnunet(shards, store, FOLDS, tmp_path / "raw", number=7, name="Test", count=3)
    settings = {"patient": "^(.+)$", "without_lesion": "keep"}
    table = read_manifest(import_data("nnunet", out, settings, tmp_path / "imported"))
    assert len(table) == len(PATIENTS)
    assert "6 cases that a generator drew (cases.csv) are left out" in caplog.text
    cases = pd.read_csv(out / "cases.csv").set_index("case")
    assert table["patient_id"].tolist() == cases.loc[table["volume_id"], "patient"].tolist()
    assert table["patient_id"].nunique() == 5


def test_exported_png_files_are_no_real_data(tmp_path: Path) -> None:
    from pig.data.readers import import_data

    export_png([shard(tmp_path / "a.npz", 0)], tmp_path / "out")
    with pytest.raises(UserError, match=r"out holds pairs that a generator drew \(provenance.json\)"):
        import_data("folders", tmp_path / "out", {"patient": "(.)"}, tmp_path / "imported")


def test_generated_pairs_get_the_size_of_the_store(tmp_path: Path, store: Store) -> None:
    path = shard(tmp_path / "a.npz", 0, size=SIZE // 2)
    out = export_nnunet([path], store, FOLDS, tmp_path / "raw", number=7, name="Test")
    image, mask = resize_pairs(np.load(path)["images"], np.load(path)["masks"], SIZE)
    assert (pixels(out / "imagesTr/pig_f0_000001_0000.png") == image[1]).all()
    assert (pixels(out / "labelsTr/pig_f0_000001.png") == mask[1]).all()


@pytest.mark.parametrize("made", [[1], [2, 0], [0, 1, 2]])
def test_no_patient_and_no_generator_is_on_both_sides(tmp_path: Path, made: list[int]) -> None:
    """Three folds, and shards for some of them."""
    patients = [f"p{row // 2}" for row in range(8)]
    fold_of = {"p0": 0, "p1": 1, "p2": 2, "p3": 0}
    (tmp_path / "store").mkdir()
    images, masks = allocate(tmp_path / "store", 8, 4)
    masks[:, 1:3] = 1
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": patients})
    complete(tmp_path / "store", images, masks, table, "stretch")
    folds = pd.DataFrame({"patient_id": list(fold_of), "fold": list(fold_of.values())})
    shards = [
        shard(tmp_path / f"{k}.npz", k, 2, size=4, patients=[p for p, fold in fold_of.items() if fold != k])
        for k in made
    ]
    out = export_nnunet(shards, Store.open(tmp_path / "store"), folds, tmp_path / "raw", number=1, name="T")
    cases = pd.read_csv(out / "cases.csv").set_index("case")
    for fold, part in enumerate(json.loads((out / "splits_final.json").read_text())):
        train, val = cases.loc[part["train"]], cases.loc[part["val"]]
        assert not set(train["patient"].dropna()) & set(val["patient"])
        assert val["generator"].isna().all()
        generated = train[train["generator"].notna()]
        assert (generated["fold"] == fold).all()
        assert len(generated) == 2 * (fold in made)
        assert len(train) - len(generated) + len(val) == 8


def test_what_does_not_belong_together_is_refused(tmp_path: Path, store: Store) -> None:
    def export(*shards: Path, **other: Any) -> None:
        export_nnunet(shards, store, FOLDS, tmp_path / "raw", **{"number": 7, "name": "Test", **other})

    zero, one = shard(tmp_path / "0.npz", 0), shard(tmp_path / "1.npz", 1, 4)
    with pytest.raises(UserError, match="of another generator, fold, seed or training"):
        export_png([zero, shard(tmp_path / "later.npz", 1, first=5)], tmp_path / "out")
    with pytest.raises(UserError, match=r"other\.npz is of the generator ddpm, others are of pig"):
        export(zero, shard(tmp_path / "other.npz", 1, generator="ddpm"))
    with pytest.raises(UserError, match="of another generator, fold, seed or training"):
        export(zero, shard(tmp_path / "again.npz", 0, first=5, model_files={"guider.safetensors": "another"}))
    with pytest.raises(UserError, match="fold 0 has 5 generated pairs, fold 1 has 4; give a count"):
        export(zero, one)
    with pytest.raises(UserError, match="5 pairs are asked for, and the shards hold 4"):
        export(zero, one, count=5)
    with pytest.raises(UserError, match="learnt from patient 007-1969-03-12"):
        export(shard(tmp_path / "leak.npz", 0, patients=sorted(set(PATIENTS))))
    with pytest.raises(UserError, match="There is no fold 2"):
        export(shard(tmp_path / "far.npz", 2))
    with pytest.raises(UserError, match="from 1 to 999, not 1000"):
        export(zero, number=1000)
    with pytest.raises(UserError, match="'a b' is no name"):
        export(zero, name="a b")
    with pytest.raises(UserError, match="makes no file name"):
        export(shard(tmp_path / "name.npz", 0, generator="../pig"))
    with pytest.raises(UserError, match=r"damaged\.npz is damaged"):
        (tmp_path / "damaged.npz").write_bytes(b"no shard")
        export(tmp_path / "damaged.npz")
    with pytest.raises(UserError, match=r"absent\.npz does not exist"):
        export(tmp_path / "absent.npz")
    with pytest.raises(UserError, match="8 or 16 bits, not 12"):
        export_png([zero], tmp_path / "out", bits=12)
    assert not list((tmp_path / "raw").iterdir())
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path, store: Store) -> None:
    path = shard(tmp_path / "a.npz", 0)
    for folder in ("out", "raw/Dataset007_Test"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "thesis.txt").write_text("the only copy")
    with pytest.raises(UserError, match="out is in use"):
        export_png([path], tmp_path / "out")
    with pytest.raises(UserError, match="Dataset007_Test is in use"):
        export_nnunet([path], store, FOLDS, tmp_path / "raw", number=7, name="Test")
    assert (tmp_path / "out/thesis.txt").read_text() == "the only copy"


def secrets_of(store: Store) -> list[bytes]:
    """What names a patient in the input: ids, the parts of names, paths."""
    words = {*PATIENTS, "JANE", "RICHARD", "Müller", "Ägidius", "1969", "scan.dcm", "/data/", str(store.path)}
    return [word.encode() for word in words]


def inside(path: Path) -> bytes:
    """Everything a file holds, unpacked: of a PNG its chunks, of an npz its members."""
    data = path.read_bytes()
    unpacked = data
    if data.startswith(b"\x89PNG"):
        at, compressed = 8, b""
        while at < len(data):
            length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
            assert kind in (b"IHDR", b"IDAT", b"IEND"), f"{path} has a chunk {kind!r}"
            compressed += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
            at += 12 + length
        unpacked += zlib.decompress(compressed)
    return unpacked


def test_no_output_names_a_patient(tmp_path: Path, store: Store) -> None:
    shards = [shard(tmp_path / f"{fold}.npz", fold, masks_from="training") for fold in (0, 1)]
    salt = new_salt()
    export_png(shards[:1], tmp_path / "outputs/png")
    export_nnunet(shards, store, FOLDS, tmp_path / "outputs/raw", number=7, name="Test", salt=salt)
    pseudonymise(store.manifest, salt).to_csv(tmp_path / "outputs/manifest.csv")
    files = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert len(files) == 5 + 5 + 2 + 2 * (6 + 10) + 4 + 1
    for path in files:
        held = inside(path)
        for word in [*secrets_of(store), salt, salt.hex().encode()]:
            assert word not in held, f"{path} holds {word!r}"
            assert word not in str(path.relative_to(tmp_path)).encode()
        assert json.dumps("Müller")[1:-1].encode() not in held  # as JSON escapes it


@pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="needs the extra nnunet")
def test_nnunet_takes_it(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's own check, and its own idea of what the splits mean."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
    from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder

    shards = [shard(tmp_path / "a.npz", 0), shard(tmp_path / "b.npz", 1)]
    out = export_nnunet(shards, store, FOLDS, tmp_path / "nnUNet_raw", number=7, name="Test")
    verify_dataset_integrity(str(out), num_processes=1)
    found = set(get_identifiers_from_splitted_dataset_folder(str(out / "imagesTr"), ".png"))
    for part in json.loads((out / "splits_final.json").read_text()):
        assert {*part["train"], *part["val"]} <= found
    Image.fromarray(store.masks[0] * np.uint8(255)).save(out / "labelsTr/real_000000.png")
    with pytest.raises(RuntimeError, match="unexpected labels"):  # the check can fail
        verify_dataset_integrity(str(out), num_processes=1)
