"""How the study of discs is segmented in these tests."""

from pig.evaluation.settings import SegmentationSettings
from pig.training.settings import TrainingSettings

SIZE = 32


def settings(**changes: object) -> SegmentationSettings:
    training = TrainingSettings(batch_size=8, learning_rate=2e-3, steps=4, ema_decay=0.9, checkpoint_every=2)
    defaults: dict[str, object] = {"image_size": SIZE, "encoder": "resnet18", "encoder_depth": 3}
    return SegmentationSettings(**{"training": training, **defaults, **changes})  # type: ignore[arg-type]
