"""Streams batches in order, read ahead by a thread.

A grain element is a whole batch: one vectorised gather, no per-trial Python, and a position that
is one number. Nothing of grain's state is ever saved.
"""

from collections.abc import Callable, Iterator
from typing import Any

import grain


class _Batches:
    """Random-access source: element i is `make(first + i)`."""

    def __init__(self, make: Callable[[int], Any], first: int, stop: int):
        self._make, self._first, self._stop = make, first, stop

    def __len__(self) -> int:
        return self._stop - self._first

    def __getitem__(self, index: int) -> Any:
        return self._make(self._first + int(index))

    def __repr__(self) -> str:  # grain prints its sources
        return f"batches {self._first}..{self._stop}"


def stream(make: Callable[[int], Any], first: int, stop: int, *, num_threads: int = 1, ahead: int = 2) -> Iterator:
    """Yields make(first), ..., make(stop - 1) in order.

    Args:
        make: pure function of the batch index; exceptions in it surface at the consumer.
        first, stop: half-open range of batch indices.
        num_threads: reader threads; 0 reads when asked.
        ahead: batches kept ready.
    """
    if first >= stop:
        return iter(())
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=ahead if num_threads else 0)
    return iter(grain.MapDataset.source(_Batches(make, first, stop)).to_iter_dataset(options))
