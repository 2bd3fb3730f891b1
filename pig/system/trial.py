"""A trial of a job: its loops are cut short, and a clock goes on as if every turn had been made.

So what a job will take is measured with the job's own code, networks and settings. A turn of an outer loop takes what
the clock says, with all turns of the loops in it.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

LEAST = 3  # turns of a loop: the first is slower, since libraries prepare themselves
LONG = 2.0  # seconds after which a loop is cut even before that


class Trial:
    """The clock of a trial.

    Args:
        seconds: of waiting, after which a loop is cut short.
        pairs: how many times as many pairs the job has to go through as there are in the trial.
        clock: returns the seconds of a clock.

    Attributes:
        slowest: seconds of a turn without the loops in it; the most of all loops but those over pairs, if there are to
            be more of these.
    """

    def __init__(self, seconds: float, pairs: float, clock: Callable[[], float]) -> None:
        self.seconds, self.pairs, self.clock = seconds, pairs, clock
        self.skipped = self.slowest = 0.0
        self._in_loops = 0.0  # seconds so far

    def now(self) -> float:
        """Return what the clock would show if all turns had been made, in seconds."""
        return self.clock() + self.skipped

    def turns(self, items: Iterable[T], total: float, of_pairs: bool = False) -> Iterator[T]:
        """Yield the first of ``items``; then the clock shows ``total`` turns that take the median of these.

        The first turn does not count, unless it is the only one. ``of_pairs``: there are more turns in the job, as
        many times as it has more pairs.
        """
        began, took, own = self.now(), list[float](), list[float]()
        waited, measured, before = time.perf_counter(), self.clock(), self._in_loops
        for item in items:
            start, started, in_loops = self.now(), self.clock(), self._in_loops
            yield item
            took.append(self.now() - start)
            own.append(self.clock() - started - (self._in_loops - in_loops))
            spent = time.perf_counter() - waited
            if spent >= LONG or (spent >= self.seconds and len(took) >= LEAST):
                break
        if took:
            turns = total * self.pairs if of_pairs else total
            self.skipped += began + turns * statistics.median(took[1:] or took) - self.now()
            if not of_pairs or self.pairs == 1:
                self.slowest = max(self.slowest, statistics.median(own[1:] or own))
        self._in_loops = before + self.clock() - measured


_trial: Trial | None = None  # of the process


@contextmanager
def on_trial(seconds: float, pairs: float = 1.0, clock: Callable[[], float] = time.perf_counter) -> Iterator[Trial]:
    """Cut the loops of what runs in the block short, and yield the clock; see :class:`Trial`."""
    global _trial
    _trial = Trial(seconds, pairs, clock)
    try:
        yield _trial
    finally:
        _trial = None


def tried() -> bool:
    """Return whether this is a trial."""
    return _trial is not None


def turns(items: Iterable[T], total: float, of_pairs: bool = False) -> Iterable[T]:
    """Return ``items``, in a trial the first of ``total``; see :meth:`Trial.turns`."""
    return items if _trial is None else _trial.turns(items, total, of_pairs)
