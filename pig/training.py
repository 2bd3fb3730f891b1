"""One training loop for every model of the benchmark."""

import functools
import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pig.checkpoint import load_checkpoint, save_checkpoint
from pig.device import pick_device
from pig.diffusion.draws import BatchGenerator
from pig.errors import UserError
from pig.events import record
from pig.files import locked
from pig.model_settings import TrainingSettings as TrainingSettings
from pig.optimisation import Loss, Player
from pig.progress import SECONDS_BETWEEN_LINES, bar
from pig.seeds import seed_of
from pig.stopping import Stopped, asked_to_stop, finishing_steps
from pig.team import Team, team

if TYPE_CHECKING:
    from pig.generator import RunDirectory

logger = logging.getLogger("pig")


class Pool(Protocol):
    """Pairs that can be asked for by position."""

    def __len__(self) -> int: ...

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return images float32 [n, 1, H, W] in [-1, 1] and masks float32 [n, 1, H, W] in {0, 1}."""
        ...


def shuffled(pairs: int, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
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


def train(
    modules: dict[str, nn.Module],
    losses: dict[str, Loss],
    pairs: Pool,
    settings: TrainingSettings,
    run: "RunDirectory",
    name: str,
    order: Callable[[int], np.ndarray] | None = None,
) -> dict[str, nn.Module]:
    """Train modules in turn on the same batches, resuming where an interrupted run left a checkpoint.

    The order of the data and every random number are functions of (seed, fold, name, step), so that the step is
    the whole random state, and a resumed run is the run that was never interrupted. In one of several processes
    (:func:`pig.team.team`) this one works on its part of every batch, and all end with the same weights.

    Args:
        modules: the players; on the CPU or on the device.
        losses: of the same names; each is given images [n, 1, H, W] in [-1, 1], masks in {0, 1} and a generator.
        pairs: what is trained on.
        settings: of every player.
        run: seed, fold and work folder.
        name: of this training within the run.
        order: step -> positions of its batch; by default seeded epochs.

    Returns:
        The averaged modules where an average was asked for, else the trained ones; in eval mode.

    Raises:
        UserError: a loss or a weight is not finite, the work folder is in use, or a batch cannot be shared out evenly.
        Stopped: a signal asked for it; a checkpoint is written.
    """
    us = team()
    device = pick_device()
    total = settings.total_steps(len(pairs))
    order = order or shuffled(len(pairs), settings.batch_size, seed_of(run.seed, run.fold, name))
    players = {key: Player(module.to(device).train(), losses[key], settings, total) for key, module in modules.items()}
    mine, parts = share(settings, us)
    rng = torch.Generator(device) if parts == [slice(0, settings.batch_size)] else BatchGenerator(device)
    if isinstance(rng, BatchGenerator):
        rng.whole = settings.batch_size
    folder = run.work / name
    with locked(folder) if us.rank == 0 else nullcontext(), finishing_steps():
        begin = _resume(players, folder, run.fingerprint, us, name, total)
        sums = {key: torch.zeros((), device=device) for key in players}  # since the last line of the log
        epoch = max(1, len(pairs) // settings.batch_size)
        clock, since = time.monotonic(), begin
        for step in bar(range(begin, total), name, total, begin):
            seed = seed_of(run.seed, run.fold, name, step)
            rng.manual_seed(seed)
            torch.manual_seed(seed + us.rank)  # dropout draws from the global state
            images, masks = (tensor.to(device, non_blocking=True) for tensor in pairs.batch(order(step)[mine]))
            for key, player in players.items():
                ends_epoch = epoch if (step + 1) % epoch == 0 else None
                sums[key] += player.step(images, masks, parts, rng, us, ends_epoch)

            # Report, and stop if a loss or the weights have run away, before a checkpoint is written.
            done = step + 1
            stops = us.any(asked_to_stop() is not None, device) and done < total
            saves = done == total or done % settings.checkpoint_every == 0 or stops
            late = us.size == 1 and time.monotonic() - clock > SECONDS_BETWEEN_LINES
            if saves or late or done % settings.log_every == 0:
                now = time.monotonic()
                rate = (done - since) * settings.batch_size / (now - clock)
                means = {key: float(value) / (done - since) for key, value in sums.items()}
                _refuse_runaway(means, name, done, settings)
                if saves:
                    _refuse_bad_weights(players, name, done, settings)
                _report(name, done, total, means, rate, (total - done) * settings.batch_size / rate)
                sums = {key: torch.zeros((), device=device) for key in players}
                clock, since = now, done
            if saves and us.rank == 0:
                # Of a training that is finished nothing but its result is needed.
                state = {key: p.result.state_dict() if done == total else p.state() for key, p in players.items()}
                save_checkpoint(folder, done, run.fingerprint, state)
            if stops:
                raise Stopped(f"{name} was stopped after step {done} of {total}; a checkpoint is written")
    # What follows may draw from the global state, as for first weights, and draws the same after a resumed run.
    torch.manual_seed(seed_of(run.seed, run.fold, name, total - 1))
    return {key: player.result.eval().requires_grad_(False) for key, player in players.items()}


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


def _resume(players: dict[str, Player], folder: Path, fingerprint: str, us: Team, name: str, total: int) -> int:
    """Put the players into the state of the last checkpoint, if there is one, and return its step, or 0."""
    with us.first_then_others():
        saved = load_checkpoint(folder, fingerprint)
    if saved is None:
        return 0
    begin, state = saved
    for key, player in players.items():
        if begin == total:
            player.result.load_state_dict(state[key])
        else:
            player.load_state(state[key])
    logger.info("%s: going on from step %d of %d.", name, begin, total)
    return begin


def _report(name: str, step: int, total: int, losses: dict[str, float], rate: float, left: float) -> None:
    text = ", ".join(f"{key} {value:.4g}" for key, value in losses.items())
    logger.info("%s: step %d of %d, loss %s, %.1f images/s, %.0f s left", name, step, total, text, rate, left)
    record(name, step, total, rate, losses)


def _refuse_runaway(means: dict[str, float], name: str, step: int, settings: TrainingSettings) -> None:
    """Raise a UserError if a mean loss is not finite."""
    for key, value in means.items():
        if not math.isfinite(value):
            raise UserError(f"{name}: the loss of '{key}' is {value} at step {step}; {_remedy(settings)}")


def _refuse_bad_weights(players: dict[str, Player], name: str, step: int, settings: TrainingSettings) -> None:
    """Raise a UserError if a weight, of a module or its average, is not finite.

    The last update of a training can make them so after a loss that was finite.
    """
    for key, player in players.items():
        for kind, module in (("weights", player.module), ("averaged weights", player.ema and player.ema.module)):
            state = module.state_dict() if module else {}
            bad = [entry for entry, tensor in state.items() if not bool(tensor.isfinite().all())]
            if bad:
                raise UserError(
                    f"{name}: the {kind} of '{key}' are not finite after step {step} ({bad[0]} and {len(bad) - 1} "
                    f"more); {_remedy(settings)}"
                )


def _remedy(settings: TrainingSettings) -> str:
    return f"lower learning_rate (now {settings.learning_rate}), set clip_norm, or lengthen warmup_steps."
