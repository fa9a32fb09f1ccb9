"""The stack: a log-linear mixture of the other linear predictors, the bar that a model has to clear.

log rate = c + log mean + sum of a_m (log rate_m - log mean), a_m >= 0, c and a fitted by Poisson likelihood on
validation trials, a task at a time. Leave-out tasks: ridge and factor analysis at each width around their best, reduced
rank, Poisson GLM. Forward: ridge and GLM at two memories each, reduced rank, coupling, autoregression.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize

from neurojax.evals.baselines.folds import PARTS, Fit, Folds
from neurojax.types import VALIDATION

LEAST_RATE = 1e-6  # spikes per bin, of a part


def fit(folds: Folds, task: str, parts: Mapping[str, Sequence[Fit]]) -> Fit:
    """Mixes what the parts predict.

    Args:
        parts: name -> fits of that method.
    """
    fits = [(name, one) for name, several in parts.items() for one in several]
    fold = folds.parts[VALIDATION]
    scored = fold.scored[task]
    y = fold.counts[scored].astype(np.float64)
    log_mean = np.log(np.maximum(folds.mean, LEAST_RATE)).astype(np.float32)

    def log_ratio(one, part):
        return np.log(np.maximum(one.rates[part], LEAST_RATE)).astype(np.float32) - log_mean

    gains = np.stack([log_ratio(one, VALIDATION)[scored] for _, one in fits])  # [parts, entries]
    mean = np.broadcast_to(np.exp(log_mean), scored.shape)[scored]
    offset, weights = mixture(gains, mean, y)
    rates = {}
    for part in PARTS:
        total = sum((np.float32(a) * log_ratio(one, part) for (_, one), a in zip(fits, weights, strict=True) if a > 0))
        rates[part] = np.exp(total + np.float32(offset) + log_mean)
    told = [
        {"name": name, "weight": round(float(a), 3), **one.chosen} for (name, one), a in zip(fits, weights, strict=True)
    ]
    return Fit(rates, {"offset": offset, "parts": told})


def mixture(gains: np.ndarray, mean: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """c and a >= 0 that minimise sum(rate - counts log rate), log rate = log mean + c + a . gains.

    Args:
        gains: [parts, entries].
        mean: [entries], spikes per bin.
        counts: [entries].
    """
    fired = np.flatnonzero(counts)
    at_spikes, spikes = gains[:, fired].astype(np.float64), counts[fired]
    total, drive = spikes.sum(), at_spikes @ spikes

    def loss(point):
        eta = point[0] + point[1:].astype(np.float32) @ gains
        rate = mean * np.exp(np.minimum(eta, 20.0, out=eta), out=eta)
        value = rate.sum(dtype=np.float64) - point[0] * total - point[1:] @ drive
        slope = np.concatenate([[rate.sum(dtype=np.float64) - total], gains @ rate - drive])
        return value / len(counts), slope / len(counts)

    start = np.concatenate([[0.0], np.full(len(gains), 1 / len(gains))])
    bounds = [(None, None)] + [(0.0, None)] * len(gains)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-10, "gtol": 1e-8})
    return float(found.x[0]), found.x[1:]
