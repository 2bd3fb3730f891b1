"""`pig check` on studies that are written as real files."""

import base64
import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pig.data.checks.check import check
from pig.data.checks.warnings import spelling
from pig.data.folds import make_folds
from pig.data.preprocess import build_store
from pig.data.settings import PreprocessSettings
from pig.system.errors import UserError

SIZE = 32


def picture(seed: int) -> np.ndarray:
    """A uint16 image [40, 32] of smooth random structure, another one for each seed; a border of zeros."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.uniform(2000, 60000, (7, 6)).astype(np.float32))
    image = np.zeros((40, 32), np.uint16)
    image[2:-2, 2:-2] = np.asarray(coarse.resize((28, 36), Image.Resampling.BICUBIC)).clip(1, 65000)
    return image


def disc(value: int = 255) -> np.ndarray:
    mask = np.zeros((40, 32), np.uint8)
    mask[10:20, 8:16] = value
    return mask


def write_study(folder: Path, patients: list[str], **columns: list[object]) -> Path:
    """A study of one pair per entry, each image another one, with the manifest's path as result."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number in range(len(patients)):
        Image.fromarray(picture(number)).save(folder / f"images/{number}.png")
        Image.fromarray(disc()).save(folder / f"masks/{number}.png")
    names = [f"{number}.png" for number in range(len(patients))]
    paths = {"image_path": [f"images/{n}" for n in names], "mask_path": [f"masks/{n}" for n in names]}
    pd.DataFrame({**paths, "patient_id": patients, **columns}).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def save(folder: Path, name: str, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(folder / name)


def look(manifest: Path, folds: int = 2, jobs: int = 1) -> tuple[list[dict[str, str]], str, list[str]]:
    """Return the rows of check.csv, the page, and the lines of the error, if there is one."""
    out = manifest.parent / "out"
    lines = []
    try:
        check(manifest, PreprocessSettings(SIZE), out, folds, jobs=jobs)
    except UserError as error:
        lines = [line.strip() for line in str(error).splitlines()]
    with (out / "check.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), (out / "report.html").read_text(encoding="utf-8"), lines


class Page(HTMLParser):
    """The pictures, tags and text of a page; unbalanced tags raise."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_sound_study_by_hand(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["007", "b", "b"], view=["CC", "MLO", "CC"])
    rows, page, lines = look(manifest)
    assert lines == []
    first = picture(0)
    folds = make_folds(pd.read_csv(manifest, dtype=str), 2, 0)
    assert rows[0] == {
        "row": "2",
        "patient_id": "007",
        "image_path": str(tmp_path / "images/0.png"),
        "mask_path": str(tmp_path / "masks/0.png"),
        "view": "CC",
        "height": "40",
        "width": "32",
        "dtype": "uint16",
        "low": "0",
        "high": str(first.max()),
        "mask_height": "40",
        "mask_width": "32",
        "mask_area_px": "80",
        "mask_values": "0 255",
        "mask_area_pct": "6.25",
        "fold": str(dict(folds.itertuples(index=False))["007"]),
        "nearest_row": rows[0]["nearest_row"],
        "nearest_bits": rows[0]["nearest_bits"],
        "faults": "",
        "warnings": "",
    }
    assert rows[1]["nearest_row"] == rows[2]["nearest_row"] == "2"  # the one row of another patient
    assert rows[0]["nearest_row"] in ("3", "4")
    assert "3 images of 2 patients" in " ".join("".join(Page(page).words).split())
    build_store(manifest, PreprocessSettings(SIZE), tmp_path / "store")  # and the preprocessing takes it


def test_the_page_is_whole_by_itself(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    _, text, _ = look(write_study(tmp_path, [name, "b"]))
    page = Page(text)
    assert name in "".join(page.words)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    sources = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 3  # two overlays and the histograms
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split("base64,")[1])))) for source in sources if source
    ]
    assert pictures[0].shape == (40, 32, 3)
    outlined = (pictures[0] == (255, 210, 31)).all(axis=2)
    border = np.zeros((40, 32), bool)
    border[10:20, 8:16] = True
    border[11:19, 9:15] = False
    assert (outlined == border).all()


def harm_all(folder: Path) -> dict[int, str]:
    """Do harm to rows 2 to 9 of a study of twelve; return what must be said of each row."""
    data = (folder / "images/0.png").read_bytes()
    (folder / "images/0.png").write_bytes(data[: len(data) // 2])
    (folder / "masks/1.png").write_bytes(b"not a picture")
    save(folder, "masks/2.png", disc()[1:])
    save(folder, "masks/3.png", np.maximum(disc(), 3 * np.eye(40, 32, dtype=np.uint8)))
    save(folder, "masks/4.png", 0 * disc())
    save(folder, "images/5.png", 0 * picture(5) + 9)
    (folder / "masks/6.png").unlink()
    save(folder, "images/7.png", picture(8))
    return {
        2: "images/0.png cannot be read",
        3: "masks/1.png cannot be read",
        4: "masks/2.png is 32 x 39 pixels, its image 32 x 40 pixels",
        5: "masks/3.png has 3 values (0, 3, 255)",
        6: "masks/4.png is an empty mask",
        7: "images/5.png is blank",
        8: "masks/6.png is not a file",
        10: "the same pixels as row 9, there of patient h, here of i",
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_errors_are_named_at_once_after_the_page_is_written(tmp_path: Path, jobs: int) -> None:
    manifest = write_study(tmp_path, list("abcdefghijkl"))
    expected = harm_all(tmp_path)
    rows, page, lines = look(manifest, folds=13, jobs=jobs)
    assert lines[0].startswith(f"{manifest} has 9 errors")
    assert lines[1].startswith("folds.count is 13, and the data have 12 patients")
    words = "".join(Page(page).words)
    for (number, sentence), line in zip(expected.items(), lines[2:], strict=True):
        assert line.startswith(f"row {number}: ")
        assert sentence in line
        assert sentence in rows[number - 2]["faults"]
        assert sentence in words
    assert [row["faults"] for row in rows[10:]] == ["", ""]
    assert rows[7]["warnings"] == rows[8]["warnings"] == ""  # said once: a copy is no near-duplicate, too
    assert rows[3]["mask_values"] == "0 3 255"
    assert rows[0]["height"] == ""


def test_what_the_preprocessing_refuses_is_refused_in_the_same_words(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, list("abcdefghijkl"))
    harm_all(tmp_path)
    (tmp_path / "masks/6.png").write_bytes((tmp_path / "masks/0.png").read_bytes())
    save(tmp_path, "masks/9.png", (np.arange(40 * 32) == 700).reshape(40, 32))  # vanishes
    with pytest.raises(UserError) as caught:
        build_store(manifest, PreprocessSettings(8), tmp_path / "store")
    refused = {line.strip() for line in str(caught.value).splitlines()[1:]}
    with pytest.raises(UserError) as caught:
        check(manifest, PreprocessSettings(8), tmp_path / "out", 2)
    assert refused <= {line.strip() for line in str(caught.value).splitlines()[1:]}
    assert len(refused) == 7


WARNINGS = {
    "inverted mask": (
        lambda f: save(f, "masks/0.png", (picture(0) > picture(0).min()) * (255 - disc())),
        "the mask covers",
    ),
    "8 bits in 16": (lambda f: save(f, "images/0.png", picture(0) >> 8), "a 16-bit image without a grey value above"),
    "clipped": (lambda f: save(f, "images/0.png", np.minimum(picture(0), 30000)), "the greatest grey value, 30000"),
    "inverted": (lambda f: save(f, "images/0.png", 65535 - picture(0)), "MONOCHROME1"),
    "twice": (lambda f: save(f, "images/1.png", picture(0)), "the same pixels as row 2; it will count twice"),
    "alike": (lambda f: save(f, "images/2.png", (picture(0) * 0.8).astype(np.uint16)), "much like row 2 of another"),
    "mixed": (lambda f: save(f, "images/0.png", (picture(0) >> 8).astype(np.uint8)), "images of uint16 and of uint8"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_warns_and_does_not_stop(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    manifest = write_study(tmp_path, ["a", "a", "b", "c"])
    harm, sentence = WARNINGS[name]
    harm(tmp_path)
    _, page, lines = look(manifest)
    assert lines == []
    assert sentence in "".join(Page(page).words)
    assert sentence in caplog.text


def test_a_mask_of_several_images_has_a_warning(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a", "b"])
    manifest.write_text(manifest.read_text().replace("masks/1.png", "masks/0.png"))
    rows, _, _ = look(manifest)
    assert [row["warnings"] for row in rows] == ["", "the same mask file as row 2"]


def test_weak_masks_are_counted(tmp_path: Path) -> None:
    rows, page, _ = look(write_study(tmp_path, ["a", "b"], mask_source=["box_ellipse", None]))
    assert [row["mask_source"] for row in rows] == ["box_ellipse", ""]
    assert "box_ellipse" in Page(page).words
    assert "weak masks, ellipses drawn into boxes, not outlines (mask_source box_ellipse, 1 rows)" in page


@pytest.mark.parametrize(("patients", "warned"), [(10, True), (9, False)])
def test_images_that_are_each_a_patient_of_their_own_have_a_warning(
    tmp_path: Path, patients: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    _, page, lines = look(write_study(tmp_path, [f"p{chr(97 + i)}" for i in range(patients)]))
    assert lines == []
    sentence = f"each of the {patients} images is a patient of its own; if several show one person"
    assert (sentence in page) == (sentence in caplog.text) == warned


def test_with_two_images_of_one_patient_they_have_none(tmp_path: Path) -> None:
    _, page, _ = look(write_study(tmp_path, [*"abcdefghijk", "a"]))
    assert "patient of its own" not in page


def test_slices_of_one_volume_may_be_alike(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a", "a", "b"], volume_id=["1", "1", "1"])
    save(tmp_path, "images/1.png", (picture(0) * 0.9).astype(np.uint16))
    rows, _, lines = look(manifest)
    assert lines == []
    assert {row["warnings"] for row in rows} == {""}


def test_spellings_of_a_patient(tmp_path: Path) -> None:
    _, page, lines = look(write_study(tmp_path, ["P-007", "p7", "8", "1-10", "11-0"]))
    assert lines == []
    words = "".join(Page(page).words)
    assert "patients 'P-007' and 'p7': one patient in several spellings?" in words
    assert "'11-0'" not in words


@given(st.lists(st.one_of(st.integers(0, 10**6), st.sampled_from(["a", "pat", "é"])), min_size=1, max_size=4))
def test_case_separators_and_zeros_do_not_change_a_spelling(parts: list[int | str]) -> None:
    plain = "-".join(map(str, parts))
    fancy = " _".join(f"00{part}" if isinstance(part, int) else part.upper() for part in parts)
    assert spelling(plain) == spelling(fancy)
    assert spelling(plain) != spelling(plain + "-1")


def test_no_table_no_page(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("image_path,patient_id\na.png,7\n")
    with pytest.raises(UserError, match="lacks the column mask_path"):
        check(tmp_path / "manifest.csv", PreprocessSettings(SIZE), tmp_path / "out", 2)
    assert not (tmp_path / "out").exists()


def test_broken_rows_of_the_manifest_are_named_and_the_others_looked_at(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a", "b", "c", "d"])
    text = manifest.read_text().replace("images/1.png,masks/1.png,b", "images/1.png,,b").replace("0.png,a", "0.png,")
    manifest.write_text(text.replace("images/3.png", "images/2.png"))
    rows, _, lines = look(manifest)
    assert [line.split(": ")[0] for line in lines[1:]] == ["row 2", "row 3", "row 5"]
    assert "patient_id is empty" in rows[0]["faults"]
    assert "the same image as row 4" in rows[3]["faults"]
    assert (rows[2]["height"], rows[2]["faults"]) == ("40", "")


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    manifest = write_study(tmp_path, ["a", "b"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    look(manifest)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "check.csv", "errors.json", "notes.txt", "report.html",
    ]  # fmt: skip


def test_one_patient_has_no_stranger(tmp_path: Path) -> None:
    rows, _, lines = look(write_study(tmp_path, ["a", "a"]))
    assert "the data have 1 patient;" in lines[1]
    assert {row["nearest_row"] for row in rows} == {""}
    assert {row["fold"] for row in rows} == {""}


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_fold_without_a_lesion_is_an_error(tmp_path: Path, unreadable: bool) -> None:
    manifest = write_study(tmp_path, ["a", "b"])
    save(tmp_path, "masks/0.png", np.zeros((40, 32), np.uint8))
    if unreadable:  # it may hold a lesion: an error of its own
        (tmp_path / "masks/0.png").write_bytes(b"")
    out = tmp_path / "out"
    with pytest.raises(UserError) as caught:
        check(manifest, PreprocessSettings(SIZE, empty_masks="keep"), out, 2)
    assert ("no image with a lesion: Dice there" in str(caught.value)) != unreadable
    assert ("masks/0.png" in str(caught.value)) == unreadable
