"""The fifteen-line yardstick: co-smoothing by ridge on the square roots of the counts of the same bin.

No smoothing, no time course, one penalty for a session, every unit left out in turn from one inverse. Whatever calls
itself a strong linear baseline may not be below it.
"""

import numpy as np

from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.scores import metrics

PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)


def same_bin_ridge(session: Session) -> tuple[np.ndarray, float]:
    """Rates float64 [K, T, N] of the test trials, and the penalty that validation chose."""
    parts = [session.gather_trials(session.trials_of(split)) for split in (TRAIN, VALIDATION, TEST)]
    train, validation, test = (counts[valid].astype(float) for counts, valid in parts)  # [bins, N]
    mean, scale = np.sqrt(train).mean(0), np.sqrt(train).std(0) + 1e-6
    x, xv, xt = ((np.sqrt(part) - mean) / scale for part in (train, validation, test))
    gram, cross, base = x.T @ x, x.T @ (train - train.mean(0)), train.mean(0)
    best = None
    for penalty in PENALTIES:
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        weights = inverse @ cross
        weights -= inverse * (np.diag(weights) / np.diag(inverse))  # without the unit itself
        found = [np.maximum(part @ weights + base, 0.1 * np.maximum(base, 1e-2)) for part in (xv, xt)]
        score = metrics.poisson_scores(metrics.poisson_sums(found[0][None], validation[None]))["bps_pooled"]
        best = max(best, (float(score), penalty, found[1])) if best else (float(score), penalty, found[1])
    counts, valid = parts[-1]
    rates = np.zeros(counts.shape)
    rates[valid] = best[2]
    return rates, best[1]
