"""Spike times to counts per bin, and whole bins merged into wider ones. Pure numpy."""

import numpy as np

from neurojax.errors import InputError, require

# entries of one recording; beyond this a wrong time unit is the likelier reading
MAX_COUNTS = 2**34
UNIT_ROWS = "whole numbers: the row of the unit of each spike"
MAX_WHOLE_FLOAT = 2.0**53  # beyond it a float64 skips whole numbers
# Edges are whole ticks of this clock, and times count from half a tick before an edge: a spike at a
# whole millisecond never moves to a neighbouring bin because 29 * 0.02 rounds up.
TICK_S = 1e-6
_FORGIVEN_SHARE = 0.05  # of a bin that float32 times may lack
_CHUNK_COUNTS = 2**18  # int64 entries of scratch per bincount call: they stay in a core's cache
_CHUNK_SPIKES = 2**16  # looked at together


def count_dtype(max_count: int) -> np.dtype:
    """Smallest dtype that holds the largest count: uint8, uint16 when a bin exceeds 255.

    Raises:
        InputError: a bin holds more than 65535 spikes.
    """
    require(
        max_count <= np.iinfo(np.uint16).max,
        f"a bin holds {max_count} spikes, expected at most 65535; check the counts and their bin "
        "size",
    )
    return np.dtype(np.uint8 if max_count <= np.iinfo(np.uint8).max else np.uint16)


def whole_numbers(values: np.ndarray, name: str, expected: str) -> np.ndarray:
    """Integers as they are; floats that are all whole (MATLAB's doubles) as int64.

    Raises:
        InputError: text or booleans, or a value that is not whole, finite and within 2**53; it is
            named.
    """
    if values.dtype.kind in "iu":
        return values
    require(values.dtype.kind == "f", f"{name} is {values.dtype}, expected {expected}")
    # NaN fails every comparison, so that it is refused here too.
    whole = (np.abs(values) <= MAX_WHOLE_FLOAT) & (values == np.floor(values))
    if not whole.all():
        raise InputError(f"{name} holds {values[~whole][0]:g}, expected {expected}")
    return values.astype(np.int64)


def ticks(seconds: np.ndarray) -> np.ndarray:
    """Seconds as whole ticks, int64."""
    return np.rint(np.asarray(seconds, np.float64) / TICK_S).astype(np.int64)


def bin_edges_s(start_s: np.ndarray, bin_number: np.ndarray, bin_size_s: float) -> np.ndarray:
    """Where bin `bin_number` of a trial begins, float64, for comparison with times: a time belongs
    to it from there on. Half a tick early, so that rounding cannot decide."""
    return edges_s(ticks(start_s), bin_number, bin_size_s)


def edges_s(start_ticks: np.ndarray, bin_number: np.ndarray, bin_size_s: float) -> np.ndarray:
    """`bin_edges_s` of trials that begin at whole ticks, int64."""
    return (start_ticks + np.rint(bin_number * (bin_size_s / TICK_S)) - 0.5) * TICK_S


def bins_that_fit(start_s: np.ndarray, stop_s: np.ndarray, bin_size_s: float) -> np.ndarray:
    """Whole bins between two times, float64: equal trials have as many, wherever the clock stands.

    Two ticks are forgiven, or what the clock cannot resolve: float64 on a clock of years, and
    float32, which a file may have had, up to a twentieth of a bin.
    """
    edges = np.stack(np.broadcast_arrays(start_s, stop_s)).astype(np.float64)
    largest = np.abs(edges).max(initial=0)
    forgiven = max(2.0, 4 * np.spacing(largest) / TICK_S)
    with np.errstate(over="ignore", invalid="ignore"):
        single = edges.astype(np.float32)
        of_single_s = np.minimum(
            2 * np.abs(np.spacing(single)).max(axis=0), _FORGIVEN_SHARE * bin_size_s
        )
    forgiven = np.where(
        (single == edges).all(axis=0), np.maximum(forgiven, of_single_s / TICK_S), forgiven
    )
    lasting = (np.asarray(stop_s) - np.asarray(start_s)) / TICK_S
    return np.floor((lasting + forgiven) / (bin_size_s / TICK_S))


def bin_spike_times(
    spike_times_s: np.ndarray,
    spike_units: np.ndarray,
    num_units: int,
    trial_start_s: np.ndarray,
    trial_num_bins: np.ndarray,
    bin_size_s: float,
) -> np.ndarray:
    """Counts spikes in bins [start + k * bin, start + (k + 1) * bin) of each trial.

    A spike inside two overlapping trials is counted in both.

    Args:
        spike_times_s: float [spikes], any order, seconds.
        spike_units: whole numbers [spikes], row of the unit of each spike, 0 to num_units - 1.
        num_units: N.
        trial_start_s: float [trials], same clock as the spikes.
        trial_num_bins: integers [trials].
        bin_size_s: seconds.

    Returns:
        counts, uint8 or uint16 [total_bins, N], trials end to end.

    Raises:
        InputError: lengths differ, a time is not finite, a unit is out of range, or a bin exceeds
            65535.
    """
    times = np.asarray(spike_times_s, dtype=np.float64)
    units = whole_numbers(np.asarray(spike_units), "spike_units", UNIT_ROWS)
    rising = _check_spikes(times, units, num_units)
    starts, num_bins = np.asarray(trial_start_s, np.float64), np.asarray(trial_num_bins, np.int64)
    total_bins = sum(num_bins.tolist())
    require(
        total_bins * num_units <= MAX_COUNTS,
        f"{total_bins} bins x {num_units} units exceed {MAX_COUNTS} counts; check the bin size "
        "and the time unit",
    )
    if not rising:
        scattered = _scattered_counts(times, units, num_units, starts, num_bins, bin_size_s)
        if scattered is not None:
            return scattered
        # Only what cannot be scattered is sorted: trials that overlap, or over 255 spikes in a bin.
        order = np.argsort(times, kind="stable")
        times, units = times[order], units[order]
    first_row, start_ticks = np.cumsum(num_bins) - num_bins, ticks(starts)
    counts = np.zeros((total_bins, num_units), np.uint8)
    chunk = max(1, _CHUNK_COUNTS // max(num_units, 1))
    for row in range(0, total_bins, chunk):
        rows = np.arange(row, min(row + chunk, total_bins))
        trial = np.searchsorted(first_row, rows, side="right") - 1
        bin_of_trial = rows - first_row[trial]
        left = np.searchsorted(times, edges_s(start_ticks[trial], bin_of_trial, bin_size_s))
        # A bin ends where the next begins; only the last one of a trial ends at an edge of its own.
        ends = np.flatnonzero(np.append(trial[1:] != trial[:-1], True))
        right = np.append(left[1:], 0)
        stops = edges_s(start_ticks[trial[ends]], bin_of_trial[ends] + 1, bin_size_s)
        right[ends] = np.searchsorted(times, stops)
        flat = np.repeat((rows - row) * num_units, right - left)
        # unsigned 64 bits fit too
        np.add(flat, _slices(units, left, right), out=flat, casting="unsafe")
        binned = np.bincount(flat, minlength=len(rows) * num_units).reshape(-1, num_units)
        # uint8 until a bin exceeds 255; then all that was binned so far becomes uint16.
        counts = counts.astype(
            np.promote_types(counts.dtype, count_dtype(int(binned.max(initial=0)))), copy=False
        )
        counts[row : row + len(rows)] = binned
    return counts


def merge_bins(
    counts: np.ndarray, trial_num_bins: np.ndarray, factor: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums each `factor` consecutive bins of a trial; bins left over at its end are dropped.

    Args:
        counts: uint8 or uint16 [total_bins, N], trials end to end.
        trial_num_bins: int64 [trials].
        factor: whole number of bins in a merged bin.

    Returns:
        counts, uint8 or uint16 [merged_bins, N], and the merged trial_num_bins, int64 [trials].

    Raises:
        InputError: a trial is shorter than one merged bin, or a merged bin exceeds 65535 spikes.
    """
    rows, merged_num_bins = _rows_kept(trial_num_bins, factor)
    # Added up in uint8 where no sum can pass 255, else in int64: uint8 would wrap silently.
    bound = int(counts.max(initial=0)) * factor
    merged = np.zeros(
        (len(rows) // factor, counts.shape[1]), np.uint8 if bound <= 255 else np.int64
    )
    for offset in range(factor):
        merged += counts[rows[offset::factor]]
    return merged.astype(count_dtype(int(merged.max(initial=0))), copy=False), merged_num_bins


def merge_means(values: np.ndarray, trial_num_bins: np.ndarray, factor: int) -> np.ndarray:
    """Means of a behaviour over merged bins: [total_bins, dims] -> [merged_bins, dims]."""
    rows, _ = _rows_kept(trial_num_bins, factor)
    return (
        values[rows]
        .reshape(-1, factor, values.shape[1])
        .mean(axis=1, dtype=np.float64)
        .astype(values.dtype)
    )


def merge_valid(valid: np.ndarray, trial_num_bins: np.ndarray, factor: int) -> np.ndarray:
    """A merged bin is valid when all its bins are: bool [total_bins(, N)] -> [merged_bins(, N)]."""
    rows, _ = _rows_kept(trial_num_bins, factor)
    return valid[rows].reshape(-1, factor, *valid.shape[1:]).all(axis=1)


def _rows_kept(trial_num_bins: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in whole merged bins, int64 [merged_bins * factor], and merged bins of each trial."""
    lengths = np.asarray(trial_num_bins, np.int64)
    # Whole merged bins alone: a shorter last one would look like a drop in the rate.
    merged = lengths // factor
    if len(merged) and merged.min() == 0:
        trial = int(np.argmin(merged))
        raise InputError(
            f"trial {trial} has {lengths[trial]} bins, fewer than the {factor} of one merged bin; "
            "merge fewer bins"
        )
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.flatnonzero(within < np.repeat(merged * factor, lengths)), merged


def _check_spikes(times: np.ndarray, units: np.ndarray, num_units: int) -> bool:
    """Raises InputError on what cannot be binned; returns whether times never fall."""
    require(
        times.ndim == 1 and units.shape == times.shape,
        f"spike_times_s has shape {times.shape} and spike_units {units.shape}; expected one time "
        "and one unit a spike",
    )
    num_bad, lowest, highest, rising = 0, 0, 0, True
    for first in range(0, len(times), _CHUNK_SPIKES):
        some = times[first : first + _CHUNK_SPIKES + 1]  # one more: pairs across blocks
        rising = rising and not (some[1:] < some[:-1]).any()
        num_bad += int((~np.isfinite(some[:_CHUNK_SPIKES])).sum())
        named = units[first : first + _CHUNK_SPIKES]
        lowest, highest = min(lowest, int(named.min())), max(highest, int(named.max()))
    require(not num_bad, f"spike_times_s holds {num_bad} non-finite times; remove those spikes")
    if len(units) and (lowest < 0 or highest >= num_units):
        raise InputError(
            f"spike_units runs from {units.min()} to {units.max()}, expected rows 0 to "
            f"{num_units - 1}; count units from 0"
        )
    return rising


def _scattered_counts(
    times: np.ndarray,
    units: np.ndarray,
    num_units: int,
    starts: np.ndarray,
    num_bins: np.ndarray,
    bin_size_s: float,
) -> np.ndarray | None:
    """The counts of spikes in any order, which cost less than sorting them; uint8 [total_bins, N].

    None where that does not do: trials share more time than rounding explains, or a bin exceeds 255
    spikes.
    """
    begins = bin_edges_s(starts, 0 * num_bins, bin_size_s)
    stops = bin_edges_s(starts, num_bins, bin_size_s)
    shared_s = (stops[:-1] - begins[1:]).max(initial=-np.inf)
    # Each spike is looked up in one trial, the last that has begun; an overlap needs the sort.
    if not len(starts) or shared_s > bin_size_s / 2:
        return None
    first_row = np.cumsum(num_bins) - num_bins
    counts, placed = np.zeros(int(num_bins.sum()) * num_units, np.uint8), 0

    start_ticks, bin_ticks = ticks(starts), bin_size_s / TICK_S

    def add(rows: np.ndarray, of_units: np.ndarray) -> int:
        flat = rows * num_units
        np.add(flat, of_units, out=flat, casting="unsafe")  # unsigned 64 bits fit too
        np.add.at(counts, flat, np.uint8(1))
        return len(flat)

    for first in range(0, len(times), _CHUNK_SPIKES):
        some, named = times[first : first + _CHUNK_SPIKES], units[first : first + _CHUNK_SPIKES]
        trial = np.searchsorted(begins, some, side="right") - 1
        # the last bin of the trial before reaches past this one's start by a rounding
        if shared_s > 0:
            twice = (trial > 0) & (some < stops[trial - 1])
            placed += add(first_row[trial[twice]] - 1, named[twice])
        inside = (trial >= 0) & (some < stops[trial])
        if not inside.all():
            some, named, trial = some[inside], named[inside], trial[inside]
        since = ticks(some) - start_ticks[trial]
        offset = (since / bin_ticks).astype(np.int64)
        # division rounds: the edges of `bin_edges_s` decide
        offset -= since < np.rint(offset * bin_ticks)
        offset += since >= np.rint((offset + 1) * bin_ticks)
        placed += add(first_row[trial] + offset, named)
    # np.add.at wraps a uint8 at 256 without a word; a bin that wrapped is missing in the sum.
    return counts.reshape(-1, num_units) if counts.sum(dtype=np.int64) == placed else None


def _slices(values: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """values[left[0]:right[0]], values[left[1]:right[1]], ... end to end."""
    begins = np.flatnonzero(np.append(True, left[1:] != right[:-1]))
    ends = np.append(begins[1:], len(left)) - 1
    pieces = [values[i:j] for i, j in zip(left[begins].tolist(), right[ends].tolist(), strict=True)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
