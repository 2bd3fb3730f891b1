"""Masses: Gaussian random spheres with the shapes and margins of BI-RADS, and spiculated tracts.

Sources: de Sisternes 2015 (PMC4320152), with the parameters of DIDSR's breastMass (CC0) as ranges. Coordinates
are (x, y, z) in mm about the mass's centre, in the CC view's frame.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.special import sph_harm_y

from pig.data.phantom.envelope import Array, Envelope
from pig.data.phantom.settings import MARGINS, SHAPES, SLICE_MM, PhantomSettings
from pig.data.phantom.tissue import coarsen, tube

Points = NDArray[np.float64]
THETA = np.linspace(0, np.pi, 91)  # polar angle, from the z axis
PHI = np.linspace(0, 2 * np.pi, 181)
_DIRECTIONS = np.stack(
    [np.sin(THETA)[:, None] * np.cos(PHI), np.sin(THETA)[:, None] * np.sin(PHI), np.cos(THETA)[:, None] + 0 * PHI],
    axis=-1,
)


@dataclass(frozen=True)
class Mass:
    """A mass, the same in all views of its patient.

    Attributes:
        shape: irregular, oval, lobulated or round.
        margin: spiculated, indistinct, microlobulated, obscured or circumscribed.
        diameter_mm: of the sphere of the body's volume.
        k: attenuation against glandular tissue.
        radius: [theta, phi] distance of the surface from the centre in mm.
        blur_mm: softness of the margin (standard deviation).
        tracts: [n, 3] spicules' points; NaN rows separate tracts.
        tract_radii: [n] in mm.
    """

    shape: str
    margin: str
    diameter_mm: float
    k: float
    radius: NDArray[np.float64]
    blur_mm: float
    tracts: Points
    tract_radii: NDArray[np.float64]

    @property
    def reach_mm(self) -> float:
        """Largest distance of the body's surface from the centre."""
        return float(self.radius.max())


def gaussian_sphere(rng: np.random.Generator, s2: float, nu: float = 4.0, l_max: int = 4) -> NDArray[np.float64]:
    """Radius of a Gaussian random sphere of mean size 1, [theta, phi].

    r = exp(sum_{l=2..l_max} sum_m a_lm Y_lm) / sqrt(1 + s2), C_l = ln(1 + s2) l^-nu / sum_{l>=1} l^-nu
    (Muinonen 1996; de Sisternes 2015). In real harmonics each a_lm has the variance 4 pi C_l / (2 l + 1), so
    that ln r has the variance sum_{l>=2} C_l in every direction; l = 0 (size) and 1 (shift) are left out.
    """
    weights = np.arange(1, l_max + 1) ** -nu
    c = np.log1p(s2) * weights / weights.sum()
    degrees, basis = _harmonics(l_max)
    a = rng.normal(0, np.sqrt(4 * np.pi * c[degrees - 1] / (2 * degrees + 1)))
    return np.asarray(np.exp(np.tensordot(a, basis, 1)) / np.sqrt(1 + s2))


@cache
def _harmonics(l_max: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Degrees [n] and values [n, theta, phi] of the real spherical harmonics of degree 2 to ``l_max``."""
    degrees, values = [], []
    for degree in range(2, l_max + 1):
        for order in range(degree + 1):
            y = sph_harm_y(degree, order, THETA[:, None], PHI[None])
            parts = [y.real] if order == 0 else [np.sqrt(2) * y.real, np.sqrt(2) * y.imag]
            degrees += [degree] * len(parts)
            values += parts
    return np.array(degrees), np.array(values)


def _add_bumps(
    rng: np.random.Generator, radius: NDArray[np.float64], count: int, size: float, length: float, rounded: float
) -> None:
    """Outward modifications at uniform positions: bumps with probability ``rounded``, else pointed spikes.

    Within R = ``size`` of the position (in units of alpha) a spike adds L ((R - d)/R)^4, a bump
    L (exp(-d^2 / (2 (R/2)^2)) - e^-2).
    """
    at = rng.normal(size=(count, 3))
    at /= np.linalg.norm(at, axis=1, keepdims=True)
    for position, is_bump in zip(at, rng.random(count) < rounded, strict=True):
        squared = 2 - 2 * (_DIRECTIONS @ position)
        near = squared < size**2
        d = np.sqrt(np.maximum(squared[near], 0))
        if is_bump:
            radius[near] += length * (np.exp(-2 * (d / size) ** 2) - np.exp(-2))
        else:
            radius[near] += length * ((size - d) / size) ** 4


def equal_volume_diameter(radius: NDArray[np.float64]) -> float:
    """Diameter of the sphere whose volume the star-shaped body r(theta, phi) has: V = int r^3/3 dOmega."""
    mean_cube = np.trapezoid(np.trapezoid(radius**3, PHI, axis=1) * np.sin(THETA), THETA) / (4 * np.pi)
    return float(2 * np.cbrt(mean_cube))


def make_mass(rng: np.random.Generator, diameter_mm: float, shape: str, margin: str) -> Mass:
    """Draw a mass of the given diameter, shape and margin."""
    # Shape: how uneven the sphere is, its axes, and coarse lobes or fine modifications.
    if shape == "irregular":
        s2, axes, lobes = max(rng.normal(0.31, 0.04), 0.1), 1 + rng.uniform(0, 0.4, 3), 0
    elif shape == "lobulated":
        s2, axes, lobes = 0.15, 1 + rng.uniform(0, 0.3, 3), int(rng.integers(6, 15))
    elif shape == "oval":
        s2, axes, lobes = (
            rng.uniform(0.02, 0.06),
            rng.permutation([1.0, rng.uniform(1.2, 1.5), rng.uniform(1.0, 1.2)]),
            0,
        )
    else:
        s2, axes, lobes = rng.uniform(0.02, 0.06), 1 + rng.uniform(0, 0.08, 3), 0
    radius = gaussian_sphere(rng, s2)
    radius /= np.sqrt(((_DIRECTIONS / axes) ** 2).sum(axis=-1))
    if lobes:
        _add_bumps(rng, radius, lobes, size=0.6, length=0.25, rounded=1)
    if shape == "irregular":
        length, size = max(rng.normal(0.113, 0.021), 0.02), max(rng.normal(0.229, 0.073), 0.08)
        _add_bumps(rng, radius, int(rng.integers(150, 601)), size, length, float(np.clip(rng.normal(0.36, 0.48), 0, 1)))
    # Margin: what its edge looks like.
    blur = 0.0
    if margin == "microlobulated":
        _add_bumps(rng, radius, int(rng.integers(100, 151)), size=0.25, length=0.10, rounded=1)
    elif margin == "indistinct":
        blur = rng.uniform(0.1, 0.2)
    elif margin == "spiculated" and shape != "irregular":
        _add_bumps(rng, radius, int(max(rng.normal(611, 71), 100)), size=0.229, length=0.113, rounded=0.36)
    radius *= 1 + 0.015 * rng.normal(size=radius.shape)
    radius[:, -1] = radius[:, 0]
    radius[[0, -1]] = radius[[0, -1]].mean(axis=1, keepdims=True)
    radius *= diameter_mm / equal_volume_diameter(radius)
    tracts, tract_radii = np.empty((0, 3)), np.empty(0)
    if margin == "spiculated":
        tracts, tract_radii = _spicules(rng, radius, diameter_mm / 2)
    # Attenuation: equal to gland most often, higher, or lower as in a cyst. The shares are a choice.
    low, high = ((0.97, 1.03), (1.03, 1.12), (0.90, 0.97))[rng.choice(3, p=[0.5, 0.35, 0.15])]
    return Mass(
        shape, margin, diameter_mm, float(rng.uniform(low, high)), radius, blur * diameter_mm / 2, tracts, tract_radii
    )


def _spicules(
    rng: np.random.Generator, radius: NDArray[np.float64], alpha: float
) -> tuple[Points, NDArray[np.float64]]:
    """80 to 120 tapering tracts that leave the surface about radially, in some neighbourhoods, and branch.

    Differs: fewer, longer (0.5-1.4 alpha in all) and stronger (0.04-0.08 alpha at the root) tracts instead of 1358
    of 0.024 alpha, because at pixels of 0.2-0.3 mm only such are seen after a scan of 15 degrees. Neighbourhoods
    (9.0 +- 1.9), steps (0.173 alpha), turning (6.55 degrees a step), the first direction (15 degrees about radial)
    and branching (with probability 1 - 0.717, radii by r^(1/2.6)) are as published.
    """
    hoods = rng.normal(size=(max(3, round(rng.normal(9, 1.9))), 3))
    points: list[Points] = []
    radii: list[float] = []
    waiting: list[tuple[Points, Points, float, float]] = []
    for _ in range(rng.integers(80, 121)):
        out = hoods[rng.integers(len(hoods))]
        out = _turned(rng, out / np.linalg.norm(out), np.deg2rad(25))
        start = out * surface_radius(radius, out[None])[0] * 0.9
        length, thick = rng.uniform(0.5, 1.4) * alpha, rng.uniform(0.04, 0.08) * alpha
        waiting.append((start, _turned(rng, out, np.deg2rad(15)), length, thick))
    while waiting:
        at, heading, left, r = waiting.pop()
        step = max(0.173 * alpha, 0.3)
        points.append(at)
        radii.append(r)
        while left > 0 and r > 0.1:
            heading = _turned(rng, heading, np.deg2rad(6.55))
            at = at + heading * min(step, left)
            left -= step
            r *= 0.85
            points.append(at)
            radii.append(r)
            if left > 0 and rng.random() > 0.717:
                share = rng.uniform(0.5, 0.8)
                waiting.append((at, _turned(rng, heading, np.deg2rad(30)), left * 0.8, r * (1 - share) ** (1 / 2.6)))
                r *= share ** (1 / 2.6)
        points.append(np.full(3, np.nan))
        radii.append(np.nan)
    return np.array(points), np.array(radii)


def _turned(rng: np.random.Generator, direction: Points, angle: float) -> Points:
    """The unit vector turned by a normal angle of that standard deviation in each of two directions."""
    turned = direction + np.tan(np.clip(angle, 0, 1)) * rng.normal(size=3)
    return np.asarray(turned / np.linalg.norm(turned))


def surface_radius(radius: NDArray[np.float64], points: Points) -> NDArray[np.float64]:
    """Radius of the surface in the direction of each of [n, 3] points, bilinear in the angles."""
    r = np.linalg.norm(points, axis=1)
    theta = np.arccos(np.clip(points[:, 2] / np.maximum(r, 1e-9), -1, 1))
    phi = np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    index = [theta * ((len(THETA) - 1) / np.pi), phi * ((len(PHI) - 1) / (2 * np.pi))]
    return np.asarray(map_coordinates(radius, index, order=1, mode="nearest"))


def in_view(points: Points, view: str, *, back: bool = False) -> Points:
    """Turn points from the CC frame into the view's: MLO looks 45 degrees obliquely, about the x axis."""
    if view == "CC":
        return points
    c = np.sqrt(0.5)
    s = -c if back else c
    return np.asarray(points @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]))


def body_fraction(
    mass: Mass, envelope: Envelope, centre: tuple[float, float, float]
) -> tuple[tuple[slice, ...], Array]:
    """Share of each voxel that the body of the mass takes.

    Args:
        mass: the mass.
        envelope: gives view and grid.
        centre: (x, y, z) in mm.

    Returns:
        The box of the grid that holds the body, and the shares there.
    """
    reach = mass.reach_mm + 3 * mass.blur_mm
    steps = (SLICE_MM, envelope.spacing_mm, envelope.spacing_mm)
    box, offsets, parts = [], [], []
    for axis, at, step in zip((envelope.z, envelope.y, envelope.x), centre[::-1], steps, strict=True):
        low = max(0, int(np.floor((at - reach - axis[0]) / step)) - 1)
        high = min(len(axis), int(np.ceil((at + reach - axis[0]) / step)) + 2)
        n = int(np.ceil(step / 0.4))
        inner = (np.arange(n) - (n - 1) / 2) * step / n
        box.append(slice(low, high))
        parts.append(n)
        offsets.append((axis[low:high, None].astype(np.float64) - at + inner).ravel())
    z, y, x = offsets
    fraction = np.empty((len(z), len(y) // parts[1], len(x) // parts[2]), dtype=np.float32)
    softness = min(steps[1] / parts[1], steps[0] / parts[0])
    innermost = mass.radius.min()
    for i, height in enumerate(z):
        r = np.sqrt(x * x + (y * y)[:, None] + height * height)
        share = (r < innermost).astype(np.float64)
        # The surface is looked up where it may be.
        row, column = np.nonzero((r > innermost - softness) & (r < mass.reach_mm + softness))
        points = np.stack([x[column], y[row], np.full(len(row), height)], axis=1)
        surface = surface_radius(mass.radius, in_view(points, envelope.view, back=True))
        share[row, column] = np.clip((surface - r[row, column]) / softness + 0.5, 0, 1)
        fraction[i] = coarsen(share, parts[1])
    fraction = fraction.reshape(-1, parts[0], *fraction.shape[1:]).mean(axis=1)
    if mass.blur_mm:
        fraction = gaussian_filter(fraction, [mass.blur_mm / step for step in steps])
    return tuple(box), fraction


def spicule_fraction(
    mass: Mass, envelope: Envelope, centre: tuple[float, float, float]
) -> tuple[tuple[slice, ...], Array]:
    """Share of each voxel that the tracts of the mass take; an empty box without tracts."""
    if not len(mass.tracts):
        return (slice(0, 0),) * 3, np.zeros((0, 0, 0), dtype=np.float32)
    return tube(in_view(mass.tracts, envelope.view) + np.asarray(centre), mass.tract_radii, envelope)


def draw_class(rng: np.random.Generator, shape: str | None = None, margin: str | None = None) -> tuple[str, str]:
    """Shape and margin from CBIS-DDSM's joint distribution, given either of them."""
    joint = {
        (s, m): SHAPES[s] * p / sum(MARGINS[s].values())
        for s in SHAPES
        for m, p in MARGINS[s].items()
        if shape in (None, s) and margin in (None, m)
    }
    p = np.array(list(joint.values()))
    return list(joint)[rng.choice(len(joint), p=p / p.sum())]


def draw_diameter(rng: np.random.Generator, settings: PhantomSettings, longest_mm: float) -> float:
    """Log-normal, cut at the settings' limits and at ``longest_mm`` by drawing again.

    When chance does not help (a breast much smaller than the median), the longest possible one.
    """
    longest = min(settings.diameter_max_mm, longest_mm)
    for _ in range(100):
        diameter = settings.diameter_mm * np.exp(rng.normal(0, settings.diameter_sigma))
        if settings.diameter_min_mm <= diameter <= longest:
            return float(diameter)
    return max(longest, settings.diameter_min_mm)
