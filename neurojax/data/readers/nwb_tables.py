"""Tables of an NWB file: plain columns, ragged columns with their index, and names that come close
to a wrong one."""

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

from neurojax.data.readers import hdf5, nwb_file
from neurojax.data.store.array_files import is_array_name
from neurojax.errors import InputError, require

_MAX_LISTED = 30


def num_rows(table: Any, where: str) -> int:
    """Rows of a table: of its ids, else of its first plain column."""
    names = hdf5.columns(table)
    if "id" in names:
        return len(nwb_file.check_dataset(table["id"], f"{where}/id"))
    lengths = [
        len(table[name])
        for name in names
        if table[name].ndim and nwb_file.entry(table, f"{name}_index") is None
    ]
    return lengths[0] if lengths else 0


def plain_columns(
    table: Any, rows: int, where: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns with one number or text a row, and why others are left aside: name -> reason.

    Texts of a ragged column are joined by commas (tags); numbers are taken where no row has more
    than one, NaN where it has none.
    """
    require(
        rows <= nwb_file.MAX_ROWS,
        f"{where} claims {rows} rows, expected at most {nwb_file.MAX_ROWS}",
    )
    found, skipped = {}, {}
    names = hdf5.columns(table)
    for name in names:
        if name.endswith("_index") and name.removesuffix("_index") in names:
            continue
        if f"{name}_index" in names:
            made = _joined(table, name, rows, where)
            if made is None or not is_array_name(name):
                skipped[name] = "ragged"
            else:
                found[name] = made
        elif (reason := _no_column(table[name], name, rows)) is not None:
            skipped[name] = reason
        else:
            found[name] = _worded(table[name], nwb_file.values(table[name], f"{where}/{name}"))
    return found, skipped


def _joined(table: Any, name: str, rows: int, where: str) -> np.ndarray | None:
    """A ragged column as one text a row, or one number; None where it is neither."""
    try:
        ends = ragged_ends(table, name, rows, where)
        cells = None if ends is None else nwb_file.values(table[name], where, 0, int(ends[-1]))
    except InputError:
        return None  # of a damaged column too: it is one of many
    if cells is None or cells.ndim != 1:
        return None
    if cells.dtype.kind == "U":
        listed = cells.tolist()
        parts = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        return np.array([",".join(listed[a:b])[: nwb_file.MAX_TEXT] for a, b in parts], dtype=str)
    number = np.diff(ends)
    if number.max(initial=0) > 1 or not number.any():
        return None
    made = np.full(rows, np.nan)
    made[number == 1] = cells
    return made


def _worded(dataset: Any, values: np.ndarray) -> np.ndarray:
    """Text of the schema's own enumerations: numbers that point into a list of words."""
    is_enum = hdf5.text_attribute(dataset, "neurodata_type") == "EnumData"
    if not is_enum or values.dtype.kind not in "iu":
        return values
    try:
        words = nwb_file.values(nwb_file.referred(dataset, "elements"), dataset.name)
    except InputError:
        return values  # it refers to nothing, or to no words
    return hdf5.worded(values, dict(enumerate(np.ravel(words).tolist())))


def _no_column(dataset: Any, name: str, rows: int) -> str | None:
    try:
        nwb_file.check_dataset(dataset, name)
    except InputError:
        return "neither numbers nor text"
    if not is_array_name(name):
        return "neither numbers nor text"
    if dataset.ndim != 1:
        return "several values a row"
    return None if len(dataset) == rows else f"{len(dataset)} rows of {rows}"


def ragged_ends(table: Any, name: str, rows: int, where: str) -> np.ndarray | None:
    """Where each row's values of a ragged column begin and end, int64 [rows + 1]; None without such
    a column.

    Raises:
        InputError: the index does not fit the rows or the values.
    """
    values, index = nwb_file.entry(table, name), nwb_file.entry(table, f"{name}_index")
    if values is None or index is None:
        return None
    nwb_file.check_dataset(values, f"{where}/{name}")
    ends = nwb_file.values(index, f"{where}/{name}_index")
    require(
        ends.shape == (rows,) and ends.dtype.kind in "iu" and values.ndim,
        f"{where}/{name}_index is {ends.dtype} {list(ends.shape)}, expected one whole number a row",
    )
    bounds = np.concatenate([[0], ends.astype(np.float64)])
    if (np.diff(bounds) < 0).any() or bounds[-1] > len(values):
        raise InputError(
            f"{where}/{name}_index runs to {ends.max()} for {len(values)} values, expected rising "
            "ends within them; the file is damaged"
        )
    return np.concatenate([[0], ends.astype(np.int64)])


def interval_tables(file: Any) -> dict[str, Any]:
    """Tables of intervals by name, `trials` and `epochs` first."""
    found = {}
    for path, group in nwb_file.groups(file, "intervals", "processing", "analysis"):
        if {"start_time", "stop_time"} <= set(hdf5.columns(group)):
            name = path.rpartition("/")[2]
            found[path.partition("/")[2] if name in found else name] = group
    return {
        name: found[name]
        for name in sorted(found, key=lambda name: (name != "trials", name != "epochs", name))
    }


def required_table(tables: dict[str, Any], name: str, where: str) -> Any:
    """The table of intervals of a name; InputError says which there are."""
    require(name in tables, f"{where}: no table of intervals {name!r}; {not_among(name, tables)}")
    return tables[name]


def listed(names: Iterable[str]) -> str:
    """At most 30 names with commas between."""
    names = list(names)
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return (", ".join(names[:_MAX_LISTED]) + more) or "none"


def not_among(name: str, names: Iterable[str]) -> str:
    """For messages: the name that was perhaps meant, then all there are."""
    names = list(names)
    lower = {other.lower(): other for other in names} | {
        other.rpartition("/")[2].lower(): other for other in names
    }
    close = difflib.get_close_matches(name.lower(), lower, 1, 0.5) or difflib.get_close_matches(
        name.rpartition("/")[2].lower(), lower, 1, 0.5
    )
    return (f"did you mean {lower[close[0]]!r}? " if close else "") + f"there are {listed(names)}"
