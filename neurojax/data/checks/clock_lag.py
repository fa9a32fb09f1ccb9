"""By how much one clock may be ahead of another: population rates laid on each other at every lag.

For a recording that was cut again with its clock begun elsewhere. A lag found here is a guess, to
be confirmed unit by unit (`known_recording`).
"""

import numpy as np

from neurojax.data.checks.same_units import Population

_MOST_CELLS = 2**15  # of a grid over time: a pair of recordings costs a few milliseconds
_GUESSES = 3
_CLEAR = 4.0  # standard errors of a correlation; chance at one of many lags reaches this


def likely_lags_s(
    stretch_s: np.ndarray, values: np.ndarray, population: Population, least: int
) -> tuple[list[float], float]:
    """Lags at which a population looks like another, the likeliest first.

    Args:
        stretch_s: float64 [P, 2], stretches of the other's clock, seconds, rising.
        values: float64 [P], how much it fired in them; NaN where that is not known.
        population: on the clock whose lag is asked for.
        least: stretches that two must share.

    Returns:
        (at most three lags, seconds by which the population's clock is ahead; how fine they are,
        seconds).
    """
    told = np.isfinite(values)
    if told.sum() < least or np.ptp(values[told]) == 0:
        return [], 0.0
    start_s, values = stretch_s[told, 0], values[told]
    lengths = stretch_s[told, 1] - start_s
    length, first_s = float(np.median(lengths)), float(population.edge_s[0])
    span_s = max(float(np.ptp(start_s)), float(population.edge_s[-1]) - first_s) + length
    step = max(float(lengths.min()) / 4, span_s / _MOST_CELLS)
    # A window as long as a stretch begins in every cell; a stretch stands in the cell of its start.
    cells = first_s + np.arange(int((population.edge_s[-1] - first_s) / step) + 1) * step
    rates = population.rates_hz(np.stack([cells, cells + length], axis=1))
    held = np.isfinite(rates)
    place = np.rint((start_s - start_s[0]) / step).astype(np.int64)
    place, kept = np.unique(place, return_index=True)
    if held.sum() < least or np.ptp(rates[held]) == 0:
        return [], 0.0
    theirs = np.zeros((2, place[-1] + 1))
    theirs[0, place], theirs[1, place] = 1.0, (values[kept] - values.mean()) / values.std()
    scaled = (np.where(held, rates, 0.0) - rates[held].mean()) / rates[held].std() * held
    score = _scores(theirs, np.stack([held.astype(np.float64), scaled]), least)
    lags, around = [], int(np.ceil(length / step))
    shift = np.arange(len(score))
    shift = np.where(shift < len(cells), shift, shift - len(score))
    for _ in range(_GUESSES):
        best = int(score.argmax())
        if score[best] < _CLEAR:
            break
        lags.append(first_s - float(start_s[0]) + float(shift[best]) * step)
        score[np.abs(shift - shift[best]) <= around] = -np.inf
    return lags, step


def _scores(theirs: np.ndarray, ours: np.ndarray, least: int) -> np.ndarray:
    """Standard errors by which two series (known or not, value; [2, cells]) correlate at each
    circular shift, float64 [shifts]; -inf where fewer than `least` cells are shared."""
    size = 1 << int(np.ceil(np.log2(theirs.shape[1] + ours.shape[1])))
    w, z, zz = np.conj(np.fft.rfft([*theirs, theirs[1] ** 2], size))
    m, y, yy = np.fft.rfft([*ours, ours[1] ** 2], size)
    shared = np.fft.irfft([w * m, z * m, zz * m, w * y, w * yy, z * y], size)
    number = np.rint(shared[0])
    some = np.maximum(number, 1)
    varied = [shared[2] - shared[1] ** 2 / some, shared[4] - shared[3] ** 2 / some]
    enough = (number >= least) & (varied[0] > 1e-6 * some) & (varied[1] > 1e-6 * some)
    norm = np.sqrt(np.where(enough, varied[0] * varied[1], 1.0))
    found = np.clip((shared[5] - shared[1] * shared[3] / some) / norm, -0.999, 0.999)
    return np.where(enough, np.arctanh(found) * np.sqrt(np.maximum(number - 3, 1)), -np.inf)
