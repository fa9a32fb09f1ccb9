"""When each unit of an NWB file was observed: as its table says, without the bad times that the
file lists, without stretches in which a whole probe falls silent against all odds."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.checks.findings import BAD_ELSEWHERE, FELL_SILENT
from neurojax.data.observed import different, elsewhere, entries_inside, gaps_of, shared_of_units
from neurojax.data.readers.nwb_electrodes import bad_of
from neurojax.data.readers.nwb_spikes import Survey
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
    """When units were observed, and why not.

    Attributes:
        parts: name of what is left out -> float64 [intervals, 2] of each unit, in which it was
            observed: as `obs_intervals` says, outside of the file's bad times, while the probe was
            heard.
        notes: name -> number; what was odd.
    """

    parts: dict[str, list[np.ndarray]]
    notes: dict[str, int]

    def intervals(self) -> list[np.ndarray] | None:
        """All parts together, float64 [intervals, 2] of each unit; None: always."""
        return functools.reduce(shared_of_units, self.parts.values()) if self.parts else None

    def of_units(self, keep: np.ndarray) -> "Watched":
        """The same of the units where `keep`, bool [N], is True."""
        rows = np.flatnonzero(keep).tolist()
        parts = {name: [part[row] for row in rows] for name, part in self.parts.items()}
        return self._replace(parts=parts)


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
    parts = {OUTSIDE: units.observed, INVALID: good, FELL_SILENT: heard}
    return Watched({name: part for name, part in parts.items() if part is not None}, notes)


def bad_elsewhere(time: Watched, spikes_s: tuple[float, float], edges_s: np.ndarray) -> dict:
    """Bad times that touch nothing of the recording, for `info["findings"]`.

    Args:
        time: when units were observed.
        spikes_s: first and last spike.
        edges_s: starts and stops of all trials of the file, float64 [n]; NaN where one has none.
    """
    if INVALID not in time.parts:
        return {}
    known = np.concatenate([spikes_s, edges_s[np.isfinite(edges_s)]])
    number = sum(
        elsewhere(own, known.min(), known.max()) for own in different(time.parts[INVALID])[0]
    )
    return {BAD_ELSEWHERE: number} if number else {}


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
    return np.nan_to_num(times, nan=without, posinf=_FOR_EVER_S, neginf=-_FOR_EVER_S)


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
    return np.max([seen_s(own, starts, stops) for own in different(intervals)[0]], axis=0)


def entries(
    time: Watched, starts: np.ndarray, num_bins: np.ndarray, bin_size_s: float
) -> tuple[np.ndarray | None, dict[str, int]]:
    """Entries of trials end to end in which units were observed, bool [total_bins, N] (None: all),
    and how many were not for each reason."""
    intervals = time.intervals()
    if intervals is None:
        return None, {}
    number = {}
    for name, part in time.parts.items():
        seen = entries_inside(part, starts, num_bins, bin_size_s)
        if seen is not None:
            gone = ~(seen.all(axis=1) if name == FELL_SILENT else seen)
            number[name] = int(gone.sum())
    return entries_inside(intervals, starts, num_bins, bin_size_s), number
