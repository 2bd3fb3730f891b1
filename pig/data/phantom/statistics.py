"""Image statistics by which a phantom is compared with published measurements."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.special import logit

from pig.data.phantom.imaging import add_noise, padded_length, project, reconstruct
from pig.data.phantom.settings import ADIPOSE, GLANDULAR, SLICE_MM, Geometry
from pig.data.phantom.view import View

Array = NDArray[np.float32]


def power_law_exponent(image: Array, spacing_mm: float, low: float = 0.07, high: float = 0.7) -> float:
    """Beta of a power spectrum c / f^beta, fitted to a square region between ``low`` and ``high`` 1/mm.

    The best plane is taken off, a Hann window applied, and the periodogram fitted by least squares in log-log over
    means of rings as wide as the frequency step (as Burgess 2001 and Chen 2012 do).
    """
    n = image.shape[0]
    row, column = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    plane = np.stack([np.ones(n * n), row.ravel(), column.ravel()], axis=1)
    values = image.ravel().astype(np.float64)
    flat = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    power = np.abs(np.fft.fft2(flat.reshape(n, n) * np.outer(np.hanning(n), np.hanning(n)))) ** 2
    axis = np.fft.fftfreq(n, spacing_mm)
    ring = np.rint(np.hypot(axis[:, None], axis[None]) * n * spacing_mm).astype(int).ravel()
    mean = np.bincount(ring, power.ravel()) / np.bincount(ring)
    f = np.arange(len(mean)) / (n * spacing_mm)
    used = (f >= low) & (f <= high)
    return float(-np.polyfit(np.log(f[used]), np.log(mean[used]), 1)[0])


def linear(volume: NDArray[np.uint16]) -> Array:
    """Displayed slices back to the reconstruction's values, up to a factor and an offset for each view."""
    return np.asarray(logit(np.clip(volume / 65535, 1e-6, 1 - 1e-6)), dtype=np.float32)


def interior(view: View, side_mm: float = 32.0) -> tuple[slice, slice]:
    """Rows and columns, on the envelope's grid, of a square behind the nipple where the gland is."""
    n = round(side_mm / view.envelope.spacing_mm)
    top = int(np.searchsorted(view.envelope.y, -side_mm / 2))
    left = int(max(0, (0.48 * view.envelope.depth_mm - side_mm / 2) / view.envelope.spacing_mm))
    return slice(top, top + n), slice(left, left + n)


def exponents(view: View) -> dict[str, float]:
    """Beta of a thin slice, the full projection and a reconstructed slice, in the interior of a mass-free view."""
    rows, columns = interior(view)
    spacing, middle = view.envelope.spacing_mm, len(view.slices) // 2
    shift = view.envelope.canvas_row(0)
    images = {
        "thin slice": view.attenuation[view.slices[middle], rows, columns],
        "projection": view.attenuation[:, rows, columns].sum(axis=0) * np.float32(SLICE_MM),
        "DBT": linear(view.volume[middle, rows.start + shift : rows.stop + shift, columns]),
    }
    return {name: power_law_exponent(image, spacing) for name, image in images.items()}


def slab_exponents(view: View, thicknesses_mm: tuple[int, ...]) -> dict[int, float]:
    """Beta of the mean of planes about the middle, for slabs of several thicknesses."""
    rows, columns = interior(view)
    middle = view.planes // 2
    return {
        t: power_law_exponent(
            view.attenuation[middle - t // 2 : middle - t // 2 + t, rows, columns].mean(axis=0),
            view.envelope.spacing_mm,
        )
        for t in thicknesses_mm
    }


def contrast_to_noise(view: View) -> float:
    """Anatomical CNR of the mass in its middle slice: (mean inside - mean around) / deviation around.

    Around: 2 to 8 mm outside the outline, inside the breast.
    """
    middle = len(view.slices) // 2
    values, mask = linear(view.volume[middle]), view.masks[middle]
    away = distance_transform_edt(~mask) * view.envelope.spacing_mm
    around = (away > 2) & (away < 8) & (view.volume[middle] > 0)
    return float((values[mask].mean() - values[around].mean()) / values[around].std())


def noise_variance(rng: np.random.Generator, quanta: float, geometry: Geometry, spacing_mm: float = 0.25) -> float:
    """Variance of a reconstructed plane of a uniform slab: 50 mm of half fat, half gland."""
    length = padded_length(128, 50, spacing_mm, geometry)
    flat = np.full((geometry.views, length, 64), 25 * (ADIPOSE + GLANDULAR), dtype=np.float32)
    noisy = add_noise(rng, flat, quanta)
    return float(reconstruct(noisy, np.zeros(1, dtype=np.float32), 128, spacing_mm, geometry).var())


def artefact_spread(
    diameter_mm: float, geometry: Geometry, spacing_mm: float = 0.5, reach_mm: int = 60
) -> tuple[Array, Array]:
    """Heights in mm, and the artefact spread function there: the ghost of a sphere over the sphere itself."""
    z = np.arange(-reach_mm, reach_mm + 1, dtype=np.float32) * np.float32(SLICE_MM)
    side = (np.arange(160) - 80) * spacing_mm
    away = np.sqrt(z[:, None, None] ** 2 + side[None, :, None] ** 2 + side[None, None, 60:101] ** 2)
    sphere = np.clip((diameter_mm / 2 - away) / spacing_mm + 0.5, 0, 1).astype(np.float32)
    planes = reconstruct(project(sphere, z, spacing_mm, geometry), z, 160, spacing_mm, geometry)
    core = planes[:, 79:82, 19:22].mean(axis=(1, 2)) - planes[:, 20:30].mean(axis=(1, 2))
    return z, np.asarray(core / core[reach_mm], dtype=np.float32)


def full_width_half_maximum(z: Array, curve: Array) -> float:
    """Width of a curve that is 1 at z = 0, between its crossings of 1/2; infinite where it never falls so low."""
    middle = len(z) // 2
    side = curve[middle:]
    below = np.flatnonzero(side < 0.5)
    if not len(below):
        return float("inf")
    i = int(below[0])
    return float(2 * (z[middle + i - 1] + SLICE_MM * (side[i - 1] - 0.5) / (side[i - 1] - side[i])))
