"""Ridge regression of each unit's surplus over its PSTH on the surplus of the visible units.

Leave-out tasks: every visible unit gives two features, its Gaussian-smoothed surplus and its surplus
averaged over the trial, both over sqrt(mean). All leave-one-unit-out fits follow from one inverse: with
P = (X'X + penalty I)^-1 and w = P X'y, the fit without the features b is w - P_b P_bb^-1 w_b (block
inverse), exactly 0 on b. Forward: two causal exponential averages of every unit, one fit per horizon.
Rate = max(PSTH + amplitude x prediction, floor x PSTH); penalty, amplitude and floor from validation.
"""

import numpy as np
from scipy.linalg import lapack

from neurojax.evals.baselines import forward
from neurojax.evals.baselines.folds import (
    Fitted,
    Folds,
    activity_features,
    choose,
    filtered_surplus,
    padded_psth,
    poisson_loss,
    surplus,
    visible_after,
)
from neurojax.types import TEST, TRAIN, VALIDATION

PENALTIES = (100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0)
AMPLITUDES = (0.5, 0.75, 1.0, 1.25, 1.5)
FLOORS = (0.05, 0.1, 0.2, 0.3, 0.5)


def fit(folds: Folds, tasks: tuple[str, ...], psth: np.ndarray) -> Fitted:
    """Fits every task, given the PSTH [T of train, n] to improve on."""
    fitted = {}
    leave_out = [task for task in tasks if task != "forward"]
    if leave_out:
        fitted.update(_fit_leave_out(folds, leave_out, psth))
    if "forward" in tasks:
        predict = _forward_predictor(folds, psth)
        fitted["forward"] = tuned(folds, "forward", psth, {p: predict(p) for p in PENALTIES})
    return fitted


def _fit_leave_out(folds, tasks, psth):
    parts = {part: activity_features(folds, psth, part) for part in (TRAIN, VALIDATION, TEST)}
    gram, cross = normal_equations(*parts[TRAIN], surplus(folds.parts[TRAIN], psth), folds.parts[TRAIN].bin_valid)
    candidates = {task: {} for task in tasks}
    for penalty in PENALTIES:
        weights = _all_weights(folds, tasks, gram, cross, penalty)
        for task in tasks:
            kept = {p: apply(weights[task], *parts[p]) for p in (VALIDATION, TEST)}
            candidates[task][penalty] = kept
            drop_worse(folds, task, psth, candidates[task])
    return {task: tuned(folds, task, psth, candidates[task]) for task in tasks}


def normal_equations(now, average, target, bin_valid):
    """X'X [2n, 2n] and X'Y [2n, n] in float64, X = [now, average repeated over the valid bins]."""
    rows = now[bin_valid]  # [valid bins, n]
    lengths = bin_valid.sum(1)[:, None]
    mixed = now.sum(1, dtype=np.float64).T @ average  # now is zero where padded
    gram = np.block([[(rows.T @ rows).astype(np.float64), mixed], [mixed.T, (average * lengths).T @ average]])
    cross = np.concatenate([rows.T @ target[bin_valid], average.T @ target.sum(1)]).astype(np.float64)
    return gram, cross


def _inverse(matrix):
    """Inverse of a symmetric positive definite matrix."""
    factor, failed = lapack.dpotrf(matrix, lower=1)
    if failed:
        return np.linalg.pinv(matrix, hermitian=True)
    half, _ = lapack.dpotri(factor, lower=1)
    return np.tril(half) + np.tril(half, -1).T


def _all_weights(folds, tasks, gram, cross, penalty):
    """task -> float32 [2n, n], column i the fit of unit i; zero in the rows of units hidden from it."""
    n = cross.shape[1]
    weights = {task: np.zeros((2 * n, n), np.float32) for task in tasks}
    if set(tasks) & {"co_smoothing", "inter_region", "held_out"}:
        inverse = _inverse(gram + penalty * np.eye(2 * n))
        full = inverse @ cross
    for task in tasks:
        if task == "co_smoothing":
            weights[task][:] = leave_one_out(inverse, full)
            continue
        for visible, scored in visible_after(folds, task):
            rows = np.concatenate([visible, n + visible])
            if task == "intra_region":
                sub_inverse = _inverse(gram[np.ix_(rows, rows)] + penalty * np.eye(len(rows)))
                weights[task][np.ix_(rows, scored)] = leave_one_out(sub_inverse, sub_inverse @ cross[rows][:, scored])
            else:
                hidden = np.concatenate([scored, n + scored])
                weights[task][:, scored] = leave_block_out(inverse, full[:, scored], hidden)
    return weights


def leave_one_out(inverse: np.ndarray, full: np.ndarray) -> np.ndarray:
    """Ridge weights of each unit without its own two features.

    Args:
        inverse: [2n, 2n], (X'X + penalty I)^-1; features i and n + i belong to unit i.
        full: [2n, n], weights with all features.

    Returns:
        [2n, n], exactly zero at (i, i) and (n + i, i).
    """
    n = full.shape[1]
    unit = np.arange(n)
    own = np.stack([unit, n + unit], 1)  # [n, 2]
    block = inverse[own[:, :, None], own[:, None, :]]  # [n, 2, 2]
    step = np.linalg.solve(block, full[own, unit[:, None]][..., None])[..., 0]  # [n, 2]
    weights = full - inverse[:, :n] * step[:, 0] - inverse[:, n:] * step[:, 1]
    weights[own, unit[:, None]] = 0.0
    return weights


def leave_block_out(inverse: np.ndarray, full: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Ridge weights [2n, outputs] without the features `hidden` (int64 [hidden]), exactly zero there."""
    weights = full - inverse[:, hidden] @ np.linalg.solve(inverse[np.ix_(hidden, hidden)], full[hidden])
    weights[hidden] = 0.0
    return weights


def apply(weights: np.ndarray, now: np.ndarray, average: np.ndarray) -> np.ndarray:
    """Predicted surplus float32 [K, T, n]."""
    n = now.shape[-1]
    return now @ weights[:n] + (average @ weights[n:])[:, None]


def _forward_predictor(folds, psth):
    """penalty -> {VALIDATION, TEST: predicted surplus at the hidden bins, float32 [K, T, n]}."""
    filtered = {part: filtered_surplus(folds, psth, part) for part in (TRAIN, VALIDATION, TEST)}
    origins = forward.train_origins(folds.parts[TRAIN])
    x = np.concatenate([forward.at_origins(f, origins.trial, origins.bin) for f in filtered[TRAIN]], 1)
    target = surplus(folds.parts[TRAIN], psth)
    gram = (x.T @ x).astype(np.float64)
    later = [target[origins.trial, origins.bin + h + 1] for h in range(origins.num_horizons)]
    cross = np.concatenate([x.T @ y for y in later], 1).astype(np.float64)  # [2n, horizons * n]

    def predict(penalty):
        weights = (_inverse(gram + penalty * np.eye(len(gram))) @ cross).astype(np.float32)
        predicted = {}
        for part in (VALIDATION, TEST):
            fold = folds.parts[part]
            trials, last = np.arange(len(fold.counts)), forward.last_visible(fold)
            seen = np.concatenate([forward.at_origins(f, trials, last) for f in filtered[part]], 1)
            by_horizon = (seen @ weights).reshape(len(trials), origins.num_horizons, -1)
            predicted[part] = forward.place(by_horizon, np.zeros(fold.counts.shape[1:]), fold)
        return predicted

    return predict


def drop_worse(folds, task, psth, candidates):
    """Keeps only the best penalty so far, to bound memory."""
    best = choose(list(candidates), lambda p: _loss(folds, task, psth, candidates[p], 1.0, 0.2))
    for penalty in [p for p in candidates if p != best]:
        del candidates[penalty]


def tuned(folds, task, psth, candidates):
    """Best penalty at amplitude 1 and floor 0.2, then best amplitude and floor; -> {part: rates}."""
    drop_worse(folds, task, psth, candidates)
    (predicted,) = candidates.values()
    settings = [(a, f) for a in AMPLITUDES for f in FLOORS]
    best = choose(settings, lambda setting: _loss(folds, task, psth, predicted, *setting))
    return {part: _rates(predicted[part], psth, *best) for part in (VALIDATION, TEST)}


def _loss(folds, task, psth, predicted, amplitude, floor):
    return poisson_loss(_rates(predicted[VALIDATION], psth, amplitude, floor), folds.parts[VALIDATION], task)


def _rates(predicted, psth, amplitude, floor):
    offset = padded_psth(psth, predicted.shape[1]).astype(np.float32)
    return np.maximum(offset + np.float32(amplitude) * predicted, np.float32(floor) * offset)
