"""Do predicted rates mean what they say, and are counts as variable around them as Poisson counts
would be?

A model that says 10 Hz of many entries should see 10 spikes a second in them (the reliability
curve), and its squared errors should be as large as its rates (dispersion 1). Dispersion above 1 in
single bins says that counts are burstier than Poisson or rates are missed; above 1 in whole trials
it says that a slow gain was missed.

Letters: K trials, T bins, N units, D bootstrap draws.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.scores import bootstrap
from neurojax.scores.metrics import ratio

# 0.25 to 128 Hz; the same for every session and run
EDGES_HZ = tuple(0.25 * 2.0**octave for octave in range(10))
MIN_SPIKES = 20  # predicted spikes of a unit from which its dispersion is told


def calibration(
    predictions: Mapping[str, Any],
    counts: np.ndarray,
    bin_size_s: float,
    *,
    seed: int,
    num_boot: int = 500,
) -> dict[str, Any]:
    """The `calibration` block of a session in evaluation.json.

    Args:
        predictions: task -> float [K, T, N], expected spikes per bin, NaN where not evaluated;
            others are left out.
        counts: [K, T, N], spikes per bin of the same trials.
        bin_size_s: width of a bin.
        seed: of the bootstrap over trials.
        num_boot: draws; 0 for no intervals.

    Returns:
        task -> `calibration_of_task`; the first task also has the values of every unit.
    """
    usable = {
        task: rates
        for task, rates in predictions.items()
        if rates.shape == counts.shape and np.isfinite(rates).any()
    }
    weights = bootstrap.trial_weights(len(counts), num_boot, seed=seed)
    blocks = {
        task: calibration_of_task(rates, counts, bin_size_s, weights)
        for task, rates in usable.items()
    }
    for task in list(blocks)[1:]:
        for dispersion in ("dispersion_bins", "dispersion_trials"):
            del blocks[task][dispersion]["units"]
    return blocks


def calibration_of_task(
    rates: np.ndarray, counts: np.ndarray, bin_size_s: float, weights: np.ndarray
) -> dict[str, Any]:
    """Reliability curve and dispersion of one task's predictions.

    Args:
        rates: float [K, T, N], expected spikes per bin, NaN where not evaluated.
        counts: [K, T, N], spikes per bin.
        bin_size_s: width of a bin.
        weights: float [D, K] of `bootstrap.trial_weights`, D of 0 for no intervals.

    Returns:
        `bin_size_s`; `observed_over_predicted`, all spikes over all expected ones, with `_ci95`;
        `groups`, entries between two edges of EDGES_HZ: `from_hz`, `predicted` and `observed`
        (means, spikes per bin) with `observed_ci95`, `entries`; `dispersion_bins` = sum (y - r)^2 /
        sum r of a unit's entries, and `dispersion_trials` = Pearson's chi2 / df of a unit's trial
        totals, df = trials because no rate was fitted to them: `median` over units with MIN_SPIKES
        expected spikes, its `median_ci95`, `quartiles`, `num_units`, `units` ([N], None where not
        told).
    """
    evaluated = np.isfinite(rates)
    expected = np.where(evaluated, rates, 0.0).astype(np.float64)  # [K, T, N]
    spikes = np.where(evaluated, counts, 0).astype(np.float64)
    total = expected.sum((1, 2)), spikes.sum((1, 2))
    overall = ratio(total[1].sum(), total[0].sum())
    block: dict[str, Any] = {
        "bin_size_s": bin_size_s,
        **_entry("observed_over_predicted", overall, ratio(weights @ total[1], weights @ total[0])),
        "groups": _groups(expected, spikes, evaluated, bin_size_s, weights),
    }
    squares = np.where(evaluated, (spikes - expected) ** 2, 0.0).sum(1)  # [K, N]
    by_trial, observed = expected.sum(1), spikes.sum(1)  # [K, N]
    pearson = ratio((observed - by_trial) ** 2, by_trial)
    told = by_trial.sum(0) >= MIN_SPIKES
    block["dispersion_bins"] = _dispersion(squares, by_trial, told, weights)
    block["dispersion_trials"] = _dispersion(
        np.nan_to_num(pearson), (by_trial > 0).astype(float), told, weights
    )
    return block


def _groups(
    expected, spikes, evaluated, bin_size_s: float, weights: np.ndarray
) -> list[dict[str, Any]]:
    num_trials, num_groups = len(expected), len(EDGES_HZ) + 1
    place = np.searchsorted(np.asarray(EDGES_HZ) * bin_size_s, expected, side="right")
    place += num_groups * np.arange(num_trials)[:, None, None]
    place = place[evaluated]

    def summed(values) -> np.ndarray:
        return np.bincount(place, values, num_trials * num_groups).reshape(num_trials, num_groups)

    entries, said, seen = (
        summed(None).astype(np.float64),
        summed(expected[evaluated]),
        summed(spikes[evaluated]),
    )
    draws = ratio(weights @ seen, weights @ entries)  # [D, groups]
    found = []
    for group in np.flatnonzero(entries.sum(0)):
        mean = seen[:, group].sum() / entries[:, group].sum()
        found.append(
            {
                "from_hz": EDGES_HZ[group - 1] if group else 0.0,
                "predicted": float(said[:, group].sum() / entries[:, group].sum()),
                **_entry("observed", mean, draws[:, group]),
                "entries": int(entries[:, group].sum()),
            }
        )
    return found


def _dispersion(
    above: np.ndarray, below: np.ndarray, told: np.ndarray, weights: np.ndarray
) -> dict[str, Any]:
    """Sums [K, N] whose ratio over trials is a unit's dispersion -> median, its interval and the
    quartiles."""
    units = np.where(told, ratio(above.sum(0), below.sum(0)), np.nan)
    listed = [float(f"{value:.4g}") if np.isfinite(value) else None for value in units]
    if not told.any():
        reason = f"no unit has {MIN_SPIKES} expected spikes"
        return {"median": None, "median_reason": reason, "num_units": 0, "units": listed}
    draws = np.nanmedian(ratio(weights @ above[:, told], weights @ below[:, told]), axis=1)
    quartiles = [float(value) for value in np.percentile(units[told], [25, 75])]
    return {
        **_entry("median", np.median(units[told]), draws),
        "quartiles": quartiles,
        "num_units": int(told.sum()),
        "units": listed,
    }


def _entry(name: str, value: float, draws: np.ndarray) -> dict[str, Any]:
    """A value with its 95 % interval; None with a reason where either cannot be told."""
    if not np.isfinite(value):
        return {name: None, f"{name}_reason": "no spike is expected in the evaluated entries"}
    _, ends = bootstrap.interval(np.atleast_1d(draws), float(value))
    if not np.isfinite(ends).all():
        return {
            name: float(value),
            f"{name}_ci95": None,
            f"{name}_ci95_reason": "fewer than two draws",
        }
    return {name: float(value), f"{name}_ci95": [max(ends[0], 0.0), ends[1]]}
