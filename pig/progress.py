"""Progress of long work: a bar on a terminal, plain lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
logger = logging.getLogger("pig")

SECONDS_BETWEEN_LINES = 30


def track(items: Iterable[T], label: str, total: int, done: int = 0) -> Iterator[T]:
    """Iterate over ``items`` and show how far it is, the rate and the time left.

    Args:
        items: what is iterated over: ``total - done`` things.
        label: what is being done, for the reader.
        total: the number of things in all.
        done: how many of them were done before, for work that is resumed.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=label, total=total, initial=done)
        return
    start = last = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done + count < total:
            rate = count / (now - start)
            left = (total - done - count) / rate
            logger.info("%s: %d of %d, %.3g/s, %.0f s left", label, done + count, total, rate, left)
            last = now
