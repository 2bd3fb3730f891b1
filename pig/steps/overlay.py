"""Draw what the network of each arm found in its best, median and worst test slice, beside what is there."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pig.data.store import PairDataset, Store
from pig.evaluation.segmenter import find_lesions, load_segmenter
from pig.report.figures import draw_overlay
from pig.report.slices import examples, read_slices
from pig.system.files import atomic_directory


def overlay(*, store: Path, segmentations: Sequence[tuple[str, Path]], out: Path) -> None:
    """Write ``<arm>.png`` for each arm into the folder ``out``; these slices alone are segmented again.

    Args:
        store: folder of the preprocessed pairs.
        segmentations: label of an arm and the folder ``<arm>/fold<k>/seed<s>`` that ``pig segment`` has written.
        out: the folder, which does not exist or is empty.

    Raises:
        UserError: the store or a segmentation is missing or damaged.
    """
    opened = Store.open(store)
    with atomic_directory(out) as folder:
        for label, path in segmentations:
            shown = examples(read_slices([path / "slices.csv"]))
            network, settings, _ = load_segmenter(path)
            pairs = PairDataset(opened, shown.slice.to_numpy(), settings.image_size)
            found = find_lesions(network, pairs.batch(np.arange(len(pairs)))[0])
            dice = {str(name): float(value) for name, value in shown.dice.items()}
            title = f"{label}, fold {shown.fold.iloc[0]}"
            draw_overlay(*pairs.pixels(), found, dice, title, folder / f"{path.parents[1].name}.png")
