"""A small study with an easy lesion: a bright disc on a dark, noisy ground."""

import numpy as np

from pig.segmenter import SegmentationSettings
from pig.training import TrainingSettings

SIZE = 32


def discs(count: int, seed: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Images uint16 and masks uint8, [count, size, size]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centre = rng.uniform(0.3 * size, 0.7 * size, (2, count, 1, 1))
    radius = rng.uniform(0.12 * size, 0.25 * size, (count, 1, 1))
    masks = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
    images = 12000 + 36000 * masks + rng.normal(0, 3000, masks.shape)
    return images.clip(0, 65535).astype(np.uint16), masks.astype(np.uint8)


def settings(**changes: object) -> SegmentationSettings:
    training = TrainingSettings(batch_size=8, learning_rate=2e-3, steps=4, ema_decay=0.9, checkpoint_every=2)
    defaults: dict[str, object] = {"image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3}
    return SegmentationSettings(**{"training": training, **defaults, **changes})  # type: ignore[arg-type]
