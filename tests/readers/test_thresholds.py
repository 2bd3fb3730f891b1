"""A threshold compares what a mask shows, however it is stored; a mask of another scale never comes out empty."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from study_files import ramp, write_png

from pig.data.images import read_mask
from pig.data.manifest import read_manifest
from pig.data.readers import import_data
from pig.data.readers.labels import Labels, lesion_of
from pig.system.errors import UserError

Y, X = np.mgrid[:24, :16]
DISC = (Y - 12) ** 2 + (X - 8) ** 2 <= 25
SETTINGS = {"patient": "(p1)", "threshold": 127.5}


def write(root: Path, mask: Image.Image) -> Path:
    write_png(root / "images/p1.png", ramp())
    (root / "masks").mkdir()
    mask.save(root / "masks/p1.png")
    return root


def of_palette(entries: np.ndarray, colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(entries.astype(np.uint8), mode="L").convert("P")
    image.putdata(entries.ravel().tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


def greys(*values: int) -> list[tuple[int, int, int]]:
    return [(value,) * 3 for value in values]


@pytest.mark.parametrize(
    "mask",
    [
        Image.fromarray(DISC * np.uint8(255)),
        Image.fromarray(DISC),  # of 1 bit
        of_palette(DISC, greys(0, 255)),
        of_palette(np.where(DISC, 3, 0), greys(0, 200, 90, 255)),
        of_palette(np.where(DISC, 1, 2), greys(128, 255, 0)),
        of_palette(np.where(DISC, 0, 200), greys(*([255] + [7] * 255))),  # index 200 is dark
    ],
    ids=["grey", "bit", "palette", "shuffled", "no black first", "white first"],
)
def test_a_threshold_gives_what_is_shown(tmp_path: Path, mask: Image.Image) -> None:
    root = write(tmp_path / "in", mask)
    table = read_manifest(import_data("folders", root, SETTINGS | {"without_lesion": "keep"}, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == DISC).all()


@pytest.mark.parametrize("keep", ["keep", "leave"])
def test_a_mask_of_another_scale_than_the_threshold_is_a_fault(tmp_path: Path, keep: str) -> None:
    root = write(tmp_path / "in", Image.fromarray(DISC.astype(np.uint8)))
    with pytest.raises(UserError, match=r"masks/p1.png has values up to 1, far below the threshold 127\.5, so"):
        import_data("folders", root, SETTINGS | {"without_lesion": keep}, tmp_path / "out")
    healthy = SETTINGS | {"without_lesion": "keep", "background": [0, 1]}
    table = read_manifest(import_data("folders", root, healthy, tmp_path / "out"))
    assert not read_mask(table["mask_path"][0]).any()
    table = read_manifest(import_data("folders", root, SETTINGS | {"threshold": 0.5}, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == DISC).all()


@pytest.mark.parametrize(("greatest", "scale"), [(1, 127.5), (7, 127.5), (1, 16)])
def test_labels_far_below_the_threshold_are_a_fault(greatest: int, scale: float) -> None:
    values = np.array([[0, greatest]], np.uint8)
    with pytest.raises(UserError, match=f"m has values up to {greatest}, far below the threshold"):
        lesion_of(values, Labels(threshold=scale), "m")
    assert not lesion_of(0 * values, Labels(threshold=scale), "m").any()


@pytest.mark.parametrize("greatest", [8, 60, 127])
def test_a_lesion_that_fades_out_below_the_threshold_is_none(greatest: int) -> None:
    """The last slice of an interpolated mask; nor is a probability that is nowhere one half."""
    assert not lesion_of(np.array([[0, greatest]], np.uint8), Labels(threshold=127.5), "m").any()
    assert not lesion_of(np.array([[0, 0.01]]), Labels(threshold=0.5), "m").any()


def test_a_palette_of_colours_has_no_threshold(tmp_path: Path) -> None:
    root = write(tmp_path / "in", of_palette(DISC, [(0, 0, 0), (128, 0, 0)]))
    with pytest.raises(UserError, match=r"p1.png has colours, and a threshold compares grey values"):
        import_data("folders", root, SETTINGS, tmp_path / "out")
    table = read_manifest(import_data("folders", root, {"patient": "(p1)"}, tmp_path / "out"))
    assert (read_mask(table["mask_path"][0]) == DISC).all()


def declared() -> np.ndarray:
    """Ten organs of a row each, and the lesion, the greatest label, which covers more than all of them."""
    labels = np.zeros((24, 16), np.uint8)
    labels[:10, :4] = np.arange(10)[:, None]
    labels[10:, 4:14] = 10
    return labels


def test_a_map_whose_values_are_all_declared_is_not_taken_for_blurred(tmp_path: Path) -> None:
    labels = declared()
    root = write(tmp_path / "in", Image.fromarray(labels))
    for settings in ({"labels": [10], "background": [*range(10)]}, {"background": [*range(10)]}):
        table = read_manifest(import_data("folders", root, {"patient": "(p1)", **settings}, tmp_path / "out"))
        assert (read_mask(table["mask_path"][0]) == (labels == 10)).all()
    for settings in ({}, {"labels": [10]}):
        with pytest.raises(UserError, match="has 11 values that crowd around 0 and 10, .*; set threshold: 5"):
            import_data("folders", root, {"patient": "(p1)", **settings}, tmp_path / "none")
