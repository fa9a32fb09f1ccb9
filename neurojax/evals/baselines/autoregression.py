"""Autoregression of each unit's surplus over its PSTH, in the forward task only.

One ridge regression per unit and horizon, straight to the horizon (no iteration); how far it looks
back and the penalty from validation, amplitude and floor as in ridge.
"""

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import forward, grids, ridge
from neurojax.evals.baselines.folds import PARTS, Fit, Folds, surplus

MAX_ORDER_BINS = 64
# in units of the unit's mean squared surplus: rows that say "zero"
PENALTIES = (30.0, 300.0, 3000.0)
UNITS_AT_ONCE = 64


def fit(folds: Folds, psth: np.ndarray) -> Fit:
    """Fits the forward task, given the PSTH [T of train, n] to improve on."""
    train = folds.parts[TRAIN]
    spans = grids.spans_bins(folds.session.bin_size_s, train.counts.shape[1])
    spans = [span for span in spans if span <= MAX_ORDER_BINS]
    origins, target, past = (
        forward.train_origins(train),
        surplus(train, psth),
        _past(folds, psth, TRAIN),
    )
    moments = []
    # Moments of the longest past, a block of units at a time; shorter pasts are their corners.
    for first in range(0, len(folds.units), UNITS_AT_ONCE):
        own, after = (values[:, :, first : first + UNITS_AT_ONCE] for values in (past, target))
        later = [after[origins.trial, origins.bin + h + 1] for h in range(origins.num_horizons)]
        x, y = last_bins(own, origins.trial, origins.bin, max(spans)), np.stack(later, -1)
        if train.observed is not None:
            seen = train.observed[:, :, first : first + UNITS_AT_ONCE]
            at = origins.bin[:, None] + np.arange(origins.num_horizons) + 1
            x, y = _where_observed(x, y, seen[origins.trial[:, None], at].transpose(0, 2, 1))
        moments.append(own_moments(x, y))
    gram, cross = (np.concatenate(parts) for parts in zip(*moments, strict=True))
    # A penalty in units of each unit's variance: fast and slow units shrink alike.
    square = target[train.bin_valid].astype(np.float64) ** 2
    mean = square.mean(0) if train.observed is None else square.sum(0) / train.num_entries
    scale = np.maximum(mean, 1e-9)
    best = None
    for order in spans:
        for penalty in PENALTIES:
            weights = own_weights(gram[:, :order, :order], cross[:, :order], penalty * scale)
            loss = ridge.loss_of(
                folds, "forward", psth, _predicted(folds, psth, VALIDATION, weights)
            )
            if best is None or loss < best[0]:
                best = (
                    loss,
                    weights,
                    {"past_s": order * folds.session.bin_size_s, "penalty": penalty},
                )
    predicted = {part: _predicted(folds, psth, part, best[1]) for part in PARTS}
    return ridge.tuned(folds, "forward", psth, predicted, best[2])


def _where_observed(x, y, seen):
    """x [n, rows, order] and y [rows, n, horizons] of the rows that tell something of a unit.

    Rows of which no horizon was observed (`seen`, bool [rows, n, horizons]) leave a unit's fit; a
    horizon that some of the others lack is weighted up to all of them.
    """
    used = seen.any(-1)  # [rows, n]
    weight = np.maximum(used.sum(0), 1)[:, None] / np.maximum(seen.sum(0), 1)  # [n, horizons]
    return np.where(used.T[..., None], x, 0), (y * weight).astype(y.dtype)


def _predicted(folds: Folds, psth: np.ndarray, part: int, weights: np.ndarray) -> np.ndarray:
    """Surplus at the hidden bins, float [K, T, n]."""
    fold = folds.parts[part]
    trials, last = np.arange(len(fold.counts)), forward.last_visible(fold)
    seen = last_bins(_past(folds, psth, part), trials, last, weights.shape[1])
    by_horizon = (seen @ weights.astype(np.float32)).transpose(1, 2, 0)  # [K, horizons, n]
    return forward.place(by_horizon, np.zeros(fold.counts.shape[1:]), fold)


def _past(folds: Folds, psth: np.ndarray, part: int) -> np.ndarray:
    """Surplus, float32 [K, T, n], zero in units whose past is not shown."""
    return np.where(folds.past_unseen, np.float32(0), surplus(folds.parts[part], psth))


def last_bins(values: np.ndarray, trial: np.ndarray, origin: np.ndarray, order: int) -> np.ndarray:
    """Bins origin, origin - 1, ... of [K, T, n]: [n, rows, order], zeros before the start."""
    lags = [forward.at_origins(values, trial, origin - lag) for lag in range(order)]
    return np.ascontiguousarray(np.stack(lags, -1).transpose(1, 0, 2))


def own_moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inner products, float64 [n, order, order] and [n, order, horizons].

    Args:
        x: [n, rows, order].
        y: [rows, n, horizons].
    """
    x = x.astype(np.float64)
    return x.transpose(0, 2, 1) @ x, x.transpose(0, 2, 1) @ y.transpose(1, 0, 2)


def own_weights(gram: np.ndarray, cross: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Ridge weights float64 [n, order, horizons] of each unit, under a penalty [n] of its own."""
    return np.linalg.solve(gram + penalty[:, None, None] * np.eye(gram.shape[1]), cross)
