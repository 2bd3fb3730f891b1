"""DICOM: the pixels as a display shows them. No field is read but those named here, and none is carried on."""

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pig.data.limits import refuse_giant
from pig.system.errors import UserError

MOST_BITS = 32
# It logs the traceback of each decoder that fails, beside the error that it raises in the end.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


class Header(NamedTuple):
    """What is needed of a header.

    Attributes:
        rows: height in pixels.
        columns: width in pixels.
        frames: 1 for a single image.
        inverted: MONOCHROME1, in which large values are dark.
        slope: of the rescaling to the modality's values.
        intercept: of the same.
        window: centre and width, or None.
        function: how the window is meant: "LINEAR", "LINEAR_EXACT" or "SIGMOID".
        spacing_mm: distance of rows and of columns; None if it is not known, or the two are more than 1 % apart.
        slice_mm: distance of slices, or None.
        bits: of a stored value.
        signed: whether stored values may be negative.
        stack: a name for the slices of one series that lie in one direction and compare in size and grey values; "" of
            an image that says no place in space, or has several frames.
    """

    rows: int
    columns: int
    frames: int
    inverted: bool
    slope: float
    intercept: float
    window: tuple[float, float] | None
    function: str
    spacing_mm: float | None
    slice_mm: float | None
    bits: int
    signed: bool
    stack: str = ""


def read_header(path: Path) -> Header:
    """Read what is needed of the header of an image.

    Raises:
        UserError: the file is no DICOM, is cut short, is no grey image, or has grey values by a table (Modality LUT)
            or, frame by frame, of another scale or window.
    """
    data = _dataset(path)
    try:
        kind = str(data.get("PhotometricInterpretation", "MONOCHROME2"))
        if int(data.get("SamplesPerPixel", 1)) != 1 or kind not in ("MONOCHROME1", "MONOCHROME2"):
            raise UserError(f"{path} has colours ({kind}); of DICOM grey images are read: save it as PNG")
        if data.get("ModalityLUTSequence"):
            raise UserError(f"{path} has a table of grey values (Modality LUT), which is not applied; save it as PNG")
        slope, intercept, window, function = _look(data)
        for frame in range(1, len(data.get("PerFrameFunctionalGroupsSequence") or [])):
            if _look(data, frame) != (slope, intercept, window, function):
                raise UserError(
                    f"{path}: frame {frame + 1} has another rescaling or window than the first, so that their grey "
                    "values do not compare; save the frames with one of each"
                )
        spacing = _group(data, "PixelMeasuresSequence", "PixelSpacing", "ImagerPixelSpacing")
        slices = _group(data, "PixelMeasuresSequence", "SpacingBetweenSlices", "SliceThickness")
        refuse_giant(path, int(data["Rows"].value), int(data["Columns"].value))
        header = Header(
            rows=int(data["Rows"].value),
            columns=int(data["Columns"].value),
            frames=int(data.get("NumberOfFrames", 1) or 1),
            inverted=kind == "MONOCHROME1",
            slope=slope,
            intercept=intercept,
            window=window,
            function=function,
            spacing_mm=_one_distance(spacing),
            slice_mm=(_first(slices) or None) if slices is not None else None,
            bits=int(data["BitsStored"].value),
            signed=bool(data.get("PixelRepresentation", 0)),
        )
        header = header._replace(stack=_stack(data, header))
    except UserError:
        raise
    except Exception as error:  # of a broken field pydicom raises nearly anything
        raise UserError(f"{path} lacks a field of the header or has a broken one ({error}); copy it again") from None
    numbers = header.slope, header.intercept, *(header.window or ()), header.spacing_mm or 1, header.slice_mm or 1
    positive = min(header.rows, header.columns, header.frames, header.spacing_mm or 1, header.slice_mm or 1) > 0
    if not positive or not header.slope or not all(map(math.isfinite, numbers)) or not 1 <= header.bits <= MOST_BITS:
        raise UserError(f"{path} has numbers in its header that cannot be ({header}); copy it again")
    if header.window is not None and header.window[1] <= 0:
        raise UserError(f"{path} has a window {header.window[1]:g} wide, which shows nothing; correct or remove it")
    return header


def read_single(path: Path) -> tuple[NDArray[np.uint16], Header]:
    """Read an image of a single frame as ``display`` shows it, uint16 [H, W], and its header.

    Raises:
        UserError: the file cannot be read, or holds several frames.
    """
    header = read_header(path)
    if header.frames != 1:
        raise UserError(f"{path} holds {header.frames} frames; save each as a file of its own, with a mask for each")
    return display(next(read_frames(path, [0])), header), header


def read_frames(path: Path, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Yield the stored values [H, W] of some frames (0-based), one at a time in memory.

    Raises:
        UserError: the file is cut short, or its compression cannot be read.
    """
    pixels = _import("pydicom.pixels", path)
    try:
        yield from pixels.iter_pixels(path, indices=list(indices), raw=True)
    except UserError:
        raise
    except Exception as error:  # each decoder raises errors of its own, on lines of their own
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: the pixels cannot be read ({type(error).__name__}: {reason}); it may be cut short, or its "
            "compression may need pip install 'pig-benchmark[dicom]'"
        ) from None


def display(values: NDArray[Any], header: Header) -> NDArray[np.uint16]:
    """Return stored values as a display shows them: rescaled, windowed, dark to bright in 0..65535.

    Windows as in DICOM PS3.3 C.11.2.1; without one, the range that the bits can hold. Differs: a LINEAR window of less
    than 1, which the standard forbids and maps of fractions have, is taken for LINEAR_EXACT, as which alone it can be.

    Raises:
        UserError: the rescaling leaves the range of numbers.
    """
    shown = values.astype(np.float64) * header.slope + header.intercept
    if not np.isfinite(shown).all():
        raise UserError(f"rescaling by {header.slope} and {header.intercept} gives no grey values; correct the header")
    if header.window is None:
        least = -(2 ** (header.bits - 1)) if header.signed else 0
        ends = np.array([least, least + 2**header.bits - 1]) * header.slope + header.intercept
        shown = (shown - ends.min()) / (ends.max() - ends.min())
    else:
        centre, width = header.window
        match header.function:
            case "SIGMOID":
                shown = 1 / (1 + np.exp(-4 * (shown - centre) / width))
            case function if function == "LINEAR_EXACT" or width < 1:
                shown = (shown - centre) / width + 0.5
            case _ if width == 1:
                shown = (shown > centre - 0.5).astype(np.float64)
            case _:
                shown = (shown - (centre - 0.5)) / (width - 1) + 0.5
    shown = np.clip(shown, 0, 1)
    return np.rint((1 - shown if header.inverted else shown) * 65535).astype(np.uint16)


def series_of(path: Path) -> str:
    """Return the SeriesInstanceUID, for finding files; it is written nowhere.

    Raises:
        UserError: the file is no DICOM.
    """
    return str(_dataset(path, ["SeriesInstanceUID"]).get("SeriesInstanceUID", ""))


def _dataset(path: Path, only: list[str] | None = None) -> Any:
    pydicom = _import("pydicom", path)
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=only)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except Exception as error:  # of a broken file pydicom raises nearly anything
        raise UserError(f"{path} is not readable DICOM ({error}); it may be cut short: copy it again") from None


def _import(module: str, path: Path) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"{path}: reading DICOM needs pydicom; pip install 'pig-benchmark[dicom]'.") from None


def _look(data: Any, frame: int = 0) -> tuple[float, float, tuple[float, float] | None, str]:
    """Return slope, intercept, window and function of a frame, see ``Header``."""
    centre, width, function = (
        _group(data, "FrameVOILUTSequence", keyword, frame=frame)
        for keyword in ("WindowCenter", "WindowWidth", "VOILUTFunction")
    )
    slope, intercept = (
        _group(data, "PixelValueTransformationSequence", keyword, frame=frame)
        for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    window = (_first(centre), _first(width)) if centre is not None and width is not None else None
    return 1.0 if slope in (None, "") else float(slope), float(intercept or 0), window, str(function or "LINEAR")


def _stack(data: Any, header: Header) -> str:
    """Return the name of a stack, see ``Header``; a hash, since the series' own number may lead to a patient."""
    series = data.get("SeriesInstanceUID")
    direction = _group(data, "PlaneOrientationSequence", "ImageOrientationPatient")
    position = _group(data, "PlanePositionSequence", "ImagePositionPatient")
    if header.frames != 1 or not series or not direction or not position:
        return ""
    turned = [round(float(value), 3) + 0.0 for value in direction]  # -0.0 is 0.0
    alike = header._replace(spacing_mm=None, slice_mm=None)
    return hashlib.sha256(repr((str(series), turned, alike)).encode()).hexdigest()[:16]


def _one_distance(spacing: Any) -> float | None:
    """Return the distance of rows and of columns, if they are one."""
    if spacing is None:
        return None
    rows, columns = _first(spacing), float(spacing if isinstance(spacing, str | int | float) else spacing[-1])
    return None if not rows or abs(columns / rows - 1) > 0.01 else rows


def _group(data: Any, sequence: str, *keywords: str, frame: int = 0) -> Any:
    """Return the first of ``keywords`` in the functional groups of a frame (0-based), of all frames, or at the top."""
    places = [data]
    for groups, at in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", frame)):
        for group in list(data.get(groups) or [])[at : at + 1]:
            places[:0] = list(group.get(sequence) or [])[:1]
    for place in places:
        for keyword in keywords:
            if place.get(keyword) is not None:
                return place.get(keyword)
    return None


def _first(value: Any) -> float:
    """Return the first of several values: windows may be offered in any number."""
    return float(value if isinstance(value, str | int | float) else value[0])
