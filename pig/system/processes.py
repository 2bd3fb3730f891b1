"""Processes that share the work of one job, and end with it; and the memory that all have."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def process_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of ``jobs`` processes that end by themselves when this one is killed.

    Spawned, because a forked child of a process with threads (torch and BLAS have some) may hang.
    """
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_end_with_parent) as pool:
        yield pool


def mapped(work: Callable[..., T], *items: Sequence[Any], jobs: int, chunksize: int = 1) -> Iterator[T]:
    """Yield what ``work`` returns of each of ``items``, in their order.

    Args:
        work: called with one of each of ``items``.
        items: of equal lengths.
        jobs: processes; 1 or less: this one.
        chunksize: how many a process is handed at once.
    """
    if jobs <= 1:
        yield from map(work, *items)
        return
    with process_pool(jobs) as pool:
        yield from pool.map(work, *items, chunksize=chunksize)


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
