"""Observed time: which entries (bins x units) of a recording were watched; a zero elsewhere is not
silence.

On disk and in `Session.validity` observed time is intervals of bins per unit; between arrays it is
bool [total_bins, N]. None means that every unit was watched throughout, and costs nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# A bin counts as observed when no more than this share of it sticks out: clocks round.
_TOLERATED_SHARE = 0.05
_CHUNK_UNITS = 64
MOST_PATTERNS = 8  # of watched units, that the bins of a trial are sorted into
EVERYTHING = np.array([[-np.inf, np.inf]])  # intervals of what was always observed
EVERYTHING.setflags(write=False)
# A population is taken as switched off when it says nothing for so long, and so much was due.
SWITCHED_OFF_S, _SPIKES_DUE, _SPIKES_DUE_AT_ENDS, _LEAST_UNITS = 10.0, 200, 30, 8


class ObservedIntervals(NamedTuple):
    """When each unit (or channel) was observed; outside of its intervals a zero is not silence.

    Intervals are sorted by unit, then by bin, and do not overlap within a unit.

    Attributes:
        unit_index: int32 [intervals], row of the unit.
        start_bin: int64 [intervals], first bin, a row of the recording.
        stop_bin: int64 [intervals], the bin after the last.
    """

    unit_index: np.ndarray
    start_bin: np.ndarray
    stop_bin: np.ndarray


def merged(intervals_s: np.ndarray, touching_s: float = 1e-6) -> np.ndarray:
    """Intervals float64 [n, 2] in order of time, those that touch or overlap as one.

    An end that is infinite or NaN is open: to the beginning, or to the end, of the recording. Rows
    of two NaN pad and reversed ones say nothing; both are left out.
    """
    unknown = np.isnan(intervals_s)
    given = np.where(unknown, np.array([-np.inf, np.inf]), intervals_s)
    good = ~unknown.all(axis=1) & (given[:, 0] < given[:, 1])
    start, stop = given[good][np.argsort(given[good, 0], kind="stable")].T
    reach = np.maximum.accumulate(stop)
    apart = np.flatnonzero(start[1:] > reach[:-1] + touching_s) + 1
    first = np.concatenate([np.zeros(min(1, len(start)), np.int64), apart])
    return np.stack([start[first], reach[np.append(apart, len(start))[: len(first)] - 1]], axis=1)


def gaps_of(intervals_s: np.ndarray) -> np.ndarray:
    """The time outside of intervals, float64 [n, 2]; the first and last reach to infinity."""
    inside = merged(np.asarray(intervals_s, np.float64).reshape(-1, 2))
    edges = np.concatenate([[-np.inf], inside.ravel(), [np.inf]])
    gaps = edges.reshape(-1, 2)
    return gaps[gaps[:, 0] < gaps[:, 1]]


def within(
    intervals_s: np.ndarray, starts_s: np.ndarray, stops_s: np.ndarray, slack_s: float = 0.0
) -> np.ndarray:
    """Whether stretches of time, [n] starts and stops, each lie in one of the intervals, bool [n].

    Args:
        intervals_s: float64 [intervals, 2], rising and apart; may be infinite at its ends.
        starts_s, stops_s: seconds [n].
        slack_s: by which they may stick out at either end.
    """
    if not len(intervals_s):
        return np.zeros(len(starts_s), bool)
    last = np.searchsorted(intervals_s[:, 0], starts_s + slack_s, side="right") - 1
    return (last >= 0) & (stops_s <= intervals_s[last, 1] + slack_s)


def elsewhere(good_s: np.ndarray, first_s: float, last_s: float) -> int:
    """How many of the bad stretches between good intervals, float64 [n, 2], rising and apart, touch
    nothing of a recording: they are likely on another clock."""
    bad_s = np.asarray(good_s).ravel()[1:-1].reshape(-1, 2)
    return int(((bad_s[:, 1] <= first_s) | (bad_s[:, 0] >= last_s)).sum())


def shared(one_s: np.ndarray, other_s: np.ndarray) -> np.ndarray:
    """Time that lies in both of two sets of intervals, float64 [n, 2], rising and apart; each of
    them is rising and apart, and may be infinite at its ends."""
    if not len(one_s) or not len(other_s):
        return np.empty((0, 2))
    edges = np.unique(np.concatenate([one_s.ravel(), other_s.ravel()]))
    start, stop = edges[:-1], edges[1:]
    inside = np.ones(len(start), bool)
    for own in (one_s, other_s):
        inside &= within(own, start, stop)
    steps = np.diff(np.pad(inside, 1).astype(np.int8))
    return np.stack([edges[steps == 1], edges[np.flatnonzero(steps == -1)]], axis=1)


def different(intervals_s: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """The different ones of units' sets of intervals, and which of them each unit has, int64 [N]:
    most recordings repeat one set for all units of a probe."""
    keys = [np.ascontiguousarray(own, np.float64).tobytes() for own in intervals_s]
    known = dict(zip(keys, intervals_s, strict=True))
    place = {key: number for number, key in enumerate(known)}
    return list(known.values()), np.array([place[key] for key in keys], np.int64)


def shared_of_units(
    ones_s: Sequence[np.ndarray], others_s: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """`shared` of two sets of intervals of each unit."""
    (ones, first), (others, second) = different(ones_s), different(others_s)
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    made = {pair: shared(ones[pair[0]], others[pair[1]]) for pair in set(pairs)}
    return [made[pair] for pair in pairs]


def heard(times_s: np.ndarray, num_units: int, num_spikes: int | None = None) -> np.ndarray:
    """Time in which a population was recorded, as its spikes tell, float64 [n, 2], seconds;
    infinite at its ends where they do not tell.

    For recordings that do not say when they were observed: a stretch without any spike of any unit
    in which 200 and more were due is a gap of the recording, not silence. Fewer than eight
    units may all be silent: then nothing is said.

    Args:
        times_s: float64 [spikes], of all units of one probe, rising, seconds.
        num_units: of the probe, that fire.
        num_spikes: where `times_s` holds only the first and last spike of each few seconds (below
            ten), how many there are.
    """
    number = len(times_s) if num_spikes is None else num_spikes
    if num_units < _LEAST_UNITS or number < _SPIKES_DUE or times_s[-1] <= times_s[0]:
        return EVERYTHING
    due_hz = number / (times_s[-1] - times_s[0])
    margin_s = _SPIKES_DUE_AT_ENDS / due_hz
    gaps = np.flatnonzero(np.diff(times_s) > max(SWITCHED_OFF_S, _SPIKES_DUE / due_hz))
    edges = np.stack([times_s[gaps], times_s[gaps + 1]], axis=1).ravel()
    ends = [times_s[0] - margin_s], edges, [times_s[-1] + margin_s]
    return np.concatenate(ends).reshape(-1, 2)


def probes_of(probe: np.ndarray | None, num_units: int) -> np.ndarray:
    """Number of each unit's probe, int64 [N], for names or numbers [N]; one for all where no column
    of that length says."""
    if probe is None or np.shape(probe) != (num_units,):
        return np.zeros(num_units, np.int64)
    return np.unique(probe, return_inverse=True)[1].ravel()


def heard_by_probe(times_s: np.ndarray, rows: np.ndarray, probe: np.ndarray) -> list[np.ndarray]:
    """Of each unit, the time in which its probe was recorded, see `heard`.

    Args:
        times_s: float64 [spikes], rising, seconds.
        rows: integers [spikes], row of each spike's unit.
        probe: integers [N], number of each unit's probe, see `probes_of`.
    """
    firing = np.bincount(rows, minlength=len(probe)) > 0
    known = {}
    for number in np.unique(probe).tolist():
        own = probe == number
        times = times_s if own.all() else times_s[own[rows]]
        known[number] = heard(times, int(firing[own].sum()))
    return [known[number] for number in probe.tolist()]


def inside_bins(
    intervals_s: np.ndarray,
    trial_start_s: np.ndarray,
    trial_num_bins: np.ndarray,
    bin_size_s: float,
) -> np.ndarray:
    """Which bins of trials laid end to end lie within intervals, bool [total_bins].

    Args:
        intervals_s: float64 [n, 2], seconds on the clock of the trials, rising and apart; may be
            infinite at its ends.
        trial_start_s: float64 [trials].
        trial_num_bins: int64 [trials].
        bin_size_s: seconds.
    """
    total_bins = int(np.sum(trial_num_bins))
    place = np.arange(total_bins) - np.repeat(
        np.cumsum(trial_num_bins) - trial_num_bins, trial_num_bins
    )
    starts = np.repeat(trial_start_s, trial_num_bins) + place * bin_size_s
    return within(intervals_s, starts, starts + bin_size_s, _TOLERATED_SHARE * bin_size_s)


def entries_inside(
    intervals_s: Sequence[np.ndarray],
    trial_start_s: np.ndarray,
    trial_num_bins: np.ndarray,
    bin_size_s: float,
) -> np.ndarray | None:
    """Entries in which each unit was watched, bool [total_bins, N]; None where all were.

    Args:
        intervals_s: of each unit, float64 [n, 2], rising and apart, see `merged`.
        trial_start_s, trial_num_bins, bin_size_s: see `inside_bins`.
    """
    sets, of_unit = different(intervals_s)
    bins = [inside_bins(own, trial_start_s, trial_num_bins, bin_size_s) for own in sets]
    if all(own.all() for own in bins):
        return None
    return np.stack(bins, axis=1)[:, of_unit]


def intervals_of(observed: np.ndarray | None) -> ObservedIntervals | None:
    """bool [total_bins, N] as intervals of bins; None where all is observed."""
    if observed is None or observed.all():
        return None
    units, starts, stops = [], [], []
    for first in range(0, observed.shape[1], _CHUNK_UNITS):
        padded = np.pad(observed[:, first : first + _CHUNK_UNITS].T, ((0, 0), (1, 1)))
        steps = np.diff(padded.astype(np.int8), axis=1)  # [units, total_bins + 1]
        unit, start = np.nonzero(steps == 1)
        units.append(unit + first)
        starts.append(start)
        stops.append(np.nonzero(steps == -1)[1])
    return ObservedIntervals(
        np.concatenate(units).astype(np.int32),
        np.concatenate(starts).astype(np.int64),
        np.concatenate(stops).astype(np.int64),
    )


def entries_of(
    validity: ObservedIntervals | None, total_bins: int, num_units: int
) -> np.ndarray | None:
    """`Session.validity` as bool [total_bins, N]; None where all is observed."""
    if validity is None:
        return None
    steps = np.zeros((total_bins + 1, num_units), np.int8)
    # One interval may begin where the one before it ends: hence additions, of distinct entries.
    steps[validity.start_bin, validity.unit_index] += 1
    steps[validity.stop_bin, validity.unit_index] -= 1
    return np.cumsum(steps, axis=0, dtype=np.int8)[:total_bins] > 0


class Index:
    """Looks up the observed entries of trials, at a cost of the trials and not of the recording."""

    def __init__(self, validity: ObservedIntervals, total_bins: int, num_units: int):
        # One number for (unit, bin): intervals are sorted by it, so that one search finds a unit's.
        self._stride, self._num_units = np.int64(total_bins + 1), num_units
        offset = validity.unit_index.astype(np.int64) * self._stride
        self._start, self._stop = offset + validity.start_bin, offset + validity.stop_bin

    def entries(self, starts: np.ndarray, lengths: np.ndarray, num_bins: int) -> np.ndarray:
        """bool [K, T, N] of trials that begin at bin `starts` [K] and have `lengths` [K] bins,
        False past their ends; T is `num_bins`."""
        offset = np.arange(self._num_units, dtype=np.int64) * self._stride  # [N]
        begin = np.asarray(starts, np.int64)[:, None] + offset  # [K, N]
        end = begin + np.asarray(lengths, np.int64)[:, None]
        first = np.searchsorted(self._stop, begin, side="right")
        number = np.searchsorted(self._start, end, side="left") - first
        number = np.maximum(number, 0)
        trial, unit = (np.repeat(axis.ravel(), number.ravel()) for axis in np.indices(number.shape))
        before = np.repeat(np.cumsum(number) - number.ravel(), number.ravel())
        which = np.repeat(first.ravel(), number.ravel()) + np.arange(len(before)) - before
        steps = np.zeros((len(begin), num_bins + 1, self._num_units), np.int8)
        origin, limit = begin[trial, unit], np.asarray(lengths)[trial]
        steps[trial, np.maximum(self._start[which] - origin, 0), unit] += 1
        steps[trial, np.minimum(self._stop[which] - origin, limit), unit] -= 1
        return np.cumsum(steps, axis=1, dtype=np.int8)[:, :num_bins] > 0

    def most_patterns(self, starts: np.ndarray, lengths: np.ndarray, limit: int) -> int:
        """The most patterns of watched units that the bins of one trial have, of trials that begin
        at bin `starts` [K] and have `lengths` [K] bins; bins that nobody watched have none. More
        than `limit` are not counted to the end."""
        edges = np.unique(np.concatenate([self._start % self._stride, self._stop % self._stride]))
        changes = np.searchsorted(edges, starts + lengths) - np.searchsorted(edges, starts, "right")
        most = 1
        for trial in np.flatnonzero(changes):  # in most recordings gaps lie between trials
            own = slice(trial, trial + 1)
            watched = self.entries(starts[own], lengths[own], int(lengths[trial]))[0]
            packed = np.packbits(watched[watched.any(1)], axis=1)
            most = max(most, len(np.unique(packed, axis=0)))
            if most > limit:
                break
        return most


def worth_sorting(most_patterns: Sequence[int], num_bins: int) -> int | None:
    """The most patterns of watched units in a trial, of sessions with so many each; None where all
    sessions were watched throughout, or where patterns are nearly as many as bins."""
    most = max(most_patterns)
    return most if 0 < most <= min(MOST_PATTERNS, max(num_bins // 2, 1)) else None


def pattern_bins(observed: np.ndarray, number: int) -> np.ndarray:
    """The first bin of each pattern of watched units that a trial has, int32 [G, b, S].

    Args:
        observed: bool [G, b, T, N]; bins that nobody watched have no pattern.
        number: S, no fewer than any trial has; what a trial lacks is some bin.
    """
    done = ~observed.any(-1)  # [G, b, T]
    bins = np.empty((*observed.shape[:2], number), np.int32)
    for place in range(number):
        first = np.argmin(done, axis=-1)
        bins[..., place] = first
        if place + 1 < number:
            pattern = np.take_along_axis(observed, first[..., None, None], axis=2)  # [G, b, 1, N]
            done |= (observed == pattern).all(-1)
    return bins
