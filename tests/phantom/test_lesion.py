"""Masses: the statistics of Gaussian random spheres, volumes, and BI-RADS classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pig.data.phantom import PhantomSettings
from pig.data.phantom.envelope import make_envelope
from pig.data.phantom.lesion import (
    PHI,
    THETA,
    body_fraction,
    draw_class,
    draw_diameter,
    equal_volume_diameter,
    gaussian_sphere,
    in_view,
    make_mass,
    spicule_fraction,
    surface_radius,
)
from pig.data.phantom.settings import MARGINS, SHAPES, SLICE_MM

CLASSES = [(shape, margin) for shape in MARGINS for margin in MARGINS[shape]]


def test_log_radius_has_the_variance_of_the_published_spectrum():
    s2, nu, l_max = 0.31, 4.0, 4
    weights = np.arange(1, 5) ** -nu
    expected = np.log1p(s2) * weights[1:].sum() / weights.sum()
    rng = np.random.default_rng(0)
    spheres = np.log(np.stack([gaussian_sphere(rng, s2, nu, l_max) for _ in range(1500)]) * np.sqrt(1 + s2))
    for theta, phi in ((0, 0), (45, 30), (70, 120)):  # the same in every direction
        assert spheres[:, theta, phi].var() == pytest.approx(expected, rel=0.12)
        assert spheres[:, theta, phi].mean() == pytest.approx(0, abs=4 * np.sqrt(expected / 1500))


def test_diameter_of_known_bodies():
    assert equal_volume_diameter(np.full((len(THETA), len(PHI)), 3.0)) == pytest.approx(6, rel=1e-3)
    a, b, c = 2.0, 3.0, 4.5  # an ellipsoid has the volume of the sphere of radius (abc)^(1/3) = 3
    x, y, z = np.sin(THETA)[:, None] * np.cos(PHI), np.sin(THETA)[:, None] * np.sin(PHI), np.cos(THETA)[:, None]
    ellipsoid = 1 / np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    assert equal_volume_diameter(ellipsoid) == pytest.approx(6, rel=2e-3)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(CLASSES), st.floats(5, 20), st.integers(0, 1000), st.sampled_from(["CC", "MLO"]))
def test_every_class_has_the_volume_of_its_diameter(names, diameter, seed, view):
    mass = make_mass(np.random.default_rng(seed), diameter, *names)
    envelope = make_envelope(np.random.default_rng(0), view, 80, 95, 140, 1.0)
    _, share = body_fraction(mass, envelope, (45.0, 0.3, -1.2))
    assert share.min() >= 0
    assert share.max() <= 1 + 1e-6
    volume = share.sum() * envelope.spacing_mm**2 * SLICE_MM
    assert volume == pytest.approx(np.pi / 6 * diameter**3, rel=0.04)


def test_classes_look_different():
    rng = np.random.default_rng(0)

    def roughness(shape, margin):
        masses = [make_mass(rng, 12, shape, margin) for _ in range(12)]
        # Curvature over 16 degrees: coarser than the fuzz of each radius, finer than the shape.
        r = np.stack([m.radius[20:70, ::4] for m in masses])
        return np.abs(np.diff(r, 2, axis=2)).mean()

    assert roughness("oval", "microlobulated") > 1.5 * roughness("oval", "circumscribed")
    assert roughness("irregular", "indistinct") > 1.5 * roughness("round", "circumscribed")
    for shape, margin in CLASSES:
        mass = make_mass(rng, 12, shape, margin)
        assert bool(len(mass.tracts)) == (margin == "spiculated")
        assert bool(mass.blur_mm) == (margin == "indistinct")


def test_spicules_start_at_the_surface_and_lead_outwards():
    mass = make_mass(np.random.default_rng(3), 14, "irregular", "spiculated")
    distance = np.linalg.norm(mass.tracts, axis=1)
    drawn = ~np.isnan(distance)
    beyond = distance[drawn] > surface_radius(mass.radius, mass.tracts[drawn])
    assert beyond.mean() > 0.5
    assert mass.tract_radii[drawn].min() > 0
    envelope = make_envelope(np.random.default_rng(0), "CC", 80, 95, 140, 0.5)
    _, share = spicule_fraction(mass, envelope, (45.0, 0.0, 0.0))
    _, body = body_fraction(mass, envelope, (45.0, 0.0, 0.0))
    assert 0 < share.sum() < 0.3 * body.sum()


def test_shapes_and_margins_follow_the_joint_distribution():
    rng = np.random.default_rng(0)
    drawn = [draw_class(rng) for _ in range(6000)]
    for shape, share in SHAPES.items():
        of_shape = [m for s, m in drawn if s == shape]
        assert len(of_shape) / len(drawn) == pytest.approx(share, abs=0.025)
        total = sum(MARGINS[shape].values())
        for margin, p in MARGINS[shape].items():
            assert of_shape.count(margin) / len(of_shape) == pytest.approx(p / total, abs=0.06)
    assert {draw_class(rng, shape="oval")[0] for _ in range(20)} == {"oval"}
    assert {draw_class(rng, margin="spiculated")[1] for _ in range(20)} == {"spiculated"}


def test_diameters_are_log_normal_within_their_limits():
    rng = np.random.default_rng(0)
    d = np.array([draw_diameter(rng, PhantomSettings(), 30) for _ in range(3000)])
    assert d.min() >= 4
    assert d.max() <= 30
    assert np.median(d) == pytest.approx(11.2, abs=0.4)  # 11.5, less the tail above 30
    # Radiologist-reported sizes (PMC4764253, table 4): 47 % up to 10 mm, 12 % above 20; ours are a little larger.
    assert (d <= 10).mean() == pytest.approx(0.42, abs=0.06)
    assert (d > 20).mean() == pytest.approx(0.12, abs=0.03)


def test_a_breast_too_thin_for_the_median_gets_what_fits():
    assert draw_diameter(np.random.default_rng(0), PhantomSettings(diameter_mm=30, diameter_sigma=0.01), 12) == 12


def test_views_are_45_degrees_apart():
    points = np.random.default_rng(0).normal(size=(10, 3))
    np.testing.assert_allclose(in_view(points, "CC"), points)
    turned = in_view(points, "MLO")
    np.testing.assert_allclose(turned[:, 0], points[:, 0])
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(points, axis=1))
    np.testing.assert_allclose(np.einsum("ij,ij->i", turned[:, 1:], points[:, 1:]),
                               np.sqrt(0.5) * (points[:, 1:] ** 2).sum(axis=1))  # fmt: skip
    np.testing.assert_allclose(in_view(turned, "MLO", back=True), points)
