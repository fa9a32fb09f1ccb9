""".npy and .npz files read with distrust: sizes are checked before anything is allocated.

A header may claim any shape and a zip member any length. Both are compared with the bytes
that are there, pickles are never opened, and whatever is wrong becomes an InputError.
"""

import contextlib
import math
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from neurojax.data.row_blocks import row_blocks
from neurojax.errors import InputError, require

MAX_FILE_BYTES = 2**33  # uncompressed bytes of one input file
# A compressed file may unpack to this many times its size, or to _SMALL_BYTES: 2 MB of zeros in
# disguise would fill memory. Uncompressed files are bounded by MAX_FILE_BYTES alone.
_MAX_EXPANSION, _SMALL_BYTES = 200, 2**28
_MAX_HEADER_BYTES = 10_000
_MAX_MEMBERS = 2_000
_PLAIN_KINDS = "biufUS"  # bool, integers, floats, text; no objects, records, dates
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}")


def check_array_name(name: str, where: str) -> None:
    """Raises InputError unless `name` is at most 100 letters, digits, `_`, `.`, `-`, spaces."""
    require(
        is_array_name(name),
        f"{where}: array name {str(name)[:120]!r}; expected letters, digits, _ . - and at most "
        "100 of them",
    )


def is_array_name(name: str) -> bool:
    """Whether a session folder takes an array of this name, see `check_array_name`."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def unpacked_limit(num_bytes: int) -> int:
    """Bytes that a compressed file of `num_bytes` may unpack to."""
    return min(MAX_FILE_BYTES, max(_SMALL_BYTES, _MAX_EXPANSION * num_bytes))


def check_unpacked(unpacked_bytes: int, num_bytes: int, where: str) -> None:
    """Raises InputError where a file of `num_bytes` unpacks to more than is plausible."""
    require(
        unpacked_bytes <= MAX_FILE_BYTES,
        f"{where} unpacks to {unpacked_bytes} bytes, expected at most {MAX_FILE_BYTES}; split the "
        "recording",
    )
    check_expansion(unpacked_bytes, num_bytes, where)


def check_expansion(unpacked_bytes: int, num_bytes: int, where: str) -> None:
    """Raises InputError where a file of `num_bytes` unpacks to so many times as much that it is no
    recording."""
    require(
        unpacked_bytes <= max(_SMALL_BYTES, _MAX_EXPANSION * num_bytes),
        f"{where} has {num_bytes} bytes and unpacks to {unpacked_bytes}, more than "
        f"{_MAX_EXPANSION} times as many; store it uncompressed, or counts as uint8, if it is so",
    )


def write_npy(path: Path, array: np.ndarray) -> None:
    """Writes one array in C order, in the .npy format."""
    with path.open("wb") as file:
        stream = _Stream(file.write)
        if isinstance(array, np.memmap) and array.ndim and array.flags.c_contiguous:
            header = np.lib.format.header_data_from_array_1_0(array)
            np.lib.format.write_array_header_1_0(stream, header)
            for _, block in row_blocks(array):
                file.write(block.tobytes())
            return
        np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)


class _Stream(NamedTuple):
    """A file that numpy does not write to by itself: it would not say why a write failed."""

    write: Callable[[bytes], int]


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays uncompressed; equal arrays give equal bytes (the archive holds no dates)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def open_npy(path: Path, dtypes: tuple[np.dtype, ...], num_dims: int) -> np.ndarray:
    """Maps a C-contiguous .npy file read-only, without reading its data.

    Raises:
        InputError: missing, damaged, another dtype or rank, or a size that its header does not
            explain.
    """
    shape, dtype, fortran, offset = _header_of(path)
    expected = " or ".join(str(np.dtype(d)) for d in dtypes)
    require(
        dtype in dtypes and len(shape) == num_dims and not fortran,
        f"{path} holds {dtype} {list(shape)}{' in Fortran order' if fortran else ''}, expected "
        f"{expected} with {num_dims} axes in C order; convert the recording again",
    )
    require(0 not in shape, f"{path} is empty, shape {list(shape)}; convert the recording again")
    return np.memmap(path, dtype, "r", offset, shape)


def map_npy(path: Path, kinds: str = "biuf") -> np.ndarray:
    """Maps a .npy file of any shape read-only, without reading its data (an empty one is read).

    Args:
        path: the file.
        kinds: letters of `np.dtype.kind` that are welcome.

    Raises:
        InputError: missing, damaged, pickled, another kind of values, or a size that its header
            does not explain.
    """
    shape, dtype, fortran, offset = _header_of(path)
    require(
        dtype.kind in kinds,
        f"{path} holds {dtype} {list(shape)}, expected {'text' if kinds == 'US' else 'numbers'}",
    )
    # No bytes, or no axis, cannot be mapped; they are read instead.
    if 0 in shape or not shape:
        return np.fromfile(path, dtype, offset=offset).reshape(shape)
    return np.memmap(path, dtype, "r", offset, shape, order="F" if fortran else "C")


def map_records(path: Path, names: tuple[str, ...]) -> np.ndarray:
    """Maps a .npy file of records [n] with the given whole-number fields read-only.

    Raises:
        InputError: missing, damaged, other fields, or a size that its header does not explain.
    """
    shape, dtype, _, offset = _header_of(path, _PLAIN_KINDS + "V")
    fields = dtype.fields or {}
    require(
        len(shape) == 1
        and not any(name not in fields or fields[name][0].kind not in "iu" for name in names),
        f"{path} holds {str(dtype)[:100]} {list(shape)}, expected records of {', '.join(names)}",
    )
    return np.memmap(path, dtype, "r", offset, shape) if shape[0] else np.empty(0, dtype)


def _header_of(path: Path, kinds: str = _PLAIN_KINDS) -> tuple[tuple, np.dtype, bool, int]:
    """Shape, dtype, whether in Fortran order, and the place of the first byte of data."""
    with open_input(path) as file:
        return *read_header(file, path.stat().st_size, str(path), kinds), file.tell()


def read_npz(path: Path, max_bytes: int | None = None) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz archive; they are read-only.

    Args:
        path: the archive, compressed or not.
        max_bytes: bound on the uncompressed bytes of all members; by default MAX_FILE_BYTES, and
            for compressed members `unpacked_limit`.

    Raises:
        InputError: missing, not a zip, truncated, too large, pickled, or headers that do not fit
            the data.
    """
    with opened_npz(path) as archive:
        members = archive.infolist()
        # What the directory claims; reading a member stops there, whatever it unpacks to.
        total = sum(member.file_size for member in members)
        check_sizes(len(members), total, path, MAX_FILE_BYTES if max_bytes is None else max_bytes)
        if max_bytes is None:
            check_unpacked(total, path.stat().st_size, str(path))
        return read_members(archive, members, path)


@contextlib.contextmanager
def opened_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """An .npz archive; whatever is wrong with it is an InputError."""
    with open_input(path) as file, told_as_npz(path), zipfile.ZipFile(file) as archive:
        yield archive


@contextlib.contextmanager
def told_as_npz(path: Path) -> Iterator[None]:
    """Turns what a damaged archive raises into InputError."""
    try:
        yield
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise InputError(
            f"{path} cannot be read as .npz ({error}); write it again with numpy.savez"
        ) from None


def check_sizes(num_members: int, total: int, path: Path, limit: int = MAX_FILE_BYTES) -> None:
    """Raises InputError where an archive claims too many arrays, or too many bytes of them."""
    require(
        num_members <= _MAX_MEMBERS and total <= limit,
        f"{path} unpacks to {num_members} arrays of {total} bytes, expected at most "
        f"{_MAX_MEMBERS} of {limit}; split the recording",
    )


def open_input(path: Path) -> BinaryIO:
    """Opens a regular file; raises InputError for anything else (a pipe would wait for ever)."""
    require(path.exists(), f"{path} does not exist; check the path")
    require(path.is_file(), f"{path} is not a file; check the path")
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path} cannot be opened ({os.strerror(error.errno or 0)}); check its permissions"
        ) from None


def read_members(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], path: Path
) -> dict[str, np.ndarray]:
    """Arrays of an archive, read whole; see `read_npz`."""
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        require(
            member.filename.endswith(".npy"),
            f"{path} holds {member.filename[:100]!r}, expected .npy members; write it with "
            "numpy.savez",
        )
        name = member.filename.removesuffix(".npy")
        check_array_name(name, str(path))
        # A zip may hold a name twice, and readers differ in which of the two they take.
        require(name not in arrays, f"{path} holds the array {name!r} twice; write it again")
        where = f"{path}, array {name!r}"
        with archive.open(member) as file:
            shape, dtype, fortran = read_header(file, member.file_size, where)
            # bounded: zipfile stops at file_size, which the header has been checked against
            content = file.read()
        require(
            len(content) == math.prod(shape) * dtype.itemsize,
            f"{where}: truncated; copy the file again",
        )
        flat = np.frombuffer(content, dtype) if content else np.empty(0, dtype)
        arrays[name] = flat.reshape(shape, order="F" if fortran else "C")
    return arrays


def read_header(
    file: BinaryIO, num_bytes: int, where: str, kinds: str = _PLAIN_KINDS
) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Reads a .npy header of a stream of `num_bytes`, up to the first byte of data."""
    try:
        version = np.lib.format.read_magic(file)
        # Version 3 differs by Unicode names of fields alone, which no array of ours has.
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in readers:
            raise ValueError(f"format version {version}")
        shape, fortran, dtype = readers[version](file, max_header_size=_MAX_HEADER_BYTES)
    # numpy parses the header as Python: a dozen kinds of error, none of them ours
    except Exception as error:
        raise InputError(
            f"{where}: not a .npy array "
            f"({' '.join(str(error).split())[:100] or type(error).__name__}); write it again"
        ) from None
    require(
        not dtype.hasobject,
        f"{where}: pickled objects are never opened; save text with .astype(str), and matrices of "
        "unequal trials end to end with trial_offsets",
    )
    require(
        dtype.kind in kinds and dtype.itemsize != 0,
        f"{where}: dtype {dtype}, expected bool, integers, floats or text",
    )
    # The stream stands where the header ended, so that what is left must be the data.
    header_bytes = file.tell()
    data_bytes = math.prod(shape) * dtype.itemsize
    require(
        not any(size < 0 for size in shape) and header_bytes + data_bytes == num_bytes,
        f"{where}: the header says {dtype} {list(shape)}, {data_bytes} bytes, but "
        f"{num_bytes - header_bytes} are there; the file is truncated or damaged",
    )
    return shape, dtype, fortran
