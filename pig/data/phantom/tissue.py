"""What is inside the breast: the power-law fibroglandular field, muscle, vessels, and ligaments put into it."""

from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, fftfreq, ifft, irfft2, next_fast_len, rfft2, rfftfreq
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq, newton
from scipy.special import expit

from pig.data.phantom.envelope import Array, Envelope
from pig.data.phantom.ligaments import cooper_ligaments
from pig.data.phantom.settings import ADIPOSE, BLOOD, GLANDULAR, LIGAMENT, MUSCLE, SKIN, SLICE_MM
from pig.system.errors import UserError

F = TypeVar("F", bound=np.floating)
LOBULES = 0.35  # how much the lobules between the ligaments differ, in standard deviations of the field


def power_law_field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    exponent: float,
    *,
    corner: float = 0.01,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
) -> Array:
    """A Gaussian field with power spectrum (f^2 + corner^2)^(-exponent/2), mean 0, variance 1, [z, y, x].

    Args:
        rng: source of the white noise that is filtered.
        shape: of the result; the field is made on a larger periodic grid, a quarter deeper, and cut.
        spacing: of the voxels, in mm.
        exponent: beta of the three-dimensional spectrum; a thin slice then has beta - 1 and a full projection beta.
        corner: frequency in 1/mm below which the spectrum is flat.
        elongation: how much longer structures are along x, turned by ``angle_deg`` towards +y.
        angle_deg: see ``elongation``.
    """
    deep, rows, columns = (next_fast_len(n, real=True) for n in (int(shape[0] * 1.25), *shape[1:]))
    fz = fftfreq(deep, spacing[0]).astype(np.float32)[:, None, None]
    fy = fftfreq(rows, spacing[1]).astype(np.float32)[:, None]
    fx = rfftfreq(columns, spacing[2]).astype(np.float32)[None]
    c, s = np.float32(np.cos(np.deg2rad(angle_deg))), np.float32(np.sin(np.deg2rad(angle_deg)))
    in_plane = (np.float32(elongation) * (fx * c + fy * s)) ** 2 + (fy * c - fx * s) ** 2 + np.float32(corner**2)
    # Plane by plane, then block by block: arrays of the whole volume cost more than the arithmetic.
    spectrum = np.empty((deep, rows, len(fx[0])), dtype=np.complex64)
    for plane in spectrum:
        plane[:] = rfft2(rng.standard_normal((rows, columns), dtype=np.float32), workers=1)
    for start in range(0, rows, 8):
        block = fft(spectrum[:, start : start + 8], axis=0, workers=1)
        block *= (in_plane[start : start + 8] + fz**2) ** np.float32(-exponent / 4)
        spectrum[:, start : start + 8] = ifft(block, axis=0, workers=1)
    field = np.empty(shape, dtype=np.float32)
    for out, plane in zip(field, spectrum, strict=False):
        out[:] = irfft2(plane, (rows, columns), workers=1)[: shape[1], : shape[2]]
    field -= field.mean()
    field /= field.std()
    return field


def tube(
    points: NDArray[np.float64], radii: NDArray[np.float64], envelope: Envelope
) -> tuple[tuple[slice, ...], Array]:
    """Share of each voxel that a thin polyline of the given radii takes.

    Each short piece hands its volume pi r^2 ds to the eight voxels around it, so that the volume is kept however
    thin the tube is against the voxel.

    Args:
        points: [n, 3] in mm as (x, y, z); NaN rows separate several lines.
        radii: [n] in mm.
        envelope: gives the grid.

    Returns:
        The box of the grid that is touched, and the shares there, cut at 1.
    """
    step = 0.4 * min(envelope.spacing_mm, SLICE_MM)
    start, end = points[:-1], points[1:]
    keep = ~np.isnan(start + end).any(axis=1)
    start, end, r0, r1 = start[keep], end[keep], radii[:-1][keep], radii[1:][keep]
    length = np.linalg.norm(end - start, axis=1)
    pieces = np.maximum(np.ceil(length / step).astype(int), 1)
    which = np.repeat(np.arange(len(length)), pieces)
    t = (np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 0.5) / pieces[which]
    at = start[which] + (end - start)[which] * t[:, None]
    volume = np.pi * (r0[which] * (1 - t) + r1[which] * t) ** 2 * (length / pieces)[which]
    share = volume / (envelope.spacing_mm**2 * SLICE_MM)

    index = np.stack(
        [
            (at[:, 2] - envelope.z[0]) / SLICE_MM,
            (at[:, 1] - envelope.y[0]) / envelope.spacing_mm,
            (at[:, 0] - envelope.x[0]) / envelope.spacing_mm,
        ],
        axis=1,
    )
    grid = np.array([len(envelope.z), len(envelope.y), len(envelope.x)])
    inside = ((index >= 0) & (index < grid - 1)).all(axis=1)
    index, share = index[inside], share[inside]
    if not len(index):
        return (slice(0, 0),) * 3, np.zeros((0, 0, 0), dtype=np.float32)
    low = np.floor(index).astype(int)
    first, size = low.min(axis=0), low.max(axis=0) + 2 - low.min(axis=0)
    total = np.zeros(int(np.prod(size)))
    rest = index - low
    for corner in np.ndindex(2, 2, 2):
        weight = share * np.prod(np.where(corner, rest, 1 - rest), axis=1)
        flat = np.ravel_multi_index(tuple((low - first + corner).T), tuple(size))
        total += np.bincount(flat, weight, minlength=len(total))
    box = tuple(slice(int(f), int(f + s)) for f, s in zip(first, size, strict=True))
    return box, np.minimum(total, 1).reshape(size).astype(np.float32)


@dataclass
class Tissue:
    """One view before its masses are put in.

    Attributes:
        attenuation: [nz, ny, nx] float32 in 1/mm, air 0.
        depth_coarse: [k, j, i] distance below the skin in mm, on the grid of ``where``.
        gland_coarse: [k, j, i] glandular fraction smoothed by 5 mm, less where muscle is.
        where: the coordinates (z, y, x) of the coarse grid, in mm.
        glandular: volumetric glandular fraction reached, of the breast without skin and muscle.
    """

    attenuation: Array
    depth_coarse: Array
    gland_coarse: Array
    where: tuple[Array, ...]
    glandular: float


def make_tissue(rng: np.random.Generator, envelope: Envelope, glandular: float, distractors: bool) -> Tissue:
    """Fill the envelope with tissue of the given volumetric glandular fraction.

    The glandular fraction of a voxel is sigmoid((f - t) / 0.22), with f the power-law field plus a prior that
    gathers gland behind the nipple and leaves fat below the skin; t is found so that the mean is ``glandular``.
    """
    shape = (len(envelope.z), len(envelope.y), len(envelope.x))
    spacing = (SLICE_MM, envelope.spacing_mm, envelope.spacing_mm)
    mlo = envelope.view == "MLO"
    exponent = float(np.clip(rng.normal(2.85, 0.15), 2.4, 3.3))
    # Tissue points to the nipple: 5 degrees in CC, 22.5 in MLO (Reiser, PMC3189972).
    f = power_law_field(rng, shape, spacing, exponent, elongation=1.25, angle_deg=22.5 if mlo else rng.choice([-5, 5]))
    y_centre = rng.normal(0, 0.05) * envelope.width_mm - (0.06 * envelope.width_mm if mlo else 0)
    rho2 = ((envelope.x[None] - 0.45 * envelope.depth_mm) / (0.55 * envelope.depth_mm)) ** 2 + (
        (envelope.y[:, None] - y_centre) / (0.42 * envelope.width_mm)
    ) ** 2
    prior = (1.6 * np.clip(1 - rho2, -1.2, 1)).astype(np.float32)
    block = max(1, round(4 / envelope.spacing_mm))
    where = (envelope.z, coarsen(envelope.y, block), coarsen(envelope.x, block))
    inside = np.empty(shape, dtype=bool)
    depths = np.empty((shape[0], shape[1] // block, shape[2] // block), dtype=np.float32)
    for height, planes in envelope.levels():
        depth = envelope.depth(height)
        gathered = prior - np.float32(0.5 * (2 * height / envelope.thickness_mm) ** 4)
        # Differs from the published recipes, which have no fat layer of its own below the skin: mammograms do.
        fat = np.float32(1.5) * np.exp(np.minimum(depth / -4, 2))
        for k in planes:
            f[k] += gathered
            f[k] -= fat
        inside[planes] = depth > envelope.skin_mm
        depths[planes] = coarsen(depth, block)
    walls = np.empty(shape, dtype=np.float32)
    known, free = [], []
    every = max(1, f.size // 500_000)
    for k, (wall, cell) in enumerate(cooper_ligaments(rng, envelope)):
        f[k] += np.float32(LOBULES) * cell
        walls[k] = wall
        if mlo:
            muscle = envelope.muscle_fraction(envelope.z[k])
            inside[k] &= muscle < 0.5
            depths[k][coarsen(muscle, block) > 0.02] = -1
            free.append(1 - muscle[inside[k]][::every])
        known.append(f[k][inside[k]][::every])
    if not inside.any():
        raise UserError(f"A breast {envelope.thickness_mm:.0f} mm thick has no room for tissue below its skin.")
    t = _threshold(np.concatenate(known), np.concatenate(free) if mlo else np.ones(1, dtype=np.float32), glandular)

    if mlo:
        muscle_texture = power_law_field(
            rng, (1, *shape[1:]), spacing, 2.5, corner=0.05, elongation=1 / 3, angle_deg=-25
        )
        muscle_mu = np.float32(ADIPOSE) + (0.65 + 0.06 * muscle_texture[0]) * np.float32(MUSCLE - ADIPOSE)
    glands = np.empty_like(depths)
    total = 0.0
    for k, mu in enumerate(f):
        gland = expit((mu - np.float32(t)) / np.float32(0.22))
        if mlo:
            muscle = envelope.muscle_fraction(envelope.z[k])
            gland *= 1 - muscle
        total += gland[inside[k]].sum(dtype=np.float64)
        mu[:] = ADIPOSE + np.float32(GLANDULAR - ADIPOSE) * gland
        mu += np.float32(0.25 * (LIGAMENT - ADIPOSE)) * walls[k] * (1 - gland)
        if mlo:
            mu += muscle * (muscle_mu - mu)
        glands[k] = coarsen(gland, block)
    tissue = Tissue(
        f,
        depths,
        gaussian_filter(glands, (5 / SLICE_MM, 5 / 4, 5 / 4)),
        where,
        float(total / inside.sum()),
    )
    if distractors:
        _add_vessels(rng, envelope, f)
        _add_calcifications(rng, tissue, envelope)
    for height, planes in envelope.levels():
        whole, core = envelope.fractions_within(height, 0, envelope.skin_mm)
        skin = np.float32(SKIN) * (whole - core)
        for k in planes:
            f[k] *= core
            f[k] += skin
    box, nipple = envelope.nipple_fraction(envelope.z)
    tip = f[:, *box]
    tip += nipple * np.maximum(np.float32(SKIN) - tip, 0)
    return tissue


def _threshold(known: Array, free: Array, glandular: float) -> float:
    """The t for which the mean of ``free`` sigmoid((``known`` - t) / 0.22) is ``glandular``.

    Args:
        known: [n] values of the field in the breast.
        free: [n] share of each voxel that is not muscle; [1] where it is the same for all.
        glandular: above 0, below the mean of ``free``.
    """
    of_field, free = known.astype(np.float64) / 0.22, free.astype(np.float64)

    def excess(t: float, every: int = 1) -> float:
        below = t / 0.22 - of_field[::every]
        np.exp(below, out=below)
        below += 1
        return float((free[::every] / below).mean()) - glandular

    # From the root for every sixteenth voxel, secants need a third of the steps over all of them.
    rough = brentq(excess, known.min() - 5, known.max() + 5, args=(16,))
    return float(newton(excess, rough, x1=rough + 1e-3, tol=1e-9))


def coarsen(array: NDArray[F], block: int) -> NDArray[F]:
    """Means of blocks, along every axis; what does not fill a block at the end is left out."""
    for axis in reversed(range(array.ndim)):
        size = array.shape[axis] // block
        whole = array[(*(slice(None),) * axis, slice(size * block))]
        split = whole.reshape(*array.shape[:axis], size, block, *array.shape[axis + 1 :])
        # Over so short an axis NumPy adds in this order too, but it takes five times as long.
        array = reduce(np.add, np.moveaxis(split, axis + 1, 0)) if block < 8 else split.sum(axis=axis + 1)
    return np.asarray(array / array.dtype.type(block**array.ndim))


def _add_vessels(rng: np.random.Generator, envelope: Envelope, mu: Array) -> None:
    """3 to 8 blood vessels: random walks of radius 0.3 to 0.8 mm from the chest wall towards the nipple."""
    for _ in range(rng.integers(3, 9)):
        count = int(envelope.depth_mm / 2)
        heading = rng.normal(0, 0.35, 2) + np.cumsum(rng.normal(0, 0.12, (count, 2)), axis=0)
        direction = np.column_stack([np.ones(count), heading[:, 0], 0.3 * heading[:, 1]])
        start = [0, rng.uniform(-0.4, 0.4) * envelope.width_mm, rng.normal(0, 0.2) * envelope.thickness_mm]
        points = start + np.cumsum(2 * direction / np.linalg.norm(direction, axis=1, keepdims=True), axis=0)
        box, share = tube(points, np.linspace(rng.uniform(0.5, 0.8), 0.3, count), envelope)
        if share.size:
            mu[box] += share * np.maximum(np.float32(BLOOD) - mu[box], 0)


def _add_calcifications(rng: np.random.Generator, tissue: Tissue, envelope: Envelope) -> None:
    """0 to 3 benign specks of radius 0.15 to 0.4 mm and three times the attenuation of gland."""
    allowed = np.argwhere(tissue.depth_coarse > 6)
    for _ in range(rng.integers(0, 4) if len(allowed) else 0):
        k, j, i = allowed[rng.integers(len(allowed))]
        centre = np.array([tissue.where[2][i], tissue.where[1][j], tissue.where[0][k]], dtype=np.float64)
        radius = rng.uniform(0.15, 0.4)
        # A rod as long as the sphere of that radius is in volume.
        box, share = tube(centre + np.array([[0, 0, 0], [4 / 3 * radius, 0, 0]]), np.full(2, radius), envelope)
        if share.size:
            tissue.attenuation[box] += share * np.float32(3 * GLANDULAR)
