"""Pixels of DICOM files as they are to be looked at: windows, inversion, one frame at a time."""

import math
from pathlib import Path

import numpy as np
import pytest
from dicom_files import item, write_dicom
from pydicom.sequence import Sequence

from pig.data.readers.dicom import display, read_frames, read_header
from pig.system.errors import UserError


def shown(path: Path) -> np.ndarray:
    return display(next(read_frames(path, [0])), read_header(path))


def test_windows_by_hand(tmp_path: Path) -> None:
    values = np.array([[0, 100, 200, 1000]], np.uint16)
    # LINEAR (PS3.3 C.11.2.1.2.1): (x - 99.5) / 200 + .5 for centre 100, width 201.
    path = write_dicom(tmp_path / "a.dcm", values, WindowCenter=[100, 7], WindowWidth=[201, 7])
    assert shown(path).tolist() == [[round(0.0025 * 65535), round(0.5025 * 65535), 65535, 65535]]
    path = write_dicom(
        tmp_path / "b.dcm", values, WindowCenter=100, WindowWidth=200, VOILUTFunction="LINEAR_EXACT", RescaleSlope=2
    )
    assert shown(path).tolist() == [[0, 65535, 65535, 65535]]
    path = write_dicom(tmp_path / "c.dcm", values, WindowCenter=100, WindowWidth=200, VOILUTFunction="SIGMOID")
    assert shown(path)[0, 0] == round(65535 / (1 + math.exp(2)))
    assert shown(path)[0, 1] == 32768


@pytest.mark.parametrize(
    ("width", "function", "expected"),
    [
        (0.9, "LINEAR", [0, 0.5, 0.9 / 0.9]),  # which PS3.3 forbids: (x - .5) / .9 + .5 of 0, .5 and 1, cut to [0, 1]
        (0.9, "LINEAR_EXACT", [0, 0.5, 1]),
        (1, "LINEAR", [0, 1, 1]),  # a step at centre - .5 = 0
        (1.5, "LINEAR", [0.5, 1, 1]),  # (x - 0) / .5 + .5
    ],
)
def test_narrow_windows_by_hand(tmp_path: Path, width: float, function: str, expected: list[float]) -> None:
    values = np.array([[0, 500, 1000]], np.uint16)  # as a map of fractions, 0, 0.5 and 1
    path = write_dicom(
        tmp_path / "a.dcm", values, WindowCenter=0.5, WindowWidth=width, VOILUTFunction=function, RescaleSlope="0.001"
    )
    assert shown(path).tolist() == [[round(65535 * value) for value in expected]]


def test_monochrome1_is_inverted_and_bits_are_the_range(tmp_path: Path) -> None:
    values = np.array([[0, 1023, 512]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", values, PhotometricInterpretation="MONOCHROME1", BitsStored=10, HighBit=9)
    assert shown(path).tolist() == [[65535, 0, round((1 - 512 / 1023) * 65535)]]


def test_signed_values_without_a_window_have_the_range_of_their_bits(tmp_path: Path) -> None:
    values = np.array([[-2048, 0, 2047]], np.int16)
    path = write_dicom(tmp_path / "a.dcm", values, PixelRepresentation=1, BitsStored=12, HighBit=11)
    assert shown(path).tolist() == [[0, round(2048 / 4095 * 65535), 65535]]


def test_a_rescaling_that_turns_the_grey_values_over(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.array([[0, 51, 255]], np.uint8), RescaleSlope=-1)
    assert shown(path).tolist() == [[65535, 52428, 0]]


def test_compressed_frames_one_by_one(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 2**16, (4, 6, 5), np.uint16)
    path = write_dicom(tmp_path / "a.dcm", frames, compress=True)
    assert read_header(path).frames == 4
    assert all((a == b).all() for a, b in zip(read_frames(path, [1, 3]), frames[[1, 3]], strict=True))


VOI, RESCALED = "FrameVOILUTSequence", "PixelValueTransformationSequence"
ONE = {VOI: item(WindowCenter=100, WindowWidth=[200, 7]), RESCALED: item(RescaleSlope="2", RescaleIntercept="0")}


@pytest.mark.parametrize(
    "other",
    [
        {VOI: item(WindowCenter=101, WindowWidth=200)},
        {VOI: item(WindowCenter=100, WindowWidth=201)},
        {VOI: item(WindowCenter=100, WindowWidth=200, VOILUTFunction="SIGMOID")},
        {VOI: item()},
        {RESCALED: item(RescaleSlope="2.5", RescaleIntercept="0")},
        {RESCALED: item(RescaleSlope="2", RescaleIntercept="-10")},
    ],
)
def test_frames_of_different_scales_or_windows_are_refused(tmp_path: Path, other: dict[str, Sequence]) -> None:
    frames = np.arange(3 * 20, dtype=np.uint16).reshape(3, 4, 5)
    alike = {VOI: item(WindowCenter="100.0", WindowWidth=200), RESCALED: item(RescaleSlope="2.0", RescaleIntercept=0)}
    per_frame = [item(**groups)[0] for groups in (ONE, alike, ONE)]
    path = write_dicom(tmp_path / "a.dcm", frames, PerFrameFunctionalGroupsSequence=Sequence(per_frame))
    assert read_header(path)[4:8] == (2, 0, (100, 200), "LINEAR")
    per_frame[2] = item(**ONE | other)[0]
    path = write_dicom(tmp_path / "b.dcm", frames, PerFrameFunctionalGroupsSequence=Sequence(per_frame))
    with pytest.raises(UserError, match=r"b\.dcm: frame 3 has another rescaling or window than the first"):
        read_header(path)


def test_broken_dicom(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((2, 40, 40), np.uint16))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"a\.dcm: the pixels cannot be read"):
        list(read_frames(path, [0, 1]))
    path.write_text("no DICOM")
    with pytest.raises(UserError, match=r"a\.dcm is not readable DICOM"):
        read_header(path)
