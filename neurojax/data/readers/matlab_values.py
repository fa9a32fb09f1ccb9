"""Values of .mat files as plain Python: arrays of numbers, text, structs as dicts, cells and struct
arrays as lists."""

import dataclasses
import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.readers import hdf5
from neurojax.data.readers.mat5_check import check_mat5
from neurojax.data.store.array_files import MAX_FILE_BYTES, open_input, unpacked_limit
from neurojax.errors import InputError, require

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
_MAX_DEPTH = 16
_MAX_VALUES = 10**6  # cells and fields of one file
_NEEDS_H5PY = (
    'is a .mat v7.3 (HDF5) file, which needs h5py; install it with `pip install "neurojax[nwb]"`, '
    "or save the file with -v7"
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """Values in MATLAB's order (columns first).

    Attributes:
        values: one after another.
        shape: axes of the cell, [50, 8]; of the structs for a field of a struct array.
    """

    values: list[Any]
    shape: tuple[int, ...] = ()

    def grid(self) -> tuple[int, ...]:
        """The axes longer than one; one axis at least."""
        return tuple(n for n in self.shape if n != 1) or (len(self.values),)


def load_matlab(path: Path) -> dict[str, Any]:
    """All variables of a file.

    Raises:
        InputError: missing, damaged, too large, or v7.3 without h5py.
    """
    with open_input(path) as file:
        start = file.read(520)  # MATLAB puts HDF5's signature at 512
        content = b"" if path.stat().st_size > MAX_FILE_BYTES else start + file.read()
    if b"MATLAB 7.3" in start[:128] or b"\x89HDF\r\n\x1a\n" in (start[:8], start[512:]):
        needed("h5py", f"{path} {_NEEDS_H5PY}")
        with hdf5.open_hdf5(path) as file:
            names = [name for name in file if not name.startswith("#")]
            budget = [_MAX_VALUES, unpacked_limit(path.stat().st_size)]
            return {name: _of_hdf5(file, name, 0, budget) for name in names}
    loaded, budget = _loaded_mat5(content, path), [_MAX_VALUES]
    return {name: _of_scipy(value, name, 0, budget) for name, value in loaded.items()}


def _loaded_mat5(content: bytes, path: Path) -> dict[str, Any]:
    """Variables of a file of v4 to v7 as scipy reads them."""
    import scipy.io

    check_mat5(content, str(path))
    try:
        listed = scipy.io.whosmat(io.BytesIO(content))
        sizes = [math.prod(shape) * _CLASS_BYTES.get(kind, 8) for _, shape, kind in listed]
        require(
            sum(sizes) <= MAX_FILE_BYTES,
            f"{path} holds {sum(sizes)} bytes, expected at most {MAX_FILE_BYTES}; split the "
            "recording",
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


def value_at(root: dict[str, Any], path: str, where: str) -> Any:
    """The value of a path such as `session.clouds.spikes`; a field of a struct array is a cell of
    its values.

    Raises:
        InputError: there is no such value, with what there is.
    """
    value: Any = root
    for number, name in enumerate(path.split(".")):
        parts = value.values if isinstance(value, Cell) else [value]
        if not parts or not all(isinstance(part, dict) and name in part for part in parts):
            known = list(parts[0]) if parts and isinstance(parts[0], dict) else []
            came = ".".join(path.split(".")[:number]) or "the file"
            listed = f"has {shown(known)}" if known else "is no struct"
            raise InputError(f"{where}: there is no {path!r}: {came} {listed}")
        found = [part[name] for part in parts]
        value = Cell(found, value.shape) if isinstance(value, Cell) else found[0]
    if isinstance(value, dict):
        raise InputError(
            f"{where}: {path!r} is a struct with {shown(list(value))}; name one of them"
        )
    return value


def value_beside(root: dict[str, Any], path: str, name: str) -> Any:
    """The value called `name` in the struct that holds `path`; None where there is none."""
    try:
        return value_at(root, path[: path.rfind(".") + 1] + name, "")
    except InputError:
        return None


def shown(entries: list[str], room: int = 400) -> str:
    """Names for a message, those of spikes first and none cut in two: `a, b and 290 more`."""
    ranked = sorted(entries, key=lambda entry: -_tells_of_spikes(entry))
    taken, length = [], 0
    for entry in ranked:
        length += len(entry) + 2
        if taken and length > room:
            break
        taken.append(entry)
    more = f" and {len(ranked) - len(taken)} more" if len(taken) < len(ranked) else ""
    return ", ".join(taken) + more


def _tells_of_spikes(entry: str) -> int:
    """How likely an entry of `described` is what a person looks for."""
    name = entry.partition(" ")[0].lower()
    last = name.rpartition(".")[2]
    return (
        4 * any(word in last for word in ("spike", "spk", "cluster", "count", "binned", "raster"))
        + 4 * (last in ("times", "ts", "st", "clu", "timestamps"))
        + 2 * any(word in name for word in ("spike", "unit", "neuron", "trial"))
        + 2 * (" cell of " in entry)
        - 6 * last.startswith("parameter")
    )


def described(value: Any, path: str = "") -> list[str]:
    """Paths of the values of a file and what each is: `a.b [3, 4]`, `a.c cell of 8`."""
    if (
        isinstance(value, Cell)
        and value.values
        and all(isinstance(part, dict) for part in value.values)
    ):
        first = value.values[0]
        return [f"{entry} in each of {len(value.values)}" for entry in described(first, path)]
    if isinstance(value, dict):
        return [
            entry
            for name in value
            for entry in described(value[name], f"{path}.{name}" if path else name)
        ]
    if isinstance(value, Cell):
        return [f"{path} cell of {' x '.join(map(str, value.grid()))}"]
    return [
        f"{path} {list(value.shape)}"
        if isinstance(value, np.ndarray)
        else f"{path} {type(value).__name__}"
    ]


def _spend(budget: list[int], name: str, depth: int) -> None:
    budget[0] -= 1
    require(
        budget[0] >= 0 and depth <= _MAX_DEPTH,
        f"{name!r} nests deeper than {_MAX_DEPTH} or holds more than {_MAX_VALUES} values; save "
        "less",
    )


def _of_scipy(value: Any, name: str, depth: int, budget: list[int]) -> Any:
    _spend(budget, name, depth)
    if hasattr(value, "toarray"):
        require(
            math.prod(value.shape) * 8 <= MAX_FILE_BYTES,
            f"{name!r} is sparse and too large to be made dense",
        )
        return value.toarray()
    if not isinstance(value, np.ndarray):
        return None  # an object of MATLAB's own
    if value.dtype.names:
        if type(value).__name__ in ("MatlabOpaque", "MatlabFunction"):
            return None
        parts = [
            {
                field: _of_scipy(part[field], f"{name}.{field}", depth + 1, budget)
                for field in value.dtype.names
            }
            for part in value.ravel(order="F")
        ]
        return parts[0] if len(parts) == 1 else Cell(parts, value.shape)
    if value.dtype == object:
        parts = [_of_scipy(part, name, depth + 1, budget) for part in value.ravel(order="F")]
        return Cell(parts, value.shape)
    if value.dtype.kind == "U":
        return (
            str(value.ravel()[0])
            if value.size == 1
            else ""
            if not value.size
            else Cell(value.ravel().tolist())
        )
    return value


def _of_hdf5(parent: Any, name: str, depth: int, budget: list[int]) -> Any:
    """Groups are structs; datasets of references are cells, or fields of a struct array; axes come
    reversed."""
    import h5py

    _spend(budget, name, depth)
    if (found := hdf5.group(parent, name)) is not None:
        return _struct({field: _of_hdf5(found, field, depth + 1, budget) for field in found})
    dataset = parent[name]
    kind = hdf5.matlab_class(dataset)
    if h5py.check_ref_dtype(dataset.dtype) is h5py.Reference:
        parts = []
        for reference in dataset[()].T.ravel(order="F"):
            target = dataset.file[reference]
            parts.append(_of_hdf5(target.parent, target.name.rpartition("/")[2], depth + 1, budget))
        shape = tuple(dataset.shape[::-1])
        return Cell(parts, shape) if kind == "cell" else _Field(parts, shape)
    if "MATLAB_empty" in dataset.attrs:
        return {"char": "", "cell": Cell([])}.get(kind, np.zeros(0))
    if kind not in hdf5.MATLAB_NUMBERS | {"char"}:
        return None  # an object of MATLAB's own
    budget[1] -= dataset.size * dataset.dtype.itemsize
    require(budget[1] >= 0, f"{name!r}: the file unpacks to far more than its size; save less")
    values = hdf5.array(parent, name)
    if kind == "char" and values.dtype.kind == "u":
        codes = np.atleast_2d(values.T).astype("<u2")  # [rows, length]
        rows = [row.tobytes().decode("utf-16-le", "replace").rstrip() for row in codes]
        return rows[0] if len(rows) == 1 else Cell(rows)
    return values.T


class _Field(Cell):
    """One field of a struct array, a value a struct."""


def _struct(fields: dict[str, Any]) -> Any:
    """A struct, or a cell of structs where each of its fields has a value for each of them."""
    cells = list(fields.values())
    sizes = {len(cell.values) if isinstance(cell, _Field) else -1 for cell in cells}
    if len(sizes) != 1 or -1 in sizes:
        return fields
    rows = zip(*(cell.values for cell in cells), strict=True)
    return Cell([dict(zip(fields, row, strict=True)) for row in rows], cells[0].shape)
