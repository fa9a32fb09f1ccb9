"""Smoothed spikes: a unit goes on firing as it did in its own recent past. Forward task only.

rate = (smoothed count of the bins so far + pseudo x train mean) / (their weight + pseudo), the
weight of a bin falling by 1/e per memory; one memory and one pseudo-count for all units, from
validation.
"""

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import forward, grids
from neurojax.evals.baselines.folds import (
    PARTS,
    Fit,
    Folds,
    choose,
    exponential_filter,
    poisson_loss,
)

PSEUDO_BINS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def fit(folds: Folds) -> Fit:
    """The smoothed past of every unit at the hidden bins."""
    memories = grids.memories_s(folds.session.bin_size_s, folds.parts[TRAIN].counts.shape[1])
    memory_s, pseudo = choose(
        [(memory_s, pseudo) for memory_s in (*memories[1:], np.inf) for pseudo in PSEUDO_BINS],
        lambda setting: poisson_loss(
            _rates(folds, VALIDATION, *setting), folds.parts[VALIDATION], "forward"
        ),
    )
    told = {"memory_s": memory_s if np.isfinite(memory_s) else None, "pseudo_bins": pseudo}
    return Fit({part: _rates(folds, part, memory_s, pseudo) for part in PARTS}, told)


def _rates(folds: Folds, part: int, memory_s: float, pseudo: float) -> np.ndarray:
    """float64 [K, T, n], the train mean at the bins that are not hidden."""
    fold = folds.parts[part]
    seen = fold.entries & ~fold.hidden_bins[..., None] & ~folds.past_unseen
    seen = seen.astype(np.float64)
    sums = [
        _sum(values, memory_s / folds.session.bin_size_s) for values in (fold.counts * seen, seen)
    ]
    trials, last = np.arange(len(seen)), forward.last_visible(fold)
    spikes, weight = (forward.at_origins(values, trials, last) for values in sums)
    rate = (spikes + pseudo * folds.mean) / (weight + pseudo)
    return forward.place(rate[:, None], np.broadcast_to(folds.mean, fold.counts.shape[1:]), fold)


def _sum(values: np.ndarray, memory_bins: float) -> np.ndarray:
    if np.isinf(memory_bins):
        return np.cumsum(values, 1)
    # The filter averages; over 1 - decay it is the sum that pseudo-counts stand beside.
    return exponential_filter(values, memory_bins) / (1 - np.exp(-1.0 / memory_bins))
