"""How a model is optimised, as the configuration says it. Nothing here imports torch, so that a plan can check it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pig.system.errors import UserError
from pig.system.settings import Error, negative, not_positive, refuse


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is optimised. Either ``steps`` or ``epochs`` says how long.

    ``batch_size`` is that of one update, over all devices; ``accumulate`` is in how many pieces each device works
    through its part of it, one after another, to save memory.
    """

    batch_size: int
    learning_rate: float
    steps: int | None = None
    epochs: int | None = None
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.01
    warmup_steps: int = 0
    learning_rate_schedule: Literal["constant", "cosine", "plateau"] = "constant"
    clip_norm: float | None = None
    ema_decay: float | None = None
    log_every: int = 50
    checkpoint_every: int = 500
    accumulate: int = 1

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    def _errors(self) -> Iterator[Error]:
        if self.steps is None and self.epochs is None:
            yield "", "give either steps or epochs; neither is set."
        if self.steps is not None and self.epochs is not None:
            yield "", f"give either steps or epochs, and set the other to null; got {self.steps} and {self.epochs}."
        yield from not_positive(
            self, "batch_size", "learning_rate", "steps", "epochs", "log_every", "checkpoint_every", "accumulate"
        )
        yield from not_positive(self, "clip_norm")
        yield from negative(self, "weight_decay", "warmup_steps")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            yield "ema_decay", f"must be null or in [0, 1), got {self.ema_decay}."
        if self.accumulate > 0 and self.batch_size % self.accumulate:
            yield "batch_size", f"must be a multiple of accumulate {self.accumulate}, got {self.batch_size}."
        if self.steps is not None and self.warmup_steps > self.steps:
            yield "warmup_steps", f"must be at most steps, {self.steps}, got {self.warmup_steps}."

    def total_steps(self, pairs: int) -> int:
        """Return the number of optimiser steps for a set of so many pairs.

        Raises:
            UserError: the epochs are over before the warm-up.
        """
        if self.steps is not None:
            return self.steps
        total = math.ceil((self.epochs or 0) * pairs / self.batch_size)
        if self.warmup_steps > total:
            raise UserError(
                f"training.warmup_steps: must be at most the {total} steps of {self.epochs} epochs of {pairs} pairs, "
                f"got {self.warmup_steps}."
            )
        return total
