"""Work of numpy on threads: several sessions at once, or beside something else until it is told to
stop.

BLAS and most of numpy let other threads of Python run meanwhile. BLAS is to take one thread a call
(`runs.threads`): several would wait for each other, and sums would run in another order.
"""

import collections
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
_NICE = 10  # of work beside something else: it takes what that leaves of the cores
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


class _Beside(NamedTuple):
    """A thread of `beside`, by its number in the system, and what it is told."""

    number: int
    told: threading.Event
    enough: threading.Event


_BESIDE: set[_Beside] = set()


@contextlib.contextmanager
def beside(work: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Yields what starts `work` on a thread of low priority; at the end it is told to stop and
    waited for.

    What it raises is dropped: whoever needs its result does the work again, and hears it then.
    """
    told, enough = threading.Event(), threading.Event()

    def run():
        _told_by(told)
        _OF_THREAD.enough = enough
        own = _Beside(threading.get_native_id(), told, enough)
        with contextlib.suppress(Exception):
            if sys.platform == "linux":  # where a thread has a priority of its own
                os.setpriority(os.PRIO_PROCESS, own.number, _NICE)
            _BESIDE.add(own)
            work()
        _BESIDE.discard(own)

    thread = threading.Thread(target=run, name="beside", daemon=True)
    try:
        yield thread.start
    finally:
        told.set()
        if thread.ident is not None:
            thread.join()


def hurry() -> None:
    """Somebody waits for what threads of `beside` are at: each ends what it has begun, at full
    priority. Where the system does not give that back, it is told to stop: on a machine with other
    work the wait would be many times the work."""
    for thread in list(_BESIDE):
        thread.enough.set()
        try:
            if sys.platform == "linux":
                os.setpriority(os.PRIO_PROCESS, thread.number, os.getpriority(os.PRIO_PROCESS, 0))
        except OSError:
            thread.told.set()


def is_enough() -> bool:
    """Whether this thread of `beside` is to begin nothing more."""
    return _OF_THREAD.enough.is_set()


def _told_by(event: threading.Event) -> None:
    _OF_THREAD.told = event
