"""Signals that ask a process to end: what is under way is brought to a state from which the same command goes on.

Schedulers send SIGTERM (or SIGUSR1, where they are told to) some time before SIGKILL; a person sends SIGINT with
Ctrl-C. A training finishes its step and writes a checkpoint; everything else stops where it is, and its temporary
files go, since the signal is raised as an exception.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
EXIT_STATUS = os.EX_TEMPFAIL  # 75: not a fault; give the same command again


class Stopped(BaseException):
    """The process was asked to end; like KeyboardInterrupt no Exception, so that no library holds it up."""


class _Request:
    """What was asked of this process; signals are a matter of the whole process."""

    asked: signal.Signals | None = None
    patient = False


@contextmanager
def handling_signals() -> Iterator[None]:
    """Turn the signals into :class:`Stopped` while the block runs; only a main program should call it."""
    before = {number: signal.signal(number, _handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _Request.asked = None


def _leave_to_parent() -> None:
    """Give a forked child, a worker of some library's pool, the system's own handlers: it ends without a word."""
    for number in SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


os.register_at_fork(after_in_child=_leave_to_parent)


def _handle(number: int, frame: FrameType | None) -> None:
    _Request.asked = signal.Signals(number)
    if not _Request.patient:
        raise Stopped(f"stopped by {_Request.asked.name}")


@contextmanager
def finishing_steps() -> Iterator[None]:
    """Let signals wait while the block runs: it looks at :func:`asked_to_stop` and ends by itself."""
    _Request.patient = True
    try:
        yield
    finally:
        _Request.patient = False
    if _Request.asked:  # after the block last looked
        raise Stopped(f"stopped by {_Request.asked.name}")


def asked_to_stop() -> signal.Signals | None:
    """Return the signal that asks this process to end, or None."""
    return _Request.asked
