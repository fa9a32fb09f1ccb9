"""Smoothed spikes: a unit goes on firing as it did in its own recent past. Forward task only.

rate = (smoothed count of the bins so far + pseudo x train mean) / (their weight + pseudo), the weight of a
bin falling by 1/e per memory; one memory and one pseudo-count for all units, from validation.
"""

import numpy as np

from neurojax.evals.baselines import forward
from neurojax.evals.baselines.folds import Fitted, Folds, choose, exponential_filter, poisson_loss
from neurojax.types import TEST, VALIDATION

TASKS = ("forward",)
MEMORIES_BINS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, np.inf)
PSEUDO_BINS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def fit(folds: Folds) -> Fitted:
    """The smoothed past of every unit at the hidden bins."""
    memory, pseudo = choose(
        [(memory, pseudo) for memory in MEMORIES_BINS for pseudo in PSEUDO_BINS],
        lambda setting: poisson_loss(_rates(folds, VALIDATION, *setting), folds.parts[VALIDATION], "forward"),
    )
    return {"forward": {part: _rates(folds, part, memory, pseudo) for part in (VALIDATION, TEST)}}


def _rates(folds: Folds, part: int, memory: float, pseudo: float) -> np.ndarray:
    """float64 [K, T, n], the train mean at the bins that are not hidden."""
    fold = folds.parts[part]
    seen = ((fold.bin_valid & ~fold.hidden_bins)[..., None] & ~folds.past_unseen).astype(np.float64)
    sums = [_sum(values, memory) for values in (fold.counts * seen, seen)]
    trials, last = np.arange(len(seen)), forward.last_visible(fold)
    spikes, weight = (forward.at_origins(values, trials, last) for values in sums)
    rate = (spikes + pseudo * folds.mean) / (weight + pseudo)
    return forward.place(rate[:, None], np.broadcast_to(folds.mean, fold.counts.shape[1:]), fold)


def _sum(values: np.ndarray, memory: float) -> np.ndarray:
    if np.isinf(memory):
        return np.cumsum(values, 1)
    return exponential_filter(values, memory) / (1 - np.exp(-1.0 / memory))
