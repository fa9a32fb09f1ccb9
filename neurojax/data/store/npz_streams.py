"""Arrays of an .npz archive that are read a block of rows at a time, stored or compressed.

A recording may be larger than memory. What `array_files.read_npz` checks is checked here too;
zipfile compares the checksum of an array when its last byte is read.
"""

import contextlib
import dataclasses
import math
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from neurojax.data.row_blocks import BLOCK_BYTES, row_blocks, rows_of
from neurojax.data.store import array_files
from neurojax.errors import require


@dataclasses.dataclass(frozen=True)
class StreamedArray:
    """One array of an archive, on disk until it is asked for.

    Attributes:
        path, name: of the archive, and of the array in it.
        shape, dtype: as an array has.
        columns_first: whether columns lie end to end (Fortran order): then it is copied to a file
            first, or read whole where there is no folder for one.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    columns_first: bool

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self, folder: Path | None = None) -> Iterator[np.ndarray]:
        """Blocks of rows [rows, ...], in order, read-only.

        Args:
            folder: for a copy of an array in Fortran order, removed at the end.

        Raises:
            InputError: the archive is truncated or damaged, or was replaced meanwhile.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        rows = rows_of(row_bytes)
        if self.columns_first and self.ndim > 1:
            with self._turned(folder) as array:
                yield from (block for _, block in row_blocks(array, rows))
            return
        with self._opened() as file:
            for first in range(0, len(self), rows):
                shape = (min(rows, len(self) - first), *self.shape[1:])
                content = self._read(file, shape[0] * row_bytes)
                yield np.frombuffer(content, self.dtype).reshape(shape)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """The archive's member, at the first byte of data."""
        with array_files.open_input(self.path) as archived, contextlib.ExitStack() as stack:
            with array_files.told_as_npz(self.path):
                archive = stack.enter_context(zipfile.ZipFile(archived))
                found = None
                with contextlib.suppress(KeyError):
                    member = archive.getinfo(f"{self.name}.npy")
                    file = stack.enter_context(archive.open(member))
                    found = array_files.read_header(file, member.file_size, self._where)
            require(
                found == (self.shape, self.dtype, self.columns_first),
                f"{self._where}: the file was replaced while it was read; convert it again",
            )
            yield file

    @property
    def _where(self) -> str:
        return f"{self.path}, array {self.name!r}"

    def _read(self, file: BinaryIO, number: int) -> bytes:
        with array_files.told_as_npz(self.path):
            content = file.read(number)
        require(len(content) == number, f"{self._where}: truncated; copy the file again")
        return content

    @contextlib.contextmanager
    def _turned(self, folder: Path | None) -> Iterator[np.ndarray]:
        """An array in Fortran order, mapped from a copy."""
        with self._opened() as file, tempfile.TemporaryFile(dir=folder) as copy:
            left = self.size * self.dtype.itemsize
            if folder is None:
                content = self._read(file, left)
                yield np.frombuffer(content, self.dtype).reshape(self.shape, order="F")
                return
            while left:
                content = self._read(file, min(left, BLOCK_BYTES))
                copy.write(content)
                left -= len(content)
            copy.flush()
            yield np.memmap(copy, self.dtype, "r", 0, self.shape, order="F")


def open_npz(path: Path, streamed: Collection[str]) -> dict[str, np.ndarray | StreamedArray]:
    """The arrays of an archive, those of some names left on disk.

    Args:
        path: the archive, compressed or not.
        streamed: names of arrays that are not read; their size has no bound but that a compressed
            file may not unpack to more than is plausible.

    Raises:
        InputError: as `array_files.read_npz`.
    """
    large = {f"{name}.npy" for name in streamed}
    with array_files.opened_npz(path) as archive:
        members = archive.infolist()
        small = [member for member in members if member.filename not in large]
        sizes = [sum(one.file_size for one in group) for group in (members, small)]
        array_files.check_sizes(len(members), sizes[1], path)
        array_files.check_expansion(sizes[0], path.stat().st_size, str(path))
        arrays = array_files.read_members(archive, small, path)
        for member in members:
            if member.filename in large:
                name = member.filename.removesuffix(".npy")
                require(
                    name not in arrays, f"{path} holds the array {name!r} twice; write it again"
                )
                arrays[name] = _streamed(archive, member, name, path)
    return arrays


def _streamed(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: Path
) -> StreamedArray:
    with archive.open(member) as file:
        found = array_files.read_header(file, member.file_size, f"{path}, array {name!r}")
    return StreamedArray(path, name, *found)
