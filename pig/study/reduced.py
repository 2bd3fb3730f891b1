"""A study small enough to be tried out: smaller pictures and batches, and as many more steps, so that no pixel is lost.

What a step takes is taken to grow with the pixels of its batch. That is so of convolutions once there are enough pixels
to compute on; attention grows faster.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pig.study.schema import OWN
from pig.study.settings import settings_errors

Config = Mapping[str, Any]
SIDE = 128  # pixels of a side; pictures are not reduced below
FEW = 2  # pictures of a batch, the least that batch normalisation takes


def divisor(config: Config) -> int:
    """Return by how much the sides of all pictures can be divided: a power of two, 1 if one of them is small.

    With a generator of the user's own class it is 1, since nothing is known of its settings.
    """
    found = 1
    if all(is_own(entry["class"]) for entry in config["generators"].values()):
        while min(_sides(config)) >= 2 * SIDE * found and _works(config, 2 * found):
            found *= 2
    return found


def is_own(path: str) -> bool:
    """Return whether a class is this project's, so that its settings are known."""
    return path.startswith(OWN)


def reduced(config: Config, by: int, most: int, pairs: int) -> dict[str, Any]:
    """Return a configuration whose trainings and drawings go through as many pixels in all.

    Args:
        config: a configuration that was checked.
        by: what the sides of pictures are divided by, see :func:`divisor`.
        most: pictures of a batch, :data:`FEW` or more, which else has ``by``^2 times as many as before; where it is
            worked through in pieces (``accumulate``), each has :data:`FEW` at least.
        pairs: that a training learns from, for the length of an epoch.
    """
    small = copy.deepcopy(dict(config))
    small["preprocessing"]["size"] = max(config["preprocessing"]["size"] // by, 1)
    for entry in small["generators"].values():
        if is_own(entry["class"]) and "model" in entry:
            _reduce(entry["model"], by, most, pairs)
    _reduce(small["segmentation"], by, most, pairs)
    synthesis = small["synthesis"]
    synthesis["shard_size"] *= by**2
    synthesis["batch_size"] = min(synthesis["batch_size"] * by**2, most)
    return small


def batch_of(model: Config) -> int:
    """Return the pictures of a batch, the largest of a model's trainings; 1 where none is known."""
    return max((training["batch_size"] for training in trainings(model)), default=1)


def trainings(model: Config) -> Iterator[dict[str, Any]]:
    """Yield the sections of a model's settings that say how it is trained."""
    yield from (section for section in model.values() if isinstance(section, dict) and "batch_size" in section)


def _reduce(model: dict[str, Any], by: int, most: int, pairs: int) -> None:
    if "image_size" in model:
        model["image_size"] //= by
    for training in trainings(model):
        full, pieces = training["batch_size"] * by**2, training.get("accumulate", 1)
        steps = training.get("steps") or math.ceil(training["epochs"] * pairs / training["batch_size"])
        batch = min(max(most // pieces, FEW) * pieces, full)
        training |= {"batch_size": batch, "epochs": None, "steps": math.ceil(steps * full / batch)}


def _sides(config: Config) -> list[int]:
    models = [entry["model"] for entry in config["generators"].values() if "model" in entry]
    return [model["image_size"] for model in [*models, config["segmentation"]] if "image_size" in model]


def _works(config: Config, by: int) -> bool:
    """Return whether the networks of a study take pictures that are so much smaller."""
    divisible = all(side % by == 0 for side in _sides(config))
    return divisible and next(settings_errors(reduced(config, by, FEW, 1)), None) is None
