"""The pictures of docs/phantom.md: python -m pig.data.phantom.pictures docs/images."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pig.data.phantom.patient import make_patient
from pig.data.phantom.settings import DENSITY_CLASSES, GEOMETRIES, MARGINS, PhantomSettings
from pig.data.phantom.view import View

Picture = NDArray[np.uint8]


def crop(view: View, index: int, side_mm: float) -> Picture:
    """A square about the first mass's centre in the slice of that index, 8 bits."""
    spacing = view.envelope.spacing_mm
    half = round(side_mm / 2 / spacing)
    column = round(view.centres[0][0] / spacing) + half
    row = view.envelope.canvas_row(int(np.searchsorted(view.envelope.y, view.centres[0][1]))) + half
    padded = np.pad((view.volume[index] >> 8).astype(np.uint8), half)
    return padded[row - half : row + half, column - half : column + half]


def titled(picture: Picture, title: str) -> Picture:
    """The picture under a line of text."""
    image = Image.new("L", (picture.shape[1], picture.shape[0] + 14))
    image.paste(Image.fromarray(picture), (0, 14))
    ImageDraw.Draw(image).text((2, 1), title, fill=255)
    return np.asarray(image)


def density_classes() -> Picture:
    """CC above MLO for each density class, at 0.4 mm."""
    settings = PhantomSettings(spacing_mm=0.4, slices_per_view=1)
    columns = []
    for seed, density in enumerate(DENSITY_CLASSES, start=1):
        patient = make_patient(seed=seed, density=density, settings=settings, masses=1, diameter_mm=14)
        (mass,) = patient.masses
        title = f"{density}: {100 * patient.glandular:.0f} % gland; {mass.shape}, {mass.margin}, k {mass.k:.2f}"
        stack = [(view.volume[0] >> 8).astype(np.uint8)[:, :310] for view in patient.views]
        columns.append(titled(np.concatenate([stack[0][60:460], stack[1][:460]]), title))
    return np.concatenate(columns, axis=1)


def masses() -> Picture:
    """Every shape (rows) with every margin that it has (columns), 16 mm in squares of 40 mm, at 0.25 mm."""
    settings = PhantomSettings(slices_per_view=1, views=("CC",))
    margins = list(dict.fromkeys(margin for row in MARGINS.values() for margin in row))
    rows = []
    for shape, has in MARGINS.items():
        row = [np.zeros((174, 160), dtype=np.uint8) for _ in margins]
        for margin in has:
            patient = make_patient(
                seed=2, density="a", settings=settings, masses=1, diameter_mm=16, shape=shape, margin=margin, k=1.06
            )
            row[margins.index(margin)] = titled(crop(patient.views[0], 0, 40), f"{shape}, {margin}")
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def ghosts() -> Picture:
    """Slices 0, 4, 8, 16 mm from a mass's middle, for each geometry: the ghosts of limited angles."""
    rows = []
    for name, geometry in GEOMETRIES.items():
        settings = replace(PhantomSettings(views=("CC",)), geometry=name)
        view = make_patient(
            seed=5, density="a", settings=settings, masses=1, diameter_mm=10, shape="round", margin="circumscribed",
            k=1.06, all_slices=True,
        ).views[0]  # fmt: skip
        middle = view.boxes[0][0]
        away = 1 if middle < view.planes / 2 else -1
        row = [
            titled(crop(view, middle + away * mm, 40), f"{name}, {geometry.span_deg:g} deg, {mm} mm")
            for mm in (0, 4, 8, 16)
        ]
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def main(folder: Path) -> None:
    """Draw all pictures into ``folder``."""
    for name, draw in (("density", density_classes), ("masses", masses), ("ghosts", ghosts)):
        Image.fromarray(draw()).save(folder / f"phantom_{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
