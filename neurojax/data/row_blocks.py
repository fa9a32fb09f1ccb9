"""Large arrays a few rows at a time: of a memory map no more is held in memory than one block."""

import mmap
from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 2**22


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
    """Gives the pages of a memory map back to the system, which reads them again when asked."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
