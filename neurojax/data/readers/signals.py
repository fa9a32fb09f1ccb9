"""Behaviour on its own clock, brought into the bins of trials. Pure numpy."""

import numpy as np

from neurojax.errors import require

MAX_GAP_S = 0.1  # samples further apart leave the bins between them unknown


def bin_starts(
    trial_start_s: np.ndarray, trial_num_bins: np.ndarray, bin_size_s: float
) -> np.ndarray:
    """Start of every bin of all trials, float64 [total_bins], seconds."""
    within = np.arange(int(trial_num_bins.sum())) - np.repeat(
        np.cumsum(trial_num_bins) - trial_num_bins, trial_num_bins
    )
    return np.repeat(trial_start_s, trial_num_bins) + within * bin_size_s


def clean_signal(
    times_s: np.ndarray, values: np.ndarray, where: str, findings: dict[str, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Finite samples in order of time: times float64 [samples], values float64 [samples, dims].

    What had to be left out or put in order is added to `findings`, for `info["findings"]`.

    Raises:
        InputError: lengths differ, or the axes are not [samples] and [samples, dims].
    """
    times, values = np.asarray(times_s, np.float64), np.asarray(values, np.float64)
    values = values[:, None] if values.ndim == 1 else values
    require(
        times.ndim == 1 and values.ndim == 2 and len(values) == len(times),
        f"{where} has times {list(times.shape)} and values {list(values.shape)}, expected one "
        "time and one row of values a sample",
    )
    keep = np.isfinite(times) & np.isfinite(values).all(axis=1)
    times, values = times[keep], values[keep]
    order = np.argsort(times, kind="stable")
    odd = {
        "samples of behaviour without a time or a value": int((~keep).sum()),
        "samples of behaviour out of order": int((np.diff(times) < 0).sum()),
    }
    if findings is not None:
        findings |= {name: findings.get(name, 0) + number for name, number in odd.items() if number}
    return times[order], values[order]


def mean_in_bins(
    times_s: np.ndarray, values: np.ndarray, starts: np.ndarray, bin_size_s: float
) -> np.ndarray:
    """Mean of the samples in each bin; without one, the line between its neighbours at the bin's
    centre.

    Args:
        times_s: float64 [samples], seconds, rising.
        values: float64 [samples, dims].
        starts: float64 [bins], seconds.
        bin_size_s: seconds.

    Returns:
        float32 [bins, dims]; NaN before the first sample, after the last, and in gaps above
        MAX_GAP_S.
    """
    if len(times_s) == 0:
        return np.full((len(starts), values.shape[1]), np.nan, np.float32)
    first = np.searchsorted(times_s, starts, side="left")
    last = np.searchsorted(times_s, starts + bin_size_s, side="left")
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    number = last - first
    means = (total[last] - total[first]) / np.maximum(number, 1)[:, None]
    centre = starts + bin_size_s / 2
    after = np.clip(np.searchsorted(times_s, centre), 1, max(len(times_s) - 1, 1))
    gap = times_s[np.minimum(after, len(times_s) - 1)] - times_s[after - 1]
    known = (centre >= times_s[0]) & (centre <= times_s[-1]) & (gap <= MAX_GAP_S)
    between = np.stack([np.interp(centre, times_s, column) for column in values.T], axis=1)
    filled = np.where(known[:, None], between, np.nan)
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is not valid
        return np.where((number > 0)[:, None], means, filled).astype(np.float32)


def slope_in_bins(
    times_s: np.ndarray, values: np.ndarray, starts: np.ndarray, bin_size_s: float
) -> np.ndarray:
    """Change per second across each bin of a position that is recorded when it changes.

    Returns:
        float32 [bins, dims]; NaN in bins that are not within the first and the last sample.
    """
    if len(times_s) == 0:
        return np.full((len(starts), values.shape[1]), np.nan, np.float32)
    stops = starts + bin_size_s
    known = (starts >= times_s[0]) & (stops <= times_s[-1])
    change = [
        np.interp(stops, times_s, column) - np.interp(starts, times_s, column)
        for column in values.T
    ]
    slopes = np.stack(change, axis=1) / bin_size_s
    return np.where(known[:, None], slopes, np.nan).astype(np.float32)
