"""Which kind of file an image is: told by the ending of its name, or, of DICOM without one, by its first bytes."""

from pathlib import Path, PurePath

NIFTI = (".nii", ".nii.gz")
FLAT = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
DICOM = (".dcm", ".dicom", ".ima")
ENDINGS = (*NIFTI, *FLAT, *DICOM)
PREAMBLE = 128  # bytes, of any content, before the letters DICM (PS3.10, 7.1)


def ending_of(path: PurePath) -> str | None:
    """Return which of ``ENDINGS`` a file name has, in upper or lower case, or None."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)


def without_ending(path: PurePath) -> str:
    """Return a path without the ending that is one of ``ENDINGS``, with slashes."""
    name, ending = path.as_posix(), ending_of(path)
    return name[: -len(ending)] if ending else name


def begins_as_dicom(path: Path) -> bool:
    """Return whether a file begins as DICOM does, whatever its name; DICOMDIR, a list of files, does not count."""
    try:
        with path.open("rb") as file:
            return path.name.upper() != "DICOMDIR" and file.read(PREAMBLE + 4)[PREAMBLE:] == b"DICM"
    except OSError:
        return False


def holds_dicom(path: Path) -> bool:
    """Return whether a file is DICOM: by its ending, or, if it has none that is known, by its first bytes."""
    ending = ending_of(path)
    return ending in DICOM or (ending is None and begins_as_dicom(path))


def is_image(path: Path) -> bool:
    """Return whether a file is one that is read: it has one of ``ENDINGS``, or is DICOM without one."""
    return ending_of(path) is not None or begins_as_dicom(path)
