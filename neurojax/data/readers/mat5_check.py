"""The structure of a .mat file (v5 to v7) walked before scipy's compiled parser sees it.

That parser trusts sizes and indices inside the file: a damaged one can end the process. Here every
element must lie within its parent, every array have as many values as its axes say, every sparse
index lie in its matrix.
Source: MATLAB's "MAT-File Format" document, level 5.
"""

import math
import struct
import zlib

import numpy as np

from neurojax.data.store.array_files import MAX_FILE_BYTES, unpacked_limit
from neurojax.errors import InputError, require

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
# types of numbers, as numpy writes them
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
    18: "u4",
}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_MAX_AXES, _MAX_DEPTH, _MAX_ELEMENTS = 32, 24, 10**6


def check_mat5(content: bytes, where: str) -> None:
    """Raises InputError unless the file is whole. Files of v4 pass: their parser is Python's
    own."""
    if 0 in content[:4]:  # so scipy tells them apart
        return
    require(
        len(content) >= _HEADER_BYTES and content[126:128] in (b"IM", b"MI"),
        f"{where} cannot be read as .mat (it is neither v5, v7 nor v7.3); save it again with -v7",
    )
    try:
        order = "<" if content[126:128] == b"IM" else ">"
        _Walk(order, unpacked_limit(len(content))).elements(memoryview(content)[_HEADER_BYTES:], 0)
    except (struct.error, zlib.error, ValueError, OverflowError) as error:
        raise InputError(f"{where} cannot be read as .mat ({error}); save it again") from None


class _Walk:
    """One pass over a file; `left` bounds the elements and the bytes that compressed ones may
    unpack to."""

    def __init__(self, order: str, max_bytes: int):
        self.order, self.elements_left, self.bytes_left = order, _MAX_ELEMENTS, max_bytes

    def tag(self, view: memoryview) -> tuple[int, memoryview, memoryview]:
        """Type, data and what follows of the first element."""
        self.elements_left -= 1
        require(self.elements_left >= 0, "too many elements")
        require(len(view) >= 8, "an element is cut off")
        kind, size = struct.unpack_from(self.order + "II", view)
        if kind >> 16:  # small element: both in four bytes
            kind, size = kind & 0xFFFF, kind >> 16
            require(size <= 4, "a small element of more than 4 bytes")
            return kind, view[4 : 4 + size], view[8:]
        require(size <= len(view) - 8, "an element is longer than the file")
        end = 8 + size + (0 if kind == _COMPRESSED else -size % 8)
        return kind, view[8 : 8 + size], view[end:]

    def elements(self, view: memoryview, depth: int) -> None:
        while len(view):
            kind, data, view = self.tag(view)
            if kind == _COMPRESSED:
                unpacker = zlib.decompressobj()
                content = unpacker.decompress(data, self.bytes_left)
                self.bytes_left -= len(content)
                require(
                    self.bytes_left > 0,
                    "it unpacks to more than 200 times its size, or than 8 GiB; split it, or save "
                    "it uncompressed with -v6",
                )
                require(unpacker.eof, "compressed data is cut off")
                kind, data, rest = self.tag(memoryview(content))
                require(not len(rest), "data after a compressed element")
            require(kind == _MATRIX, f"element of type {kind}")
            self.matrix(data, depth)

    def numbers(self, view: memoryview, kinds: tuple[int, ...]) -> tuple[np.ndarray, memoryview]:
        kind, data, rest = self.tag(view)
        require(kind in kinds, f"numbers of type {kind}")
        dtype = np.dtype(self.order + _TYPES[kind])
        require(len(data) % dtype.itemsize == 0, f"numbers of type {kind}")
        return np.frombuffer(data, dtype), rest

    def matrix(self, view: memoryview, depth: int) -> None:
        require(depth <= _MAX_DEPTH, f"nested deeper than {_MAX_DEPTH}")
        if not len(view):
            return  # an empty cell
        flags, view = self.numbers(view, (6,))
        require(len(flags) == 2, "array flags")
        kind, is_complex = int(flags[0]) & 0xFF, bool(flags[0] & 0x0800)
        # table, string, datetime: three names and a value, of which nothing is read
        if kind == _OPAQUE:
            return self.inner(self.after_names(view, 3), 1, depth)
        require(_CELL <= kind <= _FUNCTION, f"an array of class {kind}")
        axes, view = self.numbers(view, (5, 6))
        require(
            2 <= len(axes) <= _MAX_AXES and not (axes.astype(np.int64) < 0).any(),
            "the axes of an array",
        )
        size = math.prod(axes.tolist())
        require(size * 8 <= MAX_FILE_BYTES, "an array larger than memory holds")
        view = self.after_names(view, 2 if kind == _OBJECT else 1)  # its name, and its class
        if kind in (_CELL, _STRUCT, _OBJECT):
            self.parts(view, size, kind, depth)
        elif kind == _FUNCTION:
            self.inner(view, 1, depth)
        elif kind == _SPARSE:
            self.sparse(view, axes, is_complex)
        else:
            self.values(view, size, None if kind == _CHAR else size, is_complex)

    def after_names(self, view: memoryview, number: int) -> memoryview:
        for _ in range(number):
            _, view = self.numbers(view, (1, 2, 16))
        return view

    def values(self, view: memoryview, least: int, most: int | None, is_complex: bool) -> None:
        for _ in range(1 + is_complex):
            found, view = self.numbers(view, tuple(_TYPES))
            fits = least <= len(found) and (most is None or len(found) <= most)
            require(fits, f"{len(found)} values for {least}")

    def parts(self, view: memoryview, size: int, kind: int, depth: int) -> None:
        if kind != _CELL:
            length, view = self.numbers(view, (5,))
            names, view = self.numbers(view, (1, 2))
            require(
                len(length) == 1 and 0 < length[0] <= 64 and not len(names) % length[0],
                "the names of a struct",
            )
            cells = names.tobytes()
            width = int(length[0])
            fields = [cells[k : k + width].partition(b"\0")[0] for k in range(0, len(cells), width)]
            require(
                len(set(fields)) == len(fields)
                and all(name.decode("ascii", "ignore").isidentifier() for name in fields),
                "the names of a struct",
            )
            size *= len(fields)
        self.inner(view, size, depth)

    def inner(self, view: memoryview, number: int, depth: int) -> None:
        require(number <= self.elements_left, "more parts than the file has")
        for _ in range(number):
            inner, data, view = self.tag(view)
            require(inner == _MATRIX, f"a part of type {inner}")
            self.matrix(data, depth + 1)

    def sparse(self, view: memoryview, axes: np.ndarray, is_complex: bool) -> None:
        rows, view = self.numbers(view, (5,))
        starts, view = self.numbers(view, (5,))
        require(
            len(axes) == 2
            and len(starts) == axes[1] + 1
            and starts[0] == 0
            and not np.any(np.diff(starts) < 0),
            "the columns of a sparse array",
        )
        used = int(starts[-1])
        require(
            used <= len(rows)
            and not (used and (rows[:used].min() < 0 or rows[:used].max() >= axes[0])),
            "the rows of a sparse array",
        )
        self.values(view, used, None, is_complex)
