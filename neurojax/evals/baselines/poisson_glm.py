"""Poisson regression of each unit on principal components of the visible population.

log rate = log PSTH + intercept + w . (scores now, scores averaged over the trial), the scores being the
leading components of the smoothed surplus over sqrt(mean) in train, not whitened, so that the L2 penalty
acts as ridge on the units' surplus. A unit's own contribution is taken out of the scores, in the fit and
in the prediction, where its weight on itself is exactly zero. Region tasks have components of the units
they may see. Forward: scores of two causal exponential averages, plus the unit's own log gains so far.
Number of components and penalty from validation.
"""

import numpy as np
from scipy.linalg import eigh

from neurojax.evals.baselines.folds import (
    Fitted,
    Folds,
    activity_features,
    choose,
    filtered_surplus,
    padded_psth,
    poisson_loss,
    visible_after,
)
from neurojax.evals.baselines.gain_ahead import fit_gain_ahead, own_log_gains
from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, Design, fit_poisson
from neurojax.types import TEST, TRAIN, VALIDATION

COMPONENTS = (64, 32)
PENALTIES = (200.0, 60.0, 20.0, 600.0)  # the first with every number of components, the others with the best
FORWARD_COMPONENTS = (16, 4)
FORWARD_PENALTIES = (30.0, 10.0, 100.0, 300.0)


def fit(folds: Folds, tasks: tuple[str, ...], psth: np.ndarray) -> Fitted:
    """Fits every task, given the PSTH [T of train, n] to improve on."""
    features = {part: activity_features(folds, psth, part) for part in (TRAIN, VALIDATION, TEST)}
    rows = features[TRAIN][0][folds.parts[TRAIN].bin_valid]
    gram = (rows.T @ rows).astype(np.float64)  # [n, n]
    fitted = {}
    for task in tasks:
        if task == "forward":
            fitted[task] = _fit_forward(folds, psth, leading_components(gram, max(FORWARD_COMPONENTS)))
        else:
            fitted[task] = _fit_leave_out(folds, task, psth, features, gram)
    return fitted


def leading_components(gram: np.ndarray, num_components: int) -> np.ndarray:
    """Eigenvectors of the largest eigenvalues, largest first, float32 [n, min(n, num_components)]."""
    n = len(gram)
    if n == 0:
        return np.zeros((0, 0), np.float32)
    _, vectors = eigh(gram, subset_by_index=[max(n - num_components, 0), n - 1])
    return vectors[:, ::-1].astype(np.float32)


def _search(folds, task, components, penalties, fit_one):
    """fit_one(components, penalty) -> {part: rates}; best components at the first penalty, then penalty."""
    fits = {}

    def loss(setting):
        fits[setting] = fits.get(setting) or fit_one(*setting)
        return poisson_loss(fits[setting][VALIDATION], folds.parts[VALIDATION], task)

    most = choose([(k, penalties[0]) for k in components], loss)[0]
    return fits[choose([(most, penalty) for penalty in penalties], loss)]


def _fit_leave_out(folds, task, psth, features, gram):
    groups = visible_after(folds, task)
    spikes = folds.parts[TRAIN].counts[folds.parts[TRAIN].bin_valid]  # [rows, n]
    components = [leading_components(gram[np.ix_(v, v)], max(COMPONENTS)) for v, _ in groups]
    parts = (VALIDATION, TEST)
    found: dict[tuple[int, int], np.ndarray] = {}  # where the fit at another penalty may start

    def fit_one(num_components, penalty):
        gain = {part: np.zeros_like(features[part][0]) for part in parts}
        for group, (visible, scored) in enumerate(groups):
            vectors = components[group][:, :num_components]
            design, rotation = _leave_out_design(folds, psth, features[TRAIN], visible, scored, vectors)
            penalties = np.concatenate([[0.0], np.full(len(rotation), penalty)])
            weights = fit_poisson(design, spikes[:, scored], penalties, found.get((num_components, group)))
            found[num_components, group] = weights.copy()
            weights[1:] = rotation @ weights[1:]
            for part in parts:
                now, average = features[part]
                k = vectors.shape[1]
                onto = [vectors @ weights[1 : k + 1], vectors @ weights[k + 1 :]]  # [visible, scored]
                for matrix in onto:
                    matrix[visible[:, None] == scored] = 0  # no unit sees itself
                predicted = now[:, :, visible] @ onto[0] + (average[:, visible] @ onto[1])[:, None]
                gain[part][:, :, scored] = predicted + weights[0]
        return {
            part: padded_psth(psth, gain[part].shape[1]) * np.exp(np.minimum(gain[part], MAX_LOG_GAIN))
            for part in parts
        }

    return _search(folds, task, COMPONENTS, PENALTIES, fit_one)


def _leave_out_design(folds, psth, features, visible, scored, vectors):
    """Design with columns 1, then scores now and over the trial [2k], rotated; and the rotation [2k, 2k]."""
    train = folds.parts[TRAIN]
    valid = train.bin_valid
    now, average = features[0], np.broadcast_to(features[1][:, None], features[0].shape)
    scores = [f[valid][:, visible] @ vectors for f in (now, average)]  # [rows, k] each
    k = vectors.shape[1]
    shared = np.concatenate([np.ones((len(scores[0]), 1), np.float32), *scores], 1)
    rotation = _decorrelated(shared[:, 1:])
    shared[:, 1:] = shared[:, 1:] @ rotation
    own_rows = np.zeros((len(scored), k), np.float32)
    position = {unit: row for row, unit in enumerate(visible)}
    inside = [i for i, unit in enumerate(scored) if unit in position]
    own_rows[inside] = vectors[[position[scored[i]] for i in inside]]
    ties = [np.zeros((len(scored), 1 + 2 * k), np.float32) for _ in range(2)]
    ties[0][:, 1:] = -own_rows @ rotation[:k]
    ties[1][:, 1:] = -own_rows @ rotation[k:]
    expected = np.broadcast_to(padded_psth(psth, valid.shape[1]).astype(np.float32), now.shape)
    design = Design(shared, tuple(f[valid][:, scored] for f in (now, average)), tuple(ties), expected[valid][:, scored])
    return design, rotation


def _decorrelated(scores):
    """Rotation [p, p] to uncorrelated columns, so that the solver's diagonal preconditioner is a good one."""
    _, rotation = np.linalg.eigh((scores.T @ scores).astype(np.float64))
    return rotation.astype(np.float32)


def _fit_forward(folds, psth, vectors):
    own = {part: own_log_gains(folds, psth, part) for part in (TRAIN, VALIDATION, TEST)}
    scores = {part: [f @ vectors for f in filtered_surplus(folds, psth, part)] for part in own}

    def fit_one(num_components, penalty):
        shared = {part: np.concatenate([s[..., :num_components] for s in scores[part]], -1) for part in scores}
        return fit_gain_ahead(folds, psth, own, shared, penalty, penalty)

    return _search(folds, "forward", FORWARD_COMPONENTS, FORWARD_PENALTIES, fit_one)
