"""Progress of long work: a bar on a terminal, plain lines in a log, and events for programs."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from pig.system.events import report
from pig.system.trial import tried, turns

T = TypeVar("T")
logger = logging.getLogger("pig")

SECONDS_BETWEEN_LINES = 30


def bar(items: Iterable[T], label: str, total: int, done: int = 0) -> Iterable[T]:
    """Return ``items``, with a bar on a terminal that shows how far they are; in a trial, the first of them."""
    if tried():
        return turns(items, total - done)
    if sys.stderr.isatty() and logger.isEnabledFor(logging.INFO):
        return _below_log(items, label, total, done)
    return items


def _below_log(items: Iterable[T], label: str, total: int, done: int) -> Iterator[T]:
    """Iterate with a bar that stays the last line: lines of the log are written above it, not into it."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    with logging_redirect_tqdm():
        yield from tqdm(items, desc=label, total=total, initial=done)


def track(items: Iterable[T], label: str, total: int, done: int = 0, size: int = 1) -> Iterator[T]:
    """Iterate over ``items`` and show how far it is, the rate and the time left.

    Args:
        items: what is iterated over: ``total - done`` things.
        label: what is being done, for the reader.
        total: the number of things in all.
        done: how many of them were done before, for work that is resumed.
        size: images of one thing, for the rate in events.
    """
    start = last = time.monotonic()
    rate = 0.0
    shown = turns(items, total - done, of_pairs=True) if tried() else bar(items, label, total, done)
    for count, item in enumerate(shown, start=1):
        yield item
        now = time.monotonic()
        rate = count / (now - start)
        if now - last >= SECONDS_BETWEEN_LINES and done + count < total:
            if not sys.stderr.isatty():
                left = (total - done - count) / rate
                logger.info("%s: %d of %d, %.3g/s, %.0f s left", label, done + count, total, rate, left)
            report(label, done + count, total, rate * size)
            last = now
    report(label, total, total, rate * size)
