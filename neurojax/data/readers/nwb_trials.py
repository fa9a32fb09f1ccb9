"""Windows of an NWB file: rows of a table of intervals, cuts around an event of each row, or pieces
of equal length."""

import dataclasses
from typing import Any

import numpy as np

from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers.nwb_tables import (
    interval_tables,
    listed,
    not_among,
    num_rows,
    plain_columns,
    required_table,
)
from neurojax.data.readers.spec import ReadSpec
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
_HIDDEN = "held-out units were not observed"
_OWN = ("start_time", "stop_time")  # kept as trial_start_s


@dataclasses.dataclass(frozen=True)
class Laid:
    """Windows as the file or the options lay them, before any is left out.

    Attributes:
        place: for messages.
        row: int64 [windows], row of the table of each; the window's number without a table.
        starts, stops: float64 [windows], seconds; NaN where the event is missing.
        columns: of the table, name -> [rows].
        skipped: column of the table -> why it is no condition.
        codes: int8 [rows], split of each row as the file has it, _UNUSED where it says none; None
            without.
    """

    place: str
    row: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    columns: dict[str, np.ndarray]
    skipped: dict[str, str]
    codes: np.ndarray | None

    def is_whole(self) -> np.ndarray:
        """Windows that begin and end, in this order, bool [windows]."""
        with np.errstate(invalid="ignore"):
            lasts = self.stops > self.starts
        return np.isfinite(self.starts) & np.isfinite(self.stops) & lasts


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


def lay_windows(
    file: Any, span_s: tuple[float, float], spec: ReadSpec, bin_size_s: float, where: str
) -> Laid:
    """Windows of the table that was asked for, or pieces of `window_s`.

    Args:
        file: the open file.
        span_s: first and last time of the recording; cut into pieces where there is no table.
        spec: options.
        bin_size_s: seconds.
        where: for messages.

    Raises:
        InputError: no trials and no `window_s`, an unknown name, or a damaged table.
    """
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
    row, starts, stops = _laid(columns, span_s, spec, bin_size_s, place)
    for column in spec.trial_columns:
        if column not in columns:
            reason = (
                f"is {skipped[column]}"
                if column in skipped
                else f"is not there: {not_among(column, columns)}"
            )
            raise InputError(f"{place}: trial_columns names {column!r}, which {reason}")
    codes = _stored_split(columns, spec, place)
    return Laid(place, row, starts, stops, columns, skipped, codes)


def kept(
    laid: Laid,
    faults: dict[str, np.ndarray],
    hidden: np.ndarray,
    recorded_s: tuple[float, float],
    spec: ReadSpec,
    bin_size_s: float,
) -> Windows:
    """The windows that can be used.

    Args:
        laid: all of them.
        faults: reason to leave some out -> bool [windows].
        hidden: bool [windows], the benchmark's held-out units were not observed.
        recorded_s: windows outside of this time are left out, unless the file has a split.
        spec: its split decides whether windows may share time; `as_test` and `hidden` decide about
            windows whose held-out units are hidden.
        bin_size_s: seconds.

    Raises:
        InputError: none is left, or none to test on.
    """
    starts, stops, row, codes = laid.starts, laid.stops, laid.row, laid.codes
    with np.errstate(invalid="ignore"):
        faults = {"shorter than one bin": stops - starts < bin_size_s * (1 - 1e-6)} | faults
    if codes is not None:
        faults["its split is neither train, val nor test"] = codes[row] == _UNUSED
    missing = ~(np.isfinite(starts) & np.isfinite(stops))
    usable = ~(missing | np.any(list(faults.values()), axis=0))
    faults[_HIDDEN] = _left_out(hidden, usable, None if codes is None else codes[row], spec)
    if codes is None:
        keep, dropped = kept_windows(
            starts, stops, recorded_s, faults, spec, bin_size_s, laid.place
        )
    else:
        keep, dropped = counted_drops({"no event": missing} | faults, "trial", laid.place)
    row = row[keep]
    renamed = {"id": "row_id", **{taken: f"trial_{taken}" for taken in TRIAL_COLUMNS}}
    conditions = {
        renamed.get(column, column): values[row]
        for column, values in laid.columns.items()
        if column not in _OWN and not (column == "split" and codes is not None)
    }
    notes = {
        "trials in which held-out units were not observed": int((hidden & keep).sum()),
        "columns of the trials that are not one value each": len(laid.skipped),
    }
    return Windows(
        starts[keep],
        stops[keep],
        None if codes is None else _whole_split(codes[row], spec, laid.place),
        conditions,
        dropped,
        {name: number for name, number in notes.items() if number},
        laid.skipped,
    )


def _left_out(
    hidden: np.ndarray, usable: np.ndarray, codes: np.ndarray | None, spec: ReadSpec
) -> np.ndarray:
    """Windows without held-out units that are left out, bool [windows]: all of them with
    hidden=drop; with as_test=val those to test on, where these have no other."""
    asked = spec.option("hidden")
    if asked == "drop":
        return hidden
    if asked == "keep" or spec.option("as_test") is None or codes is None:
        return np.zeros(len(hidden), bool)
    tested = usable & (codes == TEST)
    return hidden & (codes == TEST) & hidden[tested].all()


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
    return name, required_table(tables, name, where)


def _laid(
    columns: dict[str, np.ndarray],
    span_s: tuple[float, float],
    spec: ReadSpec,
    bin_size_s: float,
    place: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row of the table, start and stop of each window, seconds; NaN where the event is missing."""
    tick_s = TimeUnit.of(spec.time_unit).trials
    edges = [in_seconds(columns[name], tick_s) for name in _OWN] if columns else span_s
    pieces = np.stack([np.atleast_1d(edge) for edge in edges], axis=1)
    if spec.window_s is not None:
        return _cut(pieces, spec.window_s, bin_size_s, place)
    rows = np.arange(len(pieces))
    if spec.align is None:
        return rows, *pieces.T
    times = {
        name: values
        for name, values in columns.items()
        if values.dtype.kind in "iuf" and name != "id"
    }
    event = spec.align.rpartition(".")[2]
    require(
        event in times,
        f"{place}: align names {spec.align!r}, no column of times; {not_among(event, times)}",
    )
    times_s = in_seconds(times[event], tick_s)
    return rows, times_s + spec.window[0], times_s + spec.window[1]


def _cut(
    pieces: np.ndarray, window_s: float, bin_size_s: float, place: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of one length in pieces, float64 [pieces, 2], seconds; what has no start or no end
    holds none."""
    whole_times(window_s, bin_size_s, f"{place}: window_s={window_s:g}")
    pieces = np.where(np.isfinite(pieces).all(axis=1, keepdims=True), pieces, 0.0)
    with np.errstate(over="ignore"):
        number = np.maximum(np.floor((pieces[:, 1] - pieces[:, 0]) / window_s + 1e-9), 0)
    if not 1 <= number.sum() <= _MAX_WINDOWS:
        raise InputError(
            f"{place}: {number.sum():.0f} windows of {window_s:g} s fit the {len(pieces)} "
            f"pieces of it, {(pieces[:, 1] - pieces[:, 0]).sum():g} s together; change window_s, "
            "or check the time unit"
        )
    number = number.astype(np.int64)
    rows = np.repeat(np.arange(len(pieces)), number)
    within_row = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
    starts = pieces[rows, 0] + within_row * window_s
    return rows, starts, starts + window_s


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


def _whole_split(split: np.ndarray, spec: ReadSpec, where: str) -> np.ndarray:
    """The file's split with test trials and, where the option `validate` asks for them, with
    validation trials."""
    if TEST not in split:
        require(
            spec.option("as_test") == "val",
            f"{where}: its split leaves no test trial; give --options=as_test=val to test on the "
            "validation trials, or draw a split with --split=random or --split=blocks:300s",
        )
        split = np.where(split == VALIDATION, TEST, split).astype(np.int8)
    share = spec.share("validate", 0.5)
    train = np.flatnonzero(split == TRAIN)
    if not share or VALIDATION in split or len(train) < 2:
        return split
    drawn = np.random.default_rng(0).permutation(train)[: max(1, round(share * len(train)))]
    split = split.copy()
    split[drawn] = VALIDATION
    return split
