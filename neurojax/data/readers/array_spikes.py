"""Spike times of a file as trials, windows and observed entries of bins."""

import numpy as np

from neurojax.data.binning import bins_that_fit
from neurojax.data.checks.findings import FELL_SILENT, spike_findings
from neurojax.data.clock import TimeUnit, in_seconds, require_seconds
from neurojax.data.observed import entries_inside, heard_by_probe, probes_of
from neurojax.data.readers.array_bins import Binned, common
from neurojax.data.readers.array_observed import all_of, take_declared
from neurojax.data.readers.roles import Axes
from neurojax.data.readers.spec import DEFAULT_BIN_SIZE_S, ReadSpec
from neurojax.data.readers.trials import Arrays, trials_in_seconds
from neurojax.data.store.session_fields import spike_counts
from neurojax.data.store.session_rules import check_bin_size
from neurojax.errors import InputError, require

_TRIAL_TIMES = ("trial_start_s", "trial_stop_s")
_VECTORS = ("spike_times_s", "spike_units", "spike_trial", *_TRIAL_TIMES)
_MOST = 0.5
OUTSIDE_OF_ITS_TRIAL = "outside of the trial it names"


def bin_spikes(arrays: Arrays, spec: ReadSpec, num_units: int | None, where: str) -> Binned:
    """Takes spike times and what belongs to them out of a file's arrays.

    Raises:
        InputError: they do not fit together, cannot be seconds, or lack trials.
    """
    for name in {*_VECTORS, spec.align} & arrays.keys():  # [n, 1], as MATLAB and ALF keep them
        if arrays[name].ndim == 2 and 1 in arrays[name].shape:
            arrays[name] = arrays[name].ravel()
    raw, units, trial = _take_spikes(arrays, where)
    stored_bin_s = arrays.pop("bin_size_s", DEFAULT_BIN_SIZE_S)
    bin_size_s = check_bin_size(stored_bin_s if spec.bin_ms is None else spec.bin_ms / 1000, where)
    unit = TimeUnit.of(spec.time_unit)
    judged, firing = unit.spikes is None, len(np.unique(units))
    if judged and trial is None:
        require_seconds(raw, firing, bin_size_s, where)
    times = in_seconds(raw, unit.spikes)
    named = {spec.align, *_TRIAL_TIMES} & arrays.keys()
    for name in named:
        if arrays[name].dtype.kind in "iuf":
            arrays[name] = in_seconds(arrays[name], unit.trials)
    lost = ~np.isfinite(times)  # they pad MATLAB's matrices
    if lost.any() and not lost.all():
        times, units = times[~lost], units[~lost]
        trial = None if trial is None else trial[~lost]
    has_trials = spec.align is not None or bool(named)
    keep = _with_times(arrays, named & {spec.align} or named)
    starts, stops = trials_in_seconds(arrays, times, spec, bin_size_s, where)
    if keep is not None:  # trials without a time get one bin somewhere, and leave at the end
        stops = np.where(keep, stops, starts + bin_size_s)
    short = _too_short(starts, stops, bin_size_s) if trial is None and has_trials else None
    if short is not None:
        stops = np.where(short, starts + bin_size_s, stops)
    dropped = {"time is not finite": int(lost.sum())}
    if trial is not None:
        times, starts, stops, inside = end_to_end(times, trial, starts, stops, where)
        units, dropped[OUTSIDE_OF_ITS_TRIAL] = units[inside], int((~inside).sum())
        if judged:
            require_seconds(times, firing, bin_size_s, where)
    else:
        known = slice(None) if keep is None else keep
        _require_a_clock(starts[known], where)
        if judged and has_trials and len(starts) == len(stops):
            require_seconds(raw, firing, bin_size_s, where, starts[known], stops[known])
    counts, lengths = spike_counts(times, units, num_units, starts, stops, bin_size_s, where)
    observed, told = _observed(
        arrays, times, units, counts, starts, lengths, spec, bin_size_s, where
    )
    odd = spike_findings(times, units, counts.shape[1], starts, stops, lengths, observed)
    axes = Axes(len(lengths), len(counts), counts.shape[1], common(lengths))
    source = spec.align or ("windows" if spec.window_s else "file")
    return Binned(
        counts,
        lengths,
        starts,
        source,
        bin_size_s,
        1,
        axes,
        slice(None),
        observed,
        odd | told,
        dropped,
        keep=keep,
        short=short,
    )


def _take_spikes(arrays: Arrays, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Times as the file has them, unit and, where the file says it, trial of each spike, [spikes]
    each."""
    if missing := [name for name in ("spike_times_s", "spike_units") if name not in arrays]:
        raise InputError(
            f"{where} lacks {missing[0]}; expected spike_times_s and spike_units, one each a spike"
        )
    times, units = arrays.pop("spike_times_s"), arrays.pop("spike_units")
    require(
        times.ndim == 1 and times.shape == units.shape,
        f"{where}: spike_times_s {times.shape} and spike_units {units.shape}, expected one of each "
        "a spike",
    )
    for name, values, expected in (
        ("spike_times_s", times, "seconds"),
        ("spike_units", units, "whole numbers: the row of each spike's unit"),
    ):
        is_number = values.dtype.kind in "iuf"
        require(is_number, f"{where}: {name} is {values.dtype}, expected {expected}")
    trial = arrays.pop("spike_trial", None)
    require(
        trial is None
        or (trial.shape == times.shape and trial.dtype.kind in "iuf" and not (trial % 1).any()),
        f"{where}: spike_trial is {'' if trial is None else f'{trial.dtype} {list(trial.shape)}'}, "
        f"expected the trial of each of {len(times)} spikes, whole numbers from 0",
    )
    return times, units, trial


def _with_times(arrays: Arrays, named: set[str]) -> np.ndarray | None:
    """Which trials have all their times, bool [trials], None where all or none have; NaN among the
    `named` times becomes a known time."""
    columns = [arrays[name] for name in named]
    plain = all(column.ndim == 1 and column.dtype.kind == "f" for column in columns)
    if not columns or not plain or len({len(column) for column in columns}) != 1:
        return None
    keep = np.logical_and.reduce([np.isfinite(column) for column in columns])
    if keep.all() or not keep.any():
        return None
    first = int(np.argmax(keep))
    for name in named:
        arrays[name] = np.where(keep, arrays[name], arrays[name][first])
    return keep


def _too_short(starts: np.ndarray, stops: np.ndarray, bin_size_s: float) -> np.ndarray | None:
    """Trials that hold no bin or end before they begin, bool [trials]; None where none is so, or
    most are, which is no matter of single trials."""
    if starts.shape != stops.shape:
        return None
    short = bins_that_fit(starts, stops, bin_size_s) < 1
    return short if short.any() and short.mean() < _MOST else None


def end_to_end(
    times: np.ndarray, trial: np.ndarray, starts: np.ndarray, stops: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Spikes that name their trial, which may count time from an event of its own: trials that
    share time are laid end to end.

    Args:
        times: float64 [spikes], seconds on the clock of their trial.
        trial: whole numbers [spikes], from 0.
        starts, stops: float64 [trials], seconds on the clock of each trial.
        where: for messages.

    Returns:
        times of the spikes inside of their trial, starts, stops, and which spikes these are, bool
        [spikes].
    """
    rows = trial.astype(np.int64)
    require(
        not rows.size or (0 <= rows.min() and rows.max() < len(starts)),
        f"{where}: spike_trial runs from {rows.min() if rows.size else 0} to "
        f"{rows.max(initial=0)}, but there are {len(starts)} trials, counted from 0",
    )
    require(starts.shape == stops.shape, f"{where}: {len(starts)} starts and {len(stops)} stops")
    inside = (times >= starts[rows]) & (times < stops[rows])
    apart = len(starts) < 2 or (starts[1:] >= stops[:-1] - 1e-6).all()
    if apart:
        return times[inside], starts, stops, inside
    lasting = stops - starts
    begin = np.cumsum(lasting) - lasting
    return (times + (begin - starts)[rows])[inside], begin, begin + lasting, inside


def _require_a_clock(starts: np.ndarray, where: str) -> None:
    """Trials that all start at one time would each hold all spikes."""
    same = len(starts) > 1 and (starts == starts[0]).all()
    require(
        not same,
        f"{where}: all {len(starts)} trials start at one time, so that each would hold the same "
        "spikes; give trials on the clock of the spikes, or spike_trial [spikes], the trial of "
        "each",
    )


def _observed(
    arrays: Arrays,
    times: np.ndarray,
    units: np.ndarray,
    counts: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray | None, dict[str, int]]:
    """Entries observed, bool [total_bins, N] or None, and what there is to tell of them."""
    declared = take_declared(arrays, TimeUnit.of(spec.time_unit).trials, where)
    num_units = counts.shape[1]
    mask = declared.mask_of(counts.shape, where)
    timed = declared.entries(starts, lengths, bin_size_s, num_units, where)
    said = all_of((mask, timed), counts.shape)
    first, last = starts.min(), (starts + lengths * bin_size_s).max()
    told = declared.odd(min(first, times.min(initial=first)), max(last, times.max(initial=last)))
    if declared.says() or spec.silence == "keep":
        return said, told
    order = np.argsort(times, kind="stable")
    probe = probes_of(arrays.get("unit_probe"), num_units)
    heard_s = heard_by_probe(times[order], units[order].astype(np.int64), probe)
    seen = entries_inside(heard_s, starts, lengths, bin_size_s)
    if seen is None:
        return said, told
    silent = ~seen if said is None else said & ~seen
    told |= {FELL_SILENT: number} if (number := int(silent.any(axis=1).sum())) else {}
    return all_of((said, seen), counts.shape), told
