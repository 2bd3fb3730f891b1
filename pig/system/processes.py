"""Processes that share the work of one job, and end with it; and the memory that all have."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def process_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of ``jobs`` processes that end by themselves when this one is killed.

    Spawned, because a forked child of a process with threads (torch and BLAS have some) may hang.
    """
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_end_with_parent) as pool:
        yield pool


def memory_mib() -> int:
    """Return the MiB of this machine's memory, whatever else is in it."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _end_with_parent() -> None:
    """Watch the parent: the queue that a worker waits at has its other end in each worker too, and never closes."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
