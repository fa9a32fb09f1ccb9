"""Work of numpy on threads: several sessions at once, each on a core.

BLAS and most of numpy let other threads of Python run meanwhile. BLAS is to take one thread a call
(`runs.threads`): several would wait for each other, and sums would run in another order.
"""

import collections
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
_OF_THREAD = threading.local()


class Stopped(Exception):
    """The work of this thread is not wanted any more."""


def check() -> None:
    """Raises Stopped in a thread that was told to stop; called between pieces of work that take a
    fraction of a second."""
    told = getattr(_OF_THREAD, "told", None)
    if told is not None and told.is_set():
        raise Stopped


def num_cores() -> int:
    """Cores that this process may use."""
    of_process = getattr(os, "sched_getaffinity", None)
    return len(of_process(0)) if of_process else os.cpu_count() or 1


def each(
    work: Callable[[Item], Result], items: Sequence[Item], num_threads: int
) -> Iterator[Result]:
    """Results in the order of the items, as `map` gives them, several made at once.

    Where one raises, or nobody wants the rest, those at work are told to stop and waited for.
    """
    if num_threads < 2 or len(items) < 2:
        yield from map(work, items)
        return
    told = threading.Event()
    pool = ThreadPoolExecutor(num_threads, "sessions", initializer=_told_by, initargs=(told,))
    rest, waiting = iter(items), collections.deque()
    try:
        while True:
            # A few ahead: results that wait for an earlier one take memory.
            for item in itertools.islice(rest, 2 * num_threads - len(waiting)):
                waiting.append(pool.submit(work, item))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        told.set()
        pool.shutdown(cancel_futures=True)


def _told_by(event: threading.Event) -> None:
    _OF_THREAD.told = event
