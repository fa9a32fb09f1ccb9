"""Samples that come in blocks, put into a file where there is a folder, and what is known of them.

What can be said of a recording without holding it: which channels were ever observed, when, which
never change, and whether half the precision holds every value.
"""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.observed import ObservedIntervals
from neurojax.data.readers.signals import without_fill
from neurojax.data.row_blocks import CheckedMap, row_blocks
from neurojax.errors import require


class Gathered(NamedTuple):
    """Attributes:
    values: float16 where that holds all of them exactly, else float32, [samples, kept]; 0 where
        nothing was observed; a memory map where they went into a folder.
    validity: of the channels that are kept; None where all was observed.
    watched: int64 [n, 2], stretches of samples in which some channel was observed.
    channel: int64 [kept], channels of which something was observed.
    flat: bool [kept], channels that never change.
    num_fill: values so large that they stand for none.
    """

    values: np.ndarray
    validity: ObservedIntervals | None
    watched: np.ndarray
    channel: np.ndarray
    flat: np.ndarray
    num_fill: int


class Stretches:
    """When each of a few columns is true, of rows that come in blocks."""

    def __init__(self, num_columns: int):
        self._last, self._number = np.zeros(num_columns, bool), 0
        self._edges: list[tuple[np.ndarray, np.ndarray]] = []  # rows and columns, up and down

    def add(self, block: np.ndarray) -> None:
        """The next rows, bool [n, columns]."""
        if not (block.all() and self._last.all()):
            changes = np.concatenate([self._last[None], block[:-1]]) != block
            row, column = np.nonzero(changes)
            self._edges.append((row + self._number, column))
        self._last = block[-1].copy()
        self._number += len(block)

    def found(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column, first row and the row after the last of each stretch, int64, by column, row."""
        row = np.concatenate([*(row for row, _ in self._edges), np.zeros(0, np.int64)])
        column = np.concatenate([*(column for _, column in self._edges), np.zeros(0, np.int64)])
        row = np.append(row, np.full(int(self._last.sum()), self._number))
        column = np.append(column, np.flatnonzero(self._last))
        order = np.lexsort((row, column))
        edges = row[order].reshape(-1, 2)  # of each column they go up and down in turn
        return column[order][::2], edges[:, 0], edges[:, 1]


def gather(
    blocks: Iterable[np.ndarray], shape: tuple[int, int], folder: Path | None, where: str
) -> Gathered:
    """Reads all blocks once, and what they hold once more from where they were put.

    Args:
        blocks: numbers [n, C]; NaN, infinity and fill values were not observed.
        shape: samples and channels of all.
        folder: where the values go; None keeps them in memory.
        where: the recording, for messages.

    Raises:
        InputError: nothing was observed.
    """
    num_channels = shape[1]
    each, anyone = Stretches(num_channels), Stretches(1)
    low, high = np.full(num_channels, np.inf), np.full(num_channels, -np.inf)
    num_fill, half = 0, True
    with Store(folder, shape, np.float32) as first:
        for block in blocks:
            values, known, number = observed_of(block)
            num_fill += number
            each.add(known)
            anyone.add(known.any(axis=1, keepdims=True))
            low = np.minimum(low, np.where(known, values, np.inf).min(0))
            high = np.maximum(high, np.where(known, values, -np.inf).max(0))
            half = half and is_half(values)
            first.add(values)
    channel = np.flatnonzero(low <= high)
    require(len(channel), f"{where} holds NaN or infinity alone; check the recording")
    values = first.rows()
    if half or len(channel) < num_channels:
        dtype = np.float16 if half else np.float32
        with Store(folder, (shape[0], len(channel)), dtype) as second:
            for _, block in row_blocks(values):
                second.add(block[:, channel])
        first.remove()
        values = second.rows()
    unit, start, stop = each.found()
    everything = int((stop - start).sum()) == shape[0] * len(channel)
    place = np.searchsorted(channel, unit)  # those without a stretch are not kept
    validity = ObservedIntervals(place.astype(np.int32), start, stop)
    watched = np.stack(anyone.found()[1:], axis=1)
    flat = (low == high)[channel]
    return Gathered(values, None if everything else validity, watched, channel, flat, num_fill)


def observed_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Samples with 0 where none is known (NaN, infinity, fill values), which are, bool [n, C], and
    the number of fill values."""
    if values.dtype.kind != "f":
        return values, np.ones(values.shape, bool), 0
    with np.errstate(over="ignore"):
        cleaned, num_fill = without_fill(values.astype(np.float64))
    known = np.isfinite(cleaned)
    return np.where(known, values, 0), known, num_fill


def seen_before(watched: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """How many samples before each of some, int64 [n], lie in stretches [stretches, 2]."""
    start, stop = watched.T
    before = np.append(0, np.cumsum(stop - start))
    place = np.searchsorted(start, sample, side="right")  # stretches that begin at or before it
    last = np.maximum(place - 1, 0)
    over = np.where(place > 0, np.maximum(stop[last] - sample, 0), 0)  # of the last one, after it
    return before[place] - over


def is_half(values: np.ndarray) -> bool:
    """Whether float16 holds all values exactly."""
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype(np.float16), values)


class Store:
    """Rows of one array that come in blocks: a file of a folder, or memory; open within `with`."""

    def __init__(self, folder: Path | None, shape: tuple[int, int], dtype: type):
        self._shape, self._dtype, self._number, self._path = shape, dtype, 0, None
        if folder is None:
            self._array = np.empty(shape, dtype)
        else:
            self._path = folder / f"values_{secrets.token_hex(4)}"
            self._file = self._path.open("xb")

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *error: object) -> None:
        if self._path is not None:
            self._file.close()

    def add(self, block: np.ndarray) -> None:
        """The next rows."""
        if self._path is None:
            self._array[self._number : self._number + len(block)] = block
        else:
            self._file.write(block.astype(self._dtype).tobytes())
        self._number += len(block)

    def rows(self) -> np.ndarray:
        """All rows, once the file is closed."""
        if self._path is None:
            return self._array
        return CheckedMap(self._path, self._dtype, "r", 0, self._shape)

    def remove(self) -> None:
        """Its file goes; what was mapped of it can still be read."""
        if self._path is not None:
            self._path.unlink()
