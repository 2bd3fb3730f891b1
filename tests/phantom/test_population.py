"""Populations on disk: independent of order and processes, resumable, and complete or refused."""

import csv
import dataclasses
import hashlib

import numpy as np
import pytest
from PIL import Image

from pig.data.phantom import PhantomSettings, make_patient, population, write_population
from pig.data.phantom.patient import NoRoom
from pig.system.errors import UserError

SETTINGS = PhantomSettings(patients=3, spacing_mm=2, slices_per_view=2, seed=4)


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*.png"))}


def rows(folder):
    with (folder / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom")
    write_population(out, SETTINGS)
    return out


def test_manifest_names_every_pair(written):
    table = rows(written)
    assert len(table) == 3 * 2 * 2
    assert {row["patient_id"] for row in table} == {"P0001", "P0002", "P0003"}
    assert list(table[0])[:14] == [
        "image_path", "mask_path", "patient_id", "view", "laterality", "volume_id", "slice_index", "density", "shape",
        "margin", "diameter_mm", "k", "spacing_mm", "seed",
    ]  # fmt: skip
    for row in table:
        with Image.open(written / row["image_path"]) as file:
            image = np.asarray(file)
        with Image.open(written / row["mask_path"]) as file:
            mask = np.asarray(file)
        assert image.dtype == np.uint16
        assert image.shape == mask.shape
        assert set(np.unique(mask)) == {0, 255}
        assert (image[mask == 255] > 0).all()
        assert (image == 0).mean() > 0.2, "the blank part is kept"


def test_a_manifest_row_makes_its_patient_again(written):
    row = rows(written)[-1]
    patient = make_patient(seed=int(row["seed"]), settings=SETTINGS)
    view = next(view for view in patient.views if view.view == row["view"])
    with Image.open(written / row["image_path"]) as file:
        assert np.array_equal(view.volume[list(view.slices).index(int(row["slice_index"]))], np.asarray(file))
    assert patient.density == row["density"]
    assert patient.laterality == row["laterality"]


def test_two_processes_and_other_patients_change_nothing(written, tmp_path):
    write_population(tmp_path / "two", PhantomSettings(**{**vars(SETTINGS), "normal_patients": 1}), jobs=2)
    two = hashes(tmp_path / "two")
    assert hashes(written).items() <= two.items()
    normal = [row for row in rows(tmp_path / "two") if row["patient_id"] == "N0001"]
    assert len(normal) == 4
    for row in normal:
        assert (row["shape"], row["diameter_mm"]) == ("", "")
        with Image.open(tmp_path / "two" / row["mask_path"]) as file:
            assert not np.asarray(file).any()


def test_an_interrupted_run_goes_on(written, tmp_path, monkeypatch):
    made = []
    whole = population.make_patient

    def make(**arguments):
        if len(made) == 1 and "stop" not in made:
            made.append("stop")
            raise KeyboardInterrupt
        made.append(arguments["seed"])
        return whole(**arguments)

    monkeypatch.setattr(population, "make_patient", make)
    with pytest.raises(KeyboardInterrupt):
        write_population(tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out" / "manifest.csv").exists()
    write_population(tmp_path / "out", SETTINGS)
    assert len(made) == 4, "the first patient is not made again"
    assert hashes(tmp_path / "out") == hashes(written)
    assert rows(tmp_path / "out") == rows(written)


def test_a_folder_of_other_settings_is_refused_and_untouched(written):
    before = hashes(written)
    with pytest.raises(UserError, match="holds a phantom of other settings"):
        write_population(written, PhantomSettings(**{**vars(SETTINGS), "seed": 5}))
    assert hashes(written) == before


def test_more_patients_can_be_added(written, tmp_path):
    write_population(tmp_path / "out", PhantomSettings(**{**vars(SETTINGS), "patients": 1}))
    write_population(tmp_path / "out", SETTINGS)
    assert hashes(tmp_path / "out") == hashes(written)


def test_jobs_must_be_positive(tmp_path):
    with pytest.raises(UserError, match="jobs is 0"):
        write_population(tmp_path, SETTINGS, jobs=0)


def test_two_numbers_of_a_patient():
    """Notices a change of the pictures: raise population.VERSION with it."""
    patient = make_patient(seed=11, settings=PhantomSettings(spacing_mm=2, views=("CC",), slices_per_view=1))
    assert (patient.density, patient.laterality) == ("b", "L")
    assert patient.thickness_mm == pytest.approx(80.677, abs=1e-3)
    assert patient.views[0].volume.mean() == pytest.approx(8153.6, rel=1e-3)


def test_further_patients_follow_those_before_them(written, tmp_path):
    """Who is made with others, or alone, or as a further one, is the same."""
    write_population(tmp_path / "further", dataclasses.replace(SETTINGS, first=2, patients=2))
    assert {row["patient_id"] for row in rows(tmp_path / "further")} == {"P0002", "P0003"}
    of_all = hashes(written)
    assert hashes(tmp_path / "further") == {name: of_all[name] for name in of_all if not name.startswith("P0001")}


def test_further_normal_patients_follow_those_before_them(tmp_path):
    """None of them is one of those who have the numbers before, and they have no mass."""
    normal = dataclasses.replace(SETTINGS, patients=0, normal_patients=2)
    write_population(tmp_path / "all", normal)
    write_population(tmp_path / "further", dataclasses.replace(normal, first_normal=2, normal_patients=1))
    of_all, further = hashes(tmp_path / "all"), hashes(tmp_path / "further")
    assert {row["patient_id"] for row in rows(tmp_path / "further")} == {"N0002"}
    assert further == {name: of_all[name] for name in of_all if not name.startswith("N0001")}
    for row in rows(tmp_path / "all"):
        assert not np.asarray(Image.open(tmp_path / "all" / row["mask_path"])).any()


def test_a_breast_without_room_gives_way_to_another_one(monkeypatch):
    """The first two that are drawn have no room; the manifest's seed is of the third, who is made."""
    tried = []

    def cramped(**given):
        tried.append(given["seed"])
        if len(tried) < 3:
            raise NoRoom("too thin")
        return make_patient(**given)

    monkeypatch.setattr(population, "make_patient", cramped)
    patient = population.grow(SETTINGS, "P0001")
    assert len(set(tried)) == 3
    assert tried[0] == population.patient_seed(SETTINGS, "P0001")
    assert patient.seed == tried[2]

    def never(**_):
        raise NoRoom("too thin")

    monkeypatch.setattr(population, "make_patient", never)
    with pytest.raises(NoRoom, match="too thin"):
        population.grow(SETTINGS, "P0001")
