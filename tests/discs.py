"""A small study of bright discs on noise, and networks small enough to be trained on it in a moment."""

from pathlib import Path

import numpy as np
import pandas as pd

from pig.data.folds import make_folds
from pig.data.store import allocate, complete

NETWORK = {"channels": [8, 16], "attention": [False, True], "res_blocks": 1, "head_channels": 8, "norm_groups": 4}
SCHEDULE = {"timesteps": 32, "beta_1": 0.003, "beta_T": 0.5}


def make_study(folder: Path, size: int) -> Path:
    """Write ``folder``/store, 24 pairs of 6 patients at ``size`` x ``size``, and ``folder``/folds.csv of 3 folds."""
    (folder / "store").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, masks = allocate(folder / "store", 24, size)
    y, x = np.mgrid[:size, :size] * 16 / size
    for image, mask in zip(images, masks, strict=True):
        cy, cx, r = *rng.uniform(5, 11, 2), rng.uniform(2, 4)
        mask[:] = (y - cy) ** 2 + (x - cx) ** 2 < r**2
        image[:] = np.clip(20000 + 4000 * rng.normal(size=mask.shape) + 20000.0 * mask, 0, 65535)
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": [f"p{i // 4}" for i in range(24)]})
    complete(folder / "store", images, masks, table, "stretch")
    make_folds(table, 3, 0).to_csv(folder / "folds.csv", index=False)
    return folder
