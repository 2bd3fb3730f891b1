"""`pig predict`: what a trained segmentation finds in new images, on the pixels of each."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from discs import discs
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from pig.cli import main
from pig.data.images import read_mask
from pig.data.invert import invert_masks
from pig.data.readers import NewFile, find_images
from pig.data.store import Store, to_unit
from pig.evaluation import predict as predicting
from pig.evaluation.overlap import confusion_counts
from pig.evaluation.segmenter import load_segmenter
from pig.system.errors import UserError
from pig.system.files import read_sealed, write_sealed


def predict(model: Path, images: Path, out: Path, *words: str) -> int:
    return main(["predict", "--model", str(model), "--images", str(images), "--out", str(out), *words])


@pytest.fixture
def model(disc_run: Path) -> Path:
    return disc_run / "seg/fold1/seed5"


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def larger(number: int, border: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """A disc of another size, stretched to twice the height, in a blank border that is wider below."""
    images, masks = discs(1, seed=100 + number, size=64)
    shape = ((border, 3 * border), (2 * border, border))
    return tuple(np.pad(np.repeat(one[0], 2, axis=0), shape) for one in (np.maximum(images, 1), masks))  # type: ignore[return-value]


def test_new_images_of_another_size_get_masks_of_that_size(model: Path, tmp_path: Path) -> None:
    truth = {}
    for number, name in enumerate(["a.png", "deeper/b.tif", "deeper/c.bmp"]):
        image, truth[name] = larger(number)
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if number < 2 else (image >> 8).astype(np.uint8)).save(tmp_path / "new" / name)
    (tmp_path / "new/notes.txt").write_text("no image")
    assert predict(model, tmp_path / "new", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    assert list(table.columns) == ["image", "slice", "mask", "share"]
    assert table["image"].tolist() == [str(tmp_path / "new" / name) for name in truth]
    assert table["mask"].tolist() == ["a.png", "deeper/b.png", "deeper/c.png"]
    assert table["slice"].isna().all()
    for row, mask in zip(table.itertuples(), truth.values(), strict=True):
        with Image.open(tmp_path / "out" / str(row.mask)) as file:
            found = np.asarray(file)
        assert found.shape == (168, 94) and set(np.unique(found)) == {0, 255}
        assert dice(found > 0, mask > 0) > 0.85
        assert row.share == pytest.approx((found > 0).mean())


def test_masks_of_the_test_fold_are_those_that_the_study_counted(model: Path, disc_run: Path, tmp_path: Path) -> None:
    """The discs are as large as the network's images and have no blank border: no pixel is moved on the way."""
    store, counted = Store.open(disc_run / "store"), pd.read_csv(model / "slices.csv")
    tested = store.manifest.loc[counted.slice, ["image_path"]]
    tested.to_csv(tmp_path / "tested.csv", index=False)
    assert predict(model, tmp_path / "tested.csv", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    found = np.stack([read_mask(tmp_path / "out" / name) for name in table["mask"]])
    truth = np.stack([read_mask(path) for path in store.manifest.mask_path[counted.slice]])
    again = confusion_counts(found > 0, truth > 0)
    pd.testing.assert_frame_equal(again, counted[["tp", "fp", "fn", "tn"]])


@pytest.fixture(scope="session")
def bordered(disc_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of larger discs in volumes of two slices, padded, and a model that says that it learnt from such."""
    folder = tmp_path_factory.mktemp("bordered")
    rows = []
    for number in range(6):
        image, mask = larger(number, 4 + number // 2)
        Image.fromarray(image).save(folder / f"{number}.png")
        Image.fromarray(mask * 255).save(folder / f"m{number}.png")
        rows.append((f"{number}.png", f"m{number}.png", f"p{number // 2}", "left"))
    table = pd.DataFrame(rows, columns=["image_path", "mask_path", "patient_id", "volume_id"])
    table.to_csv(folder / "manifest.csv", index=False)
    settings = '{"size": 96, "aspect": "pad", "window": "full", "anatomy": "breast"}'
    words = ["preprocess", "--manifest", folder / "manifest.csv", "--settings", settings, "--out", folder / "store"]
    assert main([*map(str, words)]) == 0
    shutil.copytree(disc_run / "seg/fold1/seed5", folder / "model")
    record = read_sealed(folder / "model/record.json", "")
    preprocessing = json.loads((folder / "store/store.json").read_text())["preprocessing"]
    write_sealed(folder / "model/record.json", record | {"preprocessing": preprocessing})
    return folder, folder / "model"


def test_masks_lie_where_invert_puts_those_of_the_store(bordered: tuple[Path, Path], tmp_path: Path) -> None:
    folder, model = bordered
    store, network = Store.open(folder / "store"), load_segmenter(model)[0]
    (tmp_path / "masks").mkdir()
    for row, image in enumerate(predicting.resize_images(store.images, 32)):
        with torch.inference_mode():
            found = network(to_unit(image[None, None]))[0, 0] >= 0  # the sigmoid of 0 is 1/2
        assert found.any()
        Image.fromarray(found.numpy().astype(np.uint8)).save(tmp_path / f"masks/{row}.png")
    invert_masks(store, tmp_path / "back", tmp_path / "masks")
    assert predict(model, folder / "manifest.csv", tmp_path / "out") == 0
    for row in range(6):
        ours, theirs = read_mask(tmp_path / f"out/{row}.png"), read_mask(tmp_path / f"back/{row:06d}.png")
        assert (ours == theirs).all()


def test_the_slices_of_a_volume_have_a_mask_each(model: Path, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    images, masks = discs(3, seed=9)
    voxels = np.concatenate([np.zeros((1, 32, 32), np.uint16), images]).transpose(2, 1, 0)
    (tmp_path / "new").mkdir()
    nifti = nibabel.Nifti1Image((voxels // 2).astype(np.int16), np.diag([-1, -1, 1, 1]))
    nibabel.save(nifti, tmp_path / "new/v.nii.gz")
    assert predict(model, tmp_path / "new", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    assert table["mask"].tolist() == ["v_000.png", "v_001.png", "v_002.png", "v_003.png"]
    assert table["slice"].tolist() == [0, 1, 2, 3]
    assert table["image"].unique().tolist() == [str(tmp_path / "new/v.nii.gz")]
    assert table["share"][0] == 0  # a blank slice
    for number, mask in enumerate(masks, start=1):
        assert dice(read_mask(tmp_path / f"out/v_{number:03d}.png"), mask) > 0.7


def test_dicom_is_read_as_a_display_shows_it(model: Path, tmp_path: Path) -> None:
    dicom_files = pytest.importorskip("dicom_files")
    images, masks = discs(1, seed=9)
    (tmp_path / "new").mkdir()
    dicom_files.write_dicom(tmp_path / "new/x.dcm", images // 16)
    assert predict(model, tmp_path / "new", tmp_path / "out") == 0
    assert dice(read_mask(tmp_path / "out/x.png"), masks[0]) > 0.7


def test_a_folder_gives_all_its_dicom_and_says_what_is_left(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dicom_files = pytest.importorskip("dicom_files")
    images, masks = discs(1, seed=9)
    for name in ("scan/IM1", "scan/1.2.840"):
        dicom_files.write_dicom(tmp_path / "new" / name, images // 16)
    for name in ("DICOMDIR", "notes.txt", ".hidden"):
        (tmp_path / "new" / name).write_bytes(b"\0" * 128 + b"DICM" if name == "DICOMDIR" else b"")
    assert predict(model, tmp_path / "new", tmp_path / "out") == 0
    assert pd.read_csv(tmp_path / "out/predictions.csv")["mask"].tolist() == ["scan/1.2.840.png", "scan/IM1.png"]
    assert dice(read_mask(tmp_path / "out/scan/IM1.png"), masks[0]) > 0.7
    said = f"{tmp_path / 'new'}: 2 of the files have endings that are not read, as DICOMDIR"
    assert caplog.messages.count(said) == 1
    (tmp_path / "t.csv").write_text("image_path\nnew/scan/IM1\nnew/notes.txt\n")
    with pytest.raises(UserError, match=r"(?s)has 1 error.*row 3: image_path new/notes.txt ends in none of .*no DICOM"):
        find_images(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("image_path\nnew/scan/IM1\n")
    assert find_images(tmp_path / "t.csv") == [[NewFile(tmp_path / "new/scan/IM1", "IM1")]]


def test_blank_files_of_a_volume_get_empty_masks(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look of the network, which here finds a lesion everywhere."""
    monkeypatch.setattr(predicting, "find_lesions", lambda _, images: np.ones((len(images), 32, 32), bool))
    images, _ = discs(2, seed=9)
    for number, image in enumerate([0 * images[0], *images]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    rows = [f"{number}.png,p,{volume}" for number, volume in ((0, "v"), (1, "v"), (2, "w"))]
    (tmp_path / "t.csv").write_text("\n".join(["image_path,patient_id,volume_id", *rows]))
    assert predict(model, tmp_path / "t.csv", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    assert table["share"].tolist() == [0, 1, 1] and table["slice"].isna().all()
    assert read_mask(tmp_path / "out/0.png").shape == (32, 32)
    Image.fromarray(0 * images[0]).save(tmp_path / "1.png")  # now all of v is blank
    Image.fromarray(0 * images[0]).save(tmp_path / "2.png")  # which is all of w
    assert predict(model, tmp_path / "t.csv", tmp_path / "none") == 2
    said = capsys.readouterr().err
    assert "2 errors in the images" in said
    assert f"{tmp_path / '0.png'}: all slices of its volume are blank" in said
    assert f"{tmp_path / '2.png'} is blank: every pixel is 0" in said


def test_the_network_does_not_learn_what_it_is_shown(
    model: Path, disc_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In eval mode no image changes what is found in another, nor the statistics of the network."""
    seen = []

    def load(path: Path) -> object:
        loaded = load_segmenter(path)
        seen.append((loaded[0], {key: value.clone() for key, value in loaded[0].state_dict().items()}))
        return loaded

    monkeypatch.setattr(predicting, "load_segmenter", load)
    for name in ("3.png", "7.png"):
        (tmp_path / "two").mkdir(exist_ok=True)
        shutil.copy(disc_run / name, tmp_path / "two" / name)
    (tmp_path / "one").mkdir()
    shutil.copy(disc_run / "7.png", tmp_path / "one")
    for name in ("one", "two"):
        assert predict(model, tmp_path / name, tmp_path / f"out-{name}") == 0
    assert (tmp_path / "out-two/7.png").read_bytes() == (tmp_path / "out-one/7.png").read_bytes()
    for network, before in seen:
        assert not any(module.training for module in network.modules())
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_what_cannot_be_read_is_listed_at_once(
    model: Path, disc_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(disc_run / "0.png", new / "good.png")
    shutil.copy(disc_run / "0.png", new / "same.png")
    Image.fromarray(discs(1, 0)[0][0]).save(new / "same.tif")
    (new / "cut.png").write_bytes((disc_run / "0.png").read_bytes()[:200])
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(new / "blank.png")
    Image.fromarray(np.full((40, 40, 3), (1, 2, 3), np.uint8)).save(new / "colours.png")
    (new / "volume.nii.gz").write_bytes(b"no volume")
    assert predict(model, new, tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "5 errors in the images; nothing is predicted" in said
    for sentence in (
        f"{new / 'cut.png'} cannot be read", f"{new / 'blank.png'} is blank", "colours.png has pixels of type RGB",
        f"{new / 'volume.nii.gz'} cannot be read", f"{new / 'same.tif'} and {new / 'same.png'} have one name",
    ):  # fmt: skip
        assert sentence in said
    assert not (tmp_path / "out").exists()


def test_wrong_folders_and_tables(
    model: Path, disc_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").write_text("image_path\nnot-there.png\n../up.png\n/etc/hostname\n")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/kept.txt").write_text("of the user")
    other = tmp_path / "other"
    shutil.copytree(model, other)
    record = read_sealed(other / "record.json", "")
    write_sealed(other / "record.json", record | {"preprocessing": None})
    shutil.copy(disc_run / "0.png", tmp_path / "used")
    for words, sentence in (
        ((tmp_path / "no model", disc_run / "manifest.csv"), "record.json does not exist"),
        ((disc_run / "store", disc_run / "manifest.csv"), "record.json does not exist"),
        ((other, disc_run / "manifest.csv"), "does not say how the images were preprocessed"),
        ((model, tmp_path / "nothing"), "does not exist; give a folder of images"),
        ((model, disc_run / "0.png"), "is neither a folder nor a table"),
        ((model, disc_run / "seg"), "holds no files with the ending"),
        ((model, disc_run / "folds.csv"), "needs a column image_path"),
        ((model, tmp_path / "table.csv"), "has 3 errors"),
    ):
        assert predict(*words, tmp_path / "out") == 2
        assert sentence in capsys.readouterr().err
    assert predict(model, disc_run / "manifest.csv", tmp_path / "used") == 2
    assert "is in use" in capsys.readouterr().err
    assert (tmp_path / "used/kept.txt").read_text() == "of the user"


GOOD = ["a.png", "b/a.png", "b/c.TIF", "d.jpg", "e.nii.gz", "f.dcm"]
volume_ids = st.sampled_from(["", "1", "2"])
with_volume = st.lists(st.tuples(st.sampled_from(GOOD), volume_ids), unique_by=lambda row: row[0])
bad = st.lists(st.tuples(st.sampled_from(["a.txt", "", "../a.png", "no.png", "b", "a.png"]), volume_ids), max_size=1)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(with_volume, bad)
def test_a_table_gives_each_row_once_or_a_sentence(
    tmp_path: Path, first: list[tuple[str, str]], last: list[tuple[str, str]]
) -> None:
    (tmp_path / "b").mkdir(exist_ok=True)
    for name in (*GOOD, "a.txt"):
        (tmp_path / name).touch()
    rows = first + last
    table = pd.DataFrame(rows, columns=["image_path", "volume_id"]).assign(patient_id="p")
    table.to_csv(tmp_path / "t.csv", index=False)
    names = [name for name, _ in rows]
    wrong = {name for name in names if name not in GOOD or names.count(name) > 1}
    try:
        volumes = find_images(tmp_path / "t.csv")
    except UserError as error:
        assert wrong or not rows
        assert all(name in str(error) for name in wrong)
        return
    assert rows and not wrong
    assert sorted(str(file.path) for files in volumes for file in files) == sorted(str(tmp_path / n) for n in names)
    named = {volume for _, volume in rows if volume}
    assert len(volumes) == len(named) + sum(not volume for _, volume in rows)
