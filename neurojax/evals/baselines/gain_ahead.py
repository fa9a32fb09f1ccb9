"""How active a unit or the population has been so far, and the gain it predicts for the hidden bins.

A gain is observed over expected spikes. All horizons of a group share one gain, so the Poisson likelihood
needs only the spikes summed over the group and the PSTH summed over it.
"""

import numpy as np

from neurojax.evals.baselines import forward
from neurojax.evals.baselines.folds import Folds, exponential_filter, padded_psth
from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, Design, fit_poisson, log_gain
from neurojax.types import TEST, TRAIN, VALIDATION

GAIN_MEMORIES_BINS = (2.0, 6.0, 20.0)
PSEUDO_SPIKES = 0.5  # added above and below in a gain


def own_log_gains(folds: Folds, psth: np.ndarray, part: int) -> list[np.ndarray]:
    """Log (spikes so far / expected so far) of each unit, float32 [K, T, n] per forward memory."""
    return log_gains_so_far(*past_observed_expected(folds, psth, part))


def observed_expected(folds: Folds, psth: np.ndarray, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and PSTH of a split, float32 [K, T, n] each, zero where padded."""
    fold = folds.parts[part]
    expected = padded_psth(psth, fold.counts.shape[1]).astype(np.float32)
    return fold.counts, np.where(fold.bin_valid[:, :, None], expected, np.float32(0))


def past_observed_expected(folds: Folds, psth: np.ndarray, part: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for the forward task: zero too in units whose past it does not show, so that their gain is 1."""
    return tuple(np.where(folds.past_unseen, np.float32(0), x) for x in observed_expected(folds, psth, part))


def log_ratio(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Log gain, float32, shrunk to 0 where little is expected."""
    return np.log((observed + PSEUDO_SPIKES) / (expected + PSEUDO_SPIKES)).astype(np.float32)


def log_gains_so_far(observed: np.ndarray, expected: np.ndarray) -> list[np.ndarray]:
    """Log gains [K, T, n] of exponentially weighted sums, one per memory."""
    return [
        log_ratio(*(memory * exponential_filter(x, memory) for x in (observed, expected)))
        for memory in GAIN_MEMORIES_BINS
    ]


def own_design(covariates: list[np.ndarray], offset: np.ndarray) -> Design:
    """One free weight per covariate and unit, after an intercept; covariates J x [rows, n]."""
    num_rows, n = offset.shape
    basis = np.eye(len(covariates) + 1, dtype=np.float32)
    shared = np.zeros((num_rows, len(basis)), np.float32)
    shared[:, 0] = 1
    ties = tuple(np.broadcast_to(row, (n, len(basis))) for row in basis[1:])
    return Design(shared, tuple(covariates), ties, offset)


def fit_gain_ahead(folds, psth, own, shared, own_penalty, shared_penalty):
    """Forward prediction: one gain per unit and group of horizons, from covariates at the origin.

    Args:
        psth: [T of train, n].
        own: part -> J covariates [K, T, n], each with its own weight per unit.
        shared: part -> covariates [K, T, p] that every unit may use, or None.

    Returns:
        {VALIDATION, TEST: rates float32 [K, T, n]}.
    """
    train = folds.parts[TRAIN]
    origins = forward.train_origins(train)
    expected = padded_psth(psth, train.counts.shape[1]).astype(np.float32)
    penalty = np.concatenate([[0.0], np.full(len(own[TRAIN]), own_penalty)])
    if shared is not None:
        penalty = np.concatenate([penalty, np.full(shared[TRAIN].shape[-1], shared_penalty)])
    predicted = {
        part: np.zeros((len(folds.parts[part].counts), origins.num_horizons, len(folds.units)), np.float32)
        for part in (VALIDATION, TEST)
    }
    for group in forward.horizon_groups(origins.num_horizons):
        later = origins.bin[:, None] + group + 1  # [rows, horizons of the group]
        counts, offset = train.counts[origins.trial[:, None], later].sum(1), expected[later].sum(1)
        design = _origin_design(own[TRAIN], shared and shared[TRAIN], origins.trial, origins.bin, offset)
        weights = fit_poisson(design, counts, penalty)
        for part, out in predicted.items():
            fold = folds.parts[part]
            trials, last = np.arange(len(fold.counts)), forward.last_visible(fold)
            design = _origin_design(own[part], shared and shared[part], trials, last, out[:, 0])
            gain = np.exp(np.minimum(log_gain(design, weights), MAX_LOG_GAIN))
            bins = np.clip(last[:, None] + group + 1, 0, fold.counts.shape[1] - 1)
            out[:, group] = padded_psth(psth, fold.counts.shape[1])[bins] * gain[:, None]
    return {part: _at_hidden_bins(folds.parts[part], out, psth) for part, out in predicted.items()}


def _origin_design(own, shared, trial, origin, offset):
    design = own_design([forward.at_origins(e, trial, origin) for e in own], offset)
    if shared is None:
        return design
    extra = forward.at_origins(shared, trial, origin)
    ties = tuple(np.pad(a, ((0, 0), (0, extra.shape[1]))) for a in design.tie)
    return Design(np.concatenate([design.shared, extra], 1), design.own, ties, offset)


def _at_hidden_bins(fold, by_horizon, psth):
    return forward.place(by_horizon, padded_psth(psth, fold.counts.shape[1]), fold)
