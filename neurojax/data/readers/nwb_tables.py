"""Tables of an NWB file: plain columns, ragged columns with their index, and names that come close
to a wrong one."""

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

from neurojax.data.readers import hdf5, nwb_file
from neurojax.data.store.array_files import check_array_name
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
    """Columns with one number or text a row, and why others are left aside: name -> reason."""
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
            skipped[name] = "ragged"
        elif (reason := _no_column(table[name], name, rows)) is not None:
            skipped[name] = reason
        else:
            found[name] = nwb_file.values(table[name], f"{where}/{name}")
    return found, skipped


def _no_column(dataset: Any, name: str, rows: int) -> str | None:
    try:
        nwb_file.check_dataset(dataset, name)
        check_array_name(name, name)
    except InputError:
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
    intervals = nwb_file.entry(file, "intervals")
    for parent in (intervals, nwb_file.entry(file, "processing"), nwb_file.entry(file, "analysis")):
        for path, group in nwb_file.walk(parent) if hasattr(parent, "keys") else ():
            if hasattr(group, "keys") and {"start_time", "stop_time"} <= set(hdf5.columns(group)):
                name = path.rpartition("/")[2]
                found[path if name in found else name] = group
    return {
        name: found[name]
        for name in sorted(found, key=lambda name: (name != "trials", name != "epochs", name))
    }


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
