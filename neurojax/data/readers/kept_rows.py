"""Rows that come in blocks: kept in a file without a name if there is a folder, or in memory."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np


class Rows:
    """Rows [number, columns] of one array; open within `with`.

    The file has no name, so that nothing of it is left behind, and its bytes go with the last array
    that reads them.
    """

    def __init__(
        self, folder: Path | None, columns: int, number: int | None = None, dtype=np.float32
    ):
        """Args:
        folder: where the file lies; None keeps the rows in memory.
        columns: of each row.
        number: of rows, where it is known beforehand; `put` needs it.
        dtype: of the numbers.
        """
        self._columns, self._dtype, self._number = columns, np.dtype(dtype), 0
        self._file = None if folder is None else tempfile.TemporaryFile(dir=folder)
        self._blocks: list[np.ndarray] = []
        self._array = None
        if folder is None and number is not None:
            self._array = np.empty((number, columns), dtype)

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, block: np.ndarray) -> None:
        """The next rows."""
        if self._file is None and self._array is None:
            self._blocks.append(np.asarray(block).astype(self._dtype))
            self._number += len(block)
        else:
            self.put(self._number, block)

    def put(self, first: int, block: np.ndarray) -> None:
        """Rows from `first` on."""
        if self._file is None:
            self._array[first : first + len(block)] = block
        else:
            self._file.seek(first * self._columns * self._dtype.itemsize)
            self._file.write(np.ascontiguousarray(block, self._dtype).tobytes())
        self._number = max(self._number, first + len(block))

    def array(self) -> np.ndarray:
        """All rows; of a file a memory map that is only read."""
        shape = (self._number, self._columns)
        if self._array is not None:
            return self._array
        if self._file is None or not self._number:
            return np.concatenate([np.empty((0, self._columns), self._dtype), *self._blocks])
        self._file.flush()
        return np.memmap(self._file, self._dtype, "r", 0, shape)


def kept(
    blocks: Iterable[np.ndarray],
    columns: int,
    folder: Path | None,
    number: int | None = None,
    dtype=np.float32,
) -> np.ndarray:
    """Blocks [n, columns] end to end, see `Rows`."""
    with Rows(folder, columns, number, dtype) as rows:
        for block in blocks:
            rows.add(block)
        return rows.array()
