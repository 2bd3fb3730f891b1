"""How the study of discs is segmented in these tests."""

from pathlib import Path

import pandas as pd
from discs import discs
from PIL import Image

from pig.evaluation.settings import SegmentationSettings
from pig.training.settings import TrainingSettings

SIZE = 32


def settings(**changes: object) -> SegmentationSettings:
    training = TrainingSettings(batch_size=8, learning_rate=2e-3, steps=4, ema_decay=0.9, checkpoint_every=2)
    defaults: dict[str, object] = {"image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3}
    return SegmentationSettings(**{"training": training, **defaults, **changes})  # type: ignore[arg-type]


def write_discs(folder: Path) -> None:
    """Write 40 pairs of 10 patients as PNG files of 16 bits, and ``manifest.csv``."""
    rows = []
    for number, (image, mask) in enumerate(zip(*discs(40, seed=0), strict=True)):
        Image.fromarray(image).save(folder / f"{number}.png")
        Image.fromarray(mask * 255).save(folder / f"{number}m.png")
        rows.append((f"{number}.png", f"{number}m.png", f"p{number // 4}"))
    pd.DataFrame(rows, columns=["image_path", "mask_path", "patient_id"]).to_csv(folder / "manifest.csv", index=False)
