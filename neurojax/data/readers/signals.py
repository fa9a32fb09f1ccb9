"""Behaviour on its own clock, brought into the bins of trials. Pure numpy."""

import numpy as np

from neurojax.data.binning import TICK_S
from neurojax.errors import require

# Samples further apart leave the bins between them unknown; slower signals have gaps of their own,
# see `usual_gap_s`.
MAX_GAP_S = 0.1
_GAP_SAMPLES, _LONGEST_GAP_S = 2.5, 1.0
FILL_VALUES = "values of behaviour that stand for none (1e30 or more)"
FILL_SAMPLES = "values that stand for none (1e30 or more), not observed"  # of real values
_FILL = 1e30  # from here on a number stands for "no value", as 9.97e36 of netCDF does


def bin_starts(
    trial_start_s: np.ndarray, trial_num_bins: np.ndarray, bin_size_s: float
) -> np.ndarray:
    """Start of every bin of all trials, float64 [total_bins], seconds."""
    within = np.arange(int(trial_num_bins.sum())) - np.repeat(
        np.cumsum(trial_num_bins) - trial_num_bins, trial_num_bins
    )
    return np.repeat(trial_start_s, trial_num_bins) + within * bin_size_s


def clean_signal(
    times_s: np.ndarray,
    values: np.ndarray,
    where: str,
    findings: dict[str, int] | None = None,
    keep_unknown: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Samples in order of time: times float64 [samples], values float64 [samples, dims], NaN where
    a dimension has none.

    A sample stays when its time and one of its dimensions are known, with `keep_unknown` when its
    time is. What had to be left out or put in order is added to `findings`, for `info["findings"]`.

    Raises:
        InputError: lengths differ, or the axes are not [samples] and [samples, dims].
    """
    times = np.asarray(times_s, np.float64)
    values = np.array(values, np.float64)  # a copy: fill values become NaN below
    values = values[:, None] if values.ndim == 1 else values
    require(
        times.ndim == 1 and values.ndim == 2 and len(values) == len(times),
        f"{where} has times {list(times.shape)} and values {list(values.shape)}, expected one "
        "time and one row of values a sample",
    )
    values, num_fill = without_fill(values)
    keep = np.isfinite(times) & ~np.isnan(values).all(axis=1)
    stay = np.isfinite(times) if keep_unknown else keep
    times, values = times[stay], values[stay]
    order = np.argsort(times, kind="stable")
    odd = {
        "samples of behaviour without a time or a value": int((~keep).sum()),
        FILL_VALUES: num_fill,
        "samples of behaviour out of order": int((np.diff(times) < 0).sum()),
    }
    if findings is not None:
        findings |= {name: findings.get(name, 0) + number for name, number in odd.items() if number}
    return times[order], values[order]


def require_shared_clock(
    times_s: np.ndarray, starts: np.ndarray, bin_size_s: float, where: str
) -> None:
    """Raises InputError where no sample lies within the time of the trials.

    Args:
        times_s: float64 [samples], seconds, rising.
        starts: float64 [bins], start of every bin, seconds.
        bin_size_s: seconds.
        where: for the message.
    """
    require(len(times_s), f"{where} has no sample with a time and a value")
    first, last = starts.min(), starts.max() + bin_size_s
    require(
        times_s[0] <= last and times_s[-1] >= first,
        f"{where} runs from {times_s[0]:,.6g} to {times_s[-1]:,.6g} s, but the trials from "
        f"{first:,.6g} to {last:,.6g} s, so they are on different clocks; bring them onto one, or "
        "say the unit with --time_unit=behavior=ms",
    )


def in_bins(
    times_s: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    bin_size_s: float,
    where: str,
    findings: dict[str, int],
    max_gap_s: float | None = None,
) -> np.ndarray:
    """Samples as they come, in bins: `clean_signal`, `require_shared_clock`, `mean_in_bins`.

    Args:
        times_s: [samples], seconds.
        values: [samples] or [samples, dims].
        starts, bin_size_s: of the bins, float64 [bins], seconds.
        where: for messages.
        findings: what is odd is added to it.
        max_gap_s: see `mean_in_bins`.

    Raises:
        InputError: lengths differ, or no sample lies within the time of the trials.
    """
    times, values = clean_signal(times_s, values, where, findings)
    require_shared_clock(times, starts, bin_size_s, where)
    return mean_in_bins(times, values, starts, bin_size_s, max_gap_s)


def without_fill(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Values with NaN for infinity and for numbers so large that they stand for none, in place,
    and the number of the latter."""
    is_fill = np.isfinite(values) & (np.abs(values) >= _FILL)
    values[is_fill | ~np.isfinite(values)] = np.nan
    return values, int(is_fill.sum())


def usual_gap_s(times_s: np.ndarray) -> float:
    """The longest gap between samples that is bridged: MAX_GAP_S, or 2.5 of its usual steps where a
    signal is slower than that; never above a second."""
    steps = np.diff(times_s)
    usual = _GAP_SAMPLES * float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    return min(max(MAX_GAP_S, usual), max(MAX_GAP_S, _LONGEST_GAP_S))


def mean_in_bins(
    times_s: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    bin_size_s: float,
    max_gap_s: float | None = None,
) -> np.ndarray:
    """Mean of the samples in each bin; without one, the line between its neighbours at the bin's
    centre. Each dimension has samples of its own.

    Args:
        times_s: float64 [samples], seconds, rising.
        values: float64 [samples, dims], NaN where a dimension has no value.
        starts: float64 [bins], seconds.
        bin_size_s: seconds.
        max_gap_s: samples further apart leave the bins between them unknown; default: see
            `usual_gap_s`, of each dimension.

    Returns:
        float32 [bins, dims]; NaN before the first sample, after the last, and in gaps above
        `max_gap_s`.
    """
    made = np.full((len(starts), values.shape[1]), np.nan)
    for dim, column in enumerate(values.T):
        known = np.isfinite(column)
        if known.any():
            longest = usual_gap_s(times_s[known]) if max_gap_s is None else max_gap_s
            made[:, dim] = _mean_of_one(times_s[known], column[known], starts, bin_size_s, longest)
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is not valid
        return made.astype(np.float32)


def _mean_of_one(
    times_s: np.ndarray, values: np.ndarray, starts: np.ndarray, bin_size_s: float, max_gap_s: float
) -> np.ndarray:
    """float64 [bins] of finite values [samples]."""
    # Half a tick early, as spikes are binned: rounding cannot move a sample on an edge.
    edges_s = starts - TICK_S / 2
    first = np.searchsorted(times_s, edges_s, side="left")
    last = np.searchsorted(times_s, edges_s + bin_size_s, side="left")
    number = last - first
    # Each bin sums its own samples: differences of one running sum would lose every later bin to a
    # single huge sample.
    edges = np.stack([first, last], axis=1).ravel()
    sums = np.add.reduceat(np.append(values, 0.0), np.minimum(edges, len(values)))[::2]
    means = sums / np.maximum(number, 1)
    centre = starts + bin_size_s / 2
    after = np.clip(np.searchsorted(times_s, centre), 1, max(len(times_s) - 1, 1))
    gap = times_s[np.minimum(after, len(times_s) - 1)] - times_s[after - 1]
    near = (centre >= times_s[0]) & (centre <= times_s[-1]) & (gap <= max_gap_s)
    between = np.where(near, np.interp(centre, times_s, values), np.nan)
    return np.where(number > 0, means, between)
