"""A population as DICOM: Breast Tomosynthesis volumes in the folders and CSV files of BCS-DBT (TCIA, E4WT-CD02)."""

import csv
import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pig.data.phantom.patient import Patient
from pig.data.phantom.population import grow, open_folder, patient_names, run
from pig.data.phantom.settings import SLICE_MM, PhantomSettings
from pig.data.phantom.view import View
from pig.system.errors import UserError
from pig.system.files import atomic_path, read_json, write_json
from pig.system.progress import track

COLLECTION = "Breast-Cancer-Screening-DBT"
TABLES = {
    "file-paths": ("PatientID", "StudyUID", "View", "descriptive_path", "classic_path"),
    "labels": ("PatientID", "StudyUID", "View", "Normal", "Actionable", "Benign", "Cancer"),
    "boxes": ("PatientID", "StudyUID", "View", "Subject", "Slice", "X", "Y", "Width", "Height", "Class", "AD",
              "VolumeSlices"),
}  # fmt: skip
# P(malignant | margin) in CBIS-DDSM's training table: what stands in the columns Class, Benign and Cancer.
MALIGNANT = {"spiculated": 0.93, "microlobulated": 0.62, "indistinct": 0.63, "obscured": 0.12, "circumscribed": 0.10}


def write_dicom(out: Path, settings: PhantomSettings, jobs: int = 1) -> None:
    """Write every view as one multi-frame DICOM of all its planes, and the three tables of BCS-DBT.

    In ``out``/dicom: Breast-Cancer-Screening-DBT/DBT-P.../.../1-1.dcm, BCS-DBT-{file-paths,labels,boxes}-train.csv.
    As in the original, right breasts have the chest wall on the right, boxes are in that orientation, and some
    files (here of every tenth patient) are turned by 180 degrees against it. An interrupted call is taken up again.

    Args:
        out: the folder, which may hold the population's slices as well.
        settings: the population; ``slices_per_view`` has no meaning here.
        jobs: processes.

    Raises:
        UserError: pydicom is not installed, the folder holds other settings, or ``jobs`` is below 1.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise UserError("DICOM needs pydicom; install it with: pip install 'pig-benchmark[dicom]'.") from None
    out, settings = Path(out) / "dicom", replace(settings, slices_per_view=None)
    open_folder(out, settings, jobs)
    names = patient_names(settings)
    waiting = [name for name in names if not (out / "patients" / f"{name}.json").exists()]
    made = run(write_patient_dicom, [(out, settings, name) for name in waiting], jobs)
    for _ in track(made, "phantom DICOM", len(names), len(names) - len(waiting)):
        pass
    rows = [read_json(out / "patients" / f"{name}.json") for name in names]
    for table, columns in TABLES.items():
        path = out / f"BCS-DBT-{table}-train.csv"
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            for patient in rows:
                writer.writerows(patient[table])


def write_patient_dicom(out: Path, settings: PhantomSettings, name: str) -> None:
    """Write one patient's volumes, and then the rows of her in the tables to ``out``/patients."""
    patient = grow(settings, name, all_slices=True)
    number = int(name[1:]) + (settings.first - 1 + settings.patients if name[0] == "N" else 0)
    ids = {"PatientID": f"DBT-P{number:05d}", "StudyUID": f"DBT-S{number:05d}"}
    rng = np.random.default_rng([patient.seed, 99])
    malignant = [bool(rng.random() < MALIGNANT[mass.margin]) for mass in patient.masses]
    tables: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for series, view in enumerate(patient.views):
        key = {**ids, "View": (patient.laterality + view.view).lower()}
        data = _dataset(patient, view, key, turned=number % 10 == 0)
        folder = f"{COLLECTION}/{ids['PatientID']}"
        described = f"{folder}/01-01-2000-{ids['StudyUID']}-PHANTOM-NA/{series:06d}-NA-{key['View']}/1-1.dcm"
        with atomic_path(out / described) as temporary:
            data.save_as(temporary, enforce_file_format=True)
        classic = f"{folder}/{data.StudyInstanceUID}/{data.SeriesInstanceUID}/000000.dcm"
        tables["file-paths"].append({**key, "descriptive_path": described, "classic_path": classic})
        cancer, benign = any(malignant), any(not m for m in malignant)
        tables["labels"].append(
            {
                **key,
                "Normal": int(not malignant),
                "Actionable": 0,
                "Benign": int(benign and not cancer),
                "Cancer": int(cancer),
            }
        )
        for (index, x, y, width, height), is_cancer in zip(view.boxes, malignant, strict=True):
            tables["boxes"].append(
                {
                    **key,
                    "Subject": number,
                    "Slice": index,
                    "X": x if patient.laterality == "L" else view.envelope.canvas[1] - x - width,
                    "Y": y,
                    "Width": width,
                    "Height": height,
                    "Class": "cancer" if is_cancer else "benign",
                    "AD": 0,
                    "VolumeSlices": view.planes,
                }
            )
    write_json(out / "patients" / f"{name}.json", tables)


def _dataset(patient: Patient, view: View, key: dict[str, str], *, turned: bool) -> Any:
    """A Breast Tomosynthesis Image (DICOM PS3.3 A.55), uncompressed."""
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import UID, BreastTomosynthesisImageStorage, ExplicitVRLittleEndian, generate_uid

    def item(**values: Any) -> Sequence:
        dataset = Dataset()
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        return Sequence([dataset])

    def uid(*parts: str) -> UID:
        return generate_uid(entropy_srcs=[str(patient.seed), key["PatientID"], *parts])

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = BreastTomosynthesisImageStorage
    meta.MediaStorageSOPInstanceUID = uid("instance", key["View"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("study"), uid("series", key["View"])
    ds.FrameOfReferenceUID = uid("frame", key["View"])
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientBirthDate = key["PatientID"], key["PatientID"], "F", ""
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = key["StudyUID"], "", ""
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = datetime.date(2000, 1, 1).strftime("%Y%m%d")
    ds.StudyTime = ds.ContentTime = "000000"
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "MG", "PIG benchmark", "Procedural DBT phantom"
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.ImageType = ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]
    ds.BodyPartExamined, ds.ImageLaterality = "BREAST", patient.laterality
    ds.ViewPosition, ds.BodyPartThickness = view.view, round(view.envelope.thickness_mm, 1)

    volume = view.volume if patient.laterality == "L" else view.volume[..., ::-1]
    if turned:
        volume = volume[..., ::-1, ::-1]
    ds.NumberOfFrames, ds.Rows, ds.Columns = volume.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.ascontiguousarray(volume, dtype="<u2").tobytes()

    spacing = view.envelope.spacing_mm
    shared = item(
        PixelMeasuresSequence=item(
            PixelSpacing=[spacing, spacing], SliceThickness=SLICE_MM, SpacingBetweenSlices=SLICE_MM
        ),
        FrameAnatomySequence=item(FrameLaterality=patient.laterality),
        FrameVOILUTSequence=item(WindowCenter=32768, WindowWidth=65536, VOILUTFunction="LINEAR"),
    )
    # BCS-DBT repeats these for every frame, and its readers look at the first.
    frames = []
    for height in view.envelope.z:
        frame = Dataset()
        frame.update(shared[0])
        frame.PlanePositionSequence = item(ImagePositionPatient=[0, 0, float(height)])
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence = shared
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return ds
