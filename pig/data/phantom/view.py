"""One view of a patient: the masses put into the tissue, and the slices that a scan gives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pig.data.phantom.envelope import Array, Envelope
from pig.data.phantom.imaging import add_noise, display, project, reconstruct
from pig.data.phantom.lesion import Mass, body_fraction, spicule_fraction
from pig.data.phantom.settings import ADIPOSE, GEOMETRIES, GLANDULAR, PhantomSettings
from pig.data.phantom.tissue import Tissue


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


def scan(
    rng: np.random.Generator,
    settings: PhantomSettings,
    envelope: Envelope,
    tissue: Tissue,
    masses: list[tuple[Mass, tuple[float, float, float]]],
    all_slices: bool,
) -> View:
    """Put the masses in, choose the planes, scan, reconstruct and display them.

    Args:
        rng: of the noise.
        settings: geometry, quanta, slices per view.
        envelope: of the view.
        tissue: within the envelope; its attenuation is changed to that with the masses.
        masses: each with its centre (x, y, z) in mm.
        all_slices: reconstruct every plane; otherwise as ``pig.data.phantom.make_patient`` says.
    """
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
    projections = project(mu, envelope.z, envelope.spacing_mm, geometry)
    quanta = settings.photons_per_mm2 * envelope.spacing_mm**2
    projections = add_noise(rng, projections, quanta)
    # Peripheral equalisation: less what the same body full of fat would give.
    of_body = project(envelope.body_fraction(), envelope.z, envelope.spacing_mm, geometry)
    projections -= of_body * np.float32(ADIPOSE)
    images = reconstruct(projections, envelope.z[slices], rows, envelope.spacing_mm, geometry)

    outline = np.clip(envelope.skin_distance / envelope.spacing_mm + 0.5, 0, 1)
    box, nipple = envelope.nipple_fraction(np.array([envelope.nipple[2]], dtype=np.float32))
    outline[box] = np.maximum(outline[box], nipple[0])
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
