"""One patient: anatomy, masses that both views share, and the slices that a scan of them gives."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pig.data.phantom.envelope import Array, Envelope, make_envelope
from pig.data.phantom.imaging import add_noise, display, project, reconstruct
from pig.data.phantom.lesion import (
    Mass,
    body_fraction,
    draw_class,
    draw_diameter,
    make_mass,
    spicule_fraction,
)
from pig.data.phantom.settings import (
    ADIPOSE,
    DENSITY_CLASSES,
    GEOMETRIES,
    GLANDULAR,
    MARGINS,
    SHAPES,
    PhantomSettings,
)
from pig.data.phantom.tissue import Tissue, make_tissue
from pig.errors import UserError

# Each use of chance has a stream of its own, so that a change in one leaves the others as they were.
_ANATOMY, _VIEW, _MASS, _PLACE, _NOISE = range(5)


@dataclass(frozen=True)
class View:
    """One reconstructed view.

    Attributes:
        view: CC or MLO.
        slices: [n] indices of the reconstructed planes, counted from the detector, 0-based.
        planes: number of planes of the volume.
        volume: [n, rows, columns] uint16, chest wall on the left whatever the side, air 0.
        masks: [n, rows, columns] bool, the masses' bodies (a radiologist's outline).
        masks_with_spicules: the same with the tracts, where they take a tenth of a voxel or more.
        largest: [n] index of the mass with the largest area in the slice, -1 without one.
        centres: (x, y, z) of each mass in mm; see ``pig.data.phantom.envelope``.
        boxes: (slice, x, y, width, height) of each mass: the slice of its largest section, the box of its body.
        envelope: outline and grid.
        attenuation: [nz, ny, nx] float32 in 1/mm: the truth, of ``planes`` planes on the envelope's grid.
        glandular: volumetric glandular fraction of the breast without skin and muscle.
    """

    view: str
    slices: NDArray[np.intp]
    planes: int
    volume: NDArray[np.uint16]
    masks: NDArray[np.bool_]
    masks_with_spicules: NDArray[np.bool_]
    largest: NDArray[np.intp]
    centres: tuple[tuple[float, float, float], ...]
    boxes: tuple[tuple[int, int, int, int, int], ...]
    envelope: Envelope
    attenuation: Array
    glandular: float


@dataclass(frozen=True)
class Patient:
    """A patient with the truth about her: ``seed`` makes her again."""

    seed: int
    density: str
    laterality: str
    thickness_mm: float
    glandular: float
    masses: tuple[Mass, ...]
    views: tuple[View, ...]


def make_patient(
    *,
    seed: int,
    density: str | None = None,
    settings: PhantomSettings | None = None,
    masses: int | None = None,
    shape: str | None = None,
    margin: str | None = None,
    diameter_mm: float | None = None,
    k: float | None = None,
    all_slices: bool = False,
) -> Patient:
    """Make one patient; what is not given is drawn.

    Args:
        seed: of the patient: 0 or more. A manifest's ``seed`` with the population's settings gives that patient.
        density: BI-RADS class a, b, c or d.
        settings: spacing, views, geometry, distributions; those of the clinical population by default.
        masses: how many.
        shape: of the masses.
        margin: of the masses.
        diameter_mm: of the masses.
        k: attenuation of the masses against gland.
        all_slices: reconstruct every plane; otherwise those with mass (or, without a mass, as many in the middle
            as ``settings.slices_per_view``, 12 where that is null).

    Raises:
        UserError: a value is none of the known ones, or the breast has no room for the mass.
    """
    settings = settings or PhantomSettings()
    _check(seed, density, masses, shape, margin, diameter_mm, k)
    if diameter_mm is not None:
        settings = replace(
            settings, diameter_mm=diameter_mm, diameter_sigma=0.0,
            diameter_min_mm=diameter_mm, diameter_max_mm=diameter_mm,
        )  # fmt: skip
    rng = _stream(seed, _ANATOMY)
    drawn = rng.choice(list(DENSITY_CLASSES), p=settings.densities)
    density = density or str(drawn)
    anatomy = DENSITY_CLASSES[density]
    thickness, depth, width, glandular = (
        _cut_normal(rng, *pair)
        for pair in (anatomy.thickness_mm, anatomy.depth_mm, anatomy.width_mm, anatomy.glandular)
    )
    laterality = str(rng.choice(["L", "R"]))
    count = 1 + int(rng.random() < settings.two_masses)
    count = count if masses is None else masses

    envelopes, tissues = [], []
    for number, view in enumerate(settings.views):
        rng = _stream(seed, _VIEW, ("CC", "MLO").index(view))
        view_thickness = thickness if number == 0 else thickness + rng.uniform(-4, 4)
        envelopes.append(make_envelope(rng, view, view_thickness, depth, width, settings.spacing_mm))
        tissues.append(make_tissue(rng, envelopes[-1], glandular, settings.distractors))

    placed: list[tuple[Mass, list[tuple[float, float, float]]]] = []
    for number in range(count):
        placed.append(_draw_mass(seed, number, settings, envelopes, tissues, placed, (shape, margin, k)))

    views = []
    for number, (envelope, tissue) in enumerate(zip(envelopes, tissues, strict=True)):
        here = [(mass, centres[number]) for mass, centres in placed]
        views.append(_scan(seed, settings, envelope, tissue, here, all_slices))
    return Patient(seed, density, laterality, thickness, glandular, tuple(mass for mass, _ in placed), tuple(views))


def _check(
    seed: int, density: str | None, masses: int | None, shape: str | None, margin: str | None,
    diameter_mm: float | None, k: float | None,
) -> None:  # fmt: skip
    if seed < 0:
        raise UserError(f"seed is {seed}; it must be 0 or more.")
    margins = {m for row in MARGINS.values() for m in row}
    for key, value, known in (
        ("density", density, set(DENSITY_CLASSES)), ("shape", shape, set(SHAPES)), ("margin", margin, margins),
    ):  # fmt: skip
        if value is not None and value not in known:
            raise UserError(f"{key} is {value!r}; it must be one of {', '.join(sorted(known))}.")
    if shape and margin and margin not in MARGINS[shape]:
        raise UserError(f"A mass of shape {shape} is never {margin}; it is one of {', '.join(MARGINS[shape])}.")
    if masses is not None and not 0 <= masses <= 5:
        raise UserError(f"masses is {masses}; it must be between 0 and 5.")
    if diameter_mm is not None and diameter_mm < 2:
        raise UserError(f"diameter_mm is {diameter_mm}; it must be 2 or more.")
    if k is not None and not 0 < k <= 5:
        raise UserError(f"k is {k}; it must be above 0 and at most 5 times the attenuation of gland.")


def _stream(seed: int, *use: int) -> np.random.Generator:
    return np.random.default_rng([seed, *use])


def _cut_normal(rng: np.random.Generator, mean: float, sd: float) -> float:
    while True:
        value = rng.normal()
        if abs(value) <= 2:
            return float(mean + sd * value)


def _draw_mass(
    seed: int,
    number: int,
    settings: PhantomSettings,
    envelopes: list[Envelope],
    tissues: list[Tissue],
    placed: list[tuple[Mass, list[tuple[float, float, float]]]],
    wanted: tuple[str | None, str | None, float | None],
) -> tuple[Mass, list[tuple[float, float, float]]]:
    """A mass and its centre in every view; drawn again, smaller if need be, while a view has no room for it."""
    thinnest = min(envelope.thickness_mm for envelope in envelopes)
    for attempt in range(30):
        rng = _stream(seed, _MASS, number, attempt)
        shape, margin = draw_class(rng, wanted[0], wanted[1])
        diameter = draw_diameter(rng, settings, thinnest - 10 - attempt)
        mass = make_mass(rng, diameter, shape, margin)
        if wanted[2] is not None:
            mass = replace(mass, k=wanted[2])
        centres: list[tuple[float, float, float]] = []
        for view, (envelope, tissue) in enumerate(zip(envelopes, tissues, strict=True)):
            others = [(other.reach_mm, where[view]) for other, where in placed]
            # The distance behind the nipple is about the same in both views of a breast.
            behind = envelopes[0].nipple[0] - centres[0][0] if centres else None
            centre = _place(_stream(seed, _PLACE, number, attempt, view), mass, envelope, tissue, others, behind)
            if centre is None:
                break
            centres.append(centre)
        else:
            return mass, centres
    raise UserError(
        f"The breast of the patient with seed {seed} ({thinnest:.0f} mm thick) has no room for a mass of "
        f"{settings.diameter_mm:g} mm (at least {settings.diameter_min_mm:g}); ask for a smaller diameter."
    )


def _place(
    rng: np.random.Generator,
    mass: Mass,
    envelope: Envelope,
    tissue: Tissue,
    others: list[tuple[float, tuple[float, float, float]]],
    behind_nipple: float | None,
) -> tuple[float, float, float] | None:
    """Draw the centre where the gland is; None where there is no room.

    At least D/2 + 5 mm below the skin; relative depth as measured from BCS-DBT's boxes, N(0.45, 0.17); distance
    behind the nipple within 10 mm of ``behind_nipple``, or as near to it as the breast allows.
    """
    z, y, x = np.meshgrid(*tissue.where, indexing="ij")
    clearance = max(mass.diameter_mm / 2 + 5, mass.reach_mm + 2)
    first_row = envelope.y[envelope.first_row]
    room = (tissue.depth_coarse >= clearance) & (y > first_row + mass.reach_mm + 2) & (x > mass.diameter_mm / 2)
    for reach, centre in others:
        apart = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
        room &= apart > reach + mass.reach_mm + 3
    if not room.any():
        return None
    if behind_nipple is not None:
        away = np.abs(envelope.nipple[0] - x - behind_nipple)
        room &= away <= max(10.0, float(away[room].min()) + 1)
    gland = tissue.gland_coarse
    if mass.margin == "obscured":
        room &= gland >= np.median(gland[room])
    relative = z / envelope.thickness_mm + 0.5
    weight = np.where(room, (gland + 1e-3) * np.exp(-0.5 * ((relative - 0.45) / 0.17) ** 2), 0).ravel()
    at = rng.choice(weight.size, p=weight / weight.sum())
    return float(x.flat[at]), float(y.flat[at]), float(z.flat[at])


def _scan(
    seed: int,
    settings: PhantomSettings,
    envelope: Envelope,
    tissue: Tissue,
    masses: list[tuple[Mass, tuple[float, float, float]]],
    all_slices: bool,
) -> View:
    """Put the masses in, choose the planes, scan, reconstruct and display them."""
    mu = tissue.attenuation
    planes, rows, _ = mu.shape
    # Insertion by replacement: mu (1 - m) + mu_m m.
    bodies, tracts = [], []
    for mass, centre in masses:
        mu_mass = np.float32(mass.k * GLANDULAR)
        box, share = spicule_fraction(mass, envelope, centre)
        if share.size:
            mu[box] += share * np.maximum(mu_mass - mu[box], 0)
        tracts.append((box, share))
        box, share = body_fraction(mass, envelope, centre)
        mu[box] += share * (mu_mass - mu[box])
        bodies.append((box, share))

    areas = np.zeros((len(masses), planes), dtype=int)
    for number, (box, share) in enumerate(bodies):
        areas[number, box[0]] = (share >= 0.5).sum(axis=(1, 2))
    # The caps of a mass, below a quarter of its largest section, are not outlined in practice.
    areas[areas < 0.25 * areas.max(axis=1, keepdims=True)] = 0
    slices = _choose(planes, areas, settings.slices_per_view, all_slices)

    masks = np.zeros((2, len(slices), *mu.shape[1:]), dtype=bool)
    for kind, parts, least in ((0, bodies, 0.5), (1, tracts, 0.1)):
        for number, (box, share) in enumerate(parts):
            for i, j in enumerate(slices):
                if areas[number, j] and box[0].start <= j < box[0].stop:
                    masks[kind, i][box[1:]] |= share[j - box[0].start] >= least
    masks[1] |= masks[0]

    boxes = []
    for number, (box, share) in enumerate(bodies):
        ys, xs = (np.flatnonzero((share >= 0.5).any(axis=other)) for other in ((0, 2), (0, 1)))
        corner = box[2].start + int(xs[0]), envelope.canvas_row(box[1].start + int(ys[0]))
        boxes.append((int(areas[number].argmax()), *corner, int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1))

    geometry = GEOMETRIES[settings.geometry]
    rng = _stream(seed, _NOISE, ("CC", "MLO").index(envelope.view))
    projections = project(mu, envelope.z, envelope.spacing_mm, geometry)
    quanta = settings.photons_per_mm2 * envelope.spacing_mm**2
    projections = add_noise(rng, projections, quanta)
    # Peripheral equalisation: less what the same body full of fat would give.
    body = np.stack([envelope.body_fraction(z) for z in envelope.z])
    projections -= project(body, envelope.z, envelope.spacing_mm, geometry) * np.float32(ADIPOSE)
    images = reconstruct(projections, envelope.z[slices], rows, envelope.spacing_mm, geometry)

    outline = np.clip(envelope.skin_distance / envelope.spacing_mm + 0.5, 0, 1)
    outline = np.maximum(outline, envelope.nipple_fraction(envelope.nipple[2]))
    tissue_area = envelope.skin_distance > 4
    tissue_area[: envelope.first_row] = False
    tissue_area &= envelope.muscle_fraction(0) < 0.02
    shown = np.concatenate([np.zeros((1, len(slices)), dtype=int), areas[:, slices]])
    largest = shown.argmax(axis=0) - 1
    return View(
        envelope.view, slices, planes, envelope.to_canvas(display(images, outline, tissue_area)),
        envelope.to_canvas(masks[0]), envelope.to_canvas(masks[1]), largest,
        tuple(centre for _, centre in masses), tuple(boxes), envelope, mu, tissue.glandular,
    )  # fmt: skip


def _choose(planes: int, areas: NDArray[np.intp], count: int | None, all_slices: bool) -> NDArray[np.intp]:
    """Planes to reconstruct: all, those with mass, or ``count`` evenly chosen of them."""
    if all_slices:
        return np.arange(planes)
    if len(areas):
        found = np.flatnonzero(areas.any(axis=0))
    else:
        half = (count or 12) / 2
        found = np.arange(round(planes / 2 - half), round(planes / 2 + half))
    if count is None or count >= len(found):
        return found
    # The middles of `count` equal parts, so that a single slice is the central one.
    return np.asarray(found[((np.arange(count) + 0.5) * len(found) / count).astype(int)])
