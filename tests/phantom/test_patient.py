"""A patient: the same for the same seed, one lesion in both views, and clear errors."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from pig.data.phantom import PhantomSettings, make_patient
from pig.system.errors import UserError
from pig.system.settings import parse

COARSE = PhantomSettings(spacing_mm=1.5)


@pytest.fixture(scope="module")
def patient():
    return make_patient(seed=7, density="b", settings=COARSE, masses=1, diameter_mm=14)


def test_volume_masks_and_truth_belong_together(patient):
    assert patient.density == "b"
    assert [view.view for view in patient.views] == ["CC", "MLO"]
    for view in patient.views:
        assert view.volume.dtype == np.uint16
        assert view.volume.shape == view.masks.shape == view.masks_with_spicules.shape
        assert view.volume.shape == (len(view.slices), *view.envelope.canvas)
        assert view.masks.any(axis=(1, 2)).all(), "all slices with mass, and no other"
        assert (view.volume[view.masks] > 0).all(), "masks inside the breast"
        assert (view.masks_with_spicules >= view.masks).all()
        assert view.attenuation.shape[0] == view.planes > view.slices.max()
        # Diameter by the volume of the masks; caps below a quarter of the largest section are left out.
        volume = view.masks.sum() * 1.5**2
        assert volume == pytest.approx(np.pi / 6 * 14**3, rel=0.2)


def test_the_mask_lies_on_the_mass(patient):
    (mass,) = patient.masses
    for view in patient.views:
        middle = len(view.slices) // 2
        mask = view.masks[middle]
        seen = view.attenuation[view.slices[middle]]
        top = view.envelope.canvas_row(0)
        rows, columns = np.nonzero(mask)
        inside = seen[rows - top, columns]
        assert np.median(inside) == pytest.approx(mass.k * 0.0706, rel=0.03)
        x, y, _ = view.centres[0]
        assert abs(columns.mean() * 1.5 + 0.75 - x) < 3
        assert abs(view.envelope.y[round(rows.mean() - top)] - y) < 3


def test_both_views_share_the_lesion_at_the_same_distance_from_the_nipple(patient):
    behind = [view.envelope.nipple[0] - view.centres[0][0] for view in patient.views]
    assert abs(behind[0] - behind[1]) <= 11  # 10 mm and the placement's grid
    assert abs(patient.views[0].envelope.thickness_mm - patient.views[1].envelope.thickness_mm) <= 4


def test_boxes_hold_the_masks(patient):
    for view in patient.views:
        index, x, y, width, height = view.boxes[0]
        union = view.masks.any(axis=0)
        assert index in view.slices
        assert union[y : y + height, x : x + width].sum() == union.sum()
        assert union[y, x : x + width].any()
        assert union[y : y + height, x].any()


def test_the_same_seed_gives_the_same_patient_and_another_seed_another(patient):
    again = make_patient(seed=7, density="b", settings=COARSE, masses=1, diameter_mm=14)
    other = make_patient(seed=8, density="b", settings=COARSE, masses=1, diameter_mm=14)
    for a, b, c in zip(patient.views, again.views, other.views, strict=True):
        assert np.array_equal(a.volume, b.volume)
        assert np.array_equal(a.masks, b.masks)
        assert not np.array_equal(a.attenuation.shape, c.attenuation.shape) or (a.attenuation != c.attenuation).any()


def test_choosing_slices_chooses_from_the_same_planes(patient):
    few = make_patient(
        seed=7, density="b", masses=1, diameter_mm=14, settings=PhantomSettings(spacing_mm=1.5, slices_per_view=3)
    )
    for all_of, three in zip(patient.views, few.views, strict=True):
        assert len(three.slices) == 3
        assert set(three.slices) < set(all_of.slices)
        assert np.array_equal(three.masks, all_of.masks[np.isin(all_of.slices, three.slices)])


def test_ghosts_of_the_mass_reach_slices_outside_its_mask():
    """Limited angles: where the mask has ended, the mass is still brighter than its surroundings."""
    whole = make_patient(
        seed=3, density="a", settings=PhantomSettings(spacing_mm=1, views=("CC",)), masses=1, diameter_mm=12,
        shape="round", margin="circumscribed", k=1.1, all_slices=True,
    ).views[0]  # fmt: skip
    mask = whole.masks.any(axis=0)
    around = binary_dilation(mask, iterations=5) & ~binary_dilation(mask, iterations=2)
    last = int(np.flatnonzero(whole.masks.any(axis=(1, 2)))[-1])

    def contrast(k: int) -> float:
        image = whole.volume[k].astype(float)
        return image[mask].mean() - image[around].mean()

    middle = contrast(int(whole.boxes[0][0]))
    assert middle > contrast(last + 3) > 0.15 * middle
    assert contrast(last + 14) < contrast(last + 3)


def test_no_mass_gives_empty_masks():
    normal = make_patient(seed=1, settings=PhantomSettings(spacing_mm=2, slices_per_view=4), masses=0)
    for view in normal.views:
        assert len(view.slices) == 4
        assert not view.masks.any()
        assert (view.largest == -1).all()
        assert abs(view.slices.mean() - view.planes / 2) < 2


def test_all_planes():
    view = make_patient(seed=1, settings=PhantomSettings(spacing_mm=2, views=("CC",)), all_slices=True).views[0]
    assert np.array_equal(view.slices, np.arange(view.planes))


def test_two_masses_do_not_touch():
    patient = make_patient(seed=5, density="a", settings=COARSE, masses=2, diameter_mm=10)
    for view in patient.views:
        a, b = (np.array(centre) for centre in view.centres)
        assert np.linalg.norm(a - b) > sum(mass.reach_mm for mass in patient.masses)
        assert set(view.largest) <= {0, 1}


def test_distractors_are_an_option_and_no_mask_shows_them():
    arguments = {"seed": 2, "density": "a", "masses": 0}
    with_them, without = (
        make_patient(
            settings=PhantomSettings(spacing_mm=1, views=("CC",), slices_per_view=1, distractors=on), **arguments
        )
        for on in (True, False)
    )
    more = with_them.views[0].attenuation - without.views[0].attenuation
    assert more.max() > 0.005
    assert more.min() > -1e-6
    assert not with_them.views[0].masks.any()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"density": "e"}, "density is 'e'; it must be one of a, b, c, d"),
        ({"shape": "square"}, "shape is 'square'"),
        ({"margin": "sharp"}, "margin is 'sharp'"),
        ({"shape": "irregular", "margin": "circumscribed"}, "never circumscribed"),
        ({"masses": -1}, "masses is -1"),
        ({"diameter_mm": -3.0}, "diameter_mm is -3.0"),
        ({"k": 0.0}, "k is 0.0"),
        ({"density": "d", "diameter_mm": 60.0}, "no room for a mass of 60 mm"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(wrong, words):
    with pytest.raises(UserError, match=words):
        make_patient(**{"seed": 0, "settings": PhantomSettings(spacing_mm=2), **wrong})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("patients", -1, "0 or more"),
        ("patients", 0, "1 or more when there are no normal_patients"),
        ("spacing_mm", -0.25, "between 0.1 and 2 mm"),
        ("geometry", "fuji", "one of hologic, ge, siemens"),
        ("views", ["CC", "ML"], "CC, MLO or both"),
        ("views", [], "CC, MLO or both"),
        ("views", ["CC", "CC"], "each once"),
        ("slices_per_view", 0, "1 or more, or null"),
        ("densities", [0.5, 0.5], "four shares"),
        ("densities", [0.5, 0.5, 0.5, -0.5], "four shares"),
        ("diameter_mm", 50.0, "between diameter_min_mm and diameter_max_mm"),
        ("diameter_min_mm", 0.0, "2 mm or more"),
        ("diameter_max_mm", 3.0, "at least diameter_min_mm"),
        ("diameter_sigma", -1.0, "between 0 and 2"),
        ("two_masses", 1.5, "between 0 and 1"),
        ("photons_per_mm2", 0.0, "positive"),
        ("seed", -1, "0 or more"),
    ],
)
def test_wrong_settings_name_the_key(key, value, words):
    with pytest.raises(UserError, match=words) as error:
        parse(PhantomSettings, {key: value}, "dataset.phantom")
    assert f"phantom.{key}" in str(error.value)
