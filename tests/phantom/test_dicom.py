"""DICOM volumes and tables, read back."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from pig.data.phantom import PhantomSettings, make_patient, write_population
from pig.data.phantom.dicom import TABLES, write_dicom, write_patient_dicom
from pig.data.phantom.population import open_folder, patient_seed
from pig.system.errors import UserError

pydicom = pytest.importorskip("pydicom")
SETTINGS = PhantomSettings(patients=2, normal_patients=1, spacing_mm=2, seed=3)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    # Beside the slices of the same population, as the command line does it.
    write_population(folder, replace(SETTINGS, slices_per_view=1, patients=1, normal_patients=0))
    write_dicom(folder, SETTINGS)
    out = folder / "dicom"
    tables = {}
    for name in TABLES:
        with (out / f"BCS-DBT-{name}-train.csv").open() as file:
            tables[name] = list(csv.DictReader(file))
    return out, tables


def test_tables_have_the_columns_of_bcs_dbt(written):
    _, tables = written
    for name, columns in TABLES.items():
        assert tuple(tables[name][0]) == columns
    assert [row["Normal"] for row in tables["labels"]] == ["0"] * 4 + ["1"] * 2
    assert {row["View"][1:] for row in tables["file-paths"]} == {"cc", "mlo"}


def test_volumes_read_back_as_they_were_made(written):
    out, tables = written
    for number, name in ((1, "P0001"), (2, "P0002")):
        patient = make_patient(seed=patient_seed(SETTINGS, name), settings=SETTINGS, all_slices=True)
        paths = [row for row in tables["file-paths"] if row["PatientID"] == f"DBT-P{number:05d}"]
        for row, view in zip(paths, patient.views, strict=True):
            ds = pydicom.dcmread(out / row["descriptive_path"])
            pixels = ds.pixel_array
            assert ds.SOPClassUID.name == "Breast Tomosynthesis Image Storage"
            assert pixels.shape == (view.planes, *view.envelope.canvas)
            right = patient.laterality == "R"
            assert np.array_equal(pixels[..., ::-1] if right else pixels, view.volume)
            # The reader's rule: right when the last column is brighter than the first.
            assert (pixels[0][:, 0].sum() < pixels[0][:, -1].sum()) == right
            group = ds[0x5200, 0x9229][0]
            assert group[0x0028, 0x9132][0][0x0028, 0x1050].value == 32768
            assert list(group[0x0028, 0x9110][0].PixelSpacing) == [2, 2]
            assert group[0x0020, 0x9071][0][0x0020, 0x9072].value == patient.laterality
            boxes = [b for b in tables["boxes"] if (b["PatientID"], b["View"]) == (row["PatientID"], row["View"])]
            assert len(boxes) == len(patient.masses)
            masks = view.masks[..., ::-1] if right else view.masks
            held = np.zeros(masks.shape[1:], dtype=bool)
            for b in boxes:
                x, y, w, h = (int(b[key]) for key in ("X", "Y", "Width", "Height"))
                held[y : y + h, x : x + w] = True
                assert masks[int(b["Slice"]), y : y + h, x : x + w].mean() > 0.3
            assert held[masks.any(axis=0)].all()


def test_every_tenth_patient_is_stored_turned(tmp_path):
    settings = PhantomSettings(patients=10, spacing_mm=2, seed=3, views=("CC",))
    open_folder(tmp_path, settings, 1)
    write_patient_dicom(tmp_path, settings, "P0010")
    patient = make_patient(seed=patient_seed(settings, "P0010"), settings=settings, all_slices=True)
    (path,) = tmp_path.rglob("*.dcm")
    pixels = pydicom.dcmread(path).pixel_array
    expected = patient.views[0].volume if patient.laterality == "L" else patient.views[0].volume[..., ::-1]
    assert np.array_equal(pixels, np.flip(expected, axis=(-1, -2)))


def test_without_pydicom_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(UserError, match="pip install"):
        write_dicom(tmp_path, SETTINGS)
