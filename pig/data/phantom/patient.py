"""One patient: anatomy, and masses that all views share."""

from dataclasses import dataclass, replace

import numpy as np

from pig.data.phantom.envelope import Envelope, make_envelope
from pig.data.phantom.lesion import (
    Mass,
    draw_class,
    draw_diameter,
    make_mass,
)
from pig.data.phantom.settings import (
    DENSITY_CLASSES,
    MARGINS,
    SHAPES,
    PhantomSettings,
)
from pig.data.phantom.tissue import Tissue, make_tissue
from pig.data.phantom.view import View, scan
from pig.system.errors import UserError

# Each use of chance has a stream of its own, so that a change in one leaves the others as they were.
_ANATOMY, _VIEW, _MASS, _PLACE, _NOISE = range(5)


class NoRoom(UserError):
    """A breast is too thin for the smallest mass that is asked for."""


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
        UserError: a value is none of the known ones.
        NoRoom: the breast has no room for the mass.
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
        noise = _stream(seed, _NOISE, ("CC", "MLO").index(envelope.view))
        views.append(scan(noise, settings, envelope, tissue, here, all_slices))
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
    raise NoRoom(
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
