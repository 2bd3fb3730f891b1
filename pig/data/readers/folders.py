"""Two folders, of images and of masks, in which the files of a pair have the same stem."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pig.data.readers.labels import Labels
from pig.data.readers.slices import ENDINGS, NIFTI, ending_of, read_pairs
from pig.data.readers.volume import Patients, Volume, folder_of, gather, is_export
from pig.system.errors import UserError
from pig.system.settings import refuse


@dataclass(frozen=True)
class Settings:
    """Where images and masks lie, and how a name tells the patient.

    Attributes:
        patient: a regular expression with one group, searched in the path below ``images`` without its ending
            ("anna/slice_3"): "^([^/]+)/" takes the folder, "^(.+)_[0-9]+$" all before the last number.
        images: folder below the root.
        masks: folder below the root.
        mask_suffix: what a mask has behind the stem of its image ("_segmentation").
        labels: the values of the lesion in the masks; empty: the only one that is not background.
        background: the values of what is not lesion. A value that is neither is an error.
        threshold: for masks with more grey values than labels (JPEG, interpolated): values from here on are lesion.
        axis: what counts the slices of a NIfTI volume, turned to LPS: 0 sagittal, 1 coronal, 2 axial.
    """

    patient: str
    images: str = "images"
    masks: str = "masks"
    mask_suffix: str = ""
    labels: tuple[int, ...] = ()
    background: tuple[int, ...] = (0,)
    threshold: float | None = None
    axis: int = 2

    def __post_init__(self) -> None:
        both = self.threshold is not None and self.labels
        refuse([("threshold", "is of no use beside labels; give one of the two.")] if both else [], self)


def volumes(root: Path, settings: Settings) -> list[Volume]:
    """Return one volume per pair of files, sorted by name.

    Raises:
        UserError: a folder is missing, a file has no partner or two, or a name tells no patient. All are listed.
    """
    if is_export(root):
        raise UserError(
            f"{root} holds pairs that a generator drew (provenance.json): they belong to no patient, and must not be "
            "tested on; give the real data."
        )
    patients = Patients(settings.patient, "import.folders.patient")
    faults: list[str] = []
    images = _stems(folder_of(root, settings.images, "images"), "", faults)
    masks = _stems(folder_of(root, settings.masks, "masks"), settings.mask_suffix, faults)
    faults += [f"{path} has no mask of the same stem" for stem, path in images.items() if stem not in masks]
    faults += [f"{path} has no image of the same stem" for stem, path in masks.items() if stem not in images]
    labels = Labels(settings.labels, settings.background, threshold=settings.threshold)
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
        found.append(Volume(stem, partial(read_pairs, image, mask, row, labels, settings.axis)))
    return gather(root, faults, found, f"files with the ending {', '.join(ENDINGS)}")


def _stems(folder: Path, suffix: str, faults: list[str]) -> dict[str, Path]:
    """Return the files below ``folder`` by their path without ending and ``suffix``."""
    stems: dict[str, Path] = {}
    for path in sorted(_files(folder, faults)):
        ending = ending_of(path)
        if ending is None or path.name.startswith("."):
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


def _files(folder: Path, faults: list[str], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield all files below ``folder``, also below folders that are links; one that leads back up is a fault."""
    here = folder.resolve()
    if here in above:
        faults.append(f"{folder} is a link to a folder above it; remove it")
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files(path, faults, (*above, here))
        elif path.is_file():
            yield path
