"""Traces of cells in an NWB file as a recording of real values: the trials are windows of frames.

A trace belongs to a row (ROI) of a plane's segmentation. Cells that the file does not accept are
left out and counted. What the file deconvolved is a series of traces like its fluorescence.
"""

from typing import Any

import numpy as np

from neurojax.data.binning import bins_that_fit
from neurojax.data.clock import GRAMMAR, require_one_clock
from neurojax.data.readers.nwb_cells import Plane, read_planes
from neurojax.data.readers.nwb_series import read_behaviour, series_of
from neurojax.data.readers.nwb_tables import interval_tables
from neurojax.data.readers.nwb_trials import Laid, Windows, kept, lay_windows
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import choose_split
from neurojax.data.real_values import from_values
from neurojax.data.session import SPLIT_NAMES, Session
from neurojax.data.splits import later_trials_within, random_split
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import InputError, require

_LOWEST_HZ, _HIGHEST_HZ = 0.05, 20_000.0  # frames; outside, another unit of time is likelier
_JITTER = 2e-4  # by which a rate may miss a number of four digits
_MAX_LISTED = 64


def read_traces(
    file: Any, spec: ReadSpec, info: dict[str, Any], session_id: str, where: str
) -> Session:
    """The session of the series that the option `traces` names.

    Args:
        file: the open file.
        spec: options; `bin_ms` means nothing here.
        info: what the file says of its subject and origin.
        session_id: name.
        where: for messages.

    Raises:
        InputError: no such series, damage, another clock than the trials', or nothing is left.
    """
    if spec.bin_ms is not None:
        raise InputError(
            f"{where}: bin_ms={spec.bin_ms:g} is for spikes; traces keep the frames they were "
            "recorded in, leave it out"
        )
    plane = read_planes(file, spec, where)
    rate_hz = _rate_hz(plane.times_s, where)
    span = float(plane.times_s[0]), float(plane.times_s[-1]) + 1 / rate_hz
    laid = lay_windows(file, span, spec, 1 / rate_hz, where)
    whole = laid.is_whole()
    require_one_clock(laid.starts[whole], laid.stops[whole], span, "traces", where)
    first, length = _samples(laid, plane.times_s, rate_hz)
    faults = _faults(plane, laid.starts, first, length, rate_hz)
    windows = kept(laid, faults, np.zeros(len(first), bool), span, spec, 1 / rate_hz)
    chosen, length = _samples(windows, plane.times_s, rate_hz)
    split, source = choose_split(windows.split, windows.starts, spec, where)
    if split is None:
        split = random_split(len(chosen), 0, where)
    keep, gone = _apart(windows.starts, chosen, length, split, rate_hz, spec, where)
    order = np.flatnonzero(keep)[np.argsort(chosen[keep], kind="stable")]
    series = series_of(file)
    behaviour, odd = read_behaviour(series, spec, plane.times_s, 1 / rate_hz, where)
    info |= {
        "units_dropped": plane.dropped,
        "trials_dropped": windows.dropped | gone,
        "findings": plane.notes | windows.notes | odd,
        "trial_columns_skipped": windows.skipped,
        "interval_tables": list(interval_tables(file))[:_MAX_LISTED],
        "time_series": list(series)[:_MAX_LISTED],
        "split_source": source,
        "traces": spec.option("traces"),
    } | ({"split_seed": 0} if source == "random" else {})
    session = from_values(
        np.nan_to_num(plane.values, copy=False),  # none of what was NaN lies in a window
        sampling_hz=rate_hz,
        unit=plane.unit,
        session_id=session_id,
        trial_start_bin=chosen[order],
        trial_num_bins=length[order],
        split=split[order],
        trial_start_s=windows.starts[order],
        channel=plane.channel,
        region=plane.region,
        conditions={name: values[order] for name, values in windows.conditions.items()},
        info=info,
    )
    valid = {name: np.isfinite(values).any(axis=1) for name, values in behaviour.items()}
    return validate_session(session.with_fields(behaviour=behaviour, behaviour_valid=valid))


def _rate_hz(times_s: np.ndarray, where: str) -> float:
    """Frames a second, of the steps without gaps; InputError where it cannot be seconds."""
    steps = np.diff(times_s)
    usual = float(np.median(steps))
    regular = steps[(steps > 0.5 * usual) & (steps < 1.5 * usual)]
    rate_hz = 1 / float(regular.mean()) if usual > 0 else np.inf
    require(
        _LOWEST_HZ <= rate_hz <= _HIGHEST_HZ,
        f"{where}: {len(times_s):,} frames span {times_s[-1] - times_s[0]:,.6g} seconds, "
        f"{rate_hz:.3g} a second, so their time unit is likely another; say it with --time_unit=: "
        f"{GRAMMAR}",
    )
    # 29.9993 is 30 with jitter: else a window of 2 s would have 59 frames
    tidy = float(f"{rate_hz:.4g}")
    return tidy if abs(tidy - rate_hz) <= _JITTER * rate_hz else rate_hz


def _samples(
    laid: Laid | Windows, times_s: np.ndarray, rate_hz: float
) -> tuple[np.ndarray, np.ndarray]:
    """First frame and number of frames of each window, int64 [windows]; 0 frames where a window has
    no start or no end."""
    # the first frame that is not before the window's start
    first = np.searchsorted(times_s, np.nan_to_num(laid.starts, nan=-np.inf) - 0.01 / rate_hz)
    known = np.isfinite(laid.starts) & np.isfinite(laid.stops)
    starts, stops = (np.where(known, edge, 0.0) for edge in (laid.starts, laid.stops))
    length = np.clip(bins_that_fit(starts, stops, 1 / rate_hz), 0, len(times_s) + 1)
    return first, np.where(known, length, 0).astype(np.int64)


def _faults(
    plane: Plane, starts: np.ndarray, first: np.ndarray, length: np.ndarray, rate_hz: float
) -> dict[str, np.ndarray]:
    """Why windows are left out: reason -> bool [windows]."""
    times, last = plane.times_s, first + length
    outside = (length > 0) & (last > len(times))
    inside = (length > 0) & ~outside
    begin, inner = np.where(inside, first, 0), np.where(inside, last - 1, 0)
    expected = np.where(inside, length - 1, 0) / rate_hz
    lasted = times[inner] - times[begin]
    # the first frame of a window is within a frame of its start, unless there was none
    late = inside & (times[begin] - np.nan_to_num(starts) > 1.5 / rate_hz)
    unknown = np.append(0, np.cumsum(~np.isfinite(plane.values).all(axis=1)))
    return {
        "window leaves the recording": outside,
        "frames are missing within": late
        | (np.abs(lasted - expected) > 0.5 / rate_hz + 1e-3 * expected),
        "values are not finite": unknown[inner + 1] > unknown[begin],
    }


def _apart(
    starts: np.ndarray,
    first: np.ndarray,
    length: np.ndarray,
    split: np.ndarray,
    rate_hz: float,
    spec: ReadSpec,
    where: str,
) -> tuple[np.ndarray, dict[str, int]]:
    """Windows that share no time with another split, bool [windows], and how many do."""
    keep = later_trials_within(first / rate_hz, length, 1 / rate_hz, split) == 0
    if keep.all():
        return keep, {}
    require(
        spec.split_block_s() is not None,
        f"{where}: {int((~keep).sum())} windows run into one of another split; take "
        "--split=blocks:300s, or a shorter --window",
    )
    missing = [name for code, name in enumerate(SPLIT_NAMES) if code not in split[keep]]
    require(
        not missing,
        f"{where}: without the {int((~keep).sum())} windows that reach into another split, "
        f"{spec.split} leaves none for {' and '.join(missing)}; take longer blocks",
    )
    return keep, {"reach into another split": int((~keep).sum())}
