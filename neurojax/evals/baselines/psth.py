"""Peri-stimulus time histogram: each unit's train average by bin, smoothed and shrunk to its mean.

Smoothing and shrinkage are chosen on validation. It is also the offset of the other baselines.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from neurojax.evals.baselines.folds import Fitted, Folds, choose, padded_psth
from neurojax.types import TEST, TRAIN, VALIDATION

SIGMAS_BINS = (1.0, 2.0, 4.0, np.inf)
PSEUDO_COUNTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FLOOR = 0.05  # of the unit's mean


def fit(folds: Folds, tasks: tuple[str, ...]) -> Fitted:
    """The tuned PSTH for every task."""
    psth = tuned_psth(folds)
    rates = {}
    for part in (VALIDATION, TEST):
        shape = folds.parts[part].counts.shape
        rates[part] = np.broadcast_to(padded_psth(psth, shape[1]), shape)
    return dict.fromkeys(tasks, rates)


def tuned_psth(folds: Folds) -> np.ndarray:
    """Spikes per bin, float64 [T of train, n], with the smoothing and shrinkage that suit validation best."""
    validation = folds.parts[VALIDATION]
    num_trials = validation.bin_valid.sum(0).astype(np.float64)  # [T]
    total = validation.counts.sum(0, dtype=np.float64)  # [T, n]

    def loss(setting):
        rates = padded_psth(shrunk_psth(folds, *setting), len(total))
        return (num_trials[:, None] * rates - total * np.log(rates)).sum()

    settings = [(s, p, kind) for s in SIGMAS_BINS[:-1] for p in PSEUDO_COUNTS for kind in ("trials", "spikes")]
    return shrunk_psth(folds, *choose([(np.inf, 1.0, "trials"), *settings], loss))


def shrunk_psth(folds: Folds, sigma_bins: float, pseudo_count: float, kind: str) -> np.ndarray:
    """Gaussian average of the train PSTH, pulled to the unit's mean; float64 [T of train, n].

    Args:
        sigma_bins: infinite = flat, the mean itself.
        pseudo_count: weight of the mean, in `kind`: "trials" (per bin) or "spikes" (per unit).
    """
    train = folds.parts[TRAIN]
    num_trials = train.bin_valid.sum(0).astype(np.float64)[:, None]  # [T, 1]
    mean = np.broadcast_to(folds.mean, train.counts.shape[1:])
    if np.isinf(sigma_bins):
        return mean.copy()
    total = gaussian_filter1d(train.counts.sum(0, dtype=np.float64), sigma_bins, axis=0, mode="constant")
    num_trials = gaussian_filter1d(num_trials, sigma_bins, axis=0, mode="constant")
    if kind == "trials":
        psth = (total + pseudo_count * mean) / (num_trials + pseudo_count)
    else:
        spikes = train.counts.sum((0, 1), dtype=np.float64)
        weight = spikes / (spikes + pseudo_count)
        psth = weight * total / np.maximum(num_trials, 1e-9) + (1 - weight) * mean
    return np.maximum(psth, FLOOR * mean)
