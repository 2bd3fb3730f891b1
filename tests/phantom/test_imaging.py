"""The scan against direct sums in space, closed forms in Fourier, and photon statistics."""

import numpy as np
import pytest
from scipy.fft import rfft, rfftfreq

from pig.data.phantom.imaging import add_noise, display, padded_length, project, ramp_filter, reconstruct, scan_angles
from pig.data.phantom.settings import GEOMETRIES, Geometry
from pig.data.phantom.statistics import artefact_spread, full_width_half_maximum, noise_variance

RNG = np.random.default_rng(0)


def test_the_central_view_is_the_sum_of_the_planes():
    volume = RNG.random((5, 20, 7), dtype=np.float32)
    z = np.arange(-2, 3, dtype=np.float32)
    view = project(volume, z, 0.5, Geometry(1, 0.0))[0]
    np.testing.assert_allclose(view[:20], volume.sum(axis=0), atol=1e-5)
    np.testing.assert_allclose(view[20:], 0, atol=1e-5)


def test_an_oblique_view_shifts_each_plane_by_its_height_and_lengthens_the_path():
    # atan(1/2): a plane 2 mm up moves by 1 mm, that is by 2 rows of 0.5 mm.
    angle = np.arctan(0.5)
    volume = np.zeros((5, 64, 40), dtype=np.float32)
    volume[0, 30], volume[4, 40] = 1, 3  # z = -2 and +2
    z = np.arange(-2, 3, dtype=np.float32)
    views = project(volume, z, 0.5, Geometry(3, 2 * np.rad2deg(angle)))
    expected = np.zeros(64)
    expected[30 - 2], expected[40 + 2] = 1, 3
    np.testing.assert_allclose(views[2, :64, 0], expected / np.cos(angle), atol=1e-4)


def test_reconstruction_is_the_closed_form_of_the_noise_free_chain():
    """R_k = sum_j V_j H(f) mean_theta exp(2 pi i f (z_k - z_j) tan theta) / cos theta, at full double precision."""
    geometry, spacing = GEOMETRIES["ge"], 0.4
    volume = RNG.random((9, 30, 5), dtype=np.float32)
    z = np.arange(-4, 5, dtype=np.float32)
    length = padded_length(30, 8, spacing, geometry)
    got = reconstruct(project(volume, z, spacing, geometry), z[[1, 6]], 30, spacing, geometry)
    f = rfftfreq(length, spacing)
    v = rfft(volume.astype(np.float64), length, axis=1)
    angles = scan_angles(geometry)
    for k, height in enumerate(z[[1, 6]]):
        d = np.exp(2j * np.pi * f[:, None, None] * (height - z)[None, :, None] * np.tan(angles)) / np.cos(angles)
        spectrum = np.einsum("fj,jfx->fx", d.mean(axis=2), v) * ramp_filter(f, spacing)[:, None]
        plane = np.fft.irfft(spectrum, length, axis=0)[:30]
        padded = np.pad(plane, ((0, 0), (1, 1)), mode="edge")
        expected = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
        np.testing.assert_allclose(got[k], expected, atol=2e-5)


def test_any_plane_can_be_reconstructed_alone():
    volume = RNG.random((7, 24, 6), dtype=np.float32)
    z = np.arange(-3, 4, dtype=np.float32)
    views = project(volume, z, 0.5, GEOMETRIES["hologic"])
    together = reconstruct(views, z, 24, 0.5, GEOMETRIES["hologic"])
    alone = reconstruct(views, z[4:5], 24, 0.5, GEOMETRIES["hologic"])
    np.testing.assert_allclose(alone[0], together[4], atol=1e-6)


def test_padding_keeps_the_highest_plane_from_wrapping_around():
    for geometry in GEOMETRIES.values():
        length = padded_length(100, 80, 0.5, geometry)
        assert length >= 140
        assert (length - 100) * 0.5 >= 2 * 40 * np.tan(np.deg2rad(geometry.span_deg / 2))


def test_counts_have_the_moments_of_poisson_and_electronic_noise():
    quanta, path = 1e4, 1.5
    noisy = add_noise(np.random.default_rng(1), np.full((1, 400, 400), path, dtype=np.float32), quanta)
    expected = quanta * np.exp(-path)
    assert noisy.mean() == pytest.approx(path + 0.5 / expected, abs=4 / np.sqrt(expected * 160_000))
    assert noisy.var() == pytest.approx((expected + 49) / expected**2, rel=0.02)


def test_a_detector_without_light_gives_finite_values():
    assert np.isfinite(add_noise(np.random.default_rng(0), np.full((2, 8, 8), 30, dtype=np.float32), 100)).all()


def test_noise_variance_goes_as_one_over_dose():
    variances = [noise_variance(np.random.default_rng(2), quanta, GEOMETRIES["hologic"]) for quanta in (5e4, 2e5)]
    assert variances[0] / variances[1] == pytest.approx(4, rel=0.08)


def test_ghosts_shorten_with_the_angle_and_lengthen_with_the_size():
    """Limited angles resolve depth as 1 / (2 f tan(Theta/2)); prototype: 48 mm at 15 degrees, 16 mm at 50, for 5 mm."""
    width = {
        (size, name): full_width_half_maximum(*artefact_spread(size, GEOMETRIES[name]))
        for size in (2, 5)
        for name in ("hologic", "ge", "siemens")
    }
    for size in (2, 5):
        assert width[size, "hologic"] > width[size, "ge"] > width[size, "siemens"]
    assert width[5, "hologic"] == pytest.approx(48, rel=0.15)
    assert width[5, "siemens"] == pytest.approx(16, rel=0.15)
    for name in GEOMETRIES:
        assert width[5, name] > 1.8 * width[2, name]


def test_half_maximum_by_hand():
    z = np.arange(-2, 3, dtype=np.float32)
    # Falls from 0.75 to 0.25 between 1 and 2 mm: through 1/2 at 1.5 mm.
    assert full_width_half_maximum(z, np.array([0.25, 0.75, 1, 0.75, 0.25], np.float32)) == pytest.approx(3)
    assert full_width_half_maximum(z, np.ones(5, np.float32)) == np.inf


def test_display_keeps_order_and_air():
    planes = np.linspace(-3, 3, 100, dtype=np.float32).reshape(1, 10, 10)
    body = np.ones((10, 10), dtype=np.float32)
    body[0, 0] = 0
    shown = display(planes, body, body > 0)
    assert shown[0, 0, 0] == 0
    rest = shown.ravel()[1:].astype(int)
    assert rest.min() >= 1
    assert (np.diff(rest) > 0).all()
    # The sigmoid of DICOM at c - 0.45 w and c + 0.45 w: 1 / (1 + exp(+-1.8)).
    low, high = np.percentile(rest / 65535, [2, 98])
    assert low == pytest.approx(1 / (1 + np.exp(1.8)), abs=0.01)
    assert high == pytest.approx(1 / (1 + np.exp(-1.8)), abs=0.01)
