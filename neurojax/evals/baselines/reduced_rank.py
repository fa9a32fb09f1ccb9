"""Reduced-rank regression: ridge on the features of the visible population, through a few latents.

With B = (X'X + penalty I)^-1 X'Y the ridge weights, the best weights of rank r are B V V', V the leading
eigenvectors of Y'X B: what the largest singular values of the (augmented) fit span. Leave-one-out tasks read
the latents X B V without the unit's own features. Features, amplitude and floor are ridge's; rank and penalty
from validation.

Source: Izenman 1975; Mukherjee & Zhu 2011 for the ridge form.
"""

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh

from neurojax.evals.baselines import forward, ridge
from neurojax.evals.baselines.folds import (
    Fitted,
    Folds,
    activity_features,
    filtered_surplus,
    surplus,
    visible_after,
)
from neurojax.evals.baselines.own_taken_out import readout_weights
from neurojax.types import TEST, TRAIN, VALIDATION

RANKS = (2, 4, 8, 16, 32, 64)
PENALTIES = (300.0, 3000.0)
SHRINK = 0.01  # of a unit's read-out of the latents
PARTS = (VALIDATION, TEST)


def reduced_rank_loadings(gram: np.ndarray, cross: np.ndarray, penalty: float, rank: int) -> tuple[np.ndarray, ...]:
    """Loadings [p, r] and read-out [r, m] of the rank-r ridge solution; their product are its weights.

    Args:
        gram: X'X, [p, p].
        cross: X'Y, [p, m].
        penalty: on the squared weights.
        rank: at most; r = min(rank, p, m).
    """
    full = np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
    rank = min(rank, *cross.shape)
    fitted = cross.T @ full
    vectors = _leading((fitted + fitted.T) / 2, rank)
    return full @ vectors, vectors.T


def _leading(matrix: np.ndarray, number: int) -> np.ndarray:
    """Eigenvectors of the largest eigenvalues, largest first; by Lanczos where they are few of many."""
    size = len(matrix)
    if size >= 8 * number:
        start = np.random.default_rng(0).normal(size=size)
        values, vectors = eigsh(matrix, number, which="LA", v0=start)
        return vectors[:, np.argsort(values)[::-1]]
    return eigh(matrix, subset_by_index=[size - number, size - 1])[1][:, ::-1]


def fit(folds: Folds, tasks: tuple[str, ...], psth: np.ndarray) -> Fitted:
    """Fits every task, given the PSTH [T of train, n] to improve on."""
    fitted = {}
    features = {part: activity_features(folds, psth, part) for part in (TRAIN, *PARTS)}
    train = folds.parts[TRAIN]
    gram, cross = ridge.normal_equations(*features[TRAIN], surplus(train, psth), train.bin_valid)
    for task in tasks:
        if task == "forward":
            continue
        candidates = {}
        for penalty in PENALTIES:
            for rank, weights in zip(RANKS, leave_out_weights(folds, task, gram, cross, penalty), strict=True):
                candidates[penalty, rank] = {part: ridge.apply(weights, *features[part]) for part in PARTS}
                ridge.drop_worse(folds, task, psth, candidates)
        fitted[task] = ridge.tuned(folds, task, psth, candidates)
    if "forward" in tasks:
        fitted["forward"] = _fit_forward(folds, psth)
    return fitted


def leave_out_weights(folds: Folds, task: str, gram, cross, penalty: float) -> list[np.ndarray]:
    """float32 [2n, n] for each of RANKS, column i the fit of unit i; zero in the rows of units hidden from it."""
    n = cross.shape[1]
    weights = [np.zeros((2 * n, n), np.float32) for _ in RANKS]
    for visible, scored in visible_after(folds, task):
        rows = np.concatenate([visible, n + visible])
        if not len(rows) or not len(scored):
            continue
        within, onto = gram[np.ix_(rows, rows)], cross[np.ix_(rows, scored)]
        loadings, readout = reduced_rank_loadings(within, onto, penalty, max(RANKS))
        sees_itself = len(np.intersect1d(visible, scored)) > 0
        for rank, out in zip(RANKS, weights, strict=True):
            if sees_itself:  # then visible and scored are the same units
                own = np.stack([np.arange(len(scored)), len(scored) + np.arange(len(scored))], 1)
                found = readout_weights(loadings[:, :rank], within, onto, own, SHRINK)
            else:
                found = loadings[:, :rank] @ readout[:rank]
            out[np.ix_(rows, scored)] = found
    return weights


def _fit_forward(folds, psth):
    filtered = {part: filtered_surplus(folds, psth, part) for part in (TRAIN, *PARTS)}
    train = folds.parts[TRAIN]
    origins = forward.train_origins(train)
    x = np.concatenate([forward.at_origins(f, origins.trial, origins.bin) for f in filtered[TRAIN]], 1)
    target = surplus(train, psth)
    later = [target[origins.trial, origins.bin + h + 1] for h in range(origins.num_horizons)]
    gram = (x.T @ x).astype(np.float64)
    cross = np.concatenate([x.T @ y for y in later], 1).astype(np.float64)  # [2n, horizons * n]
    candidates = {}
    for penalty in PENALTIES:
        loadings, readout = reduced_rank_loadings(gram, cross, penalty, max(RANKS))
        for rank in RANKS:
            predicted = {}
            for part in PARTS:
                fold = folds.parts[part]
                trials, last = np.arange(len(fold.counts)), forward.last_visible(fold)
                seen = np.concatenate([forward.at_origins(f, trials, last) for f in filtered[part]], 1)
                by_horizon = (seen @ loadings[:, :rank]) @ readout[:rank]
                by_horizon = by_horizon.reshape(len(trials), origins.num_horizons, -1).astype(np.float32)
                predicted[part] = forward.place(by_horizon, np.zeros(fold.counts.shape[1:]), fold)
            candidates[penalty, rank] = predicted
            ridge.drop_worse(folds, "forward", psth, candidates)
    return ridge.tuned(folds, "forward", psth, candidates)
