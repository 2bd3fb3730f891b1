"""DICOM files as the public sets have them."""

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
)

NAME, UID = "Secret^Name", "1.2.826.0.1.3680043.8.498.4711"


def item(**values: object) -> Sequence:
    dataset = Dataset()
    for key, value in values.items():
        setattr(dataset, key, value)
    return Sequence([dataset])


def write_dicom(path: Path, pixels: np.ndarray, *, compress: bool = False, **values: object) -> Path:
    """Write frames [N, H, W] or one image [H, W]; ``values`` replace or add fields."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID = meta.MediaStorageSOPClassUID, UID, UID + ".1"
    ds.SeriesInstanceUID, ds.PatientName, ds.PatientID = UID + ".2", NAME, "secret-id"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored, ds.HighBit = ds.BitsAllocated, ds.BitsAllocated - 1
    if pixels.ndim == 3:
        ds.NumberOfFrames = len(pixels)
    for key, value in values.items():
        setattr(ds, key, value)
    ds.PixelData = pixels.tobytes()
    if compress:
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)
    return path


def transcode(source: Path, target: Path, syntax: int) -> Path:
    """Write a file anew in another transfer syntax of ``gdcm.TransferSyntax``."""
    import gdcm

    data = dcmread(source)  # as tomosynthesis: GDCM writes no several frames as a mammogram
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = BreastTomosynthesisImageStorage
    data.Modality = "MG"
    data.save_as(target)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(target))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target
