"""The clock of a sorting: samples to seconds, segments end to end with a gap between them, windows
within each, and the time in which each probe was recorded."""

from typing import NamedTuple

import numpy as np

from neurojax.data.clock import TimeUnit, in_seconds, require_seconds
from neurojax.data.observed import heard, shared
from neurojax.data.readers.sorted_spikes import SortedSpikes, add_counts, one_each
from neurojax.data.readers.sorting_folders import Sorting
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trials import whole_times
from neurojax.errors import InputError, require

# The next segment begins at a whole minute, at least so long after the end of the one before:
# probes of one recording, whose last spikes differ, agree about it.
_ROUND_S, _LEAST_GAP_S = 60.0, 10.0
_MARGIN_S = 1.0  # a segment of unknown length lasts so long after its last spike
_MAX_DISBELIEVED = 0.01  # share of spikes after the end of the raw file, which it then is not
# names in info["findings"]
JOINED = "segments read end to end on one clock, nothing observed between them"
LEFT_OUT = "segments left out, as --options=segment= takes one"
NOT_ITS_END = "spikes after the end of the raw file, whose length is not used"


class Timed(NamedTuple):
    """Spikes of the segments that were taken, on one clock.

    Attributes:
        times_s: float64 [spikes].
        clusters: [spikes].
        segments: numbers of the segments, rising.
        start_s, stop_s: float64 [segments]; infinite where the end is not known, of several
            segments a second after the last spike.
        ends_known: bool [segments].
        recorded_s: float64 [segments, 2], the time of each; a first spike below zero is taken as
            its start.
        dropped, findings: reason -> number.
    """

    times_s: np.ndarray
    clusters: np.ndarray
    segments: tuple[int, ...]
    start_s: np.ndarray
    stop_s: np.ndarray
    ends_known: np.ndarray
    recorded_s: np.ndarray
    dropped: dict[str, int]
    findings: dict[str, int]


def timed(sorting: Sorting, spec: ReadSpec, rate_hz: float | None, where: str) -> Timed:
    """Spike times in seconds, of all segments or of the one that was asked for.

    Args:
        sorting: as its folder has it.
        spec: options segment and length_s.
        rate_hz: samples a second; None where times are seconds.
        where: for messages.
    """
    unit_s = _unit_s(sorting, spec, rate_hz, where)
    raw, clusters = one_each(_signed(np.asarray(sorting.times)), sorting.clusters, where)
    times = in_seconds(raw, unit_s)
    number = len(sorting.num_samples)
    lengths_s, sure = _lengths_s(sorting, spec, number, rate_hz, where)
    taken, findings = _taken(spec, number, where)
    of_spike = sorting.segment
    keep = np.ones(times.shape, bool) if of_spike is None else np.isin(of_spike, taken)
    late = keep & (times >= (lengths_s[0] if of_spike is None else lengths_s[of_spike]))
    if late.any() and not sure and late.sum() > _MAX_DISBELIEVED * keep.sum():
        findings[NOT_ITS_END] = int(late.sum())
        lengths_s, late = np.full(number, np.inf), np.zeros(times.shape, bool)
    dropped = add_counts({"after the end of the recording": int(late.sum())})
    keep &= ~late
    if not keep.all():
        times, clusters = times[keep], clusters[keep]
        of_spike = None if of_spike is None else np.asarray(of_spike)[keep]
    start_s, stop_s = _end_to_end(times, of_spike, taken, lengths_s)
    if of_spike is not None:
        times = times + start_s[np.searchsorted(taken, of_spike)]
    known = np.isfinite(lengths_s[list(taken)])
    # of numbers that are always finite no copy is made
    finite = times if raw.dtype.kind in "iu" else times[np.isfinite(times)]
    recorded_s = np.stack([start_s, stop_s], axis=1)
    recorded_s[0, 0] = min(start_s[0], float(finite.min(initial=0.0)))
    return Timed(times, clusters, taken, start_s, stop_s, known, recorded_s, dropped, findings)


def _end_to_end(
    times: np.ndarray, of_spike: np.ndarray | None, taken: tuple[int, ...], lengths_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop of each segment that is taken, float64 [segments] twice, seconds."""
    starts, stops, begin = [], [], 0.0
    for segment in taken:
        own = times if of_spike is None else times[of_spike == segment]
        length_s = float(lengths_s[segment])
        if np.isinf(length_s) and len(taken) > 1:
            length_s = float(own[np.isfinite(own)].max(initial=0.0)) + _MARGIN_S
        starts.append(begin)
        stops.append(begin + length_s)
        begin = _ROUND_S * np.ceil((begin + length_s + _LEAST_GAP_S) / _ROUND_S)
    return np.array(starts), np.array(stops)


def judge(
    sorting: Sorting,
    spikes: SortedSpikes,
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
    trials: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    """Raises InputError where the spikes cannot be on a clock of seconds; a rate or a unit that was
    typed is not judged.

    Args:
        sorting, spikes: as read.
        spec: its options and time_unit.
        bin_size_s: seconds.
        where: for messages.
        trials: starts and stops, float64 [trials], of a table of trials.
    """
    unit = TimeUnit.of(spec.time_unit)
    if spec.option("sample_rate_hz") or unit.spikes is not None:
        return
    times = sorting.times if sorting.in_seconds else spikes.times_s
    known = trials if trials is not None and unit.trials is None else (None, None)
    num_firing = _num_firing(spikes.rows)
    try:
        require_seconds(np.asarray(times).ravel(), num_firing, bin_size_s, where, *known)
    except InputError as error:
        if sorting.in_seconds or "trials lie outside" in str(error):
            raise
        said = str(error).rpartition("; give ")[0]
        raise InputError(
            f"{said} (at {sorting.sample_rate_hz:g} samples a second, as the folder says); give "
            "--options=sample_rate_hz=30000, or what it is"
        ) from None


def _unit_s(sorting: Sorting, spec: ReadSpec, rate_hz: float | None, where: str) -> float:
    """Seconds of one unit of the spike times."""
    asked, typed = TimeUnit.of(spec.time_unit).spikes, spec.time_unit or ""
    if sorting.in_seconds:
        return 1.0 if asked is None else asked
    times = np.asarray(sorting.times)
    fractions = times.dtype.kind == "f" and np.any(times[np.isfinite(times)] % 1)
    of_spikes = "spikes=" in typed or typed.startswith("samples")
    if asked is not None and (of_spikes or fractions or rate_hz is None):
        return asked
    require(
        asked is None,
        f"{where}: time_unit={typed!r}, but its spike times are samples, {rate_hz or 0:g} a "
        f"second; say --time_unit=spikes={typed} where they are not, or trials={typed}",
    )
    require(
        rate_hz is not None,
        f"{where} does not say its sample rate; give --options=sample_rate_hz=30000 (or what it "
        "is), or --time_unit=spikes=s where its times are no samples",
    )
    require(
        not fractions,
        f"{where}: spike times are no whole samples; give --time_unit=s where they are seconds",
    )
    return 1 / rate_hz


def rate_of(sorting: Sorting, spec: ReadSpec, where: str) -> float | None:
    """Samples a second: what was typed, else what the folder says."""
    given, rate_hz = spec.option("sample_rate_hz"), sorting.sample_rate_hz
    if given is not None:
        rate_hz = as_number(given)
    elif rate_hz is None and "samples:" in (spec.time_unit or ""):
        rate_hz = 1 / TimeUnit.of(spec.time_unit).spikes
    require(
        rate_hz is None or 0 < rate_hz < 1e7,
        f"{where}: the sample rate is {given or f'{rate_hz or 0:g}'} Hz, expected samples a "
        "second, such as --options=sample_rate_hz=30000",
    )
    return rate_hz


def _signed(times: np.ndarray) -> np.ndarray:
    """Samples below zero that were written as unsigned numbers, below zero again."""
    wrapped = times.dtype == np.uint64 and times.size and times.max() > np.uint64(2**63)
    return times.view(np.int64) if wrapped else times


def _lengths_s(
    sorting: Sorting, spec: ReadSpec, number: int, rate_hz: float | None, where: str
) -> tuple[np.ndarray, bool]:
    """Seconds of each segment, infinite where not known, and whether a user said so."""
    typed = spec.option("length_s")
    if typed is None:
        known = [np.inf if n is None or not rate_hz else n / rate_hz for n in sorting.num_samples]
        return np.array(known), False
    lengths = np.array([as_number(part) for part in typed.split("+")])
    require(
        len(lengths) == number and bool((lengths > 0).all()),
        f"{where}: length_s={typed!r}; expected seconds of the recording"
        + (f", of each of its {number} segments, such as 600+1200" if number > 1 else ""),
    )
    return lengths, True


def _taken(spec: ReadSpec, number: int, where: str) -> tuple[tuple[int, ...], dict[str, int]]:
    """Segments that are read, and what there is to tell."""
    typed = spec.option("segment")
    if typed is None:
        return tuple(range(number)), {JOINED: number} if number > 1 else {}
    require(typed.isdigit() and len(typed) <= 6, f"segment={typed!r}; expected a number from 0")
    require(
        int(typed) < number,
        f"{where} has {number} segment{'s' * (number > 1)}, but segment {typed} was asked for",
    )
    return (int(typed),), {LEFT_OUT: number - 1} if number > 1 else {}


def windows(
    clock: Timed, times_s: np.ndarray, window_s: float, bin_size_s: float, where: str
) -> np.ndarray:
    """Starts of windows within each segment, float64 [windows], seconds: whole windows from its
    start, so that two probes have the same; those before its first spike, of `times_s` rising, are
    left out."""
    whole_times(window_s, bin_size_s, f"{where}: window_s={window_s:g}")
    made, span_s, number = [np.empty(0)], 0.0, 0
    for begin, end, is_known in zip(clock.start_s, clock.stop_s, clock.ends_known, strict=True):
        since = begin if len(made) > 1 else -np.inf
        own = times_s[slice(*np.searchsorted(times_s, [since, end]))]
        if not len(own):
            continue
        last = end if is_known else float(own[-1])
        first = begin + window_s * np.floor((own[0] - begin) / window_s)
        number = int(min((last - first) / window_s + 1e-9, 1e9))
        span_s += last - first
        if number > 10**7:
            break
        made.append(first + np.arange(number) * window_s)
    starts = np.concatenate(made)
    require(
        len(starts) and number <= 10**7,
        f"{where}: spikes span {span_s:g} s, {number} windows of {window_s:g} s; check both",
    )
    return starts


def heard_of(clock: Timed, times_s: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Time in which one probe was recorded, as its spikes tell, float64 [n, 2].

    Args:
        clock: its segments are heard one by one.
        times_s: float64 [spikes], rising, of the probe.
        rows: integers [spikes], of their units.
    """
    made = []
    for begin, end in clock.recorded_s:
        first, last = np.searchsorted(times_s, [begin, end])
        own = heard(times_s[first:last], _num_firing(rows[first:last]))
        made.append(shared(own, np.array([[begin, end]])))
    return np.concatenate(made)


def _num_firing(rows: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(rows))) if len(rows) else 0
