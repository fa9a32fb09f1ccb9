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

RANKS = (2, 4, 8, 16, 32, 64)
PENALTIES = (300.0, 3000.0)
SHRINK = 0.01  # of a unit's read-out of the latents
LARGEST = 4000  # targets; beyond, a matrix of targets by targets is not made


def reduced_rank_loadings(
    gram: np.ndarray, cross: np.ndarray, penalty: float, rank: int, *, of_rows: bool = False
) -> tuple[np.ndarray, ...]:
    """Loadings [p, r] and read-out [r, m] of the rank-r ridge solution, their product.

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
    """Leading eigenvectors of cross' full [m, m], symmetric but for rounding.

    By Lanczos where they are few of many, without that matrix where it would be large.
    """
    size = cross.shape[1]
    if size < 8 * number or size <= LARGEST:
        fitted = cross.T @ full
        fitted = (fitted + fitted.T) / 2
    if size >= 8 * number:

        def times(vector):
            return (cross.T @ (full @ vector) + full.T @ (cross @ vector)) / 2

        # Lanczos starts from a vector of its own choice; a fixed one makes fits repeat.
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
        # All ranks come from one decomposition: the smaller ones are its first columns.
        for rank, weights in zip(RANKS, every, strict=True):
            loss = ridge.loss_of(folds, task, psth, activity.apply(weights, VALIDATION))
            if best is None or loss < best[0]:
                best = loss, weights, {"rank": rank, "penalty": penalty}
    predicted = {part: activity.apply(best[1], part) for part in PARTS}
    return ridge.tuned(folds, task, psth, predicted, {**best[2], **activity.family._asdict()})


def leave_out_weights(
    folds: Folds, task: str, activity: Activity, penalty: float
) -> list[np.ndarray]:
    """Weights [p, n] for each of RANKS, a column a unit; zero in rows hidden from it."""
    weights = [np.zeros(activity.cross.shape, np.float32) for _ in RANKS]
    for visible, scored in folds.groups[task]:
        rows = activity.columns(visible)
        if not len(rows) or not len(scored):
            continue
        part = activity.equations.part(rows, scored)
        # Latents are of all units together; each reads them in the bins it was observed in.
        onto = part.completed(penalty, ridge.solved)
        loadings, readout = reduced_rank_loadings(part.gram, onto, penalty, max(RANKS))
        own = own_features(visible, scored, len(rows))
        for rank, out in zip(RANKS, weights, strict=True):
            if not own.shape[1]:
                out[np.ix_(rows, scored)] = loadings[:, :rank] @ readout[:rank]
                continue
            for mine, gram in part.systems:
                found = (loadings[:, :rank], gram, part.cross[:, mine], own[mine], SHRINK)
                out[np.ix_(rows, scored[mine])] = readout_weights(*found)
    return weights


def own_features(visible: np.ndarray, scored: np.ndarray, num_features: int) -> np.ndarray:
    """Places of each scored unit's own features among those of the visible ones, int64 [scored, j];
    j = 0 where scored units are not visible, else both are the same units."""
    if not len(np.intersect1d(visible, scored)):
        return np.zeros((len(scored), 0), np.int64)
    return np.arange(num_features).reshape(-1, len(scored)).T


def readout_weights(
    loadings: np.ndarray, gram: np.ndarray, cross: np.ndarray, own: np.ndarray, shrink: float
) -> np.ndarray:
    """Weights of each unit on all features, through the latents it reads.

    A latent is a weighted sum of features; a unit reads the latents less its own features' part,
    so that its weights on its own features are exactly zero, in the fit as in the prediction.

    Args:
        loadings: [p, r], latents = features @ loadings; each unit has its own in `own`.
        gram: [p, p], features' inner products over the train rows.
        cross: [p, m], features with the targets.
        own: int64 [m, j], the features of each target's own unit; j = 0 where it is not visible.
        shrink: ridge penalty on a read-out, as a part of its latents' mean square.

    Returns:
        float64 [p, m], exactly zero at (own, target).
    """
    mapped, latent_cross = gram @ loadings, loadings.T @ cross  # [p, r], [r, m]
    latent_gram = loadings.T @ mapped  # [r, r]
    num_latents, num_targets = latent_cross.shape
    taken = loadings[own]  # [m, j, r]
    grams = np.broadcast_to(latent_gram, (num_targets, num_latents, num_latents)).copy()
    if own.shape[1]:
        across = np.einsum("mjr,mjs->mrs", taken, mapped[own], optimize=True)
        inner = gram[own[:, :, None], own[:, None, :]]  # [m, j, j]
        # The Gram matrix of (latents - own part), multiplied out.
        grams += (
            np.einsum("mjr,mjk,mks->mrs", taken, inner, taken, optimize=True)
            - across
            - across.transpose(0, 2, 1)
        )
    own_cross = cross[own, np.arange(num_targets)[:, None]]  # [m, j]
    targets = latent_cross.T - np.einsum("mjr,mj->mr", taken, own_cross)
    # Relative to the latents themselves, so that one number suits any recording.
    mean_square = np.trace(grams, axis1=1, axis2=2) / max(num_latents, 1)
    grams += np.maximum(shrink * mean_square, 1e-9)[:, None, None] * np.eye(num_latents)
    readout = np.linalg.solve(grams, targets[..., None])[..., 0]  # [m, r]
    weights = loadings @ readout.T
    weights[own, np.arange(num_targets)[:, None]] = 0.0
    return weights
