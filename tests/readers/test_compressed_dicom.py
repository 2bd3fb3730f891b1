"""Every compression that the public sets come in, encoded here into real files, and read back bit for bit."""

from pathlib import Path

import gdcm
import numpy as np
import pytest
from dicom_files import transcode, write_dicom
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, RLELossless

from pig.data.readers.dicom import read_frames, read_header
from pig.system.errors import UserError

SYNTAXES = {
    "JPEG lossless, first-order": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "RLE": gdcm.TransferSyntax.RLELossless,
}
FRAMES, ROWS, COLUMNS = 5, 60, 48


def volume(bits: int, frames: int = FRAMES) -> np.ndarray:
    """Smooth structure with noise, over the whole range of ``bits``: [frames, ROWS, COLUMNS]."""
    rng = np.random.default_rng(bits)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    smooth = (np.sin(x / 9) + np.cos(y / 7) + 2) / 4 * (2**bits - 1)
    noisy = smooth + rng.normal(0, 2 ** (bits - 6), (frames, ROWS, COLUMNS))
    pixels = np.clip(noisy, 0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)
    pixels[:, 0, :2] = 0, 2**bits - 1
    return pixels


def compressed(folder: Path, name: str, bits: int, frames: int = FRAMES) -> tuple[Path, np.ndarray]:
    pixels = volume(bits, frames)
    stored = pixels if frames > 1 else pixels[0]
    plain = write_dicom(folder / "plain.dcm", stored, BitsStored=bits, HighBit=bits - 1)
    path = transcode(plain, folder / "packed.dcm", SYNTAXES[name])
    assert dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID.is_compressed
    return path, pixels


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("name", SYNTAXES)
def test_frames_come_back_bit_for_bit(tmp_path: Path, name: str, bits: int) -> None:
    path, pixels = compressed(tmp_path, name, bits)
    header = read_header(path)
    assert (header.frames, header.rows, header.columns, header.bits) == (FRAMES, ROWS, COLUMNS, bits)
    for chosen in (range(FRAMES), [3], [1, 4]):
        read = list(read_frames(path, chosen))
        assert len(read) == len(chosen)
        assert all((a == b).all() for a, b in zip(read, pixels[list(chosen)], strict=True))


@pytest.mark.parametrize("name", SYNTAXES)
def test_single_images_too(tmp_path: Path, name: str) -> None:
    path, pixels = compressed(tmp_path, name, 12, frames=1)
    assert (next(read_frames(path, [0])) == pixels[0]).all()


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless], ids=["JPEG 2000", "RLE"])
def test_files_of_another_encoder(tmp_path: Path, syntax: str) -> None:
    pixels = volume(12)
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=11)
    data = dcmread(path)
    data.compress(syntax, generate_instance_uid=False)
    data.save_as(path)
    assert all((a == b).all() for a, b in zip(read_frames(path, range(FRAMES)), pixels, strict=True))


@pytest.mark.filterwarnings("ignore:The end of the encapsulated pixel data", "ignore:The decoded RLE segment")
@pytest.mark.parametrize("frames", [1, FRAMES])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("name", SYNTAXES)
def test_a_compressed_file_that_is_cut_short_is_named(tmp_path: Path, name: str, share: float, frames: int) -> None:
    path, _ = compressed(tmp_path, name, 12, frames)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"packed\.dcm: the pixels cannot be read .*cut short"):
        list(read_frames(path, range(frames)))
