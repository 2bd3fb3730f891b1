"""What happens between the steps of a training: checkpoints, signals, the log, and the stop at a loss run away."""

import logging
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from pig.system.device import pick_device
from pig.system.errors import UserError
from pig.system.events import report
from pig.system.files import locked
from pig.system.progress import SECONDS_BETWEEN_LINES, bar
from pig.system.signals import Stopped, asked_to_stop, finishing_steps
from pig.training.checkpoint import load_checkpoint, save_checkpoint
from pig.training.optimiser import Player
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings
from pig.training.team import team

logger = logging.getLogger("pig")


class Journal:
    """The outer course of a training, as a context: it holds the work folder, and signals wait for the end of a step.

    Args:
        players: what is trained; a checkpoint puts them back into its state.
        settings: how often there is a line of the log and a checkpoint.
        run: work folder and fingerprint.
        name: of the training within the run.
        total: steps in all.
    """

    def __init__(
        self, players: Mapping[str, Player], settings: TrainingSettings, run: TrainingRun, name: str, total: int
    ) -> None:
        self.players, self.settings, self.run, self.name, self.total = players, settings, run, name, total
        self.us, self.device, self.folder = team(), pick_device(), run.work / name
        self._contexts = ExitStack()

    def __enter__(self) -> Self:
        if self.us.rank == 0:
            self._contexts.enter_context(locked(self.folder))
        self._contexts.enter_context(finishing_steps())
        self.entered, self.earlier_s = time.monotonic(), 0.0
        self.begin = self._resume()
        self.run.images += self.total * self.settings.batch_size
        self._start_line(self.begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        return self._contexts.__exit__(kind, error, at)

    def steps(self) -> Iterable[int]:
        """Return the steps that are left, with a bar on a terminal."""
        return bar(range(self.begin, self.total), self.name, self.total, self.begin)

    def write(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Take note of a step; where it is time, write a line of the log and a checkpoint.

        Raises:
            UserError: a loss or a weight is not finite; no checkpoint holds it.
            Stopped: a signal asked for it; a checkpoint is written.
        """
        for key, loss in losses.items():
            self.sums[key] += loss
        done, now = step + 1, time.monotonic()
        stops = self.us.any(asked_to_stop() is not None, self.device) and done < self.total
        saves = done == self.total or done % self.settings.checkpoint_every == 0 or stops
        late = self.us.size == 1 and now - self.clock > SECONDS_BETWEEN_LINES
        if saves or late or done % self.settings.log_every == 0:
            means = {key: float(value) / (done - self.since) for key, value in self.sums.items()}
            now = time.monotonic()  # the device has finished what it was given
            self._refuse_runaway(means, done)
            if saves:
                self._refuse_bad_weights(done)
            self._line(done, means, (done - self.since) * self.settings.batch_size / (now - self.clock))
            self._start_line(done)
        if saves and self.us.rank == 0:
            # Of a training that is finished nothing but its result is needed.
            finished = done == self.total
            players = {key: p.result.state_dict() if finished else p.state() for key, p in self.players.items()}
            spent_s = self.earlier_s + now - self.entered
            save_checkpoint(self.folder, done, self.run.fingerprint, {"players": players, "spent_s": spent_s})
        if stops:
            raise Stopped(f"{self.name} was stopped after step {done} of {self.total}; a checkpoint is written")

    def _resume(self) -> int:
        """Put the players into the state of the last checkpoint, if there is one, and return its step, or 0."""
        with self.us.first_then_others():
            saved = load_checkpoint(self.folder, self.run.fingerprint)
        if saved is None:
            return 0
        begin, state = saved
        for key, player in self.players.items():
            if begin == self.total:
                player.result.load_state_dict(state["players"][key])
            else:
                player.load_state(state["players"][key])
        self.earlier_s = state["spent_s"]
        self.run.earlier_s += self.earlier_s
        logger.info("%s: going on from step %d of %d.", self.name, begin, self.total)
        return begin

    def _start_line(self, done: int) -> None:
        """Begin the sums of the next line of the log."""
        self.sums = {key: torch.zeros((), device=self.device) for key in self.players}
        self.since, self.clock = done, time.monotonic()

    def _line(self, done: int, means: Mapping[str, float], rate: float) -> None:
        text = ", ".join(f"{key} {value:.4g}" for key, value in means.items())
        left = (self.total - done) * self.settings.batch_size / rate
        logger.info(
            "%s: step %d of %d, loss %s, %.1f images/s, %.0f s left", self.name, done, self.total, text, rate, left
        )
        report(self.name, done, self.total, rate, means)

    def _refuse_runaway(self, means: Mapping[str, float], done: int) -> None:
        """Raise a UserError if a mean loss is not finite."""
        for key, value in means.items():
            if not math.isfinite(value):
                raise UserError(f"{self.name}: the loss of '{key}' is {value} at step {done}; {self._remedy()}")

    def _refuse_bad_weights(self, done: int) -> None:
        """Raise a UserError if a weight, of a module or its average, is not finite.

        The last update of a training can make them so after a loss that was finite.
        """
        for key, player in self.players.items():
            averaged = player.average and player.average.module
            for kind, module in (("weights", player.module), ("averaged weights", averaged)):
                state = module.state_dict() if module else {}
                bad = [entry for entry, tensor in state.items() if not bool(tensor.isfinite().all())]
                if bad:
                    raise UserError(
                        f"{self.name}: the {kind} of '{key}' are not finite after step {done} ({bad[0]} and "
                        f"{len(bad) - 1} more); {self._remedy()}"
                    )

    def _remedy(self) -> str:
        return f"lower learning_rate (now {self.settings.learning_rate}), set clip_norm, or lengthen warmup_steps."
