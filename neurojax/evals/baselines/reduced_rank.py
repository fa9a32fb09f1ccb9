"""Reduced-rank regression: ridge on the features of the visible population, through a few latents.

With B = (X'X + penalty I)^-1 X'Y the ridge weights, the best weights of rank r are B V V', V the
leading eigenvectors of Y'X B: what the largest singular values of the (augmented) fit span.
Leave-one-out tasks read the latents X B V without the unit's own features. Features, amplitude and
floor are ridge's; rank and penalty from validation. Leave-out tasks only.

Source: Izenman 1975; Mukherjee & Zhu 2011 for the ridge form.
"""

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, eigsh

from neurojax.data.session import VALIDATION
from neurojax.evals.baselines import ridge
from neurojax.evals.baselines.features import Activity
from neurojax.evals.baselines.folds import PARTS, Fit, Folds
from neurojax.evals.baselines.own_taken_out import readout_weights

RANKS = (2, 4, 8, 16, 32, 64)
PENALTIES = (300.0, 3000.0)
SHRINK = 0.01  # of a unit's read-out of the latents
LARGEST = 4000  # targets; beyond, a matrix of targets by targets is not made


def reduced_rank_loadings(
    gram: np.ndarray, cross: np.ndarray, penalty: float, rank: int, *, of_rows: bool = False
) -> tuple[np.ndarray, ...]:
    """Loadings [p, r] and read-out [r, m] of the rank-r ridge solution; their product are its
    weights.

    Args:
        gram: X'X, [p, p].
        cross: X'Y, [p, m].
        penalty: on the squared weights.
        rank: at most; r = min(rank, p, m).
        of_rows: gram is XX', cross is Y, and the loadings are of the rows: multiplied by X' they
            are those of features.
    """
    full = ridge.solved(gram, cross, penalty)
    vectors = _leading(cross, gram @ full if of_rows else full, min(rank, *cross.shape))
    return full @ vectors, vectors.T


def _leading(cross: np.ndarray, full: np.ndarray, number: int) -> np.ndarray:
    """Eigenvectors of the largest eigenvalues of cross' full [m, m] (symmetric but for rounding),
    largest first.

    By Lanczos where they are few of many, without that matrix where it would be large.
    """
    size = cross.shape[1]
    if size < 8 * number or size <= LARGEST:
        fitted = cross.T @ full
        fitted = (fitted + fitted.T) / 2
    if size >= 8 * number:

        def times(vector):
            return (cross.T @ (full @ vector) + full.T @ (cross @ vector)) / 2

        start = np.random.default_rng(0).normal(size=size)
        operator = (
            LinearOperator((size, size), matvec=times, dtype=np.float64)
            if size > LARGEST
            else fitted
        )
        values, vectors = eigsh(operator, number, which="LA", v0=start)
        return vectors[:, np.argsort(values)[::-1]]
    return eigh(fitted, subset_by_index=[size - number, size - 1])[1][:, ::-1]


def fit_activity(folds: Folds, task: str, psth: np.ndarray, activity: Activity) -> Fit:
    """A leave-out task from given features."""
    best: tuple[float, np.ndarray, dict[str, float]] | None = None
    for penalty in PENALTIES:
        every = leave_out_weights(folds, task, activity, penalty)
        for rank, weights in zip(RANKS, every, strict=True):
            loss = ridge.loss_of(folds, task, psth, activity.apply(weights, VALIDATION))
            if best is None or loss < best[0]:
                best = loss, weights, {"rank": rank, "penalty": penalty}
    predicted = {part: activity.apply(best[1], part) for part in PARTS}
    return ridge.tuned(folds, task, psth, predicted, {**best[2], **activity.family._asdict()})


def leave_out_weights(
    folds: Folds, task: str, activity: Activity, penalty: float
) -> list[np.ndarray]:
    """float32 [p, n] for each of RANKS, column i the fit of unit i; zero in the rows of units
    hidden from it."""
    gram, cross = activity.gram, activity.cross
    weights = [np.zeros(cross.shape, np.float32) for _ in RANKS]
    for visible, scored in folds.groups[task]:
        rows = activity.columns(visible)
        if not len(rows) or not len(scored):
            continue
        within, onto = gram[np.ix_(rows, rows)], cross[np.ix_(rows, scored)]
        loadings, readout = reduced_rank_loadings(within, onto, penalty, max(RANKS))
        sees_itself = len(np.intersect1d(visible, scored)) > 0
        for rank, out in zip(RANKS, weights, strict=True):
            if sees_itself:  # then visible and scored are the same units
                own = np.arange(len(rows)).reshape(-1, len(scored)).T
                found = readout_weights(loadings[:, :rank], within, onto, own, SHRINK)
            else:
                found = loadings[:, :rank] @ readout[:rank]
            out[np.ix_(rows, scored)] = found
    return weights
