"""Programs of a run compiled on a thread, while the host makes its first state.

What is compiled here is not returned: jax keeps it, and a call with the same shapes, dtypes and
places takes it. A program that does not compile fails again where it is called, and is told there.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

NAME = "compiling"  # of the thread; `start.finished`, which loads nothing, knows it


@contextlib.contextmanager
def compiled(*programs: Callable[[], Any]) -> Iterator[None]:
    """Calls `programs`, each of which compiles one, in turn on a thread. The block ends when the
    first has; the others go on meanwhile, at the latest until the interpreter ends. Where the block
    raises, nothing more is begun."""
    # XLA compiles without the interpreter's lock, most of the time on one core.
    pool = ThreadPoolExecutor(1, NAME)
    begun = [pool.submit(one) for one in programs]
    pool.shutdown(wait=False)
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    wait(begun[:1])
