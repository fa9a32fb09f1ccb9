"""Spikes of an NWB file, a block of units at a time: looked at once, for their span, a sample that
tells of the clock, and when each probe was heard; then counted into bins."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from neurojax.data.binning import MAX_COUNTS, bin_spike_times
from neurojax.data.checks.findings import REACHING, counted_as_silence
from neurojax.data.clock import in_seconds
from neurojax.data.observed import entries_inside, heard, within
from neurojax.data.readers import nwb_file
from neurojax.data.readers.nwb_units import Units
from neurojax.errors import InputError, require

_BLOCK_SPIKES = 2**20  # read at a time, or one unit
_MAX_UNIT_SPIKES = 2**28
_SAMPLED_SPIKES = 2**14
_CELL_S = 4.0  # of each, the first and the last spike tell all about gaps of ten seconds
_FEW_UNITS = 8  # probes below are heard together: tetrodes


def raw_blocks(units: Units, where: str) -> Iterator[tuple[int, list[np.ndarray]]]:
    """(first unit, spike times [spikes] as the file has them of it and of each after it) in blocks
    of bounded size."""
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
        dataset = nwb_file.check_dataset(units.spike_times, f"{where}, units/spike_times")
        times = dataset[start:end]
        yield (
            first,
            [times[units.first[u] - start : units.last[u] - start] for u in range(first, stop)],
        )
        first = stop


class Survey(NamedTuple):
    """What all spikes tell.

    Attributes:
        first_s, last_s: first and last spike, seconds.
        sample: [at most about 2**14] of the times as the file has them, the first and last of each
            unit among them.
        num_spikes: how many have a finite time.
        num_firing: units with a spike.
        heard: probe -> float64 [intervals, 2], see `observed.heard`.
    """

    first_s: float
    last_s: float
    sample: np.ndarray
    num_spikes: int
    num_firing: int
    heard: dict[str, np.ndarray]


def survey_spikes(units: Units, where: str) -> Survey:
    """Looks at every spike once.

    Raises:
        InputError: no spike time is finite, or the file is damaged.
    """
    stride = 1 + int((units.last - units.first).sum()) // _SAMPLED_SPIKES
    sample, of_unit = [], []
    number = np.zeros(len(units.first), np.int64)
    for first, trains in raw_blocks(units, where):
        for unit, train in enumerate(trains, start=first):
            times = train if np.isfinite(train).all() else train[np.isfinite(train)]
            times = times if (times[1:] >= times[:-1]).all() else np.sort(times)
            number[unit] = len(times)
            # copies: a view would hold the whole block
            sample += [times[::stride].copy(), times[-1:].copy()]
            of_unit.append(_thinned(in_seconds(times, units.spike_s)))
    require(number.any(), f"{where}: no spike time is finite; check the file")
    ends = np.concatenate(of_unit)
    return Survey(
        float(ends.min()),
        float(ends.max()),
        np.concatenate(sample).astype(units.spike_times.dtype.newbyteorder("="), copy=False),
        int(number.sum()),
        int((number > 0).sum()),
        _heard(units.probe, of_unit, number),
    )


def _thinned(times: np.ndarray) -> np.ndarray:
    """The first and last spike of every few seconds, float64 in no order, of rising times in
    seconds."""
    if not len(times):
        return times
    first, last = np.floor(times[[0, -1]] / _CELL_S)
    if last - first >= len(times):
        return times.copy()
    place = np.searchsorted(times, np.arange(first, last + 2) * _CELL_S)
    begin, end = place[:-1], place[1:] - 1
    return times[np.concatenate([begin[begin <= end], end[begin <= end]])]


def _heard(
    probe: np.ndarray, of_unit: list[np.ndarray], number: np.ndarray
) -> dict[str, np.ndarray]:
    """When each probe was heard; those of few units are one population."""
    names = sorted(set(probe.tolist()))
    rows = {name: np.flatnonzero((probe == name) & (number > 0)) for name in names}
    small = [name for name in names if len(rows[name]) < _FEW_UNITS]
    together = np.sort(np.concatenate([rows[name] for name in small])) if small else None
    made = {}
    for name in names:
        own = together if name in small else rows[name]
        times = np.sort(np.concatenate([np.empty(0), *(of_unit[row] for row in own.tolist())]))
        made[name] = heard(times, len(own), int(number[own].sum()))
    return made


def count_spikes(
    units: Units,
    observed: list[np.ndarray] | None,
    span_s: tuple[float, float],
    starts: np.ndarray,
    num_bins: np.ndarray,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray, dict[str, int], dict[str, int]]:
    """Counts, uint8 or uint16 [total_bins, N], why spikes were left out, and what was odd; memory
    of one block.

    Args:
        units: rows of the table.
        observed: when each of them was, float64 [intervals, 2]; None: always.
        span_s: first and last spike, seconds.
        starts, num_bins: of the trials, [trials].
        bin_size_s: seconds.
        where: for messages.
    """
    total_bins = sum(num_bins.tolist())
    require(
        total_bins * len(units.first) <= MAX_COUNTS,
        f"{where}: {total_bins} bins x {len(units.first)} units exceed {MAX_COUNTS} counts; check "
        "the bin size and the windows",
    )
    counts = np.zeros((total_bins, len(units.first)), np.uint8)
    odd, not_finite = Counter(), 0
    for first, trains in raw_blocks(units, where):
        cleaned = []
        for unit, train in enumerate(trains, start=first):
            times = in_seconds(train[np.isfinite(train)], units.spike_s)
            not_finite += len(train) - len(times)
            unsorted = int((times[1:] < times[:-1]).sum())
            times = np.sort(times) if unsorted else times
            odd["unsorted spike times"] += unsorted
            odd["repeated spike times"] += int((times[1:] == times[:-1]).sum())
            odd["negative spike times"] += int(np.searchsorted(times, 0.0))
            odd["units without spikes"] += not len(times)
            if observed is not None:
                outside = ~within(observed[unit], times, times)
                odd["spikes outside of the observed time"] += int(outside.sum())
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
    outside = (starts + num_bins * bin_size_s <= span_s[0]) | (starts >= span_s[1])
    grid = starts[outside], num_bins[outside], bin_size_s
    seen = entries_inside(observed, *grid) if observed is not None and outside.any() else None
    odd[REACHING] = counted_as_silence(outside[outside], num_bins[outside], seen)
    dropped = {"time is not finite": not_finite} if not_finite else {}
    return counts, dropped, {name: number for name, number in odd.items() if number}
