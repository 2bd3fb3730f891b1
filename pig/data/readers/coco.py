"""COCO: images, and one JSON file with their outlines as polygons or run lengths."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.images import size_of
from pig.data.readers.volume import OF_A_USER, Pair, Patients, Volume, gather, inside
from pig.system.errors import UserError
from pig.system.files import read_json

BEYOND = 2  # pixels that a polygon may lie outside of its image


@dataclass(frozen=True)
class Settings:
    """Where images and outlines lie, and who the patients are.

    Attributes:
        annotations: the JSON file below the root.
        patient: a regular expression with one group, searched in ``patient_key`` of each image.
        patient_key: the key of an image's record that the patient is taken from.
        images: folder below the root.
        categories: names of the categories that are the lesion; empty: the only one.
    """

    annotations: str
    patient: str
    patient_key: str = "file_name"
    images: str = "."
    categories: tuple[str, ...] = ()


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per image, in the order of the file; outlines of one image are united.

    Raises:
        Incomplete: an image's record lacks something or tells no patient, or an annotation is of an image or a category
            that is not listed. All are listed.
        UserError: the file is no COCO, two images have one id, or an annotation does not tell whose mask it belongs to.
    """
    path = root / settings.annotations
    content = read_json(path, OF_A_USER)
    if not isinstance(content, dict) or any(
        not isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise UserError(f"{path} lacks the lists images, annotations and categories; this is not COCO.")
    known, wanted = _categories(path, content["categories"], settings.categories)
    patients = Patients(settings.patient, "dataset.import.patient")
    faults, single = list[str](), list[str]()
    images = _images(content["images"], faults, single)
    outlines = _outlines(content["annotations"], images, known, wanted, faults, single)
    found = []
    for of, record in images.items():
        if record is None:
            continue
        name, key = record["file_name"], record.get(settings.patient_key)
        try:
            if not _is_id(key):
                raise UserError(f"image {name} has no text or whole number as {settings.patient_key} ({key!r})")
            row = {"patient_id": patients.find(str(key))}
            image = inside(root / settings.images, name)
        except UserError as error:
            single.append(str(error))
            continue
        found.append(Volume(name, partial(load, image, outlines[of], (record["height"], record["width"]), row)))
    return gather(path, faults, found, "images", single)


def _images(records: list[Any], faults: list[str], single: list[str]) -> dict[Any, dict[str, Any] | None]:
    """Return the record of each image by its id, or None where it has a fault of its own, which goes to ``single``."""
    images: dict[Any, dict[str, Any] | None] = {}
    for record in records:
        wrong = ""
        if not isinstance(record, dict) or not _is_id(record.get("id", 0)):
            wrong = f"an image is {str(record)[:80]}, not a record with a number or text as id"
        elif missing := [key for key in ("id", "file_name", "height", "width") if key not in record]:
            wrong = f"an image {record.get('file_name', '')} has no {', '.join(missing)}"
        elif not isinstance(record["file_name"], str) or not record["file_name"]:
            wrong = f"image {record['id']} has the file_name {record['file_name']!r}"
        elif any(type(record[key]) is not int or record[key] < 1 for key in ("height", "width")):
            wrong = f"image {record['file_name']} has height {record['height']!r} and width {record['width']!r}"
        if wrong:
            single.append(wrong)
        of = record.get("id") if isinstance(record, dict) else None
        if _is_id(of) and of in images:
            faults.append(f"two images have the id {of}")
        elif _is_id(of):
            images[of] = None if wrong else record
    return images


def _outlines(
    annotations: list[Any],
    images: dict[Any, dict[str, Any] | None],
    known: set[Any],
    wanted: set[Any],
    faults: list[str],
    single: list[str],
) -> dict[Any, list[tuple[Any, Any]]]:
    """Return, by the id of their image, the id of each annotation and what it draws.

    An annotation that does not tell its image is a fault of the whole: a mask lacks it, and nobody knows which. An
    image with an annotation of an unknown category becomes None in ``images``, for its mask is not known.
    """
    outlines: dict[Any, list[tuple[Any, Any]]] = {of: [] for of in images}
    texts = {str(of) for of in images}
    for annotation in annotations:
        if not isinstance(annotation, dict):
            faults.append(f"an annotation is {str(annotation)[:80]}, not a record")
            continue
        name, of, category = (annotation.get(key) for key in ("id", "image_id", "category_id"))
        if not _is_id(of) or of not in images:
            alone = _is_id(of) and str(of) not in texts  # "7" is no 7, and yet may be meant
            text = f"annotation {name} is of an image that is not listed (image_id {of!r})"
            (single if alone else faults).append(text)
        elif not _is_id(category) or category not in known:
            single.append(f"annotation {name} is of a category that is not listed (category_id {category!r})")
            images[of] = None
        elif category in wanted:
            outlines[of].append((name, annotation.get("segmentation")))
    return outlines


def _is_id(value: Any) -> bool:
    return type(value) in (int, str)


def _categories(path: Path, records: list[Any], names: tuple[str, ...]) -> tuple[set[Any], set[Any]]:
    """Return the ids of all categories, and of those that are the lesion; several categories may have one name."""
    ids: dict[str, set[Any]] = {}
    for record in records:
        if not isinstance(record, dict) or not _is_id(record.get("id")):
            raise UserError(f"{path}: a category is {str(record)[:80]}, not a record with a number or text as id.")
        ids.setdefault(str(record.get("name")), set()).add(record["id"])
    if unknown := [name for name in names if name not in ids]:
        raise UserError(f"{path} has no category {', '.join(unknown)}; it has {', '.join(ids)}.")
    if not names and len(ids) != 1:
        raise UserError(f"{path} has the categories {', '.join(ids)}; the setting 'categories' says which are lesions.")
    return set().union(*ids.values()), set().union(*(ids[name] for name in names or ids))


def load(image: Path, outlines: list[tuple[Any, Any]], size: tuple[int, int], row: dict[str, Any]) -> list[Pair]:
    """Return the pair of one image; pixels are drawn by COCO's own library.

    Raises:
        UserError: the image is of another size than the file says, or an annotation is neither polygons nor run
            lengths, is of another size, does not lie on the image, or draws nothing.
    """
    if (there := size_of(image)) != size:
        said, is_ = (f"{width} x {height}" for height, width in (size, there))
        raise UserError(f"its record says {said} pixels, and the image has {is_}; correct width and height")
    mask = np.zeros(size, bool)
    for name, outline in outlines:
        try:
            drawn = _draw(outline, size)
        except UserError as error:
            raise UserError(f"annotation {name}: {error}") from None
        if not drawn.any():
            raise UserError(f"annotation {name} draws no pixel; correct or remove it")
        mask |= drawn
    return [Pair(image, mask, row)]


def _refuse_stray(polygon: list[float], width: int, height: int) -> None:
    """Refuse a polygon x, y, x, y, ... that is not on its image, or longer than the image has pixels.

    COCO's library walks along it in steps of a fifth of a pixel and holds each of them in memory.
    """
    try:
        points = np.array(polygon, np.float64).reshape(-1, 2)
    except OverflowError:
        raise UserError("an outline with numbers that are beyond any image") from None
    low, high = points.min(axis=0), points.max(axis=0)
    if not (np.isfinite(points).all() and (low >= -BEYOND).all() and (high <= (width + BEYOND, height + BEYOND)).all()):
        raise UserError(f"an outline from {low} to {high} is not on the image of {width} x {height} pixels")
    if np.abs(np.diff(points, axis=0)).max(axis=1).sum() > max(width * height, 1000):
        raise UserError(f"an outline of {len(points)} points is longer than the image has pixels; it is not an outline")


def _draw(outline: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    try:
        from pycocotools import mask as coco  # type: ignore[import-untyped]
    except ImportError:
        raise UserError("reading COCO needs pycocotools; pip install 'pig-benchmark[coco]'.") from None
    height, width = size
    match outline:
        case [[_, *_], *_] if all(
            isinstance(part, list)
            and len(part) >= 6
            and len(part) % 2 == 0
            and all(isinstance(value, int | float) for value in part)
            for part in outline
        ):
            for polygon in outline:
                _refuse_stray(polygon, width, height)
            codes = coco.frPyObjects(outline, height, width)
        case {"counts": list() | str() as counts, "size": [h, w]}:
            if (h, w) != size:
                raise UserError(f"run lengths of {w} x {h} pixels, the image has {width} x {height}")
            if isinstance(counts, list):
                if not all(type(count) is int and count >= 0 for count in counts):
                    raise UserError("run lengths that are not all whole numbers, 0 or more")
                if sum(counts) != height * width:
                    raise UserError(f"run lengths of {sum(counts)} pixels, the image has {height * width}")
                codes = [coco.frPyObjects(outline, height, width)]
            else:
                codes = [{"counts": counts.encode(errors="replace"), "size": [height, width]}]
        case _:
            raise UserError("an outline that is neither polygons of three or more points nor run lengths")
    try:
        mask = coco.decode(coco.merge(codes))
    except ValueError as error:
        raise UserError(f"run lengths that cannot be read ({error})") from None
    # The library reads compressed run lengths of too few pixels, or of nonsense, without an error.
    if isinstance(outline, dict) and isinstance(outline["counts"], str) and coco.encode(mask) != codes[0]:
        raise UserError("run lengths that cannot be read: they are not those of a mask of this size")
    return np.asarray(mask, bool)
