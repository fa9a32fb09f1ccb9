"""Factor analysis of the population, smoothed beforehand, unlike GPFA; leave-out tasks.

Factors x = L z + noise, z ~ N(0, I), of the features now (ridge's, so their inner products are
shared) are fitted on train by EM; the posterior mean of z given the visible units is read out by
ridge, without the unit's own part. Number of factors from validation, amplitude and floor as in
ridge.

Source: Yu et al. 2009; Rubin & Thayer 1982 for the EM.
"""

import dataclasses

import numpy as np
from scipy.linalg import eigh

from neurojax.data.session import TRAIN
from neurojax.evals.baselines import ridge
from neurojax.evals.baselines.features import Activity
from neurojax.evals.baselines.folds import Fit, Folds
from neurojax.evals.baselines.reduced_rank import own_features, readout_weights

NUM_FACTORS = (2, 4, 8, 16, 32, 64)
FIRST = 16
NUM_ITERATIONS = 40
LEAST_NOISE = 0.01  # of a unit's variance
SHRINK = 0.01  # of a unit's read-out of the factors


def fit_activity(
    folds: Folds, tasks: tuple[str, ...], psth: np.ndarray, activity: Activity
) -> dict[str, Fit]:
    """The leave-out tasks from given features; trial means among them are left aside."""
    n = activity.cross.shape[1]
    cross, train = activity.cross[:n], folds.parts[TRAIN]
    num_rows = int(train.bin_valid.sum())
    if train.observed is not None:
        # As if all were observed: each unit's variance is that of the bins it was observed in.
        num_rows = np.sqrt(train.num_entries[:, None] * train.num_entries)
    covariance = activity.gram[:n, :n] / num_rows

    def weights_at(place):
        model, found = fit_factors(covariance, NUM_FACTORS[place]), {}
        for task in tasks:
            found[task] = np.zeros(cross.shape, np.float32)
            for visible, scored in folds.groups[task]:
                for system in activity.equations.systems if len(visible) else ():
                    mine, gram = system.of(scored), system.gram[:n, :n]
                    if len(mine):
                        own = own_features(visible, scored, len(visible))
                        own = own[np.searchsorted(scored, mine)]
                        weights = _weights(model, gram, cross, visible, mine, own)
                        found[task][np.ix_(visible, mine)] = weights
        return found

    most = sum(number < n for number in NUM_FACTORS) or 1
    start = min(NUM_FACTORS.index(FIRST), most - 1)
    plain = dataclasses.replace(activity, average=None)
    best = ridge.climbed(folds, psth, plain, (most, start), weights_at)
    family = {name: getattr(activity.family, name) for name in ("width_s", "square_root")}
    fits = {}
    for task in tasks:
        place, predicted = best[task]
        chosen = {"num_factors": NUM_FACTORS[place], **family}
        fits[task] = ridge.tuned(folds, task, psth, predicted, chosen)
    return fits


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
    # Of correlations: noise is then a share of 1, whatever a unit's rate.
    correlation = covariance / scale[:, None] / scale
    values, vectors = eigh(correlation, subset_by_index=[n - k, n - 1])
    # From principal components: what their variance has above the 1 of pure noise.
    loadings = vectors * np.sqrt(np.maximum(values - 1, 0.1))
    noise = np.clip(1 - (loadings**2).sum(1), LEAST_NOISE, 1)
    # EM, Rubin & Thayer 1982: moments of z given x, then loadings and noise in closed form.
    for _ in range(num_iterations):
        weighted = loadings / noise[:, None]
        inner = np.linalg.inv(np.eye(k) + loadings.T @ weighted)  # posterior covariance
        onto = weighted @ inner  # [n, k], posterior mean = x @ onto
        with_factors = correlation @ onto  # E[x z']
        second = inner + onto.T @ with_factors  # E[z z']
        loadings = np.linalg.solve(second, with_factors.T).T
        # A floor, or a unit's noise may go to zero and its weight to infinity (a Heywood case).
        noise = np.maximum(1 - (loadings * with_factors).sum(1), LEAST_NOISE)
    return loadings * scale[:, None], noise * variance


def posterior_weights(loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """[n, k] such that x @ them is the posterior mean of the factors given all of x."""
    weighted = loadings / noise[:, None]
    return weighted @ np.linalg.inv(np.eye(loadings.shape[1]) + loadings.T @ weighted)


def _weights(model, gram, cross, visible, scored, own):
    """[visible, scored]: the factors' posterior, read out without the unit itself.

    The read-out is linear, so the posterior's covariance without the unit only changes its basis:
    taking the unit's part out of L' noise^-1 x is enough.
    """
    loadings, noise = model
    weighted = posterior_weights(loadings[visible], noise[visible])
    within, onto = gram[np.ix_(visible, visible)], cross[np.ix_(visible, scored)]
    return readout_weights(weighted, within, onto, own, SHRINK)
