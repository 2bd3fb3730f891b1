"""Which pairs are in the batch of a step, and which of them a process works on."""

import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor

from pig.system.errors import UserError
from pig.training.settings import TrainingSettings
from pig.training.team import Team

Order = Callable[[int], np.ndarray]  # step -> positions of its batch


class Pool(Protocol):
    """Pairs that can be asked for by position."""

    def __len__(self) -> int: ...

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return images float32 [n, 1, H, W] in [-1, 1] and masks float32 [n, 1, H, W] in {0, 1}."""
        ...


def shuffled(pairs: int, batch_size: int, seed: int) -> Order:
    """Return ``order(step)``: the positions of a step's batch, from one seeded permutation after another.

    Batches run on over the end of an epoch, so that each is full.
    """
    if pairs == 0:
        raise UserError("there are no pairs to train on; look at the folds and at the manifest.")

    @functools.lru_cache(maxsize=2)
    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(pairs)

    def order(step: int) -> np.ndarray:
        at = np.arange(step * batch_size, (step + 1) * batch_size)
        return np.array([permutation(int(i // pairs))[i % pairs] for i in at])

    return order


def share(settings: TrainingSettings, us: Team) -> tuple[slice, list[slice]]:
    """Return which positions of a batch this process works on, and the pieces of them, one after another.

    Raises:
        UserError: the batch cannot be shared out evenly.
    """
    pieces = us.size * settings.accumulate
    if settings.batch_size % pieces:
        raise UserError(
            f"training: batch_size {settings.batch_size} must be a multiple of {pieces}: of accumulate "
            f"{settings.accumulate} for each of {us.size} processes."
        )
    size = settings.batch_size // pieces
    first = us.rank * settings.accumulate
    parts = [slice(i * size, (i + 1) * size) for i in range(first, first + settings.accumulate)]
    return slice(parts[0].start, parts[-1].stop), parts
