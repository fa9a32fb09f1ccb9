"""The units of an NWB file: names, regions, numbers of each, observed time; spikes read a block of
units at a time."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from neurojax.data.binning import MAX_COUNTS, bin_spike_times
from neurojax.data.readers import nwb_file
from neurojax.data.readers.nwb_regions import unit_regions
from neurojax.data.readers.nwb_tables import not_among, num_rows, plain_columns, ragged_ends
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import counted_drops
from neurojax.data.store.session_rules import UNIT_COLUMNS
from neurojax.errors import InputError, require

_BLOCK_SPIKES = 2**20  # read at a time, or one unit
_MAX_UNIT_SPIKES = 2**28
_TOUCHING_S = 1e-6  # observed intervals this close are one
_QUALITY = ("quality", "group", "KSLabel", "ks_label", "label")
_QUALITY_CODES = {"good": 2, "sua": 2, "mua": 1, "multi": 1}


@dataclasses.dataclass(frozen=True)
class Units:
    """Rows of the units table that stay.

    Attributes:
        spike_times: the dataset, all spikes end to end, seconds.
        first, last: int64 [N], where each unit's spikes begin and end in it.
        unit_id, region, region_source: str [N].
        metadata: name -> numeric [N]; `heldout` bool where the file has it.
        observed: float64 [intervals, 2] of each unit, rising and apart; None where the file does
            not say.
        dropped: reason -> number of units left out.
        notes: name -> number; what was odd.
    """

    spike_times: Any
    first: np.ndarray
    last: np.ndarray
    unit_id: np.ndarray
    region: np.ndarray
    region_source: np.ndarray
    metadata: dict[str, np.ndarray]
    observed: list[np.ndarray] | None
    dropped: dict[str, int]
    notes: dict[str, int]

    @property
    def heldout(self) -> np.ndarray:
        """bool [N], the benchmark's held-out units."""
        return self.metadata.get("heldout", np.zeros(len(self.first), bool)).astype(bool)


def read_units(file: Any, spec: ReadSpec, where: str) -> Units:
    """The units table without its spikes.

    Raises:
        InputError: no table, no spike times, damage, or the options leave no unit.
    """
    table = nwb_file.entry(file, "units")
    require(
        table is not None and hasattr(table, "keys"),
        f"{where} has no units table, so no sorted spikes; sort the recording first, or where "
        "another file of this session holds them, copy what you need into that one (docs/nwb.md)",
    )
    place = f"{where}, units"
    spike_times = nwb_file.entry(table, "spike_times")
    rows = num_rows(table, place)
    ends = ragged_ends(table, "spike_times", rows, place)
    require(
        ends is not None,
        f"{place} has no spike_times with an index; expected sorted spikes of each unit",
    )
    require(
        rows != 0 and ends[-1] != 0,
        f"{place} holds {rows} units and no spikes; check that the sorting was exported",
    )
    require(
        spike_times.ndim == 1 and spike_times.dtype.kind in "iuf",
        f"{place}/spike_times is {spike_times.dtype} {list(spike_times.shape)}, expected seconds",
    )
    columns, skipped = plain_columns(table, rows, place)
    notes = {"spikes that belong to no unit": int(len(spike_times) - ends[-1])}
    ids = columns.pop("id", np.arange(rows)).astype(str)
    if len(set(ids.tolist())) < rows:
        notes["unit ids used twice, rows taken instead"] = rows - len(set(ids.tolist()))
        ids = np.arange(rows).astype(str)
    region, source = unit_regions(file, table, columns, rows, spec.option("regions"), place)
    if "heldout" in skipped:
        raise InputError(
            f"{place}/heldout is {skipped['heldout']}; expected true or false for each unit"
        )
    units = Units(
        spike_times,
        ends[:-1],
        ends[1:],
        ids,
        region,
        source,
        _metadata(columns),
        _observed(table, rows, place),
        {},
        {name: number for name, number in notes.items() if number},
    )
    return _kept_units(units, columns, spec, place)


def _metadata(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Numeric columns; `quality` as 2 good, 1 multi-unit, 0 otherwise, from text."""
    made = {
        name: values
        for name, values in columns.items()
        if values.dtype.kind in "biuf" and name not in UNIT_COLUMNS
    }
    for name in _QUALITY:
        if name in columns and columns[name].dtype.kind == "U" and "quality" not in made:
            codes = [
                _QUALITY_CODES.get(label.strip().lower(), 0) for label in columns[name].tolist()
            ]
            if any(codes):
                made["quality"] = np.array(codes, np.int8)
    if "heldout" in made:
        made["heldout"] = made["heldout"].astype(bool)
    return made


def _observed(table: Any, rows: int, where: str) -> list[np.ndarray] | None:
    ends = ragged_ends(table, "obs_intervals", rows, where)
    if ends is None:
        return None
    intervals = nwb_file.values(nwb_file.entry(table, "obs_intervals"), f"{where}/obs_intervals")
    require(
        intervals.ndim == 2 and intervals.shape[1] == 2 and intervals.dtype.kind in "iuf",
        f"{where}/obs_intervals is {intervals.dtype} {list(intervals.shape)}, expected "
        "[intervals, 2]",
    )
    if (np.diff(ends) == 0).all():
        return None
    known: dict[bytes, np.ndarray] = {}  # most files repeat one set for every unit
    made = []
    for first, last in zip(ends[:-1], ends[1:], strict=True):
        own = intervals[first:last].astype(np.float64)
        made.append(known.setdefault(own.tobytes(), merged(own)))
    return made


def merged(intervals: np.ndarray) -> np.ndarray:
    """Intervals in order of time, those that touch or overlap as one; not finite or reversed ones
    are left out."""
    good = np.isfinite(intervals).all(axis=1) & (intervals[:, 0] < intervals[:, 1])
    start, stop = intervals[good][np.argsort(intervals[good, 0], kind="stable")].T
    reach = np.maximum.accumulate(stop)
    apart = np.flatnonzero(start[1:] > reach[:-1] + _TOUCHING_S) + 1
    first = np.concatenate([np.zeros(min(1, len(start)), np.int64), apart])
    return np.stack([start[first], reach[np.append(apart, len(start))[: len(first)] - 1]], axis=1)


def within(
    intervals: np.ndarray, starts: np.ndarray, stops: np.ndarray, tolerance_s: float
) -> np.ndarray:
    """Whether each window lies in one of the intervals, bool [windows]."""
    if not len(intervals):
        return np.zeros(len(starts), bool)
    last = np.searchsorted(intervals[:, 0], starts + tolerance_s, side="right") - 1
    return (last >= 0) & (stops <= intervals[last, 1] + tolerance_s)


def select(units: Units, keep: np.ndarray, dropped: dict[str, int]) -> Units:
    """The units where `keep`, bool [N], is True."""
    rows = np.flatnonzero(keep)
    return dataclasses.replace(
        units,
        **{
            name: getattr(units, name)[rows]
            for name in ("first", "last", "unit_id", "region", "region_source")
        },
        metadata={name: values[rows] for name, values in units.metadata.items()},
        observed=None if units.observed is None else [units.observed[row] for row in rows],
        dropped={**units.dropped, **dropped},
    )


def _kept_units(units: Units, columns: dict[str, np.ndarray], spec: ReadSpec, where: str) -> Units:
    asked = spec.option("keep")
    if asked is None:
        return units
    name, colon, wanted = asked.partition(":")
    require(
        name in columns and colon,
        f"{where}: keep={asked!r}; expected COLUMN:VALUE of its columns, "
        f"{not_among(name, columns)}",
    )
    labels = columns[name].astype(str)
    values = wanted.split("+")
    if unknown := sorted(set(values) - set(labels.tolist())):
        raise InputError(
            f"{where}: keep names {unknown[0]!r}, but {name} holds "
            f"{', '.join(sorted(set(labels))[:20])}"
        )
    keep, dropped = counted_drops(
        {f"{name} is not {wanted}": ~np.isin(labels, values)}, "unit", where
    )
    return select(units, keep, dropped)


def spike_blocks(units: Units, where: str) -> Iterator[tuple[int, list[np.ndarray]]]:
    """(first unit, spike times float64 [spikes] of it and of each after it) in blocks of bounded
    size."""
    first, num_units = 0, len(units.first)
    while first < num_units:
        stop = first + 1
        while (
            stop < num_units
            and units.first[stop] == units.last[stop - 1]
            and units.last[stop] - units.first[first] <= _BLOCK_SPIKES
        ):
            stop += 1
        start, end = int(units.first[first]), int(units.last[stop - 1])
        require(
            end - start <= _MAX_UNIT_SPIKES,
            f"{where}: unit {units.unit_id[first]} claims {end - start} spikes; it is damaged",
        )
        hdf5_times = nwb_file.check_dataset(units.spike_times, f"{where}, units/spike_times")[
            start:end
        ]
        times = hdf5_times.astype(np.float64)
        yield (
            first,
            [times[units.first[u] - start : units.last[u] - start] for u in range(first, stop)],
        )
        first = stop


def spike_span(units: Units, where: str) -> tuple[float, float]:
    """First and last finite spike, seconds."""
    low, high = np.inf, -np.inf
    for _, trains in spike_blocks(units, where):
        for times in trains:
            finite = times[np.isfinite(times)]
            low, high = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
    require(low <= high, f"{where}: no spike time is finite; check the file")
    return float(low), float(high)


def count_spikes(
    units: Units, starts: np.ndarray, num_bins: np.ndarray, bin_size_s: float, where: str
) -> tuple[np.ndarray, dict[str, int], dict[str, int]]:
    """Counts, uint8 or uint16 [total_bins, N], why spikes were left out, and what was odd; memory
    of one block."""
    total_bins = sum(num_bins.tolist())
    require(
        total_bins * len(units.first) <= MAX_COUNTS,
        f"{where}: {total_bins} bins x {len(units.first)} units exceed {MAX_COUNTS} counts; check "
        "the bin size and the windows",
    )
    counts = np.zeros((total_bins, len(units.first)), np.uint8)
    odd = {
        "unsorted spike times": 0,
        "negative spike times": 0,
        "repeated spike times": 0,
        "units without spikes": 0,
        "spikes outside of the observed time": 0,
    }
    low, high, not_finite = np.inf, -np.inf, 0
    for first, trains in spike_blocks(units, where):
        cleaned = []
        for unit, train in enumerate(trains, start=first):
            times = train[np.isfinite(train)]
            not_finite += len(train) - len(times)
            steps = np.diff(times)
            if (steps < 0).any():
                odd["unsorted spike times"] += int((steps < 0).sum())
                times = np.sort(times)
                steps = np.diff(times)
            odd["repeated spike times"] += int((steps == 0).sum())
            odd["negative spike times"] += int(np.searchsorted(times, 0.0))
            odd["units without spikes"] += not len(times)
            if units.observed is not None:
                inside = within(units.observed[unit], times, times, 0.0)
                odd["spikes outside of the observed time"] += int((~inside).sum())
            if len(times):
                low, high = min(low, times[0]), max(high, times[-1])
            cleaned.append(times)
        rows = np.repeat(np.arange(len(cleaned)), [len(times) for times in cleaned])
        try:
            block = bin_spike_times(
                np.concatenate(cleaned), rows, len(cleaned), starts, num_bins, bin_size_s
            )
        except InputError as error:
            last = first + len(cleaned) - 1
            raise InputError(
                f"{where}, units {units.unit_id[first]} to {units.unit_id[last]}: {error}"
            ) from None
        counts = counts.astype(np.promote_types(counts.dtype, block.dtype), copy=False)
        counts[:, first : first + len(cleaned)] = block
    require(low <= high, f"{where}: no spike time is finite; check the file")
    odd["trials that reach outside of the spikes"] = int(
        ((starts + num_bins * bin_size_s <= low) | (starts >= high)).sum()
    )
    dropped = {"time is not finite": not_finite} if not_finite else {}
    return counts, dropped, {name: number for name, number in odd.items() if number}
