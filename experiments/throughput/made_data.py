"""The batches that both sides see: Poisson counts of units with rates drawn once, a pure function of the shape."""

import numpy as np
from rows import MEAN_COUNT, NUM_BINS

POOL_TRIALS = 32  # trials that all sessions share: a session differs by its rows, which is what costs


def trials(num_units: int) -> np.ndarray:
    """uint8 [POOL_TRIALS, T, N]."""
    rng = np.random.default_rng(num_units)
    rates = rng.gamma(1.0, MEAN_COUNT, num_units)
    return np.minimum(rng.poisson(rates, (POOL_TRIALS, NUM_BINS, num_units)), 255).astype(np.uint8)


def batch(num_units: int, num_trials: int, index: int) -> np.ndarray:
    """Counts of batch `index`, uint8 [num_trials, T, N]."""
    rng = np.random.default_rng([num_units, index])
    return trials(num_units)[rng.integers(0, POOL_TRIALS, num_trials)]


def sessions(num_sessions: int, num_touched: int, index: int) -> np.ndarray:
    """Which sessions batch `index` is of, int [num_touched], distinct."""
    return np.random.default_rng([num_sessions, index]).permutation(num_sessions)[:num_touched]
