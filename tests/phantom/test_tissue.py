"""Outline, power-law field, ligaments and tubes against what geometry and spectra demand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from pig.data.phantom.envelope import Envelope, make_envelope
from pig.data.phantom.ligaments import cooper_ligaments
from pig.data.phantom.statistics import power_law_exponent
from pig.data.phantom.tissue import coarsen, make_tissue, power_law_field, tube


def envelope(view: str = "CC", spacing_mm: float = 1.0, seed: int = 0, thickness_mm: float = 50) -> Envelope:
    return make_envelope(np.random.default_rng(seed), view, thickness_mm, 80, 120, spacing_mm)


def test_depth_below_the_skin():
    e = envelope()
    row, column = np.searchsorted(e.y, 0), np.searchsorted(e.x, 20)
    assert e.depth(0)[row, column] == pytest.approx(25)  # T/2 in the middle, far from the outline
    assert e.depth(10)[row, column] == pytest.approx(15)
    # Near the outline the bulge is half a circle: at s below the outline in the middle plane, s.
    s = e.skin_distance
    near = (s > 0) & (s < 20)
    np.testing.assert_allclose(e.depth(0)[near], s[near], atol=1e-4)


def test_distance_to_the_outline_on_the_axis():
    e = envelope()
    row = int(np.argmin(np.abs(e.y)))
    tip = np.interp(0, -e.skin_distance[row, 40:], e.x[40:])  # where the distance is 0
    before = (e.x > tip - 6) & (e.x < tip)
    np.testing.assert_allclose(e.skin_distance[row, before], tip - e.x[before], atol=0.25)


@pytest.mark.parametrize("view", ["CC", "MLO"])
def test_partial_volume_makes_the_bodys_volume_independent_of_the_pixel(view):
    volumes = [
        sum(float(e.fractions_within(z, 0)[0].sum()) for z in e.z) * e.spacing_mm**2
        for e in (envelope(view, 0.5), envelope(view, 1.5))
    ]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.01)


def test_mlo_has_muscle_and_the_detector_cuts_the_axilla():
    cc, mlo = envelope("CC"), envelope("MLO")
    assert not cc.muscle_fraction(0).any()
    muscle = mlo.muscle_fraction(0)
    assert muscle[mlo.first_row, 0] > 0.95
    assert muscle[-1].max() < 0.01
    assert cc.first_row == 0 < mlo.first_row
    inside = mlo.skin_distance[mlo.first_row] > 0
    assert inside.any(), "the body reaches the detector's upper edge"


def test_canvas_keeps_rows_in_their_place():
    for view in ("CC", "MLO"):
        e = envelope(view)
        marked = np.zeros((1, len(e.y), len(e.x)), dtype=np.uint8)
        marked[0, e.first_row + 7, 3] = 1
        out = e.to_canvas(marked)
        assert out.shape[1:] == e.canvas
        assert np.argwhere(out[0]).tolist() == [[e.canvas_row(e.first_row + 7), 3]]


@pytest.mark.parametrize("exponent", [2.0, 2.85, 3.5])
def test_power_law_field_has_its_exponent(exponent):
    field = power_law_field(np.random.default_rng(1), (64, 128, 128), (1, 1, 1), exponent, corner=0.001)
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-4)
    # A projection through a periodic field has the field's beta; a thin slice (a cut) beta - 1.
    cut = np.mean([power_law_exponent(plane, 1, 0.04, 0.25) for plane in field[::8]])
    assert cut == pytest.approx(exponent - 1, abs=0.25)
    whole = power_law_field(np.random.default_rng(2), (1, 256, 256), (1, 1, 1), exponent, corner=0.001)[0]
    assert power_law_exponent(whole, 1, 0.04, 0.4) == pytest.approx(exponent, abs=0.25)


def test_elongation_points_along_x():
    field = power_law_field(np.random.default_rng(3), (32, 128, 128), (1, 1, 1), 3, elongation=2)
    along, across = np.var(np.diff(field, axis=2)), np.var(np.diff(field, axis=1))
    assert along < 0.7 * across


def test_ligaments_are_the_walls_of_the_nearest_cells(monkeypatch):
    """Without warping, walls and cells are those of a brute-force Voronoi tessellation."""
    monkeypatch.setattr("pig.data.phantom.ligaments.WARP_MM", 0.0)
    e = envelope(thickness_mm=30)
    rng = np.random.default_rng(5)

    class Recorder:
        """Hands out the generator's numbers and keeps the seeds."""

        def standard_normal(self, *a, **k):
            return rng.standard_normal(*a, **k)

        def uniform(self, *a):
            self.seeds = rng.uniform(*a)
            return self.seeds

    recorder = Recorder()
    planes = list(cooper_ligaments(recorder, e))
    z, y, x = np.meshgrid(e.z, e.y, e.x, indexing="ij")
    d = cKDTree(recorder.seeds).query(np.stack([z, y, x], -1).reshape(-1, 3), k=2)[0]
    expected = np.exp(-(((d[:, 1] - d[:, 0]) / 0.9) ** 2)).reshape(z.shape)
    walls = np.array([wall for wall, _ in planes])
    inside = np.array([e.depth(height) > 0 for height in e.z])
    inside[-2:] = inside[:, -2:] = inside[:, :, -2:] = False  # the last coarse sample is repeated at the far edges
    assert np.mean(np.abs(walls - expected)[inside] > 0.01) < 0.005


@settings(max_examples=30, deadline=None)
@given(
    st.floats(20, 50), st.floats(-30, 30), st.floats(-10, 10), st.floats(0, 2 * np.pi), st.floats(2, 8),
    st.floats(0.1, 0.5),
)  # fmt: skip
def test_a_thin_tube_keeps_its_volume_wherever_it_lies(x, y, z, angle, length, radius):
    e = envelope()
    start = np.array([x, y, z])
    end = start + length * np.array([np.cos(angle), np.sin(angle), 0.0])
    _, share = tube(np.stack([start, end]), np.full(2, radius), e)
    assert share.sum() * e.spacing_mm**2 == pytest.approx(np.pi * radius**2 * length, rel=1e-4)


def test_a_tube_outside_the_grid_takes_nothing():
    _, share = tube(np.array([[-50.0, 0, 0], [-40, 0, 0]]), np.ones(2), envelope())
    assert share.size == 0


@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize("glandular", [0.06, 0.47])
def test_tissue_has_the_glandular_fraction_asked_for(view, glandular):
    tissue = make_tissue(np.random.default_rng(0), envelope(view), glandular, distractors=False)
    assert tissue.glandular == pytest.approx(glandular, rel=0.02)
    assert tissue.attenuation.min() >= 0
    assert tissue.attenuation.max() < 0.0810  # nothing denser than ligament


@pytest.mark.parametrize("block", [1, 2, 5, 7, 8, 16])
def test_coarse_voxels_are_means_of_blocks_bit_for_bit(block):
    fine = np.random.default_rng(0).random((37, 53), dtype=np.float32)
    rows, columns = (n // block for n in fine.shape)
    split = fine[: rows * block, : columns * block].reshape(rows, block, columns, block)
    np.testing.assert_array_equal(coarsen(fine, block), split.mean(axis=(1, 3)))
    line = fine[0, : columns * block].reshape(columns, block)
    np.testing.assert_array_equal(coarsen(fine[0], block), line.mean(axis=1))


def test_planes_as_high_above_the_middle_as_below_go_together():
    e = envelope()
    levels = list(e.levels())
    assert sorted(k for _, planes in levels for k in planes) == list(range(len(e.z)))
    assert all(abs(e.z[k]) == height for height, planes in levels for k in planes)


def test_the_nipple_is_a_sphere_within_its_box():
    e = envelope()
    (rows, columns), share = e.nipple_fraction(e.z)
    x, y, z, radius = e.nipple
    assert share.sum() * e.spacing_mm**2 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)
    inside = np.hypot(np.hypot(e.x[None, None] - x, e.y[None, :, None] - y), e.z[:, None, None] - z) < radius
    assert not inside[:, : rows.start].any() and not inside[:, rows.stop :].any()
    assert not inside[..., : columns.start].any() and not inside[..., columns.stop :].any()


def test_exponent_of_a_plane_and_of_a_known_spectrum():
    row, column = np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij")
    rng = np.random.default_rng(0)
    white = rng.normal(size=(64, 64))
    assert power_law_exponent(white, 0.5) == pytest.approx(0, abs=0.3)
    # A slope across the region is no texture: it is taken off before.
    assert power_law_exponent(white + 5 * row - 3 * column, 0.5) == pytest.approx(
        power_law_exponent(white, 0.5), abs=1e-6
    )
