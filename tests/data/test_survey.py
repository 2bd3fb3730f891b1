"""What is counted and measured of a data set, on pictures whose numbers are known."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_files import picture, square, write_png

from pig.data.settings import PreprocessSettings
from pig.data.survey import Survey, survey
from pig.system.errors import UserError

SETTINGS = PreprocessSettings(size=16, aspect="pad")  # the size is not that of the measurement


def write(folder: Path, pairs: list[tuple[str, np.ndarray, np.ndarray]]) -> Path:
    rows = []
    for number, (patient, image, mask) in enumerate(pairs):
        write_png(folder / f"{number}.png", image)
        write_png(folder / f"{number}m.png", mask)
        rows.append((f"{number}.png", f"{number}m.png", patient))
    table = pd.DataFrame(rows, columns=["image_path", "mask_path", "patient_id"])
    table.to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def look(manifest: Path, settings: PreprocessSettings = SETTINGS) -> Survey:
    return survey(manifest, settings, 0, 1, "data")


def test_patients_pairs_and_lesions_are_counted_and_measured(tmp_path: Path) -> None:
    pairs = [(f"p{number // 2}", picture(number), square(16)) for number in range(10)]
    pairs.append(("p5", picture(10, 64, 128), square(0, 64, 128)))
    found = look(write(tmp_path, pairs))
    assert (found.patients, found.pairs, found.empty, found.side) == (6, 11, 1, 128)
    assert found.square == 10 / 11
    assert found.lesion == pytest.approx(2 * 16 / math.sqrt(math.pi) / 128, rel=2e-3)  # corners are lost
    assert found.visible == 48
    assert (found.coloured, found.deep) == (0, 0)
    # Six patients, five of them with a lesion: of two folds of three, one has two; of five folds, one has no other.
    assert found.tested == {2: 2, 3: 1, 4: found.tested[4], 5: found.tested[5]}
    assert found.tested[5] in (0, 1) and found.tested[4] in (0, 1)


def test_nine_of_ten_lesions_are_as_wide(tmp_path: Path) -> None:
    sides = [8, *[16] * 9, 32]  # the tenth part of the way from the smallest to the largest is the second
    pairs = [(f"p{number}", picture(number), square(side)) for number, side in enumerate(sides)]
    assert look(write(tmp_path, pairs)).lesion == pytest.approx(2 * 16 / math.sqrt(math.pi) / 128, rel=2e-3)


def test_a_thin_lesion_needs_larger_pictures(tmp_path: Path) -> None:
    """A line of 1 in 128 pixels lies within one of 96, and covers less than half of those of 48."""
    line = np.zeros((128, 128), np.uint8)
    line[64] = 255
    found = look(write(tmp_path, [("a", picture(0), line), ("b", picture(1), square(32))]))
    assert found.visible is not None and 48 < found.visible <= 96
    dot = np.zeros((1024, 1024), np.uint8)
    dot[512:514, 512:514] = 255  # one pixel of 512, a quarter of one of 256
    assert look(write(tmp_path, [("a", picture(0, 1024, 1024), dot), ("b", picture(1), square(32))])).visible is None


def test_colours_and_bits_are_told_unless_the_settings_say_what_becomes_of_colours(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    deep = picture(2, 64, 64).astype(np.uint16) * 100
    masks = square(16, 64, 64)
    manifest = write(tmp_path, [("a", colours, masks), ("b", picture(1, 64, 64), masks), ("c", deep, masks)])
    found = look(manifest)
    assert (found.coloured, found.deep, found.pairs) == (1, 1, 3)
    assert look(manifest, PreprocessSettings(size=16, colour="luminance")).coloured == 0


def test_faults_are_listed_and_named_after_the_data(tmp_path: Path) -> None:
    manifest = write(tmp_path, [("a", picture(0), square(16, 64, 64)), ("b", picture(1) * 0, square(16))])
    with pytest.raises(UserError) as raised:
        look(manifest)
    said = str(raised.value)
    assert said.startswith("data has 2 errors") and "row 2: " in said and "row 3: " in said and "blank" in said
