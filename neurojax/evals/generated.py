"""Whether generated activity looks like the recording: rates, variability, intervals, correlations.

Every statistic is taken of as many generated trials as there are real ones, several times over, and
averaged: what a finite sample adds to it is then the same on both sides.

Letters: S draws, K trials, T bins, N units.
"""

from typing import Any

import numpy as np

WINDOW_S = 0.1  # spikes are counted in, for Fano factors and correlations
MIN_SPIKES = 20  # of a unit in the real trials, from which it is compared
MOST_BINS = 20  # between spikes; longer intervals are one class
MAX_PAIRS = 2000  # drawn


def compared(
    real: np.ndarray, made: np.ndarray, bin_valid: np.ndarray, bin_size_s: float
) -> dict[str, Any]:
    """Statistics of real and generated trials.

    Args:
        real: [K, T, N], spikes per bin.
        made: [S, K, T, N], continuations of the same beginnings.
        bin_valid: bool [K, T], bins that there are.
        bin_size_s: seconds.

    Returns:
        `rate_hz`, `fano`, `interval_cv` (means and medians over units, `real`, `generated` and
        their `ratio`; `units`: [n] of each), `intervals` (share of intervals of 0, 1, .. bins),
        `correlation` (`real_std`, `generated_std`, `ratio`, over pairs of units; `r` between real
        and generated ones, `r_of_halves` between real ones of even and odd trials, halves as
        large as they are; `pairs`), `num_units`, `window_s`. A number that does not exist is None.
    """
    real = np.where(bin_valid[..., None], real, 0)
    made = np.where(bin_valid[..., None], made, 0)
    told = real.sum((0, 1)) >= MIN_SPIKES
    real, made = real[..., told], made[..., told]
    window = max(1, round(WINDOW_S / bin_size_s))
    time_s = bin_valid.sum() * bin_size_s or np.nan  # no bin after the beginning, no rate
    of_real = _of_units(real, bin_valid, window, time_s)
    each = [_of_units(one, bin_valid, window, time_s) for one in made]
    found: dict[str, Any] = {"num_units": int(told.sum()), "window_s": window * bin_size_s}
    for name, middle in (("rate_hz", np.nanmean), ("fano", np.nanmedian)):
        found[name] = _beside(of_real[name], _mean([one[name] for one in each]), middle)
    found["interval_cv"] = _beside(
        of_real["interval_cv"], _mean([one["interval_cv"] for one in each]), np.nanmedian
    )
    found["intervals"] = {
        "real": _listed(of_real["intervals"]),
        "generated": _listed(np.mean([one["intervals"] for one in each], axis=0)),
    }
    found["correlation"] = _correlations(real, made, bin_valid, window)
    return found


def _of_units(counts, bin_valid, window: int, time_s: float) -> dict[str, np.ndarray]:
    totals = _windows(counts, bin_valid, window)  # [windows, N]
    mean = totals.mean(0) if len(totals) else np.full(counts.shape[-1], np.nan)
    variance = totals.var(0) if len(totals) else mean
    fano = np.where(mean > 0, variance / np.where(mean > 0, mean, 1), np.nan)
    intervals, unit = intervals_of(counts)
    number = np.bincount(unit, minlength=counts.shape[-1])
    safe = np.maximum(number, 1)
    average = np.bincount(unit, intervals, counts.shape[-1]) / safe
    square = np.bincount(unit, intervals**2.0, counts.shape[-1]) / safe
    spread = np.sqrt(np.maximum(square - average**2, 0))
    cv = np.where((number > 1) & (average > 0), spread / np.where(average > 0, average, 1), np.nan)
    shares = np.bincount(np.minimum(intervals, MOST_BINS), minlength=MOST_BINS + 1)
    return {
        "rate_hz": counts.sum((0, 1)) / time_s,
        "fano": fano,
        "interval_cv": cv,
        "intervals": shares / max(len(intervals), 1),
    }


def intervals_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bins between one spike and the next of the same unit and trial, int [intervals], and the
    units; spikes of one bin are 0 bins apart."""
    by_unit = np.moveaxis(counts, 1, 2).astype(np.int64)  # [K, N, T]
    trial, unit, place = np.nonzero(by_unit)
    times = by_unit[trial, unit, place]
    trial, unit, place = (np.repeat(index, times) for index in (trial, unit, place))
    same = (np.diff(trial) == 0) & (np.diff(unit) == 0)
    return np.diff(place)[same], unit[1:][same]


def _windows(counts: np.ndarray, bin_valid: np.ndarray, window: int) -> np.ndarray:
    """Spikes in windows that lie within trials, [windows, N]."""
    number = counts.shape[1] // window
    shape = (len(counts), number, window)
    cut = counts[:, : number * window].reshape(*shape, counts.shape[-1]).sum(2)
    whole = bin_valid[:, : number * window].reshape(shape).all(2)
    return cut[whole].astype(np.float64)


def _correlations(real, made, bin_valid, window: int) -> dict[str, Any]:
    upper = np.triu_indices(real.shape[-1], 1)

    def of(counts, trials=slice(None)) -> np.ndarray:  # [pairs]
        totals = _windows(counts[trials], bin_valid[trials], window)
        if len(totals) < 2:
            return np.full(len(upper[0]), np.nan)
        centred = totals - totals.mean(0)
        size = np.sqrt(np.square(centred).sum(0))
        centred = centred / np.where(size > 0, size, np.nan)
        return (centred.T @ centred)[upper]

    ours, theirs = of(real), [of(one) for one in made]
    together = _mean(theirs)
    some = np.random.default_rng(0).permutation(len(ours))[:MAX_PAIRS]
    return {
        "real_std": _number(_std(ours)),
        "generated_std": _number(np.mean([_std(one) for one in theirs])),
        "ratio": _number(np.mean([_std(one) for one in theirs]) / (_std(ours) or np.nan)),
        "r": _number(_r(ours, theirs[0])),
        "r_of_halves": _number(_r(of(real, slice(0, None, 2)), of(real, slice(1, None, 2)))),
        "pairs": {"real": _listed(ours[some]), "generated": _listed(together[some])},
    }


def _std(values: np.ndarray) -> float:
    return float(np.nanstd(values)) if np.isfinite(values).any() else float("nan")


def _r(one: np.ndarray, other: np.ndarray) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3:
        return float("nan")
    return float(np.corrcoef(one[both], other[both])[0, 1])


def _mean(each) -> np.ndarray:
    """Mean over draws of what is known in them."""
    stacked = np.stack(each)
    known = np.isfinite(stacked)
    total = np.where(known, stacked, 0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


def _beside(real: np.ndarray, generated: np.ndarray, middle) -> dict[str, Any]:
    both = np.isfinite(real) & np.isfinite(generated)
    units = {"real": _listed(real), "generated": _listed(generated)}
    if not both.any():
        return {"real": None, "generated": None, "ratio": None, "units": units}
    ours, theirs = float(middle(real[both])), float(middle(generated[both]))
    values = {"real": ours, "generated": theirs, "ratio": theirs / ours if ours else float("nan")}
    return {name: _number(value) for name, value in values.items()} | {"units": units}


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _listed(values: np.ndarray) -> list[float | None]:
    return [_number(value) for value in values]
