"""Containers of named arrays (.npz, .mat v5, .mat v7.3, .h5) read into plain arrays of numbers and
text."""

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.readers.hdf5 import MATLAB_NUMBERS, check_heaps, matlab_class
from neurojax.data.readers.mat5_check import check_mat5
from neurojax.data.readers.tensors import read_h5
from neurojax.data.store.array_files import (
    MAX_FILE_BYTES,
    check_array_name,
    check_unpacked,
    open_input,
    read_npz,
)
from neurojax.data.store.session_fields import plain_array
from neurojax.errors import InputError, require

SUFFIXES = (".npz", ".mat", ".h5", ".hdf5")
_KEEP_RANK = frozenset({"counts"})  # MATLAB has no vectors; counts of one unit must stay a matrix
_CLASS_BYTES = {
    "int8": 1,
    "uint8": 1,
    "logical": 1,
    "int16": 2,
    "uint16": 2,
    "char": 4,
    "int32": 4,
    "uint32": 4,
    "single": 4,
}
_REFUSED = (
    "is a {}; store plain numbers, text or a cell array of text, or say what counts: neurojax "
    "convert mat --options=spikes=PATH (or times=PATH,clusters=PATH, or counts=PATH)"
)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads all named arrays of a file; the suffix says which kind.

    From .mat files, row and column vectors come with one axis, single values with none.

    Raises:
        InputError: missing, damaged, pickled, too large, or holding something else than plain
            arrays; or HDF5 (.h5, .mat v7.3) without h5py.
    """
    require(
        path.suffix in SUFFIXES,
        f"{path} ends in {path.suffix or 'nothing'!r}, expected {' or '.join(SUFFIXES)}",
    )
    if path.suffix == ".npz":
        arrays = read_npz(path)
    elif path.suffix in (".h5", ".hdf5"):
        arrays = read_h5(path)
    else:
        with open_input(path) as file:
            is_hdf5 = is_v73(file.read(520))
        arrays = _read_hdf5(path) if is_hdf5 else _read_mat5(path)
    for name in arrays:
        check_array_name(name, str(path))
    return {name: plain_array(values, name, str(path)) for name, values in arrays.items()}


def _read_mat5(path: Path) -> dict[str, np.ndarray]:
    with open_input(path) as file:
        content = loaded_mat5(file.read(MAX_FILE_BYTES), path)
    return {
        name: _squeezed(name, _plain_matlab(values, f"{path}, {name!r}"))
        for name, values in content.items()
    }


def loaded_mat5(content: bytes, path: Path) -> dict[str, Any]:
    """Variables of a .mat file of v4 to v7 as scipy reads them.

    Args:
        content: of the file.
        path: for messages.

    Raises:
        InputError: damaged or too large.
    """
    import scipy.io

    check_mat5(content, str(path))
    try:
        listed = scipy.io.whosmat(io.BytesIO(content))
        _check_size(
            path, sum(math.prod(shape) * _CLASS_BYTES.get(kind, 8) for _, shape, kind in listed)
        )
        with warnings.catch_warnings():  # deprecated forms; sparse values are made dense by us
            warnings.simplefilter("ignore")
            loaded = scipy.io.loadmat(io.BytesIO(content))
    except InputError:
        raise
    except Exception as error:  # the parser of a damaged file may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:150]
        raise InputError(f"{path} cannot be read as .mat ({reason}); save it again") from None
    return {name: values for name, values in loaded.items() if not name.startswith("__")}


def _plain_matlab(values: Any, where: str) -> np.ndarray:
    """A value of scipy.io.loadmat as numbers or text."""
    if hasattr(values, "toarray"):  # sparse; its dense size was checked
        return values.toarray()
    require(
        isinstance(values, np.ndarray) and not values.dtype.names,
        f"{where} {_REFUSED.format('struct or object')}",
    )
    if values.dtype == object:
        cells = [_cell_text(cell, where) for cell in values.ravel()]
        return np.array(cells, dtype=str).reshape(values.shape)
    # char matrices are padded
    return np.char.rstrip(values) if values.dtype.kind == "U" else values


def _cell_text(cell: Any, where: str) -> str:
    array = np.asarray(cell)
    if array.size == 0:
        return ""
    require(
        array.size == 1 and array.dtype.kind == "U",
        f"{where} {_REFUSED.format('cell array of other things than text')}",
    )
    return str(array.reshape(())[()])


def _squeezed(name: str, values: np.ndarray) -> np.ndarray:
    """[1, 1] -> [], [n, 1] and [1, n] -> [n]."""
    if name in _KEEP_RANK or values.ndim > 2:
        return values
    if values.size == 1:
        return values.reshape(())
    return values.ravel() if 1 in values.shape else values


def is_v73(start: bytes) -> bool:
    """Whether a .mat file is HDF5, by its first 520 bytes; MATLAB puts the signature at 512."""
    return b"MATLAB 7.3" in start[:128] or b"\x89HDF\r\n\x1a\n" in (start[:8], start[512:520])


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    h5py = needed(
        "h5py",
        f"{path} is a .mat v7.3 (HDF5) file, which needs h5py; install it with `pip install"
        ' "neurojax[nwb]"`, or save the file with -v7',
    )
    check_heaps(path)
    try:
        with h5py.File(path, "r") as file:
            names = [name for name in file if not name.startswith("#")]
            for name in names:
                _check_hdf5(h5py, file, name, path)
            num_bytes = sum(file[name].size * file[name].dtype.itemsize for name in names)
            check_unpacked(num_bytes, path.stat().st_size, str(path))
            return {name: _squeezed(name, _hdf5_value(file, name, path)) for name in names}
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise InputError(f"{path} cannot be read as .mat v7.3 ({reason}); save it again") from None


def _check_hdf5(h5py: Any, file: Any, name: str, path: Path) -> None:
    """Refuses what is no plain dataset, or reads from other files."""
    require(
        isinstance(file.get(name, getlink=True), h5py.HardLink)
        and isinstance(file[name], h5py.Dataset),
        f"{path}, {name!r} {_REFUSED.format('struct or a link')}",
    )
    require(
        not file[name].is_virtual and not file[name].external and file[name].shape is not None,
        f"{path}, {name!r} holds no data of its own; save plain arrays",
    )


def _hdf5_value(file: Any, name: str, path: Path) -> np.ndarray:
    """MATLAB writes columns first: axes come reversed."""
    dataset, kind = file[name], matlab_class(file[name])
    require(
        kind in MATLAB_NUMBERS | {"char", "cell"},
        f"{path}, {name!r} {_REFUSED.format(f'{kind} of MATLAB')}",
    )
    if "MATLAB_empty" in dataset.attrs:
        return np.empty(tuple(int(size) for size in dataset[()])[:32], np.float64)
    if kind == "char":
        return _hdf5_text(dataset[()])
    if kind == "cell":
        cells = [file[reference] for reference in dataset[()].ravel()]
        require(
            not any(cell.attrs.get("MATLAB_class") != b"char" for cell in cells),
            f"{path}, {name!r} {_REFUSED.format('cell array of other things than text')}",
        )
        return np.array([str(_hdf5_text(cell[()])) for cell in cells], dtype=str)
    return dataset[()].T


def _hdf5_text(codes: np.ndarray) -> np.ndarray:
    """UTF-16 codes [length, rows] -> text [], or [rows] for a char matrix."""
    if codes.ndim != 2 or codes.dtype.kind != "u":
        return np.array("")  # MATLAB stores the shape of an empty string
    rows = [
        bytes(np.ascontiguousarray(row, "<u2")).decode("utf-16-le", "replace").rstrip()
        for row in codes.T
    ]
    return np.array(rows[0] if len(rows) == 1 else rows, dtype=str)


def _check_size(path: Path, num_bytes: int) -> None:
    require(
        num_bytes <= MAX_FILE_BYTES,
        f"{path} holds {num_bytes} bytes, expected at most {MAX_FILE_BYTES}; split the recording",
    )
