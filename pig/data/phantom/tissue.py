"""What is inside the breast: the power-law fibroglandular field, Cooper's ligaments, muscle, vessels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, fftfreq, ifft, irfft2, next_fast_len, rfft2, rfftfreq
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from scipy.spatial import cKDTree
from scipy.special import expit

from pig.data.phantom.envelope import Array, Envelope
from pig.data.phantom.settings import ADIPOSE, BLOOD, GLANDULAR, LIGAMENT, MUSCLE, SKIN, SLICE_MM
from pig.system.errors import UserError

WARP_MM = 2.5  # standard deviation of the displacement of the ligaments
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


def cooper_ligaments(
    rng: np.random.Generator, envelope: Envelope, pitch_mm: float = 14.0
) -> Iterator[tuple[Array, Array]]:
    """Fat lobules and the ligaments between them: the cells and walls of a warped Voronoi tessellation.

    Seeds lie at one per ``pitch_mm``^3, the coordinates are warped by smooth noise. The four nearest
    seeds are found on a grid of 2 mm; the distances to them are those of each voxel, so that walls are sharp.

    Yields:
        For each plane the walls, exp(-((d2 - d1) / 0.9 mm)^2), and a value N(0, 1) for each cell, which passes
        into its neighbour's over some 2 mm; both [ny, nx].
    """
    step, planes = max(1, round(2 / envelope.spacing_mm)), max(1, round(2 / SLICE_MM))
    grid = np.stack(np.meshgrid(envelope.z[::planes], envelope.y[::step], envelope.x[::step], indexing="ij"))
    low, high = grid.min(axis=(1, 2, 3)), grid.max(axis=(1, 2, 3))
    smoothness = (7 / planes / SLICE_MM, *(7 / step / envelope.spacing_mm,) * 2)
    for axis in grid:
        noise = gaussian_filter(rng.standard_normal(axis.shape, dtype=np.float32), smoothness)
        axis += noise * np.float32(WARP_MM / noise.std())
    seeds = rng.uniform(low, high, (max(4, int(np.prod(high - low) / pitch_mm**3)), 3))
    value = rng.standard_normal(len(seeds), dtype=np.float32)
    nearest = cKDTree(seeds).query(grid.reshape(3, -1).T, k=4)[1].T.reshape(4, *grid.shape[1:])
    seeds = seeds.T.astype(np.float32)

    heights = _interpolation(len(envelope.z), planes, grid.shape[1])
    rows = _interpolation(len(envelope.y), step, grid.shape[2])
    columns = _interpolation(len(envelope.x), step, grid.shape[3])
    for below, above, share, closest in zip(*heights, strict=True):
        distance = np.zeros((4, len(envelope.y), len(envelope.x)), dtype=np.float32)
        for axis, seed in zip(grid, seeds, strict=True):
            at = axis[below] * (1 - share) + axis[above] * share
            at = at[rows[0]] * (1 - rows[2])[:, None] + at[rows[1]] * rows[2][:, None]
            at = at[:, columns[0]] * (1 - columns[2]) + at[:, columns[1]] * columns[2]
            for square, number in zip(distance, nearest[:, closest], strict=True):
                square += (at - seed[number][rows[3]][:, columns[3]]) ** 2
        np.sqrt(distance, out=distance)
        first, second = np.minimum(distance[0], distance[1]), np.maximum(distance[0], distance[1])
        for further in distance[2:]:
            np.minimum(second, np.maximum(first, further), out=second)
            np.minimum(first, further, out=first)
        wall = np.exp(-(((second - first) / np.float32(0.9)) ** 2))
        nearness = np.exp(first - distance, out=distance)
        values = value[nearest[:, closest]][:, rows[3]][:, :, columns[3]]
        yield wall, np.einsum("nij,nij->ij", nearness, values) / nearness.sum(axis=0)


def _interpolation(
    fine: int, step: int, coarse: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, NDArray[np.intp]]:
    """For each fine sample the coarse ones below and above, the share of the upper, and the closest."""
    position = np.minimum(np.arange(fine) / step, coarse - 1)
    low = np.minimum(position.astype(np.intp), max(coarse - 2, 0))
    return low, np.minimum(low + 1, coarse - 1), (position - low).astype(np.float32), np.rint(position).astype(np.intp)


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
    walls = np.empty(shape, dtype=np.float32)
    sample = []
    every = max(1, f.size // 500_000)
    for k, (wall, cell) in enumerate(cooper_ligaments(rng, envelope)):
        depth = envelope.depth(envelope.z[k])
        f[k] += prior - np.float32(0.5 * (2 * envelope.z[k] / envelope.thickness_mm) ** 4)
        # Differs from the published recipes, which have no fat layer of its own below the skin: mammograms do.
        f[k] -= np.float32(1.5) * np.exp(np.minimum(depth / -4, 2))
        f[k] += np.float32(LOBULES) * cell
        walls[k] = wall
        muscle = envelope.muscle_fraction(envelope.z[k])
        inside = (depth > envelope.skin_mm) & (muscle < 0.5)
        sample.append(np.stack([f[k][inside], 1 - muscle[inside]])[:, ::every])
    known, free = np.concatenate(sample, axis=1).astype(np.float64)
    if not len(known):
        raise UserError(f"A breast {envelope.thickness_mm:.0f} mm thick has no room for tissue below its skin.")
    t = brentq(lambda t: (free * expit((known - t) / 0.22)).mean() - glandular, known.min() - 5, known.max() + 5)

    blocks = (max(1, round(4 / envelope.spacing_mm)),) * 2
    muscle_texture = np.zeros((1, *shape[1:]), dtype=np.float32)
    if mlo:
        muscle_texture = power_law_field(
            rng, (1, *shape[1:]), spacing, 2.5, corner=0.05, elongation=1 / 3, angle_deg=-25
        )
    muscle_mu = np.float32(ADIPOSE) + (0.65 + 0.06 * muscle_texture[0]) * np.float32(MUSCLE - ADIPOSE)
    glands, depths = [], []
    total = np.zeros(2)
    for mu, wall, z in zip(f, walls, envelope.z, strict=True):
        muscle, depth = envelope.muscle_fraction(z), envelope.depth(z)
        gland = expit((mu - np.float32(t)) / np.float32(0.22)) * (1 - muscle)
        inside = (depth > envelope.skin_mm) & (muscle < 0.5)
        total += gland[inside].sum(dtype=np.float64), inside.sum()
        mu[:] = ADIPOSE + np.float32(GLANDULAR - ADIPOSE) * gland
        mu += np.float32(0.25 * (LIGAMENT - ADIPOSE)) * wall * (1 - gland)
        mu += muscle * (muscle_mu - mu)
        glands.append(_coarsen(gland, blocks))
        depths.append(np.where(_coarsen(muscle, blocks) > 0.02, np.float32(-1), _coarsen(depth, blocks)))
    where = (envelope.z, _coarsen(envelope.y, blocks[:1]), _coarsen(envelope.x, blocks[:1]))
    tissue = Tissue(
        f,
        np.array(depths),
        gaussian_filter(np.array(glands), (5 / SLICE_MM, 5 / 4, 5 / 4)),
        where,
        float(total[0] / total[1]),
    )
    if distractors:
        _add_vessels(rng, envelope, f)
        _add_calcifications(rng, tissue, envelope)
    for mu, z in zip(f, envelope.z, strict=True):
        core = envelope.fraction_within(z, envelope.skin_mm)
        mu *= core
        mu += np.float32(SKIN) * (envelope.fraction_within(z, 0) - core)
        mu += envelope.nipple_fraction(z) * np.maximum(np.float32(SKIN) - mu, 0)
    return tissue


def _coarsen(array: Array, blocks: tuple[int, ...]) -> Array:
    """Means of blocks; what does not fill a block at the end is left out."""
    size = [n // b for n, b in zip(array.shape, blocks, strict=True)]
    whole = array[tuple(slice(n * b) for n, b in zip(size, blocks, strict=True))]
    split = whole.reshape([length for pair in zip(size, blocks, strict=True) for length in pair])
    return np.asarray(split.mean(axis=tuple(range(1, 2 * len(size), 2)), dtype=np.float32))


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
