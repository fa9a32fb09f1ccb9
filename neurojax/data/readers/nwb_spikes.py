"""Spikes of an NWB file, read a block of units at a time, and counted into bins."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from neurojax.data.binning import MAX_COUNTS, bin_spike_times
from neurojax.data.clock import in_seconds
from neurojax.data.observed import within
from neurojax.data.readers import nwb_file
from neurojax.data.readers.nwb_units import Units
from neurojax.errors import InputError, require

_BLOCK_SPIKES = 2**20  # read at a time, or one unit
_MAX_UNIT_SPIKES = 2**28


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
    odd["trials that reach outside of the spikes"] = int(outside.sum())
    dropped = {"time is not finite": not_finite} if not_finite else {}
    return counts, dropped, {name: number for name, number in odd.items() if number}
