"""The phantom's measured statistics against the published targets."""

import numpy as np
import pytest

from pig.data.phantom import PhantomSettings, make_patient, statistics, write_population
from pig.data.phantom.report import TARGETS, population_statistics, write_report
from pig.system.errors import UserError


def within(name: str, value: float) -> None:
    low, high, source = TARGETS[name]
    assert low <= value <= high, f"{name} is {value:.3g}, not {low} to {high}: {source}"


@pytest.fixture(scope="module")
def population():
    """Anatomy and masses of 60 patients of the clinical population, at pixels of 2 mm."""
    settings = PhantomSettings(spacing_mm=2, views=("CC",), slices_per_view=1, distractors=False)
    return [make_patient(seed=1000 + i, settings=settings) for i in range(60)]


def test_population_has_the_published_anatomy(population):
    glandular = np.array([p.views[0].glandular for p in population])
    thickness = np.array([p.thickness_mm for p in population])
    within("glandular fraction, mean", glandular.mean())
    within("share below 27 % glandular", (glandular < 0.27).mean())
    within("thickness, mean (mm)", thickness.mean())
    within("thickness, deviation (mm)", thickness.std())
    assert np.quantile(glandular, 0.95) == pytest.approx(0.45, abs=0.1)  # 95 % below 45 % (Yaffe 2009)
    # Thin breasts are dense: r = -0.65 in a UK series.
    assert np.corrcoef(glandular, thickness)[0, 1] < -0.3


def test_population_has_the_published_masses(population):
    masses = [mass for p in population for mass in p.masses]
    within("diameter, median (mm)", np.median([mass.diameter_mm for mass in masses]))
    assert 1.03 * len(population) < len(masses) < 1.2 * len(population)  # a second one in 10 %
    assert np.mean([mass.shape == "irregular" for mass in masses]) == pytest.approx(0.33, abs=0.11)
    assert np.mean([mass.margin == "spiculated" for mass in masses]) == pytest.approx(0.22, abs=0.1)
    depth = [p.views[0].centres[0][2] / p.views[0].envelope.thickness_mm + 0.5 for p in population]
    assert np.mean(depth) == pytest.approx(0.45, abs=0.05)  # BCS-DBT: 0.41 +- 0.17


def test_spectra_are_those_of_breasts():
    """Mass-free, detrended regions of one patient of each class at the clinical pixel."""
    settings = PhantomSettings(slices_per_view=1, views=("CC",))
    views = [make_patient(seed=100 + i, density=d, masses=0, settings=settings).views[0] for i, d in enumerate("abcd")]
    measured = [statistics.exponents(view) for view in views]
    for name in ("thin slice", "projection", "DBT"):
        within(f"beta, {name}", float(np.mean([beta[name] for beta in measured])))
    # A slab's exponent rises with its thickness, from a slice's to a projection's (SPIE 7961, 2011).
    slabs = [statistics.slab_exponents(view, (1, 4, 16)) for view in views]
    mean = [np.mean([slab[t] for slab in slabs]) for t in (1, 4, 16)]
    assert mean[0] < mean[1] < mean[2]


def test_contrast_falls_with_density():
    contrast = {}
    for density in "abcd":
        settings = PhantomSettings(spacing_mm=1, slices_per_view=1, views=("CC",))
        patients = (
            make_patient(
                seed=20 + i, density=density, settings=settings, masses=1, diameter_mm=12, shape="round",
                margin="circumscribed", k=1.0,
            )
            for i in range(8)
        )  # fmt: skip
        contrast[density] = np.mean([statistics.contrast_to_noise(patient.views[0]) for patient in patients])
    # b and c differ by less than eight patients tell.
    assert contrast["a"] > (contrast["b"] + contrast["c"]) / 2 > contrast["d"]
    assert contrast["a"] > 2 * contrast["d"]


def test_population_statistics_by_hand():
    def row(patient, volume, index, shape, margin, diameter, glandular, thickness):
        return {
            "patient_id": patient, "volume_id": volume, "slice_index": index, "shape": shape, "margin": margin,
            "diameter_mm": diameter, "glandular": glandular, "thickness_mm": thickness, "density": "b",
        }  # fmt: skip

    measured, tables = population_statistics(
        [
            row("P1", "P1_LCC", "3", "oval", "obscured", "8.0", "0.1", "50"),
            row("P1", "P1_LCC", "4", "oval", "obscured", "8.0", "0.1", "50"),
            row("P1", "P1_LMLO", "9", "oval", "obscured", "8.0", "0.2", "54"),
            row("P2", "P2_RCC", "5", "irregular", "spiculated", "12.0", "0.3", "60"),
        ]
    )
    assert measured["slices with mass for a view"] == pytest.approx(4 / 3)
    assert measured["glandular fraction, mean"] == pytest.approx(0.2)
    assert measured["share below 27 % glandular"] == pytest.approx(2 / 3)
    assert measured["diameter, median (mm)"] == 10
    assert measured["share of spiculated masses"] == 0.5
    assert tables["shapes and margins"] == {"irregular, spiculated": 1, "oval, obscured": 1}


def test_report_is_written(tmp_path, monkeypatch):
    from pig.data.phantom import report

    with pytest.raises(UserError, match="write the population first"):
        write_report(tmp_path)
    write_population(tmp_path, PhantomSettings(patients=2, spacing_mm=2))
    curves = {
        "beta by slab (mm)": {"1": 2.0}, "CNR by density": {"a": 2.0}, "noise variance by quanta": {"1e5": 1.0},
        "artefact spread, 5 mm sphere": {"ge": {"z_mm": [0, 1], "asf": [1, 0.4]}},
    }  # fmt: skip
    images = {f"beta, {name}": 2.0 for name in ("thin slice", "projection", "DBT")}
    monkeypatch.setattr(report, "image_statistics", lambda *_: (images, curves))
    written = write_report(tmp_path)
    assert set(written["measured"]) == set(TARGETS)
    assert (tmp_path / "report" / "report.png").stat().st_size > 10_000
    assert (tmp_path / "report" / "report.json").exists()
