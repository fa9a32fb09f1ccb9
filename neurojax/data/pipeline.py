"""Streams batches in order, read ahead by a thread.

A grain element is a run of whole batches: one vectorised gather each, no per-trial Python, one
hand-over between threads for several batches, and a position that is one number. Nothing of grain's
state is ever saved.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grain

RUN = 2  # batches an element; more are further apart in memory than the caches reach


class _Failure(NamedTuple):
    """Takes the place of the batch that could not be made, after those before it."""

    error: Exception


class _Runs:
    """Random-access source: element i is the list of batches from first + i * length on."""

    def __init__(self, make: Callable[[int], Any], first: int, stop: int, length: int):
        self._make, self._first, self._stop, self._length = make, first, stop, length

    def __len__(self) -> int:
        return -(-(self._stop - self._first) // self._length)

    def __getitem__(self, index: int) -> list[Any]:
        begin, made = self._first + int(index) * self._length, []
        try:
            for batch in range(begin, min(begin + self._length, self._stop)):
                made.append(self._make(batch))
        # Carried along: raised here it would overtake the batches that were made before it.
        except Exception as error:
            made.append(_Failure(error))
        return made

    def __repr__(self) -> str:  # grain prints its sources
        return f"batches {self._first}..{self._stop}"


def stream(make: Callable[[int], Any], first: int, stop: int, *, num_threads: int = 1) -> Iterator:
    """Yields make(first), ..., make(stop - 1) in order.

    Args:
        make: pure function of the batch index; exceptions in it surface at the consumer, after the
            batches before.
        first, stop: half-open range of batch indices.
        num_threads: reader threads; each keeps up to `RUN` batches ready. 0 reads each batch when
            asked.
    """
    if first >= stop:
        return
    # Without threads nothing is read ahead, not even the second batch of a run.
    runs = _Runs(make, first, stop, RUN if num_threads else 1)
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=num_threads)
    for run in grain.MapDataset.source(runs).to_iter_dataset(options):
        # Popped from the end, so that the list forgets each batch as it hands it out.
        run.reverse()
        while run:
            if isinstance(run[-1], _Failure):
                # In order: every batch before the failure was handed out already.
                raise run[-1].error
            yield run.pop()  # a batch handed out is its reader's alone
