"""Windows of an NWB file: rows of a table of intervals, cuts around an event of each row, or pieces
of equal length."""

import dataclasses
from typing import Any

import numpy as np

from neurojax.data.readers.nwb_tables import (
    interval_tables,
    listed,
    not_among,
    num_rows,
    plain_columns,
)
from neurojax.data.readers.nwb_units import Units, merged, select, spike_span, within
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trials import counted_drops, kept_windows, whole_times
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.session_rules import TRIAL_COLUMNS
from neurojax.errors import InputError, require

_SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
_UNUSED = -1
_MAX_WINDOWS = 10**7
_FEWER_UNITS = "leave out those observed in few of the trials with --options=min_observed=0.5"
_OWN = ("start_time", "stop_time")  # kept as trial_start_s


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows that stay, in the table's order.

    Attributes:
        starts, stops: float64 [trials], seconds.
        split: int8 [trials] as the file has it, None without.
        conditions: name -> [trials].
        dropped: reason -> number of windows left out.
        notes: name -> number; what was odd.
        skipped: column of the table -> why it is no condition.
    """

    starts: np.ndarray
    stops: np.ndarray
    split: np.ndarray | None
    conditions: dict[str, np.ndarray]
    dropped: dict[str, int]
    notes: dict[str, int]
    skipped: dict[str, str]


def read_windows(
    file: Any, units: Units, spec: ReadSpec, bin_size_s: float, where: str
) -> tuple[Windows, Units]:
    """Windows within the time in which all units that stay were observed, and those units.

    Raises:
        InputError: no trials and no `window_s`, an unknown name, or nothing is left.
    """
    typed = spec.option("min_observed", "0")
    smallest = as_number(typed)
    require(0 <= smallest <= 1, f"min_observed={typed!r}; expected a share of the trials, 0 to 1")
    name, table = _table(file, spec, where)
    place = f"{where}, {name}"
    columns, skipped = {}, {}
    if table is not None:
        columns, skipped = plain_columns(table, num_rows(table, place), place)
        if wrong := [
            edge for edge in _OWN if edge not in columns or columns[edge].dtype.kind not in "iuf"
        ]:
            raise InputError(
                f"{place} has no {wrong[0]} in seconds, one each a row; the table is damaged"
            )
    row, starts, stops = _laid(columns, units, spec, bin_size_s, place, table, smallest)
    for column in spec.trial_columns:
        if column not in columns:
            reason = (
                f"is {skipped[column]}"
                if column in skipped
                else f"is not there: {not_among(column, columns)}"
            )
            raise InputError(f"{place}: trial_columns names {column!r}, which {reason}")
    codes = _stored_split(columns, spec, place)
    with np.errstate(invalid="ignore"):
        faults = {"shorter than one bin": stops - starts < bin_size_s * (1 - 1e-6)}
    if codes is not None:
        faults["its split is neither train, val nor test"] = codes[row] == _UNUSED
    units, observed = _observed(units, starts, stops, smallest, bin_size_s, where)
    faults |= observed
    hidden = faults.pop("held-out units were not observed", np.zeros(len(starts), bool))
    if spec.option("hidden") != "keep":
        faults["held-out units were not observed"] = hidden
    if codes is None:
        keep, dropped = kept_windows(
            starts, stops, (-np.inf, np.inf), faults, spec, bin_size_s, place
        )
    else:
        missing = ~(np.isfinite(starts) & np.isfinite(stops))
        keep, dropped = counted_drops({"no event": missing} | faults, "trial", place)
    row = row[keep]
    renamed = {"id": "row_id", **{taken: f"trial_{taken}" for taken in TRIAL_COLUMNS}}
    conditions = {
        renamed.get(column, column): values[row]
        for column, values in columns.items()
        if column not in _OWN and not (column == "split" and codes is not None)
    }
    notes = {
        "trials in which held-out units were not observed": int((hidden & keep).sum()),
        "columns of the trials that are not one value each": len(skipped),
    }
    split = None if codes is None else _with_test(codes[row], spec, place)
    return Windows(
        starts[keep],
        stops[keep],
        split,
        conditions,
        dropped,
        {k: n for k, n in notes.items() if n},
        skipped,
    ), units


def _table(file: Any, spec: ReadSpec, where: str) -> tuple[str, Any | None]:
    """Name and group of the table of intervals that was asked for; `trials` without a question."""
    tables = interval_tables(file)
    asked = spec.option("table")
    if asked is None and "." in (spec.align or ""):
        asked = spec.align.rpartition(".")[0]
    if asked is None and spec.window_s is not None:
        return "windows", None
    if asked is None and "trials" not in tables:
        others = f"its tables of intervals are {listed(tables)}: take one with --options=table="
        others = f"{others}{next(iter(tables))}, or " if tables else ""
        raise InputError(f"{where} has no trials; {others}cut it into windows with --window_s=2")
    name = "trials" if asked is None else asked
    require(name in tables, f"{where}: no table of intervals {name!r}; {not_among(name, tables)}")
    return name, tables[name]


def _laid(
    columns: dict[str, np.ndarray],
    units: Units,
    spec: ReadSpec,
    bin_size_s: float,
    place: str,
    table: Any,
    smallest: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row of the table, start and stop of each window, seconds; NaN where the event is missing."""
    if spec.window_s is None:
        rows = np.arange(len(columns["start_time"]))
        if spec.align is None:
            return (
                rows,
                columns["start_time"].astype(np.float64),
                columns["stop_time"].astype(np.float64),
            )
        event = spec.align.rpartition(".")[2]
        times = {
            name: values
            for name, values in columns.items()
            if values.dtype.kind in "iuf" and name != "id"
        }
        require(
            event in times,
            f"{place}: align names {spec.align!r}, no column of times; {not_among(event, times)}",
        )
        times_s = times[event].astype(np.float64)
        return rows, times_s + spec.window[0], times_s + spec.window[1]
    whole_times(spec.window_s, bin_size_s, f"{place}: window_s={spec.window_s:g}")
    if table is not None:
        pieces = np.stack([columns["start_time"], columns["stop_time"]], axis=1).astype(np.float64)
        pieces = np.where(np.isfinite(pieces).all(axis=1, keepdims=True), pieces, 0.0)
    elif units.observed is not None:
        # With `smallest` some units may go: then time counts in which any was observed.
        pieces = merged(np.concatenate(units.observed)) if smallest else _shared(units, place)
    else:
        first, last = spike_span(units, place)
        pieces = np.array([[min(np.floor(first / bin_size_s) * bin_size_s, first), last]])
    with np.errstate(over="ignore"):
        number = np.floor((pieces[:, 1] - pieces[:, 0]) / spec.window_s + 1e-9)
    number = np.maximum(number, 0)
    if not 1 <= number.sum() <= _MAX_WINDOWS:
        raise InputError(
            f"{place}: {number.sum():.0f} windows of {spec.window_s:g} s fit the {len(pieces)} "
            f"pieces of it, {(pieces[:, 1] - pieces[:, 0]).sum():g} s together; change window_s, "
            "or check the time unit"
        )
    rows = np.repeat(np.arange(len(pieces)), number.astype(np.int64))
    within_row = np.arange(len(rows)) - np.repeat(
        np.cumsum(number) - number, number.astype(np.int64)
    )
    starts = pieces[rows, 0] + within_row * spec.window_s
    return (rows if table is not None else np.arange(len(rows))), starts, starts + spec.window_s


def _shared(units: Units, where: str) -> np.ndarray:
    """Time in which every unit that is not held out was observed, float64 [intervals, 2]."""
    sets = _different(
        units, ~units.heldout if not units.heldout.all() else np.ones(len(units.first), bool)
    )
    shared = sets[0][0]
    for intervals, _ in sets[1:]:
        edges = np.unique(np.concatenate([shared.ravel(), intervals.ravel()]))
        parts = np.stack([edges[:-1], edges[1:]], axis=1)
        inside = within(shared, *parts.T, 0.0) & within(intervals, *parts.T, 0.0)
        shared = merged(parts[inside])
    require(
        len(shared), f"{where}: there is no time in which all units were observed; {_FEWER_UNITS}"
    )
    return shared


def _different(units: Units, which: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(intervals, bool [N] of the units that have them), each different set once."""
    sets: dict[bytes, tuple[np.ndarray, list[int]]] = {}
    for unit in np.flatnonzero(which):
        intervals = units.observed[unit]
        sets.setdefault(intervals.tobytes(), (intervals, []))[1].append(int(unit))
    return [
        (intervals, np.isin(np.arange(len(which)), members)) for intervals, members in sets.values()
    ]


def _observed(
    units: Units,
    starts: np.ndarray,
    stops: np.ndarray,
    smallest: float,
    bin_size_s: float,
    where: str,
) -> tuple[Units, dict[str, np.ndarray]]:
    """The units observed in enough of the windows, and windows in which others were not: reason ->
    bool [windows]."""
    if units.observed is None:
        return units, {}
    held_in, held_out = np.zeros(len(starts), bool), np.zeros(len(starts), bool)
    known = np.isfinite(starts) & np.isfinite(stops)
    keep = np.ones(len(units.first), bool)
    for intervals, members in _different(units, keep.copy()):
        with np.errstate(invalid="ignore"):
            missed = known & ~within(intervals, starts, stops, bin_size_s / 2)
        if smallest and missed.sum() > (1 - smallest) * max(known.sum(), 1):
            keep &= ~members
            continue
        held_in |= missed & (members & ~units.heldout).any()
        held_out |= missed & (members & units.heldout).any()
    require(
        not (known.any() and held_in[known].all()),
        f"{where}: no trial lies in the time in which all units were observed; {_FEWER_UNITS}",
    )
    if not keep.all():
        reason = f"observed in less than {smallest:g} of the trials"
        units = select(units, *counted_drops({reason: ~keep}, "unit", where))
    return units, {
        "outside of the observed time": held_in,
        "held-out units were not observed": held_out & ~held_in,
    }


def _stored_split(columns: dict[str, np.ndarray], spec: ReadSpec, where: str) -> np.ndarray | None:
    """Split code of each row of the table, _UNUSED where it says none; None without a split in the
    file."""
    stored = columns.get("split")
    if spec.split != "file" or stored is None:
        return None
    if stored.dtype.kind == "U":
        codes = np.array(
            [_SPLITS.get(label.strip().lower(), _UNUSED) for label in stored.tolist()], np.int8
        )
    else:
        codes = np.where(
            np.isin(stored, (TRAIN, VALIDATION, TEST)), np.nan_to_num(stored), _UNUSED
        ).astype(np.int8)
    if (codes == _UNUSED).all():
        raise InputError(
            f"{where}: no value of the column split is train, val or test (such as "
            f"{str(stored[0])[:40]!r}); draw one with --split=random or --split=blocks:300s"
        )
    return codes


def _with_test(split: np.ndarray, spec: ReadSpec, where: str) -> np.ndarray:
    if TEST in split:
        return split
    require(
        spec.option("as_test") == "val",
        f"{where}: its split leaves no test trial; give --options=as_test=val to test on the "
        "validation trials, or draw a split with --split=random or --split=blocks:300s",
    )
    return np.where(split == VALIDATION, TEST, split).astype(np.int8)
