"""Velocity from a position on its own clock (a wheel), robust to single samples, resets and missing
stretches. Pure numpy."""

import numpy as np

from neurojax.data.readers.signals import usual_gap_s

JUMPS = "jumps of a position that no movement explains"  # in info["findings"]
# A step is a jump when it exceeds all but a few others by so much, for at most two steps in a row:
# one wrong sample makes two, a reset one. Movement lasts longer.
_JUMP_TIMES, _JUMP_STEPS = 20.0, 2
_LEAST_STEPS, _STEPS_PER_JUMP = 10, 1000


def slope_in_bins(
    times_s: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    bin_size_s: float,
    max_gap_s: float | None = None,
    findings: dict[str, int] | None = None,
) -> np.ndarray:
    """Change per second across each bin of a position that is recorded when it changes.

    Args:
        times_s: float64 [samples], seconds, rising; of repeated times the last counts.
        values: float64 [samples, dims], NaN where the position is not known.
        starts: float64 [bins], seconds.
        bin_size_s: seconds.
        max_gap_s: samples without a position between two further apart leave the bins between them
            unknown; default: see `signals.usual_gap_s`. A stretch without samples is rest.
        findings: what is odd is added to it.

    Returns:
        float32 [bins, dims]; NaN in bins that are not within the first and the last sample, that
        hold a jump, or that lie in a missing stretch.
    """
    made = np.full((len(starts), values.shape[1]), np.nan)
    num_jumps = 0
    for dim, column in enumerate(values.T):
        made[:, dim], number = _slope_of_one(times_s, column, starts, bin_size_s, max_gap_s)
        num_jumps += number
    if findings is not None and num_jumps:
        findings[JUMPS] = findings.get(JUMPS, 0) + num_jumps
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is not valid
        return made.astype(np.float32)


def _slope_of_one(
    times_s: np.ndarray,
    column: np.ndarray,
    starts: np.ndarray,
    bin_size_s: float,
    max_gap_s: float | None,
) -> tuple[np.ndarray, int]:
    """float64 [bins] of one dimension, and how many jumps it has."""
    known = np.flatnonzero(np.isfinite(column))
    if not len(known):
        return np.full(len(starts), np.nan), 0
    known = known[np.append(np.diff(times_s[known]) > 0, True)]
    times, position = times_s[known], column[known]
    steps = np.diff(position)
    jump = _jumps(steps)
    if jump.any():
        position = np.append(0.0, np.cumsum(np.where(jump, 0.0, steps)))
    longest = usual_gap_s(times) if max_gap_s is None else max_gap_s
    between = np.diff(np.cumsum(~np.isfinite(column))[known])  # samples without a position
    lost = jump | ((between > 0) & (np.diff(times) > longest))
    stops = starts + bin_size_s
    begun = np.searchsorted(times[:-1][lost], stops, side="left")
    unknown = begun > np.searchsorted(times[1:][lost], starts, side="right")
    unknown |= (starts < times[0]) | (stops > times[-1])
    slopes = (np.interp(stops, times, position) - np.interp(starts, times, position)) / bin_size_s
    return np.where(unknown, np.nan, slopes), int(jump.sum())


def _jumps(steps: np.ndarray) -> np.ndarray:
    """Steps of a position that no movement explains, bool [steps]."""
    size = np.abs(steps)
    if len(size) < _LEAST_STEPS or not size.any():
        return np.zeros(len(size), bool)
    few = _JUMP_STEPS * (1 + len(size) // _STEPS_PER_JUMP)
    largest = np.partition(size, len(size) - few - 1)[len(size) - few - 1]  # of all but a few
    jump = size > _JUMP_TIMES * (largest or size[size > 0].min())
    if not largest:  # at rest nearly always: a sample that is left and returned to is a wrong one
        there_and_back = np.abs(steps[1:] + steps[:-1]) < 0.1 * np.minimum(size[1:], size[:-1])
        jump |= np.append(there_and_back, False) | np.append(False, there_and_back)
    edges = np.flatnonzero(np.diff(np.pad(jump, 1).astype(np.int8)))
    for first, stop in edges.reshape(-1, 2):
        if stop - first > _JUMP_STEPS:
            jump[first:stop] = False
    return jump
