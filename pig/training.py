"""One training loop for every model of the benchmark."""

import copy
import functools
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pig.checkpoint import load_checkpoint, locked, save_checkpoint
from pig.device import autocast, pick_device
from pig.errors import UserError
from pig.progress import track
from pig.seeds import seed_of

if TYPE_CHECKING:
    from pig.generator import RunDirectory

logger = logging.getLogger("pig")

Loss = Callable[[Tensor, Tensor, torch.Generator], Tensor]  # (images, masks, rng) -> scalar


class Pool(Protocol):
    """Pairs that can be asked for by position."""

    def __len__(self) -> int: ...

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return images float32 [n, 1, H, W] in [-1, 1] and masks float32 [n, 1, H, W] in {0, 1}."""
        ...


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is optimised. Either ``steps`` or ``epochs`` says how long."""

    batch_size: int
    learning_rate: float
    steps: int | None = None
    epochs: int | None = None
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.01
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    clip_norm: float | None = None
    ema_decay: float | None = None
    log_every: int = 50
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise UserError("training: give either steps or epochs, and set the other to null.")
        for name in ("batch_size", "learning_rate", "steps", "epochs", "log_every", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"training: {name} must be above 0, got {value}.")

    def total_steps(self, pairs: int) -> int:
        """Return the number of optimiser steps for a set of so many pairs."""
        return self.steps if self.steps is not None else math.ceil((self.epochs or 0) * pairs / self.batch_size)


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


class Average:
    """An exponential moving average of a module's parameters and buffers; counters are copied.

    Its decay warms up as (1 + n) / (10 + n), as latent diffusion's does (LitEma), so that the average of a short
    training forgets its start. ``AveragedModel`` would collect the tensors anew at each step, which costs a tenth of
    a small network's training.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.updates = copy.deepcopy(module).requires_grad_(False), decay, 0
        tensors = [
            (mine, theirs.detach())
            for mine, theirs in zip(
                [*self.module.parameters(), *self.module.buffers()],
                [*module.parameters(), *module.buffers()],
                strict=True,
            )
        ]
        self.averaged = [pair for pair in tensors if pair[0].is_floating_point()]
        self.copied = [pair for pair in tensors if not pair[0].is_floating_point()]

    def update(self) -> None:
        """Take the module as it is now into the average."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = map(list, zip(*self.averaged, strict=True))
        get_ema_multi_avg_fn(decay)(mine, theirs, None)
        for counter, value in self.copied:
            counter.copy_(value)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the average and how often it was updated."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]


class _Player:
    """A module with its loss, optimiser, schedule and average."""

    def __init__(self, module: nn.Module, loss: Loss, settings: TrainingSettings, total: int) -> None:
        self.module, self.loss, self.settings = module, loss, settings
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
        self.optimizer = kind(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.warmup = LambdaLR(self.optimizer, functools.partial(_factor, settings, total))
        self.plateau = (
            ReduceLROnPlateau(self.optimizer, factor=0.25, patience=4) if settings.schedule == "plateau" else None
        )
        self.epoch_loss = 0.0
        self.ema = Average(module, settings.ema_decay) if settings.ema_decay is not None else None

    def step(self, images: Tensor, masks: Tensor, rng: torch.Generator, ends_epoch_of: int | None) -> Tensor:
        """Update once and return the loss, detached; ``ends_epoch_of`` so many steps, where this one ends one."""
        with autocast(images.device):
            loss = self.loss(images, masks, rng)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.optimizer.step()
        if self.plateau:
            self.epoch_loss += loss.item()
            if ends_epoch_of:
                self.plateau.step(self.epoch_loss / ends_epoch_of)
                self.epoch_loss = 0.0
        else:
            self.warmup.step()
        if self.ema is not None:
            self.ema.update()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "warmup": self.warmup.state_dict(),
            "plateau": self.plateau.state_dict() if self.plateau else None,
            "epoch_loss": self.epoch_loss,
            "ema": self.ema.state_dict() if self.ema else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state` returned."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.warmup.load_state_dict(state["warmup"])
        self.epoch_loss = state["epoch_loss"]
        if self.plateau:
            self.plateau.load_state_dict(state["plateau"])
        if self.ema:
            self.ema.load_state_dict(state["ema"])

    def result(self) -> nn.Module:
        """Return the averaged module, or the module itself, ready for use."""
        module = self.ema.module if self.ema else self.module
        return module.eval().requires_grad_(False)


def _factor(settings: TrainingSettings, total: int, step: int) -> float:
    """Return what the learning rate is multiplied with at ``step``: linear warm-up, then constant or cosine."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule != "cosine":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, total - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


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
    the whole random state, and a resumed run is the run that was never interrupted.

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
        UserError: a loss is not finite, or the work folder is in use.
    """
    device = pick_device()
    total = settings.total_steps(len(pairs))
    order = order or shuffled(len(pairs), settings.batch_size, seed_of(run.seed, run.fold, name))
    players = {key: _Player(module.to(device).train(), losses[key], settings, total) for key, module in modules.items()}
    folder = run.work / name
    with locked(folder):
        # Go on from the last checkpoint, if there is one.
        begin = 0
        if saved := load_checkpoint(folder, run.fingerprint):
            begin, state = saved
            for key, player in players.items():
                player.load_state(state[key])
            logger.info("%s: going on from step %d of %d.", name, begin, total)

        # Train.
        rng = torch.Generator(device)
        sums = {key: torch.zeros((), device=device) for key in players}  # since the last line of the log
        epoch = max(1, len(pairs) // settings.batch_size)
        clock, since = time.monotonic(), begin
        for step in track(range(begin, total), name, total, begin):
            seed = seed_of(run.seed, run.fold, name, step)
            rng.manual_seed(seed)
            torch.manual_seed(seed)  # dropout draws from the global state
            images, masks = (tensor.to(device, non_blocking=True) for tensor in pairs.batch(order(step)))
            for key, player in players.items():
                sums[key] += player.step(images, masks, rng, epoch if (step + 1) % epoch == 0 else None)

            # Report, and stop if a loss has run away, before a checkpoint is written.
            done = step + 1
            saves = settings.checkpoint_every < total and (done % settings.checkpoint_every == 0 or done == total)
            if saves or done % settings.log_every == 0 or done == total:
                now = time.monotonic()
                rate = (done - since) * settings.batch_size / (now - clock)
                means = {key: float(value) / (done - since) for key, value in sums.items()}
                _refuse_runaway(means, name, done, settings)
                text = ", ".join(f"{key} {value:.4g}" for key, value in means.items())
                logger.info("%s: step %d of %d, loss %s, %.1f images/s", name, done, total, text, rate)
                sums = {key: torch.zeros((), device=device) for key in players}
                clock, since = now, done
            if saves:
                save_checkpoint(folder, done, run.fingerprint, {k: p.state() for k, p in players.items()})
    return {key: player.result() for key, player in players.items()}


def _refuse_runaway(means: dict[str, float], name: str, step: int, settings: TrainingSettings) -> None:
    """Raise a UserError if a mean loss is not finite."""
    for key, value in means.items():
        if not math.isfinite(value):
            raise UserError(
                f"{name}: the loss of '{key}' is {value} at step {step}; lower learning_rate (now "
                f"{settings.learning_rate}), set clip_norm, or lengthen warmup_steps."
            )
