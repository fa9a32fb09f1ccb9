"""Programs of a run compiled on threads, while the host makes its first state.

What is compiled here is not returned: jax keeps it, and a call with the same shapes, dtypes and
places takes it. A program that does not compile fails again where it is called, and is told there.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


@contextlib.contextmanager
def compiled(*programs: Callable[[], Any]) -> Iterator[None]:
    """Calls each of `programs`, which compiles one, on a thread; the block ends when all have."""
    # XLA compiles without the interpreter's lock, most of the time on one core.
    with ThreadPoolExecutor(max(1, len(programs)), "compiling") as pool:
        for one in programs:
            pool.submit(one)
        yield
