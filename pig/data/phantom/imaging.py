"""Projections and limited-angle filtered back-projection, exactly in Fourier, for a parallel beam.

The tube travels along y. With V_j(f) the Fourier transform along y of plane j at height z_j,

    P_theta(f) = sum_j V_j(f) exp(-2 pi i f z_j tan theta) dz / cos theta
    R_k(f)     = mean_theta H(f) P'_theta(f) exp(+2 pi i f z_k tan theta)

so that any plane k can be reconstructed alone, and without noise R_k = sum_j V_j H(f) D(f (z_k - z_j)) with
D(u) = mean_theta exp(2 pi i u tan theta) (up to 1/cos theta): the ghosts of limited angles are this D.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.ndimage import convolve1d

from pig.data.phantom.settings import SLICE_MM, Geometry

Array = NDArray[np.float32]
Complex = NDArray[np.complex64]

FLOOR = 0.10  # e of the filter: brings the reconstruction's spectrum to the clinical 2.9 to 3.1
FILTER_PER_MM = 2.0  # where the ramp reaches 1
ELECTRONIC_NOISE = 7.0  # standard deviation, in quanta


def scan_angles(geometry: Geometry) -> NDArray[np.float64]:
    """[views] in radians, evenly spread about 0."""
    return np.deg2rad(np.linspace(-geometry.span_deg / 2, geometry.span_deg / 2, geometry.views))


def padded_length(rows: int, height_mm: float, spacing_mm: float, geometry: Geometry) -> int:
    """Rows to transform, so that the shift of the highest plane does not wrap around; at least 1.4 fold."""
    shift = 2 * height_mm / 2 * np.tan(np.deg2rad(geometry.span_deg / 2)) / spacing_mm
    return int(next_fast_len(int(np.ceil(max(1.4 * rows, rows + 2 * shift))), real=True))


def _phases(f: NDArray[np.float64], z: Array, angles: NDArray[np.float64]) -> Complex:
    """exp(-2 pi i f z tan theta), [f, theta, z]."""
    turns = f[:, None, None] * np.tan(angles)[None, :, None] * z.astype(np.float64)[None, None]
    return np.asarray(np.exp(-2j * np.pi * turns), dtype=np.complex64)


def project(volume: Array, z: Array, spacing_mm: float, geometry: Geometry) -> Array:
    """Line integrals through the volume: [views, padded rows, nx] float32.

    Args:
        volume: [nz, ny, nx] in 1/mm.
        z: [nz] heights in mm, ``SLICE_MM`` apart.
        spacing_mm: of the rows.
        geometry: the scan.
    """
    length = padded_length(volume.shape[1], float(z[-1] - z[0]), spacing_mm, geometry)
    angles = scan_angles(geometry)
    phases = _phases(rfftfreq(length, spacing_mm), z, angles)
    out = np.empty((geometry.views, length, volume.shape[2]), dtype=np.float32)
    # A few columns at a time: arrays of the whole volume cost more than the arithmetic.
    for start in range(0, volume.shape[2], 32):
        spectrum = rfft(volume[:, :, start : start + 32], length, axis=1, workers=1)  # [z, f, x]
        views = phases @ spectrum.transpose(1, 0, 2)  # [f, theta, x]
        out[:, :, start : start + 32] = irfft(views, length, axis=0, workers=1).transpose(1, 0, 2)
    out *= (SLICE_MM / np.cos(angles)).astype(np.float32)[:, None, None]
    return out


def add_noise(rng: np.random.Generator, projections: Array, quanta: float) -> Array:
    """Photon counts and back: -ln(N / I0), N = Poisson(I0 exp(-P)) + Normal(0, 7).

    A count below one is taken for one: the logarithm needs it, and only a detector without light sees it.
    """
    noisy = np.empty_like(projections)
    for out, view in zip(noisy, projections, strict=True):
        counts = rng.poisson(quanta * np.exp(-view.astype(np.float64))).astype(np.float32)
        counts += np.float32(ELECTRONIC_NOISE) * rng.standard_normal(view.shape, dtype=np.float32)
        out[:] = -np.log(np.maximum(counts, 1) / np.float32(quanta))
    return noisy


def ramp_filter(f: NDArray[np.float64], spacing_mm: float) -> NDArray[np.float64]:
    """H(f) = (e + (1 - e) |f| / 2 mm^-1) Hann, the Hann window reaching 0 at the Nyquist frequency.

    Differs: the ramp is scaled by a fixed frequency instead of Nyquist's, because coarse pixels would otherwise
    change the look of structures that they resolve.
    """
    hann = 0.5 * (1 + np.cos(2 * np.pi * f * spacing_mm))
    return np.asarray((FLOOR + (1 - FLOOR) * np.abs(f) / FILTER_PER_MM) * hann)


def reconstruct(projections: Array, z: Array, rows: int, spacing_mm: float, geometry: Geometry) -> Array:
    """Filtered back-projection of the planes at heights ``z``: [len(z), rows, nx] float32.

    Args:
        projections: [views, padded rows, nx], as ``project`` gives them.
        z: heights of the wanted planes in mm.
        rows: of the volume.
        spacing_mm: of the rows.
        geometry: the scan.
    """
    length = projections.shape[1]
    f = rfftfreq(length, spacing_mm)
    spectrum = np.ascontiguousarray(rfft(projections, axis=1, workers=1).transpose(1, 0, 2))  # [f, theta, x]
    spectrum *= ramp_filter(f, spacing_mm).astype(np.float32)[:, None, None] / np.float32(geometry.views)
    back = _phases(f, z, scan_angles(geometry)).conj().transpose(0, 2, 1)  # [f, z, theta]
    planes = irfft(back @ spectrum, length, axis=0, workers=1)[:rows].transpose(1, 0, 2)
    # The Hann window along x, where nothing else is filtered: its kernel is exactly 1/4, 1/2, 1/4.
    return np.asarray(convolve1d(planes, [0.25, 0.5, 0.25], axis=2, mode="nearest"), dtype=np.float32)


def display(planes: Array, body: Array, tissue: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Map reconstructed planes to 16 bits as a workstation shows them; air is exactly 0, the body 1 and more.

    The sigmoid window of DICOM PS3.3 C.11.2.1.3.1, y = 1 / (1 + exp(-4 (x - c) / w)), with one c and w for the
    view: the 2nd and 98th percentiles of its tissue lie at c -+ 0.45 w. Nothing is clipped.

    Args:
        planes: [n, ny, nx] reconstruction, less that of the body filled with fat.
        body: [ny, nx] share of each pixel inside the outline.
        tissue: [ny, nx] pixels that set the window: neither skin nor muscle.
    """
    low, high = np.percentile(planes[:, tissue], [2, 98])
    centre, width = (low + high) / 2, max((high - low) / 0.9, 1e-6)
    shown = 1 / (1 + np.exp(np.clip(-4 * (planes - centre) / width, -30, 30)))
    return np.where(body > 0, np.maximum(np.rint(shown * body * 65535), 1), 0).astype(np.uint16)
