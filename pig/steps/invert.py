"""Map masks, of a store or predicted for it, back to the pixels of the source images."""

from pathlib import Path

from pig.data.invert import invert_masks
from pig.data.store import Store


def invert(*, store: Path, masks: Path | None, out: Path) -> None:
    """Write masks at the size of the source images into the folder ``out``.

    Args:
        store: folder of the preprocessed pairs.
        masks: folder of PNG masks named by rows of the store; None: the masks of the store.
        out: the folder.
    """
    invert_masks(Store.open(store), out, masks)
