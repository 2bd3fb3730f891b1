"""A small study of bright discs on noise, and networks small enough to be trained on it in a moment."""

from pathlib import Path

import numpy as np
import pandas as pd

from pig.data.folds import make_folds
from pig.data.store import allocate, complete

NETWORK = {"channels": [8, 16], "attention": [False, True], "res_blocks": 1, "head_channels": 8, "norm_groups": 4}
SCHEDULE = {"timesteps": 32, "beta_1": 0.003, "beta_T": 0.5}


def discs(count: int, seed: int, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint16 and masks uint8, [count, size, size]: an easy lesion on a dark, noisy ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centre = rng.uniform(0.3 * size, 0.7 * size, (2, count, 1, 1))
    radius = rng.uniform(0.12 * size, 0.25 * size, (count, 1, 1))
    masks = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
    images = 12000 + 36000 * masks + rng.normal(0, 3000, masks.shape)
    return images.clip(0, 65535).astype(np.uint16), masks.astype(np.uint8)


def make_study(folder: Path, size: int) -> Path:
    """Write ``folder``/store, 24 pairs of 6 patients at ``size`` x ``size``, and ``folder``/folds.csv of 3 folds."""
    (folder / "store").mkdir(parents=True)
    images, masks = allocate(folder / "store", 24, size)
    images[:], masks[:] = discs(24, seed=0, size=size)
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": [f"p{i // 4}" for i in range(24)]})
    complete(folder / "store", images, masks, table, "stretch")
    make_folds(table, 3, 0).to_csv(folder / "folds.csv", index=False)
    return folder
