"""Draw synthetic pairs beside real ones."""

from collections.abc import Sequence
from pathlib import Path

from pig.data.folds import read_folds, split
from pig.data.shards import read_shards
from pig.data.store import Store
from pig.report.figures import draw_gallery


def gallery(*, store: Path, folds: Path, fold: int, synthetic: Sequence[Path], label: str, out: Path) -> None:
    """Draw the figure ``out``.

    Args:
        store: folder of the preprocessed pairs.
        folds: table of folds.
        fold: whose training pairs are shown.
        synthetic: shards of a generator of this fold.
        label: name of the generator in the figure.
        out: the PNG file.
    """
    train_pairs, _ = split(Store.open(store), read_folds(folds), fold)
    draw_gallery(train_pairs, read_shards(synthetic), label, out)
