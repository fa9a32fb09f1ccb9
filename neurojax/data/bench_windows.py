"""Windows of BrainWideBench's activity suite: one second long, one every bin, within intervals.

A submission is met with the truth by the start of each window, compared as float64 numbers, so they
have to be the benchmark's own to the last bit: its sampler lays them with PyTorch's `arange`, whose
rounding this module repeats (x86 processors with AVX2, where eight numbers are made at a time).

A test interval is kept as trials end to end from its start, the last of them short, and one more
that ends where the interval ends, unless the windows end there by themselves.

Source: torch_brain 0.2.1, SequentialFixedWindowSampler; ibl-bwb 2026-09, TS2.
"""

from fractions import Fraction

import numpy as np

from neurojax.errors import require

WINDOW_S, STEP_S = 1.0, 0.02
WINDOW_BINS = 50
INTERVAL = ("interval_start_s", "interval_end_s")  # conditions of the trials
_ROUNDING_BINS = 1e-6


def grid_starts(start_s: float, end_s: float) -> np.ndarray:
    """Starts of the windows that step by one bin from the start of an interval, float64 [W]."""
    number = int(np.ceil((end_s - start_s) / STEP_S))
    # Groups of four from a base of their own, rounded once; what is no whole eight, one by one.
    base = np.arange(number) // 4 * 4
    base[number // 8 * 8 :] = np.arange(number // 8 * 8, number)
    start, step = Fraction(start_s), Fraction(STEP_S)
    rounded = {place: float(start + step * place) for place in np.unique(base).tolist()}
    starts = np.array([rounded[place] for place in base.tolist()])
    starts = starts + (np.arange(number) - base) * STEP_S
    return starts[starts + WINDOW_S <= end_s]


def last_start(start_s: float, end_s: float) -> float | None:
    """Start of the window that ends with the interval, where no window of the grid does."""
    starts = grid_starts(start_s, end_s)
    return end_s - WINDOW_S if len(starts) and starts[-1] + WINDOW_S < end_s else None


def trials_of_interval(start_s: float, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(starts, stops) of the trials that hold every window of an interval, float64 [trials]."""
    num_bins = int((end_s - start_s) / STEP_S + _ROUNDING_BINS)
    first = np.arange(0, num_bins, WINDOW_BINS)
    starts = start_s + first * STEP_S
    stops = start_s + np.minimum(first + WINDOW_BINS, num_bins) * STEP_S
    last = last_start(start_s, end_s)
    if last is None:
        return starts, stops
    return np.append(starts, last), np.append(stops, end_s)


def overlap(one_s: np.ndarray, other_s: np.ndarray) -> np.ndarray:
    """Time in both of two sets of intervals, float64 [n, 2], rising: touching ones stay apart."""
    pairs = [
        (max(start, other[0]), min(end, other[1]))
        for start, end in one_s.tolist()
        for other in other_s[(other_s[:, 0] < end) & (other_s[:, 1] > start)].tolist()
    ]
    found = np.array([pair for pair in pairs if pair[0] < pair[1]], np.float64).reshape(-1, 2)
    return found[np.argsort(found[:, 0], kind="stable")]


def windows_of_counts(
    counts: list[np.ndarray], start_s: float, end_s: float, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Every window of an interval from its trials.

    Args:
        counts: of each trial, [bins, N], in the order of `trials_of_interval`.
        start_s, end_s: of the interval.
        where: for messages.

    Returns:
        (starts float64 [W], counts [W, WINDOW_BINS, N]).

    Raises:
        InputError: a trial of the interval is missing.
    """
    starts, last = grid_starts(start_s, end_s), last_start(start_s, end_s)
    on_grid = counts if last is None else counts[:-1]
    whole = np.concatenate(on_grid) if on_grid else np.zeros((0, 1))
    ends_well = last is None or len(counts[-1]) == WINDOW_BINS
    require(
        len(starts) > 0 and len(whole) >= len(starts) + WINDOW_BINS - 1 and ends_well,
        f"{where}: the interval from {start_s:g} to {end_s:g} s lacks trials; convert again with "
        "--options=windows=benchmark",
    )
    views = np.lib.stride_tricks.sliding_window_view(whole, WINDOW_BINS, axis=0)
    found = views[: len(starts)].transpose(0, 2, 1)  # [W, WINDOW_BINS, N]
    if last is None:
        return starts, found
    return np.append(starts, last), np.concatenate([found, counts[-1][None]])
