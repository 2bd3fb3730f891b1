"""Small data sets drawn at random, written in each layout."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from dicom_files import write_dicom
from hypothesis import strategies as st
from nibabel import orientations
from PIL import Image
from pycocotools import mask as coco

from pig.data.images import read_grey, read_mask
from pig.data.manifest import read_manifest, spellings
from pig.data.readers import import_data
from pig.data.readers.volume import composed

PATIENT = "^(.+)_[0-9]+$"
CODES = ["LPS", "RAS", "LAS", "PSL", "ARI", "SAR", "ILP"]
ENDS = "pqr7Äß\u00e9\u65e5\U0001f600)"
Content = dict[tuple[str, tuple[int, ...], bytes], tuple[str, bytes]]


class Drawn(NamedTuple):
    """A pair [H, W] or a volume [X, Y, Z] in LPS: grey values, and the rectangles or blocks that are lesions."""

    patient: str
    name: str
    image: np.ndarray
    lesions: list[tuple[slice, ...]]

    @property
    def mask(self) -> np.ndarray:
        mask = np.zeros(self.image.shape, np.uint8)
        for place in self.lesions:
            mask[place] = 1
        return mask


# What a data set is, as (source, root, settings): a writer takes a folder and what is drawn.
Written = tuple[str, Path, dict[str, Any]]
Writer = Callable[[Path, list[Drawn]], Written]

within = st.tuples(st.sampled_from(ENDS), st.text(ENDS + " .,;'\"-(u\u0308", max_size=4), st.sampled_from(ENDS))
patients = st.lists(st.builds("".join, within), min_size=1, max_size=3, unique=True).filter(
    lambda names: not spellings([composed(name) for name in names])
)


@st.composite
def data_sets(draw: st.DrawFn, dimensions: int = 2) -> list[Drawn]:
    """Up to 4 images of 8 to 24 pixels, or 2 volumes of 3 to 6 voxels, of up to 3 patients."""
    names = draw(patients)
    sides = st.integers(8, 24) if dimensions == 2 else st.integers(3, 6)
    pairs = []
    for number in range(draw(st.integers(1, 4 if dimensions == 2 else 2))):
        shape = tuple(draw(sides) for _ in range(dimensions))
        dtype = draw(st.sampled_from([np.uint8, np.uint16]))
        rng = np.random.default_rng([number, draw(st.integers(0, 2**32))])  # no two images alike: they tell pairs apart
        image = rng.integers(0, np.iinfo(dtype).max, shape, dtype, True)
        lesions = []
        for _ in range(draw(st.integers(0, 3))):
            starts = [draw(st.integers(0, side - 1)) for side in shape]
            ends = [draw(st.integers(start + 1, side)) for start, side in zip(starts, shape, strict=True)]
            lesions.append(tuple(map(slice, starts, ends)))
        patient = draw(st.sampled_from(names))
        pairs.append(Drawn(patient, f"{patient}_{number}", image, lesions))
    return pairs


def three(dimensions: int = 2) -> list[Drawn]:
    """A fixed data set of three pairs."""
    rng = np.random.default_rng(0)
    shape = (12, 10, 2)[:dimensions]
    lesion = (slice(2, 6), slice(3, 5), slice(0, 1))[:dimensions]
    images = [rng.integers(0, 2**12, shape, np.uint16) for _ in range(3)]
    return [Drawn(f"p{number}", f"p{number}_1", image, [lesion]) for number, image in enumerate(images)]


def content(pairs: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> Content:
    return {
        (image.dtype.name, image.shape, image.tobytes()): (composed(patient), (mask > 0).tobytes())
        for patient, image, mask in pairs
    }


def expected(drawn: list[Drawn], axis: int = 2) -> Content:
    """What is to come back of pairs, or of the slices of volumes."""
    pairs = [(one.patient, one.image, one.mask) for one in drawn if one.image.ndim == 2]
    for one in drawn:
        for index in range(one.image.shape[axis] if one.image.ndim == 3 else 0):
            pairs.append((one.patient, one.image.take(index, axis).T, one.mask.take(index, axis).T))
    return content(pairs)


def imported(written: Written, out: Path, **more: object) -> Content:
    source, root, settings = written
    table = read_manifest(import_data(source, root, {"without_lesion": "keep", **settings, **more}, out))
    paths = zip(table["image_path"], table["mask_path"], strict=True)
    read = [(read_grey(image), read_mask(mask)) for image, mask in paths]
    assert all(image.shape == mask.shape for image, mask in read)
    return content((patient, *pair) for patient, pair in zip(table["patient_id"], read, strict=True))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def save_nifti(path: Path, voxels: np.ndarray, code: str) -> Path:
    """Write voxels that are in LPS with their axes in another order and direction."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-0.5, -0.8, 3.0, 1.0])
    turn = orientations.ornt_transform(orientations.axcodes2ornt("LPS"), orientations.axcodes2ornt(tuple(code)))
    turned = orientations.apply_orientation(voxels, turn)
    nibabel.save(nibabel.Nifti1Image(turned, affine @ orientations.inv_ornt_aff(turn, voxels.shape)), path)
    return path


# --- layouts -------------------------------------------------------------------------------------------------------


def folders(root: Path, drawn: list[Drawn]) -> Written:
    for one in drawn:
        save(root / f"images/{one.name}.png", one.image)
        save(root / f"masks/{one.name}.tif", one.mask * np.uint8(255))
    return "folders", root, {"patient": PATIENT}


def patterns(root: Path, drawn: list[Drawn]) -> Written:
    """A mask for each lesion."""
    for one in drawn:
        save(root / f"{one.name}.png", one.image)
        for number, place in enumerate(one.lesions):
            save(root / f"{one.name}_mask{number}.png", one._replace(lesions=[place]).mask * np.uint8(255))
    return "folders", root, {"patient": PATIENT, "images": "*.png", "masks": "*_mask*.png", "missing_mask": "healthy"}


def dicom(root: Path, drawn: list[Drawn]) -> Written:
    for one in drawn:
        write_dicom(root / f"images/{one.name}.dcm", one.image)
        save(root / f"masks/{one.name}.png", one.mask)
    return "folders", root, {"patient": PATIENT}


def describe(root: Path, ending: str, version: int = 2) -> None:
    said: dict[str, Any] = {"channel_names": {"0": "x"}, "labels": {"background": 0, "mass": 1}, "file_ending": ending}
    if version == 1:
        said = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "mass"}, "training": []}
    (root / "dataset.json").write_text(json.dumps(said))


def nnunet(root: Path, drawn: list[Drawn]) -> Written:
    for one in drawn:
        save(root / f"imagesTr/{one.name}_0000.png", one.image)
        save(root / f"labelsTr/{one.name}.png", one.mask)
    describe(root, ".png")
    return "nnunet", root, {"patient": PATIENT}


def volumes(root: Path, drawn: list[Drawn], code: str = "RAS", of_mask: str = "LPS", kind: str = "folders") -> Written:
    ending = {"folders": ".nii", "v2": ".nii", "v1": ".nii.gz"}[kind]
    images, masks, channel = ("images", "masks", "") if kind == "folders" else ("imagesTr", "labelsTr", "_0000")
    for one in drawn:
        save_nifti(root / images / f"{one.name}{channel}{ending}", one.image, code)
        save_nifti(root / masks / f"{one.name}{ending}", one.mask, of_mask)
    if kind != "folders":
        describe(root, ending, int(kind[1]))
    return "folders" if kind == "folders" else "nnunet", root, {"patient": PATIENT}


def outline(one: Drawn, place: tuple[slice, ...], how: str) -> Any:
    (y0, y1), (x0, x1) = ((part.start, part.stop) for part in place)
    if how == "polygon":
        return [[x0, y0, x1, y0, x1, y1, x0, y1]]
    mask = one._replace(lesions=[place]).mask
    if how == "compressed":
        code = coco.encode(np.asfortranarray(mask))
        return {"size": code["size"], "counts": code["counts"].decode()}
    columns = mask.ravel(order="F")
    ends = [0, *(np.flatnonzero(np.diff(columns)) + 1).tolist(), columns.size]
    return {"size": [*mask.shape], "counts": [0] * int(columns[0]) + np.diff(ends).tolist()}


def coco_of(root: Path, drawn: list[Drawn], hows: tuple[str, ...] = ("polygon", "counts", "compressed")) -> Written:
    said: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "mass"}]}
    for number, one in enumerate(drawn):
        save(root / f"{one.name}.png", one.image)
        height, width = one.image.shape
        said["images"].append({"id": number, "file_name": f"{one.name}.png", "height": height, "width": width})
        for place in one.lesions:
            drawing = outline(one, place, hows[number % len(hows)])
            entry = {"id": len(said["annotations"]), "image_id": number, "category_id": 3, "segmentation": drawing}
            said["annotations"].append(entry)
    (root / "coco.json").write_text(json.dumps(said))
    return "coco", root, {"annotations": "coco.json", "patient": r"^(.+)_[0-9]+\.png$"}


def table(root: Path, drawn: list[Drawn], delimiter: str = ",", encoding: str = "utf-8", end: str = "\n",
          quoting: int = csv.QUOTE_MINIMAL, said: bool = False) -> Written:  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow([" patient_id", "größe", "image_path", "mask_path "])
    for one in drawn:
        save(root / f"i/{one.name}.png", one.image)
        save(root / f"m/{one.name}.png", one.mask)
        writer.writerow([one.patient, one.image.size, f"i/{one.name}.png", f"m/{one.name}.png"])
    head = f"sep={delimiter}{end}" if said else ""
    (root / "mine.csv").write_bytes((head + text.getvalue()).encode(encoding))
    return "manifest", root / "mine.csv", {}
