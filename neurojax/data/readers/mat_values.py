"""Values named by a path in a MATLAB file as arrays, labels, trial columns and behaviour."""

from typing import Any

import numpy as np

from neurojax.data.readers.matlab_values import Cell, value_at, value_beside
from neurojax.data.readers.own_clock import Timed
from neurojax.data.store.session_fields import plain_array
from neurojax.errors import require

_TIME_SUFFIXES = ("_times_s", "_t")


def numbers(value: Any, name: str, where: str, num_dims: int | None = None) -> np.ndarray:
    """A value as an array of numbers; InputError for anything else."""
    require(
        isinstance(value, np.ndarray) and value.dtype.kind in "biuf",
        f"{where}: {name} is a {type(value).__name__.lower()}, expected numbers",
    )
    require(
        num_dims is None or value.ndim == num_dims,
        f"{where}: {name} is {list(value.shape)}, expected {num_dims} axes; name them with axes",
    )
    return value


def vector(value: Any, name: str, where: str) -> np.ndarray:
    """Numbers [n] of a row, a column or nothing; InputError for a matrix."""
    array = numbers(value, name, where)
    require(
        array.size <= 1 or max(array.shape) == array.size,
        f"{where}: {name} is {list(array.shape)}, expected one row or column",
    )
    return array.ravel()


def grid_of(value: Cell, name: str, where: str) -> np.ndarray:
    """Parts of a cell as objects [rows, columns]; a cell of cells has the outer one as rows, one of
    a single axis one column."""
    rows = value.values
    if all(isinstance(part, Cell) for part in rows):
        widths = sorted({len(part.values) for part in rows})
        require(
            len(widths) == 1,
            f"{where}: the cells of {name} hold {widths[:5]} cells, expected one number of them",
        )
        shape, parts = (len(rows), widths[0]), [inner for part in rows for inner in part.values]
    else:
        axes = value.grid()
        require(
            len(axes) <= 2,
            f"{where}: the cell of {name} is {list(axes)}, expected units, or trials and units",
        )
        shape = axes if len(axes) == 2 else (len(rows), 1)
        parts = [rows[k] for k in np.arange(len(rows)).reshape(shape, order="F").ravel()]
    made = np.empty(len(parts), object)
    for number, part in enumerate(parts):
        made[number] = part
    return made.reshape(shape)


def order_of(
    shape: tuple[int, ...], typed: str | None, num_units: int | None, num_trials: int | None = None
) -> str | None:
    """`trials:units` or `units:trials`, as a cell [rows, columns] lies; None where that is not
    clear."""
    fits = [
        order
        for order, trials, units in (("trials:units", *shape), ("units:trials", *shape[::-1]))
        if typed in (None, order) and num_units in (None, units) and num_trials in (None, trials)
    ]
    return fits[0] if len(fits) == 1 else None


def labels(value: Any, name: str, num_units: int, where: str) -> np.ndarray:
    """Text [N]: a cell of text, rows of text, or numbers; whole numbers without a point."""
    parts = value.values if isinstance(value, Cell) else np.ravel(value).tolist()
    made = np.array([_label(part) for part in parts], dtype=str)
    require(
        len(made) == num_units,
        f"{where}: {name} has {len(made)} values, but there are {num_units} units",
    )
    return made


def _label(part: Any) -> str:
    if isinstance(part, np.ndarray):
        part = part.item() if part.size == 1 else "unknown" if not part.size else part.tolist()
    if isinstance(part, float) and part.is_integer():
        part = int(part)
    return str(part).strip() or "unknown"


def columns(
    root: Any, paths: tuple[str, ...], num_trials: int, where: str
) -> dict[str, np.ndarray]:
    """Trial columns by the last part of their path."""
    made = {}
    for path in paths:
        value = value_at(root, path, where)
        flat = (
            np.array([_scalar(part) for part in value.values])
            if isinstance(value, Cell)
            else np.ravel(value)
        )
        require(
            len(flat) == num_trials,
            f"{where}: trial column {path!r} has {len(flat)} values, but there are {num_trials} "
            "trials",
        )
        made[path.rpartition(".")[2]] = plain_array(flat, path, where)
    return made


def _scalar(part: Any) -> Any:
    if isinstance(part, np.ndarray) and part.size == 1:
        return part.item()
    return part if isinstance(part, str) else "not one value"


def behaviour_times(root: Any, paths: tuple[str, ...], times_path: str | None, where: str) -> Timed:
    """Behaviours with time stamps of their own, by the last part of their path: at `times_path`, or
    beside them as `NAME_times_s` or `NAME_t`."""
    found: Timed = {}
    for path in paths:
        name = path.rpartition(".")[2]
        if times_path is not None:
            times = value_at(root, times_path, where)
        else:
            beside = (value_beside(root, path, name + suffix) for suffix in _TIME_SUFFIXES)
            times = next((stamps for stamps in beside if stamps is not None), None)
        if times is not None:
            values = numbers(value_at(root, path, where), f"behavior {path!r}", where)
            stamps = vector(times, f"the times of behavior {path!r}", where)
            found[name] = stamps, values.ravel() if values.size == len(stamps) else values
    return found


def signal_in_bins(root: Any, path: str, lengths: np.ndarray, where: str) -> np.ndarray:
    """[total_bins, dims] from a matrix or one matrix a trial; the axis that has the bins is found
    by its length."""
    value = value_at(root, path, where)
    parts, expected = (
        (value.values, lengths) if isinstance(value, Cell) else ([value], [lengths.sum()])
    )
    require(
        len(parts) == len(expected),
        f"{where}: behavior {path!r} has {len(parts)} trials, expected {len(expected)}",
    )
    laid = []
    for part, num_bins in zip(parts, expected, strict=True):
        matrix = np.atleast_2d(numbers(part, path, where))
        require(
            matrix.ndim == 2 and num_bins in matrix.shape,
            f"{where}: behavior {path!r} is {list(matrix.shape)}, expected an axis of {num_bins} "
            "bins; name its times with --options=behavior_times=PATH where it has a clock of its "
            "own",
        )
        laid.append(matrix if matrix.shape[0] == num_bins else matrix.T)
    require(
        len({part.shape[1] for part in laid}) == 1,
        f"{where}: behavior {path!r} has other columns in some trials",
    )
    return np.concatenate(laid)
