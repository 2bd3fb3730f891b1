"""How one module is optimised: its loss, optimiser, learning rate and moving average."""

import copy
import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pig.device import autocast
from pig.diffusion.draws import BatchGenerator
from pig.team import Team

if TYPE_CHECKING:
    from pig.model_settings import TrainingSettings

Loss = Callable[[Tensor, Tensor, torch.Generator], Tensor]  # (images, masks, rng) -> scalar, a mean over the images


class Average:
    """An exponential moving average of a module's parameters and buffers; counters are copied.

    Its decay warms up as (1 + n) / (10 + n), as latent diffusion's does (LitEma), so that the average of a short
    training forgets its start. ``AveragedModel`` would collect the tensors again at each step, which costs a tenth of
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


class Player:
    """A module with its loss, optimiser, schedule and average."""

    def __init__(self, module: nn.Module, loss: Loss, settings: "TrainingSettings", total: int) -> None:
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

    def step(
        self,
        images: Tensor,
        masks: Tensor,
        parts: list[slice],
        rng: torch.Generator,
        team: Team,
        ends_epoch_of: int | None,
    ) -> Tensor:
        """Update once and return the loss of the whole batch, detached.

        Args:
            images: those of the batch that this process works on, [n, ...].
            masks: as many.
            parts: their places in the batch, for each piece that is worked on at once; of one size.
            rng: for all players of the step in turn.
            team: the processes that share the batch.
            ends_epoch_of: so many steps, where this one ends an epoch.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss, state = torch.zeros((), device=images.device), rng.get_state()
        for part, some_images, some_masks in zip(parts, images.chunk(len(parts)), masks.chunk(len(parts)), strict=True):
            if isinstance(rng, BatchGenerator):
                rng.set_state(state)  # each part draws for the whole batch
                rng.part = part
            with autocast(images.device):
                piece = self.loss(some_images, some_masks, rng) / len(parts)
            piece.backward()
            loss += piece.detach()
        loss = team.mean(loss)
        team.average_gradients(self.parameters)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.optimizer.step()
        self._next_rate(loss, ends_epoch_of)
        if self.ema is not None:
            self.ema.update()
        return loss

    def _next_rate(self, loss: Tensor, ends_epoch_of: int | None) -> None:
        """Set the learning rate of the next step.

        A plateau is looked for after the warm-up alone: epochs that end within it are not compared, because
        the warm-up sets the rate itself, and would undo a reduction.
        """
        warming_up = self.warmup.last_epoch < self.settings.warmup_steps
        if self.plateau is None or warming_up:
            self.warmup.step()
        if self.plateau:
            self.epoch_loss += loss.item()
            if ends_epoch_of:
                if not warming_up:
                    self.plateau.step(self.epoch_loss / ends_epoch_of)
                self.epoch_loss = 0.0

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

    @property
    def result(self) -> nn.Module:
        """The averaged module, or the module itself: all that is kept of a training that is finished."""
        return self.ema.module if self.ema else self.module


def _factor(settings: "TrainingSettings", total: int, step: int) -> float:
    """Return what the learning rate is multiplied with at ``step``: linear warm-up, then constant or cosine.

    With "plateau" the warm-up alone is from here; :class:`ReduceLROnPlateau` takes over after it.
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule != "cosine":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, total - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
