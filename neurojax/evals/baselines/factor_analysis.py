"""Factor analysis of the population, as in GPFA with the smoothing done beforehand; leave-out tasks only.

Features are square roots of counts (their noise hardly grows with the rate), smoothed over time, less their
train average per bin. Factors x = L z + noise, z ~ N(0, I), are fitted on train by EM; the posterior mean of z
given the visible units is read out by ridge, without the unit's own part. Number of factors from validation,
amplitude and floor as in ridge.

Source: Yu et al. 2009; Rubin & Thayer 1982 for the EM.
"""

import numpy as np
from scipy.linalg import eigh

from neurojax.evals.baselines import ridge
from neurojax.evals.baselines.folds import Fitted, Folds, padded_psth, smooth, surplus, visible_after
from neurojax.evals.baselines.own_taken_out import readout_weights
from neurojax.types import TEST, TRAIN, VALIDATION

TASKS = ("co_smoothing", "inter_region", "intra_region", "held_out")
NUM_FACTORS = (4, 8, 16, 32)
NUM_ITERATIONS = 40
LEAST_NOISE = 0.01  # of a unit's variance
SHRINK = 0.01  # of a unit's read-out of the factors


def fit(folds: Folds, tasks: tuple[str, ...], psth: np.ndarray) -> Fitted:
    """Fits the leave-out tasks, given the PSTH [T of train, n] to improve on."""
    features = _features(folds)
    train = folds.parts[TRAIN]
    rows, target = features[TRAIN][train.bin_valid], surplus(train, psth)[train.bin_valid]
    gram, cross = (rows.T @ rows).astype(np.float64), (rows.T @ target).astype(np.float64)
    models = [fit_factors(gram / len(rows), number) for number in NUM_FACTORS]
    fitted = {}
    for task in tasks:
        candidates = {}
        for number, model in zip(NUM_FACTORS, models, strict=True):
            weights = np.zeros(gram.shape, np.float32)
            for visible, scored in visible_after(folds, task):
                if len(visible) and len(scored):
                    found = _weights(model, gram, cross, visible, scored)
                    weights[np.ix_(visible, scored)] = found
            candidates[number] = {part: features[part] @ weights for part in (VALIDATION, TEST)}
            ridge.drop_worse(folds, task, psth, candidates)
        fitted[task] = ridge.tuned(folds, task, psth, candidates)
    return fitted


def _features(folds: Folds) -> dict[int, np.ndarray]:
    """Smoothed square roots less their train average per bin, float32 [K, T, n], zero where padded."""
    smoothed = {}
    for part, fold in folds.parts.items():
        stable = np.sqrt(fold.counts + np.float32(0.375)) * fold.bin_valid[..., None]
        smoothed[part] = smooth(stable, fold.bin_valid)
    valid = folds.parts[TRAIN].bin_valid
    average = smoothed[TRAIN].sum(0) / np.maximum(valid.sum(0), 1)[:, None]  # [T, n]
    return {
        part: np.where(
            folds.parts[part].bin_valid[..., None], x - padded_psth(average, x.shape[1]), np.float32(0)
        ).astype(np.float32)
        for part, x in smoothed.items()
    }


def fit_factors(
    covariance: np.ndarray, num_factors: int, num_iterations: int = NUM_ITERATIONS
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum-likelihood factor analysis by EM, from principal components.

    Args:
        covariance: [n, n], of centred features.
        num_factors: at most; k = min(num_factors, n).

    Returns:
        loadings [n, k] and noise variances [n], at least LEAST_NOISE of each variance.
    """
    n = len(covariance)
    k = min(num_factors, n)
    variance = np.maximum(np.diag(covariance), 1e-9)
    scale = np.sqrt(variance)
    correlation = covariance / scale[:, None] / scale
    values, vectors = eigh(correlation, subset_by_index=[n - k, n - 1])
    loadings = vectors * np.sqrt(np.maximum(values - 1, 0.1))
    noise = np.clip(1 - (loadings**2).sum(1), LEAST_NOISE, 1)
    for _ in range(num_iterations):
        weighted = loadings / noise[:, None]
        inner = np.linalg.inv(np.eye(k) + loadings.T @ weighted)  # posterior covariance
        onto = weighted @ inner  # [n, k], posterior mean = x @ onto
        with_factors = correlation @ onto  # E[x z']
        second = inner + onto.T @ with_factors  # E[z z']
        loadings = np.linalg.solve(second, with_factors.T).T
        noise = np.maximum(1 - (loadings * with_factors).sum(1), LEAST_NOISE)
    return loadings * scale[:, None], noise * variance


def posterior_weights(loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """[n, k] such that x @ them is the posterior mean of the factors given all of x."""
    weighted = loadings / noise[:, None]
    return weighted @ np.linalg.inv(np.eye(loadings.shape[1]) + loadings.T @ weighted)


def _weights(model, gram, cross, visible, scored):
    """[visible, scored]: posterior of the factors from the visible units, read out without the unit itself.

    The read-out is linear, so the posterior's covariance without the unit only changes its basis: taking the
    unit's part out of L' noise^-1 x is enough.
    """
    loadings, noise = model
    weighted = posterior_weights(loadings[visible], noise[visible])
    own = np.zeros((len(scored), 0), np.int64)
    if len(np.intersect1d(visible, scored)):  # then visible and scored are the same units
        own = np.arange(len(scored))[:, None]
    within, onto = gram[np.ix_(visible, visible)], cross[np.ix_(visible, scored)]
    return readout_weights(weighted, within, onto, own, SHRINK)
