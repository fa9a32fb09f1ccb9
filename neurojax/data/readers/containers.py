"""Containers of named arrays (.npz, .mat v5, .mat v7.3, .h5) read into plain arrays of numbers and
text."""

from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers.matlab_values import Cell, load_matlab
from neurojax.data.readers.tensors import read_h5
from neurojax.data.store.array_files import check_array_name, read_npz
from neurojax.data.store.session_fields import plain_array
from neurojax.errors import require

SUFFIXES = (".npz", ".mat", ".h5", ".hdf5")
_KEEP_RANK = frozenset({"counts"})  # MATLAB has no vectors; counts of one unit must stay a matrix
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
        arrays = {
            name: _squeezed(name, _plain_matlab(value, f"{path}, {name!r}"))
            for name, value in load_matlab(path).items()
        }
    for name in arrays:
        check_array_name(name, str(path))
    return {name: plain_array(values, name, str(path)) for name, values in arrays.items()}


def _plain_matlab(value: Any, where: str) -> np.ndarray:
    """A value of `load_matlab` as numbers or text."""
    if isinstance(value, np.ndarray):
        return value
    parts = value.values if isinstance(value, Cell) else [value]
    texts = ["" if isinstance(part, np.ndarray) and not part.size else part for part in parts]
    is_cell = isinstance(value, Cell) and not any(isinstance(part, dict) for part in parts)
    came = "cell array of other things than text" if is_cell else "struct or object"
    require(all(isinstance(text, str) for text in texts), f"{where} {_REFUSED.format(came)}")
    shape = (value.shape or len(texts)) if isinstance(value, Cell) else ()
    return np.char.rstrip(np.array(texts, str)).reshape(shape, order="F")  # char rows are padded


def _squeezed(name: str, values: np.ndarray) -> np.ndarray:
    """[1, 1] -> [], [n, 1] and [1, n] -> [n]."""
    if name in _KEEP_RANK or values.ndim > 2:
        return values
    if values.size == 1:
        return values.reshape(())
    return values.ravel() if 1 in values.shape else values
