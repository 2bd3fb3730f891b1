"""Images and masks in two folders, with the same stems, or side by side, by names with wildcards."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pig.data.formats import ENDINGS, holds_dicom, is_image, without_ending
from pig.data.readers.labels import Labels
from pig.data.readers.patterns import Pattern, proposal
from pig.data.readers.slices import axis_errors, read_pairs
from pig.data.readers.volume import Patients, Volume, composed, files_below, folder_of, gather, is_export
from pig.system.errors import UserError
from pig.system.settings import Error, refuse

logger = logging.getLogger("pig")


@dataclass(frozen=True)
class Settings:
    """Where images and masks lie, and how a name tells the patient.

    Attributes:
        patient: a regular expression with one group, searched in the path below ``images`` without its ending
            ("anna/slice_3"): "^([^/]+)/" takes the folder, "^(.+)_[0-9]+$" all before the last number.
        images: folder below the root; or a path with wildcards, as "*.png" or "*/*.tif"; DICOM needs no ending.
        masks: likewise. With wildcards those of an image and of its masks stand for the same text; a further one in
            ``masks`` stands for any ("*_mask*.png"), and the masks that it gives an image are united.
        mask_suffix: what a mask has behind the stem of its image ("_segmentation"), in folders.
        missing_mask: an image without a mask is an "error", or "healthy": it has no lesion.
        labels: the values of the lesion in the masks; empty: the only one that is not background.
        background: the values of what is not lesion. A value that is neither is an error.
        threshold: for masks with more grey values than labels (JPEG, interpolated): values from here on are lesion.
        axis: what counts the slices of a NIfTI volume, turned to LPS: 0 sagittal, 1 coronal, 2 axial.
    """

    patient: str
    images: str = "images"
    masks: str = "masks"
    mask_suffix: str = ""
    missing_mask: Literal["error", "healthy"] = "error"
    labels: tuple[int, ...] = ()
    background: tuple[int, ...] = (0,)
    threshold: float | None = None
    axis: int = 2

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    def _errors(self) -> Iterator[Error]:
        yield from axis_errors(self.axis)
        if self.threshold is not None and self.labels:
            yield "threshold", "is of no use beside labels; give one of the two."
        wildcards = Pattern(self.images).wildcards, Pattern(self.masks).wildcards
        if any(wildcards) and (wildcards[0] == 0 or wildcards[1] < wildcards[0]):
            yield (
                "masks",
                f"must have each wildcard of images ({self.images!r}) and may have one more, got {self.masks!r}.",
            )
        if any(wildcards) and self.mask_suffix:
            yield "mask_suffix", "is of no use beside wildcards; write it into masks."


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per image, with its masks, sorted by name.

    Raises:
        Incomplete: a file has no partner, or a name tells no patient. All are listed.
        UserError: a folder is missing, or two files have one stem.
    """
    if is_export(root):
        raise UserError(
            f"{root} holds pairs that a generator drew (provenance.json): they belong to no patient, and must not be "
            "tested on; give the real data."
        )
    patients = Patients(settings.patient, "dataset.import.patient")
    labels = Labels(settings.labels, settings.background, threshold=settings.threshold)
    faults, single = list[str](), list[str]()
    found = []
    by_pattern = "*" in settings.images + settings.masks
    pairs = (_by_pattern if by_pattern else _by_stem)(root, settings, faults, single)
    for stem, (image, masks) in sorted(pairs.items()):
        try:
            row = {"patient_id": patients.find(stem)}
        except UserError as error:
            single.append(str(error))
            continue
        row |= {} if holds_dicom(image) else {"volume_id": stem}  # which says itself what it is stacked with
        found.append(Volume(stem, partial(read_pairs, image, masks, row, labels, settings.axis)))
    return gather(root, faults, found, f"files with the ending {', '.join(ENDINGS)}", single)


def _by_stem(
    root: Path, settings: Settings, faults: list[str], single: list[str]
) -> dict[str, tuple[Path, list[Path]]]:
    """Return image and mask by the stem that they have in common, from a folder of each.

    Faults of the whole go to ``faults``, those of a single file to ``single``.
    """
    if not (root / settings.images).is_dir() or not (root / settings.masks).is_dir():
        names = [path.relative_to(root).as_posix() for path in sorted(files_below(root, faults))]
        if proposed := proposal(names):
            raise UserError(
                f"{root} has no folders {settings.images} and {settings.masks}, but masks that seem to lie beside "
                f"their images: give {proposed}."
            )
    images = _stems(folder_of(root, settings.images, "images"), "", faults, single)
    masks = _stems(folder_of(root, settings.masks, "masks"), settings.mask_suffix, faults, single)
    if settings.missing_mask == "error":
        single += [f"{path} has no mask of the same stem" for stem, path in images.items() if stem not in masks]
    single += [f"{path} has no image of the same stem" for stem, path in masks.items() if stem not in images]
    if not settings.mask_suffix and (suffix := _suffix(images, masks)):
        raise UserError(f"{root}: each mask has {suffix!r} behind the stem of its image; set mask_suffix: {suffix!r}.")
    without = {stem: (image, list[Path]()) for stem, image in images.items() if settings.missing_mask == "healthy"}
    return without | {stem: (images[stem], [masks[stem]]) for stem in images.keys() & masks.keys()}


def _suffix(images: Collection[str], masks: Collection[str]) -> str:
    """Return what each mask has behind the stem of its image; "" if there is no such text, or some have none."""
    first = min(images, default="")
    behind = (mask.removeprefix(first) for mask in masks if mask.startswith(first))
    return next((text for text in behind if {stem + text for stem in images} == {*masks}), "")


def _stems(folder: Path, suffix: str, faults: list[str], single: list[str]) -> dict[str, Path]:
    """Return the files below ``folder`` by their path without ending and ``suffix``."""
    stems: dict[str, Path] = {}
    left: list[Path] = []
    for path in sorted(files_below(folder, faults)):
        if not is_image(path):
            left.append(path)
            continue
        stem = composed(without_ending(path.relative_to(folder)))
        if not stem.endswith(composed(suffix)):
            single.append(f"{path} does not end in {suffix!r}, the mask_suffix")
            continue
        stem = stem.removesuffix(composed(suffix))
        if stem in stems:
            faults.append(f"{path} and {stems[stem]} have one stem; remove one")
        stems[stem] = path
    say_left(folder, left)
    return stems


def _by_pattern(
    root: Path, settings: Settings, faults: list[str], single: list[str]
) -> dict[str, tuple[Path, list[Path]]]:
    """Return each image with its masks, by its path without ending; what is no mask may be an image."""
    of_images, of_masks = Pattern(settings.images), Pattern(settings.masks)
    masks: dict[tuple[str, ...], list[Path]] = {}
    images: dict[tuple[str, ...], Path] = {}
    left: list[Path] = []
    for path in sorted(files_below(root, faults)):
        name = path.relative_to(root).as_posix()
        of_mask, of_image = of_masks.key(name, of_images.wildcards), of_images.key(name)
        if (of_mask, of_image) == (None, None):
            continue
        if not is_image(path):
            left.append(path)
            continue
        if of_mask is not None:
            masks.setdefault(of_mask, []).append(path)
        elif of_image is not None and (twin := images.setdefault(of_image, path)) != path:
            faults.append(f"{path} and {twin} have one stem; remove one")
    say_left(root, left)
    if settings.missing_mask == "error":
        single += [f"{path} has no mask by {of_masks.text}" for key, path in images.items() if key not in masks]
    single += [f"{of[0]} has no image by {of_images.text}" for key, of in masks.items() if key not in images]
    pairs: dict[str, tuple[Path, list[Path]]] = {}
    for key, image in images.items():
        if key in masks or settings.missing_mask == "healthy":
            pair = image, masks.get(key, [])
            if (twin := pairs.setdefault(without_ending(image.relative_to(root)), pair)[0]) != image:
                faults.append(f"{image} and {twin} have one stem; remove one")
    return pairs


def say_left(folder: Path, left: Sequence[Path]) -> None:
    """Say in the log how many files of a folder are no images that are read, if any, and the name of the first."""
    if left:
        logger.warning("%s: %d of the files have endings that are not read, as %s", folder, len(left), left[0].name)
