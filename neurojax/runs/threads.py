"""Threads of linear algebra on the host: one a call, while XLA computes on threads of its own.

Jax has the small factorisations of a training step done by scipy's BLAS. With several threads each
call waits, at full speed, for its others to be given a core: where other work shares the cores a
step of `size=small` took seven times as long (docs/troubleshooting.md).
"""

import contextlib
from collections.abc import Iterator

import scipy.linalg.lapack  # noqa: F401  a library that is loaded later would not be held
import threadpoolctl


@contextlib.contextmanager
def one_a_call() -> Iterator[None]:
    """Within it every BLAS of the process takes one thread, afterwards as many as before; also
    around a function, as `@one_a_call()`. For one Python thread: the number is the process's."""
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield
