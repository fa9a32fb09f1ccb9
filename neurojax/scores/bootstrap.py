"""Intervals of scores by the bootstrap over trials: float64 NumPy on the host, pure functions.

Letters: K trials, D bootstrap draws.
"""

from collections.abc import Sequence

import numpy as np

from neurojax.errors import require
from neurojax.scores import metrics


def trial_weights(num_trials: int, num_boot: int, *, seed: int | Sequence[int]) -> np.ndarray:
    """Times each trial is drawn in each resample with replacement, float64 [D, K]."""
    # Counts of draws, not indices: weights @ sums resamples without copying a trial.
    generator = np.random.default_rng(seed)
    return generator.multinomial(
        num_trials, np.full(num_trials, 1 / num_trials), size=num_boot
    ).astype(np.float64)


def interval(draws: np.ndarray, estimate: float) -> tuple[float, tuple[float, float]]:
    """Standard error and 95 % interval of an estimate, from [D] draws; NaN with under two.

    The interval is the draws' central 95 %, shifted by (estimate - mean of the draws).
    """
    finite = draws[np.isfinite(draws)]
    if len(finite) < 2:
        return float("nan"), (float("nan"), float("nan"))
    # Unshifted the interval can miss the estimate: a resample repeats trials, the null's mean fits
    # the repeats, and every draw scores lower.
    low, high = np.percentile(finite - finite.mean(), [2.5, 97.5]) + estimate
    return float(finite.std(ddof=1)), (float(low), float(high))


def paired_difference(
    sums: metrics.PoissonSums, reference: metrics.PoissonSums, weights: np.ndarray
) -> tuple[float, float, tuple[float, float]]:
    """Pooled bits/spike minus the reference's, with standard error and 95 % interval.

    Both are scored on the same entries and the same draws of trials.

    Raises:
        InputError: the two do not evaluate the same entries.
    """
    require(
        np.array_equal(sums.num_entries, reference.num_entries)
        and np.array_equal(sums.spikes, reference.spikes),
        "the two predictions evaluate different entries; a paired difference needs the same ones",
    )
    ours, theirs = (metrics.poisson_scores(one)["bps_pooled"] for one in (sums, reference))
    drawn, other = (metrics.poisson_scores(one, weights)["bps_pooled"] for one in (sums, reference))
    difference = float(ours - theirs)
    return difference, *interval(drawn - other, difference)
