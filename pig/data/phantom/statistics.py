"""Image statistics by which a phantom is compared with published measurements."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from pig.data.phantom.imaging import project
from pig.data.phantom.patient import View
from pig.data.phantom.settings import GEOMETRIES, SLICE_MM, Geometry

Image = NDArray[np.floating]


def power_law_exponent(
    image: Image, spacing_mm: float, low: float = 0.07, high: float = 0.7
) -> float:
    """beta of a power spectrum c / f^beta, fitted to a square region between ``low`` and ``high`` 1/mm.

    The best plane is taken off, a Hann window applied, and the periodogram fitted by least squares in log-log over
    means of rings as wide as the frequency step.
    """
    n = image.shape[0]
    row, column = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    plane = np.stack([np.ones(n * n), row.ravel(), column.ravel()], axis=1)
    flat = image.ravel() - plane @ np.linalg.lstsq(plane, image.ravel().astype(np.float64), rcond=None)[0]
    window = np.outer(np.hanning(n), np.hanning(n))
    power = np.abs(np.fft.fft2(flat.reshape(n, n) * window)) ** 2
    axis = np.fft.fftfreq(n, spacing_mm)
    f = np.hypot(axis[:, None], axis[None])
    ring = np.rint(f * n * spacing_mm).astype(int)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    centre = np.arange(len(mean)) / (n * spacing_mm)
    used = (centre >= low) & (centre <= high)
    slope: float = np.polyfit(np.log(centre[used]), np.log(mean[used]), 1)[0]
    return -slope


def linear(volume: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Displayed slices back to the reconstruction's values, up to a factor and an offset."""
    return np.asarray(logit(np.clip(volume / 65535, 1e-5, 1 - 1e-5)), dtype=np.float32)


def interior(view: View, side_mm: float = 32.0) -> tuple[slice, slice]:
    """Rows and columns, on the envelope's grid, of a square behind the nipple where the gland is."""
    n = round(side_mm / view.envelope.spacing_mm)
    top = int(np.searchsorted(view.envelope.y, -side_mm / 2))
    left = int(max(0, (0.48 * view.envelope.depth_mm - side_mm / 2) / view.envelope.spacing_mm))
    return slice(top, top + n), slice(left, left + n)


def exponents(view: View, geometry: str) -> tuple[float, float, float]:
    """beta of a thin slice, of the full projection and of a reconstructed slice, in a mass-free view's interior."""
    rows, columns = interior(view)
    spacing = view.envelope.spacing_mm
    middle = len(view.slices) // 2
    thin = view.attenuation[view.slices[middle], rows, columns]
    full = project(view.attenuation, view.envelope.z, spacing, Geometry(1, 0.0))[0, rows, columns]
    top = view.envelope.canvas_row(0)
    slice_ = linear(view.volume[middle])[top + rows.start : top + rows.stop, columns]
    return tuple(power_law_exponent(image, spacing) for image in (thin, full, slice_))  # type: ignore[return-value]
