"""Split the patients into folds."""

from pathlib import Path

from pig.data.folds import make_folds, split, write_folds
from pig.data.store import Store


def folds(*, store: Path, count: int, seed: int, out: Path) -> None:
    """Write the table of folds.

    Args:
        store: folder of the preprocessed pairs.
        count: number of folds.
        seed: of the split.
        out: the table.

    Raises:
        UserError: a fold would train or test without a lesion.
    """
    opened = Store.open(store)
    table = make_folds(opened.manifest, count, seed)
    split(opened, table, 0)  # refuses folds without a lesion
    write_folds(table, out)
