"""Columns of Python objects, as pandas, polars, xarray and lists give them, become numbers or text;
what is neither is refused with what to do about it."""

import datetime
from typing import Any

import numpy as np

from neurojax.errors import InputError, require

_NUMBERS = (bool, np.bool_, int, np.integer, float, np.floating)
_TEXTS = (str, bytes)
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_NESTED = (list, tuple, dict, set, frozenset, np.ndarray)
# pandas' own marks of a missing value, by name: pandas need not be there.
_MISSING_TYPES = frozenset({"NoneType", "NAType", "NaTType"})
SECONDS_OF_DATES = "give seconds as numbers (of pandas: (t - t.iloc[0]).dt.total_seconds())"


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, pandas.NA, NaT."""
    if type(value).__name__ in _MISSING_TYPES:
        return True
    return isinstance(value, float | np.floating) and value != value


def require_one_index(one: Any, other: Any, names: tuple[str, str], where: str) -> None:
    """Raises InputError where two pandas columns, taken row by row, have other indexes: their rows
    are then others too. Anything else passes."""
    if not all(hasattr(column, "iloc") and hasattr(column, "index") for column in (one, other)):
        return
    require(
        len(one) != len(other) or one.index.equals(other.index),  # lengths are judged elsewhere
        f"{where}: {names[0]} and {names[1]} are pandas columns of different indexes, so their "
        "rows do not belong together as they stand; align them, or give .to_numpy() of each if "
        "they do",
    )


def num_missing(values: Any) -> int:
    """Missing values of a column that `as_array` takes."""
    array = as_array(values, "values", "")
    if array.dtype == object:
        return sum(map(is_missing, array.ravel()))
    return int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0


def as_array(values: Any, name: str, where: str) -> np.ndarray:
    """`np.asarray` of a column, with its missing values: NaN among numbers, None among objects."""
    if hasattr(values, "toarray") and not isinstance(values, np.ndarray):
        raise InputError(f"{where}: {name} is a sparse matrix; give {name}.toarray()")
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{where}: {name} is ragged, expected one rectangular array") from None
    except InputError:
        raise
    except Exception as error:  # other libraries raise errors of their own
        raise InputError(
            f"{where}: {name} is {type(values).__name__}, which is no array "
            f"({type(error).__name__}); give a numpy array"
        ) from None
    if isinstance(values, np.ma.MaskedArray) and (mask := np.ma.getmaskarray(values)).any():
        numeric = array.dtype.kind in "biuf"
        array = array.astype(np.float64 if numeric else object)
        array[mask] = np.nan if numeric else None
    if isinstance(values, list | tuple) and array.dtype.kind == "U":
        # numpy writes NaN among text out: ["CA1", nan] must not give a region "nan".
        array = np.asarray(values, dtype=object)
    if array.dtype.kind == "T":  # numpy's text of any length
        array = array.astype(object)
    return array


def of_objects(array: np.ndarray, name: str, where: str, missing: str) -> np.ndarray:
    """An object array as bool, int64, float64 (NaN where missing) or text (`missing` there).

    Raises:
        InputError: dates, lists, text beside fractions, or other objects; the first one is shown.
    """
    flat = array.ravel()
    gone = np.fromiter(map(is_missing, flat), bool, len(flat))
    known = flat[~gone]
    kinds = {type(value) for value in known}
    _refuse_others(array, kinds, known, name, where)
    if any(issubclass(kind, _TEXTS) for kind in kinds):
        require(
            not any(issubclass(kind, float | np.floating | bool | np.bool_) for kind in kinds),
            f"{where}: {name} holds text and numbers; make it one of them, with .astype(str) or "
            "pandas.to_numeric",
        )
        # Whole numbers beside text are labels of units, written out.
        texts = [missing if lost else _text(value) for value, lost in zip(flat, gone, strict=True)]
        return np.array(texts, dtype=str).reshape(array.shape)
    if len(known) == len(flat) and kinds and all(issubclass(k, bool | np.bool_) for k in kinds):
        return array.astype(bool)
    whole = all(issubclass(kind, int | np.integer) for kind in kinds)
    try:
        if whole and kinds and not gone.any():
            return array.astype(np.int64)
        numbers = np.full(len(flat), np.nan)
        numbers[~gone] = known.astype(np.float64)
    except (OverflowError, ValueError):
        raise InputError(
            f"{where}: {name} holds whole numbers beyond 64 bits; give smaller ones, or text"
        ) from None
    return numbers.reshape(array.shape)


def _refuse_others(array: np.ndarray, kinds: set, known: Any, name: str, where: str) -> None:
    """Raises InputError for what is neither a number nor text."""
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        if issubclass(kind, _NUMBERS + _TEXTS) and not issubclass(kind, _DATES):
            continue
        first = next(value for value in known if type(value) is kind)
        if not array.ndim:
            said = f"is a {kind.__name__}, expected an array of numbers or text"
        elif issubclass(kind, _DATES):
            said = f"holds dates or durations ({kind.__name__}); {SECONDS_OF_DATES}"
        elif issubclass(kind, _NESTED):
            said = (
                f"holds lists ({kind.__name__} of {len(first)}), expected one number or text each; "
                "leave the column out, or join its entries to one text (dtype=str)"
            )
        else:
            said = f"holds {kind.__name__} objects, expected numbers or text; try .astype(str)"
        raise InputError(f"{where}: {name} {said}")


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def end_to_end(values: Any) -> tuple[Any, np.ndarray] | None:
    """A list (of unequal lengths) or an object array with one array of numbers [bins, ...] a trial:
    the arrays end to end, and bins of each trial, int64 [trials]. None for anything else."""
    listed = isinstance(values, list) or (
        isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1
    )
    if not listed or not all(isinstance(part, np.ndarray) for part in values):
        return None
    lengths = [len(part) if part.ndim else -1 for part in values]
    kinds = {(part.ndim, part.shape[1:], part.dtype.kind in "biuf") for part in values}
    if len(kinds) != 1 or not next(iter(kinds))[2] or min(lengths) < 1:
        return None
    if isinstance(values, list) and len(set(lengths)) == 1:
        return None  # a rectangular array in disguise
    masked = any(isinstance(part, np.ma.MaskedArray) for part in values)
    joined = (np.ma if masked else np).concatenate(list(values))
    return joined, np.asarray(lengths, np.int64)
