"""Two folders, of images and of masks, in which the files of a pair have the same stem."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pig.data.readers.slices import ENDINGS, NIFTI, ending_of, read_pairs
from pig.data.readers.volume import Patients, Volume, folder_of, gather
from pig.system.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Where images and masks lie, and how a name tells the patient.

    Attributes:
        patient: a regular expression with one group, searched in the path below ``images`` without its ending
            ("anna/slice_3"): "^([^/]+)/" takes the folder, "^(.+)_[0-9]+$" all before the last number.
        images: folder below the root.
        masks: folder below the root.
        mask_suffix: what a mask has behind the stem of its image ("_segmentation").
        labels: the values of the lesion in the masks; empty: the only one beside 0.
        axis: what counts the slices of a NIfTI volume, turned to LPS: 0 sagittal, 1 coronal, 2 axial.
    """

    patient: str
    images: str = "images"
    masks: str = "masks"
    mask_suffix: str = ""
    labels: tuple[int, ...] = ()
    axis: int = 2


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per pair of files, sorted by name.

    Raises:
        UserError: a folder is missing, a file has no partner or two, or a name tells no patient. All are listed.
    """
    patients = Patients(settings.patient, "import.folders.patient")
    faults: list[str] = []
    images = _stems(folder_of(root, settings.images, "images"), "", faults)
    masks = _stems(folder_of(root, settings.masks, "masks"), settings.mask_suffix, faults)
    faults += [f"{path} has no mask of the same stem" for stem, path in images.items() if stem not in masks]
    faults += [f"{path} has no image of the same stem" for stem, path in masks.items() if stem not in images]
    found = []
    for stem in sorted(images.keys() & masks.keys()):
        image, mask = images[stem], masks[stem]
        if (ending_of(image) in NIFTI) != (ending_of(mask) in NIFTI):
            faults.append(f"{image} and {mask} are not both volumes")
            continue
        try:
            row = {"patient_id": patients.find(stem), "volume_id": stem}
        except UserError as error:
            faults.append(str(error))
            continue
        found.append(Volume(stem, partial(read_pairs, image, mask, row, settings.labels, settings.axis)))
    return gather(root, faults, found, f"files with the ending {', '.join(ENDINGS)}")


def _stems(folder: Path, suffix: str, faults: list[str]) -> dict[str, Path]:
    """Return the files below ``folder`` by their path without ending and ``suffix``."""
    stems: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        ending = ending_of(path)
        if ending is None or path.name.startswith(".") or not path.is_file():
            continue
        stem = path.relative_to(folder).as_posix()[: -len(ending)]
        if not stem.endswith(suffix):
            faults.append(f"{path} does not end in {suffix!r}, the mask_suffix")
            continue
        stem = stem.removesuffix(suffix)
        if stem in stems:
            faults.append(f"{path} and {stems[stem]} have one stem; remove one")
        stems[stem] = path
    return stems
