"""When each unit of an NWB file was observed: as its table says, without the bad times that the
file lists, without stretches in which a whole probe falls silent against all odds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.checks.findings import FELL_SILENT
from neurojax.data.observed import entries_inside, gaps_of, inside_bins, shared
from neurojax.data.readers.nwb_probes import bad_of
from neurojax.data.readers.nwb_survey import Survey
from neurojax.data.readers.nwb_tables import (
    interval_tables,
    num_rows,
    plain_columns,
    required_table,
)
from neurojax.data.readers.nwb_units import Units
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import require

OUTSIDE = "unit-bins outside of obs_intervals, left out"
INVALID = "unit-bins in invalid_times, left out"
_FOR_EVER_S = 1e300  # the end of a bad stretch that has none


class Watched(NamedTuple):
    """When units were observed, and why not: float64 [intervals, 2] of each unit; None: always.

    Attributes:
        said: as `obs_intervals` says.
        good: outside of the file's bad times.
        heard: while the probe was heard.
        notes: name -> number; what was odd.
    """

    said: list[np.ndarray] | None
    good: list[np.ndarray] | None
    heard: list[np.ndarray] | None
    notes: dict[str, int]

    def intervals(self) -> list[np.ndarray] | None:
        """All three together, float64 [intervals, 2] of each unit; None: always."""
        parts = [part for part in (self.said, self.good, self.heard) if part is not None]
        if not parts:
            return None
        made, known = [], {}
        for own in zip(*parts, strict=True):
            key = tuple(part.tobytes() for part in own)
            if key not in known:
                whole = own[0]
                for part in own[1:]:
                    whole = shared(whole, part)
                known[key] = whole
            made.append(known[key])
        return made

    def of_units(self, keep: np.ndarray) -> "Watched":
        """The same of the units where `keep`, bool [N], is True."""
        rows = np.flatnonzero(keep).tolist()
        parts = [part and [part[row] for row in rows] for part in self[:3]]
        return Watched(*parts, self.notes)


def watched(file: Any, units: Units, survey: Survey, spec: ReadSpec, where: str) -> Watched:
    """When the units that stay were observed.

    Raises:
        InputError: the option `invalid` names no table, or its table is damaged.
    """
    good, notes = _good_times(file, units, spec, where)
    heard = None
    if units.observed is None and spec.silence != "keep":
        heard = [survey.heard[probe] for probe in units.probe.tolist()]
        heard = heard if any(np.isfinite(own).any() for own in heard) else None
    return Watched(units.observed, good, heard, notes)


def _good_times(
    file: Any, units: Units, spec: ReadSpec, where: str
) -> tuple[list[np.ndarray] | None, dict[str, int]]:
    """Time outside of the file's bad times, float64 [intervals, 2] of each unit; None: all."""
    asked = spec.option("invalid")
    tables = interval_tables(file)
    if asked == "keep" or (asked is None and "invalid_times" not in tables):
        return None, {}
    bad: list[tuple[np.ndarray, frozenset[str] | None]] = []
    odd = {"bad times without a start or an end": 0, "bad times that end before they begin": 0}
    for name in (asked or "invalid_times").split("+"):
        table = required_table(tables, name, f"{where}, invalid")
        place = f"{where}, {name}"
        rows = num_rows(table, place)
        columns, _ = plain_columns(table, rows, place)
        edges = [columns.get(edge) for edge in ("start_time", "stop_time")]
        require(
            all(edge is not None and edge.dtype.kind in "iuf" for edge in edges),
            f"{place} has no start_time and stop_time in seconds, one each a row; correct it, or "
            "take all time as good with --options=invalid=keep",
        )
        start, stop = (edge.astype(np.float64) * units.interval_s for edge in edges)
        odd["bad times without a start or an end"] += int((np.isnan(start) | np.isnan(stop)).sum())
        odd["bad times that end before they begin"] += int((stop < start).sum())
        spans = np.stack([_finite(start, -_FOR_EVER_S), _finite(stop, _FOR_EVER_S)], axis=1)
        about = bad_of(table, columns, rows, units.probe_names)
        nowhere = np.isnan(start) & np.isnan(stop)
        bad += [
            (np.sort(span), names)
            for span, names, skip in zip(spans, about, nowhere, strict=True)
            if not skip
        ]
    return _outside(bad, units.probe_names), {name: n for name, n in odd.items() if n}


def _finite(times: np.ndarray, without: float) -> np.ndarray:
    """Times, `without` where there is none: a stretch without an end is bad to the end."""
    return np.clip(np.where(np.isnan(times), without, times), -_FOR_EVER_S, _FOR_EVER_S)


def _outside(
    bad: Sequence[tuple[np.ndarray, frozenset[str] | None]], of_units: list[frozenset[str]]
) -> list[np.ndarray]:
    known: dict[frozenset[str], np.ndarray] = {}
    for names in of_units:
        if names not in known:
            own = [span for span, about in bad if about is None or about & names]
            known[names] = gaps_of(np.array(own, np.float64).reshape(-1, 2))
    return [known[names] for names in of_units]


def seen_s(intervals: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """How much of each window lies within intervals, float64 [windows], seconds; 0 for windows
    without a start or an end."""
    windows = np.nan_to_num(np.stack([starts, stops]), posinf=0.0, neginf=0.0)
    if not len(intervals) or not windows.size:
        return np.zeros(len(starts))
    edges = np.clip(intervals, windows.min() - 1, windows.max() + 1)
    before = np.append(0.0, np.cumsum(edges[:, 1] - edges[:, 0]))  # seen up to each interval

    def until(times: np.ndarray) -> np.ndarray:
        last = np.searchsorted(edges[:, 0], times, side="right") - 1
        inside = np.clip(times - edges[last, 0], 0, edges[last, 1] - edges[last, 0])
        return np.where(last < 0, 0.0, before[last] + inside)

    return np.maximum(until(windows[1]) - until(windows[0]), 0.0)


def most_seen_s(
    intervals: Sequence[np.ndarray], starts: np.ndarray, stops: np.ndarray
) -> np.ndarray:
    """Of the unit that was observed longest in each window, float64 [windows], seconds."""
    different = {own.tobytes(): own for own in intervals}
    return np.max([seen_s(own, starts, stops) for own in different.values()], axis=0)


def entries(
    time: Watched, starts: np.ndarray, num_bins: np.ndarray, bin_size_s: float
) -> tuple[np.ndarray | None, dict[str, int]]:
    """Entries of trials end to end in which units were observed, bool [total_bins, N] (None: all),
    and how many were not for each reason."""
    intervals = time.intervals()
    if intervals is None:
        return None, {}
    number = {}
    for name, part in ((OUTSIDE, time.said), (INVALID, time.good)):
        seen = None if part is None else entries_inside(part, starts, num_bins, bin_size_s)
        number[name] = 0 if seen is None else int(seen.size - np.count_nonzero(seen))
    if time.heard is not None:
        different = {own.tobytes(): own for own in time.heard}
        silent = [~inside_bins(own, starts, num_bins, bin_size_s) for own in different.values()]
        number[FELL_SILENT] = int(np.any(silent, axis=0).sum())
    seen = entries_inside(intervals, starts, num_bins, bin_size_s)
    return seen, {name: n for name, n in number.items() if n}
