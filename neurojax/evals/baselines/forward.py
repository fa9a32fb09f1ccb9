"""Shared by the baselines of the forward task: which past bins predict which later ones.

An origin is the last visible bin; horizon h = 1, 2, ... is the bin h later. Training uses every bin
of the train trials as an origin that leaves room for all horizons, prediction only the protocol's
own.
"""

import dataclasses

import numpy as np

from neurojax.evals.baselines.folds import Fold

FIRST_ORIGIN = 5  # earlier origins have seen too little
MAX_ROWS = 12_000  # origins are thinned beyond this
MAX_TARGETS = 2**26  # as they are beyond so many origins x horizons x units: 256 MB


@dataclasses.dataclass(frozen=True)
class Origins:
    """(trial, bin) pairs of train that leave room for every horizon; int64 [rows] each."""

    trial: np.ndarray
    bin: np.ndarray
    num_horizons: int


def train_origins(fold: Fold) -> Origins:
    """Evenly thinned to MAX_ROWS and MAX_TARGETS; without rows where all trials are too short."""
    num_horizons = int(fold.hidden_bins.sum(1).max())
    lengths = fold.bin_valid.sum(1)
    bins = np.arange(fold.counts.shape[1])
    # Short trials have no later origin that leaves room: then earlier ones have to do.
    first = min(FIRST_ORIGIN, int(lengths.max()) - 1 - num_horizons)
    trial, origin = np.nonzero((bins >= first) & (bins + num_horizons < lengths[:, None]))
    most = min(MAX_ROWS, max(MAX_TARGETS // max(num_horizons * fold.counts.shape[2], 1), 1))
    stride = -(-len(trial) // most) or 1
    return Origins(trial[::stride], origin[::stride], num_horizons)


def last_visible(fold: Fold) -> np.ndarray:
    """Origin of each trial, int64 [K]; -1 where the whole trial is hidden."""
    return (fold.bin_valid & ~fold.hidden_bins).sum(1) - 1


def at_origins(features: np.ndarray, trial: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Features [K, T, n] at (trial, bin) pairs, [rows, n]; zeros where the origin is -1."""
    return np.where(origin[:, None] >= 0, features[trial, np.maximum(origin, 0)], 0).astype(
        features.dtype
    )


def place(by_horizon: np.ndarray, elsewhere: np.ndarray, fold: Fold) -> np.ndarray:
    """Predictions [K, horizons, n] -> [K, T, n] at hidden bins, `elsewhere` [T, n] at others.

    Horizons past the last one fitted take its prediction.
    """
    rates = np.broadcast_to(elsewhere, fold.counts.shape).astype(by_horizon.dtype)
    trial, hidden = np.nonzero(fold.hidden_bins)
    horizon = hidden - last_visible(fold)[trial]  # 1, 2, ...
    rates[trial, hidden] = by_horizon[trial, np.minimum(horizon, by_horizon.shape[1]) - 1]
    return rates
