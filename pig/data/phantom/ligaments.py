"""Cooper's ligaments and the fat lobules between them: the walls and cells of a warped Voronoi tessellation."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from pig.data.phantom.envelope import Array, Envelope
from pig.data.phantom.settings import SLICE_MM

WARP_MM = 2.5  # standard deviation of the displacement of the ligaments
# How far outside the skin they go on: further out the field leaves no gland (below 1e-10) for a lobule to change.
OUTSIDE_MM = 6.0


def cooper_ligaments(
    rng: np.random.Generator, envelope: Envelope, pitch_mm: float = 14.0
) -> Iterator[tuple[Array, Array]]:
    """Draw the ligaments of one view.

    Seeds lie at one per ``pitch_mm``^3, the coordinates are warped by smooth noise. The four nearest
    seeds are found on a grid of 2 mm; the distances to them are those of each voxel, so that walls are sharp.

    Yields:
        For each plane the walls, exp(-((d2 - d1) / 0.9 mm)^2), and a value N(0, 1) for each cell, which passes
        into its neighbour's over some 2 mm; both [ny, nx], and of no meaning from ``OUTSIDE_MM`` outside the skin on.
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
    near = np.stack([envelope.depth(z)[::step, ::step] > -OUTSIDE_MM for z in envelope.z[::planes]])
    nearest = np.zeros((4, *near.shape), dtype=np.intp)
    nearest[:, near] = cKDTree(seeds).query(grid[:, near].T, k=4)[1].T
    cells = np.vstack([seeds.T.astype(np.float32), value])

    heights = _interpolation(len(envelope.z), planes, grid.shape[1])
    rows = _interpolation(len(envelope.y), step, grid.shape[2])
    columns = _interpolation(len(envelope.x), step, grid.shape[3])
    shown = -1
    for below, above, share, closest in zip(*heights, strict=True):
        if closest != shown:
            shown = closest
            around = cells.take(nearest[:, closest].take(columns[3], axis=2), axis=1).take(rows[3], axis=2)
        distance = np.zeros((4, len(envelope.y), len(envelope.x)), dtype=np.float32)
        for axis, seed in zip(grid, around[:3], strict=True):
            at = axis[below] * (1 - share) + axis[above] * share
            at = at[rows[0]] * (1 - rows[2])[:, None] + at[rows[1]] * rows[2][:, None]
            at = at.take(columns[0], axis=1) * (1 - columns[2]) + at.take(columns[1], axis=1) * columns[2]
            for square, one in zip(distance, seed, strict=True):
                away = at - one
                away *= away
                square += away
        np.sqrt(distance, out=distance)
        first, second = np.minimum(distance[0], distance[1]), np.maximum(distance[0], distance[1])
        for further in distance[2:]:
            np.minimum(second, np.maximum(first, further), out=second)
            np.minimum(first, further, out=first)
        wall = np.exp(-(((second - first) / np.float32(0.9)) ** 2))
        nearness = np.exp(first - distance, out=distance)
        yield wall, np.einsum("nij,nij->ij", nearness, around[3]) / nearness.sum(axis=0)


def _interpolation(
    fine: int, step: int, coarse: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, NDArray[np.intp]]:
    """For each fine sample the coarse ones below and above, the share of the upper, and the closest."""
    position = np.minimum(np.arange(fine) / step, coarse - 1)
    low = np.minimum(position.astype(np.intp), max(coarse - 2, 0))
    return low, np.minimum(low + 1, coarse - 1), (position - low).astype(np.float32), np.rint(position).astype(np.intp)
