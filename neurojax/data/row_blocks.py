"""Large arrays a few rows at a time: of a memory map no more is held in memory than one block."""

import mmap
from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 2**22


class CheckedMap(np.memmap):
    """Samples that a reader has looked at and put into a file of its own: 0 where none was
    observed, no precision more than they need. Opened to be read alone."""


def rows_of(row_bytes: int) -> int:
    """Rows of so many bytes that a block has, one or more."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def row_blocks(array: np.ndarray, rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, block) of an array [n, ...], in order.

    Args:
        array: of a memory map, pages that were read are given back after each block.
        rows: of a block; by default as many as BLOCK_BYTES hold.
    """
    if rows is None:
        rows = rows_of(array.nbytes // max(1, len(array)))
    for first in range(0, len(array), rows):
        yield first, array[first : first + rows]
        let_go(array)


def let_go(array: np.ndarray) -> None:
    """Gives the pages of a memory map back to the system, which reads them again when asked.

    Of a map that may have been written to it leaves them where they are: what is changed in a
    private one (mode "c") stands in memory alone.
    """
    mapped = getattr(array, "_mmap", None)
    only_read = getattr(array, "mode", None) == "r"
    if mapped is not None and only_read and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
