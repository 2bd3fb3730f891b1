"""The compressed breast's outside: outline, thickness, skin, nipple, and the pectoral muscle of the MLO view.

Coordinates in mm: x from the chest wall (0) to the nipple, y along the chest wall with 0 at the nipple's height
(downwards: medial in CC, caudal in MLO), z from detector to paddle with 0 in the middle. Arrays are [z, y, x].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import ndtr

from pig.data.phantom.settings import FIELD_MM, SLICE_MM

Array = NDArray[np.float32]
S = TypeVar("S", bound=np.generic)
SOFT_MM = 2.5  # standard deviation of the muscle's surfaces
SHARP_MM = 6 * SOFT_MM  # at that distance from a surface the share is 0 or 1 but for a rounding error


@dataclass(frozen=True)
class Envelope:
    """The body of one view on its grid.

    Attributes:
        view: CC or MLO.
        spacing_mm: pixel size; the planes are ``SLICE_MM`` apart.
        thickness_mm: of the compressed breast.
        depth_mm: from chest wall to nipple.
        width_mm: along the chest wall.
        x: [nx] pixel centres.
        y: [ny] pixel centres.
        z: [nz] plane centres.
        skin_distance: [ny, nx] in-plane distance to the outline, positive inside.
        skin_mm: thickness of the skin.
        nipple: (x, y, z, radius) of a sphere.
        muscle_edge: [ny] x of the muscle's edge in the middle plane; empty in CC.
        muscle_slope: cosine of the edge's inclination, turning a distance along x into one across the edge.
        first_row: first row that the detector sees; rows before it belong to the body but not to the picture.
    """

    view: str
    spacing_mm: float
    thickness_mm: float
    depth_mm: float
    width_mm: float
    x: Array
    y: Array
    z: Array
    skin_distance: Array
    skin_mm: float
    nipple: tuple[float, float, float, float]
    muscle_edge: Array
    muscle_slope: float
    first_row: int

    def depth(self, z: float) -> Array:
        """Distance below the skin's surface in mm at height ``z``, [ny, nx], negative outside.

        The edge of the compressed breast bulges as half a circle of the breast's thickness, so that with
        w = T/2 the distance is w - sqrt(max(w - s, 0)^2 + z^2), exactly where the outline is straight.
        """
        w = np.float32(self.thickness_mm / 2)
        return np.asarray(w - np.sqrt(np.maximum(w - self.skin_distance, 0) ** 2 + np.float32(z * z)))

    def fractions_within(self, z: float, *below_mm: float) -> list[Array]:
        """Share of each voxel at height ``z`` that lies deeper than each of ``below_mm``: [ny, nx] in [0, 1].

        A hard edge would leave rings in the reconstruction; the voxel's extent along the surface's normal,
        p |n_xy| + dz |n_z|, is where the share goes from 0 to 1.
        """
        w, height = np.float32(self.thickness_mm / 2), np.float32(abs(z))
        q = np.maximum(w - self.skin_distance, 0)
        r = np.sqrt(q**2 + height**2)
        extent = (np.float32(self.spacing_mm) * q + np.float32(SLICE_MM) * height) / np.maximum(r, np.float32(1e-3))
        extent = np.maximum(extent, np.float32(min(self.spacing_mm, SLICE_MM)))
        inwards = w - r
        return [np.clip((inwards - np.float32(below)) / extent + np.float32(0.5), 0, 1) for below in below_mm]

    def nipple_fraction(self, z: Array) -> tuple[tuple[slice, slice], Array]:
        """The nipple's share of each voxel at the heights ``z`` [n]: rows and columns of a box about it, [n, j, i]."""
        x, y, centre, radius = self.nipple
        soft = max(self.spacing_mm, 0.5)
        rows, columns = (
            slice(*np.searchsorted(axis, [at - radius - soft, at + radius + soft]).tolist())
            for axis, at in ((self.y, y), (self.x, x))
        )
        in_plane = (self.x[None, columns] - x) ** 2 + (self.y[rows, None] - y) ** 2
        # Height by height: NumPy rounds the square of a number in another way than that of an array.
        above = np.array([(height - centre) ** 2 for height in z])
        distance = np.sqrt(in_plane + above[:, None, None])
        return (rows, columns), np.clip((radius - distance) / soft + 0.5, 0, 1).astype(np.float32)

    def muscle_fraction(self, z: float) -> Array:
        """Share of muscle at height ``z``, [ny, nx]; zeros in CC.

        A wedge: from its edge inwards it grows within some 12 mm to 0.7 of the breast's thickness, with fat above
        and below; surfaces are soft (2.5 mm), and the edge leans with depth, so that the planes share no sharp line.
        """
        out = np.zeros(self.skin_distance.shape, dtype=np.float32)
        if not self.muscle_edge.size:
            return out
        edge = self.muscle_edge * np.float32(1 + 0.2 * z / self.thickness_mm)
        across = (edge[:, None] - self.x[None]) * np.float32(self.muscle_slope)
        near = across > -SHARP_MM
        across = across[near]
        half = 0.35 * self.thickness_mm * (1 - np.exp(-np.maximum(across, 0) / 12)) - abs(z)
        out[near] = _soft_step(across) * _soft_step(half)
        return out

    def levels(self) -> Iterator[tuple[float, list[int]]]:
        """Yield each height from the middle up, and the planes that high above and below: body and skin are alike."""
        middle = len(self.z) // 2
        for k in range(middle + 1):
            yield self.z[middle + k], sorted({middle - k, middle + k})

    def body_fraction(self) -> Array:
        """Share of each voxel that is not air, [nz, ny, nx]."""
        body = np.empty((len(self.z), *self.skin_distance.shape), dtype=np.float32)
        for height, planes in self.levels():
            body[planes] = self.fractions_within(height, 0)[0]
        box, nipple = self.nipple_fraction(self.z)
        np.maximum(body[:, *box], nipple, out=body[:, *box])
        return body

    @property
    def canvas(self) -> tuple[int, int]:
        """Rows and columns of the written slice."""
        return round(FIELD_MM[0] / self.spacing_mm), round(FIELD_MM[1] / self.spacing_mm)

    def canvas_row(self, row: int) -> int:
        """Row of the canvas on which a row of the grid lies; negative where the detector does not see it.

        CC lies in the middle of the detector; in MLO the axilla leaves it over the upper edge.
        """
        seen = len(self.y) - self.first_row
        return row - self.first_row + (0 if self.view == "MLO" else (self.canvas[0] - seen) // 2)

    def to_canvas(self, slices: NDArray[S]) -> NDArray[S]:
        """Put [n, ny, nx] where the detector sees it: [n, rows, columns], air (0) elsewhere."""
        out = np.zeros((len(slices), *self.canvas), dtype=slices.dtype)
        top = self.canvas_row(self.first_row)
        out[:, top : top + len(self.y) - self.first_row, : slices.shape[2]] = slices[:, self.first_row :]
        return out


def _soft_step(distance: Array) -> Array:
    """Share of a soft-edged body at a distance in mm from its surface, positive inside."""
    out = (distance > 0).astype(np.float32)
    near = np.abs(distance) < SHARP_MM
    out[near] = ndtr(distance[near] / SOFT_MM)
    return out


def make_envelope(
    rng: np.random.Generator, view: str, thickness_mm: float, depth_mm: float, width_mm: float, spacing_mm: float
) -> Envelope:
    """Draw the outline of one view.

    The CC outline is the superellipse (x/AP)^n + (|y|/(ML/2))^n = 1, n in U(2.0, 2.4). MLO: 1.12 ML long, the
    centre 5-10 mm towards the feet, the axillary side cut by the detector, a fold of the abdomen below the
    inframammary corner, and the pectoral muscle in the upper chest-wall corner.
    """
    n = rng.uniform(2.0, 2.4)
    up = down = width_mm / 2
    if view == "MLO":
        shift = rng.uniform(5, 10)
        up, down = 0.56 * width_mm + shift, 0.56 * width_mm - shift
    lean, fullness = rng.normal(0, 0.025, 2)
    fold_x, fold_y = rng.uniform(4, 8), rng.uniform(22, 30)

    def edge(y: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.clip(np.where(y < 0, -y / up, y / down), 0, 1)
        x = depth_mm * (1 - t**n) ** (1 / n)
        x *= 1 + lean * np.sin(np.pi * t) * np.sign(y) + fullness * np.sin(np.pi * t) ** 2
        if view == "MLO":
            below = np.clip((y - down + 14) / fold_y, 0, 1)
            fold = fold_x * np.sqrt(np.clip(4 * below * (1 - below), 0, 1))
            x = (x**3 + fold**3) ** (1 / 3)
        return np.asarray(x)

    y_end = down + fold_y - 14 if view == "MLO" else down
    fine = np.arange(-up, y_end + 0.02, 0.02)
    outline = np.stack([edge(fine), fine], axis=1)
    outline[[0, -1], 0] = 0
    travelled = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(outline, axis=0).T))])
    even = np.arange(0, travelled[-1], 0.2)
    points = np.stack([np.interp(even, travelled, outline[:, i]) for i in range(2)], axis=1)
    # The body goes on behind the chest wall, so that its corner there is no edge; no mirrored outline is ever nearer.
    tree = cKDTree(points, leafsize=64)  # for points of a curve half the time of the default

    radius = rng.uniform(4, 6)
    nx = int(np.ceil((points[:, 0].max() + radius + 2) / spacing_mm))
    x = (np.arange(nx) + 0.5) * spacing_mm
    y = np.arange(-up - 2, y_end + 2, spacing_mm)
    nz = 2 * int(np.ceil(thickness_mm / 2 / SLICE_MM)) + 1
    z = (np.arange(nz) - nz // 2) * SLICE_MM
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    distance = tree.query(grid.reshape(-1, 2))[0].reshape(len(y), nx)
    inside = grid[..., 0] < np.interp(y, fine, edge(fine), left=-1, right=-1)[:, None]

    muscle, slope, first_row = np.zeros(0), 1.0, 0
    if view == "MLO":
        top = -0.86 * up
        first_row = int(np.searchsorted(y, top))
        a, h = rng.uniform(0.28, 0.45) * depth_mm, rng.uniform(0.6, 0.9) * width_mm
        t = (y - top) / h
        muscle = a * (1 - t) + 0.10 * a * np.sin(np.pi * np.clip(t, 0, 1))
        slope = float(h / np.hypot(a, h))
    nipple = (float(edge(np.zeros(1))[0]) - 0.4 * radius, 0.0, rng.normal(0, 0.06) * thickness_mm, radius)
    return Envelope(
        view, spacing_mm, thickness_mm, depth_mm, width_mm, x.astype(np.float32), y.astype(np.float32),
        z.astype(np.float32), np.where(inside, distance, -distance).astype(np.float32),
        float(np.clip(rng.normal(1.45, 0.25), 0.87, 2.34)),  # Shi 2013, breast CT
        nipple, muscle.astype(np.float32), slope, first_row,
    )  # fmt: skip
