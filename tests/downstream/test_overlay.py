"""Which test slices are shown of an arm, and that its own network has found what is drawn."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pig.cli import main
from pig.data.store import Store
from pig.evaluation.overlap import confusion_counts
from pig.report.slices import SLICE_COLUMNS, examples, read_slices
from pig.steps import overlay


def written(path: Path, *counts: tuple[int, int, int]) -> pd.DataFrame:
    """Rows 10, 11, ... of a store with these tp, fp and fn, as `pig segment` writes them."""
    rows = [(0, 0, "p", 10 + n, *of, 9, 1.0, 0.5, 1, 1, 0) for n, of in enumerate(counts)]
    pd.DataFrame(rows, columns=list(SLICE_COLUMNS)).to_csv(path, index=False)
    return read_slices([path])


@pytest.mark.parametrize(
    ("counts", "slices", "dice"),
    [
        # Dice 0.5, 1 (nothing there, nothing found), 0.8, 0, 0.4, and 0 for what is found where nothing is.
        ([(1, 1, 1), (0, 0, 0), (2, 1, 0), (0, 5, 3), (1, 3, 0), (0, 4, 0)], [12, 14, 13], [0.8, 0.4, 0.0]),
        ([(0, 0, 3), (0, 1, 2), (1, 0, 0)], [12, 11, 10], [1.0, 0.0, 0.0]),  # of equals the first is the worst
        ([(0, 0, 0), (0, 2, 0)], [10, 11, 11], [1.0, 0.0, 0.0]),  # no lesion anywhere
    ],
)
def test_best_median_and_worst_slice_with_a_lesion(
    counts: list[tuple[int, int, int]], slices: list[int], dice: list[float], tmp_path: Path
) -> None:
    shown = examples(written(tmp_path / "slices.csv", *counts))
    assert list(shown.index) == ["best", "median", "worst"]
    assert list(shown.slice) == slices
    assert list(shown.dice) == pytest.approx(dice)


def test_what_is_drawn_is_what_the_network_found_in_these_slices(
    disc_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    draw = overlay.draw_overlay
    monkeypatch.setattr(overlay, "draw_overlay", lambda *given: (drawn.append(given), draw(*given)))
    with contextlib.chdir(disc_run):
        words = ["--store", "store", "--segmentation=Discs = round=seg/fold1/seed5", "--out", str(tmp_path / "shown")]
        assert main(["overlay", *words]) == 0
    ((images, true, found, dice, title, _),) = drawn
    counted = pd.read_csv(disc_run / "seg/fold1/seed5/slices.csv").set_index("slice")
    scores = (2 * counted.tp / (2 * counted.tp + counted.fp + counted.fn)).sort_values(kind="stable")
    rows = [scores.index[-1], scores.index[9], scores.index[0]]  # of 20 slices
    assert dice == dict(zip(("best", "median", "worst"), scores[rows], strict=True))
    store = Store.open(disc_run / "store")
    np.testing.assert_array_equal(images, store.images[rows])
    np.testing.assert_array_equal(true, store.masks[rows])
    counts = ["tp", "fp", "fn", "tn"]
    np.testing.assert_array_equal(confusion_counts(found, true > 0)[counts], counted.loc[rows, counts])
    assert title == "Discs = round, fold 1"
    with Image.open(tmp_path / "shown/seg.png") as picture:
        assert f"best: Dice {100 * scores[rows[0]]:.0f} %" in picture.info["Description"]
