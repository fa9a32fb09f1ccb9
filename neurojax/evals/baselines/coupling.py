"""Population coupling: each unit scales its PSTH with how active the rest of the population is.

log rate = log PSTH + intercept + b1 x log gain of the summed visible activity now + b2 x its log gain over
the trial; gain = observed / expected. Forward: log gains of the unit itself and of the population so far,
under three memories. One Poisson regression per unit, L2 chosen on validation.

Source: Okun et al. 2015, "Diverse coupling of neurons to populations in sensory cortex", as a baseline.
"""

import numpy as np

from neurojax.evals.baselines.folds import (
    Fitted,
    Folds,
    choose,
    poisson_loss,
    smooth,
    visible_after,
)
from neurojax.evals.baselines.gain_ahead import (
    fit_gain_ahead,
    log_gains_so_far,
    log_ratio,
    observed_expected,
    own_design,
    past_observed_expected,
)
from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, fit_poisson, log_gain
from neurojax.types import TEST, TRAIN, VALIDATION

PENALTIES = (1.0, 10.0, 100.0)


def fit(folds: Folds, tasks: tuple[str, ...], psth: np.ndarray) -> Fitted:
    """Fits every task, given the PSTH [T of train, n] to scale."""
    return {
        task: _fit_forward(folds, psth) if task == "forward" else _fit_leave_out(folds, task, psth) for task in tasks
    }


def _tuned(folds, task, fit_one):
    """fit_one(penalty) -> {part: rates}; the best on validation."""
    fits = {penalty: fit_one(penalty) for penalty in PENALTIES}
    best = choose(list(fits), lambda p: poisson_loss(fits[p][VALIDATION], folds.parts[VALIDATION], task))
    return fits[best]


def _penalty(value, num_covariates):
    return np.array([0.0] + [value] * num_covariates)


def _fit_leave_out(folds, task, psth):
    designs = {}
    for part in (TRAIN, VALIDATION, TEST):
        fold = folds.parts[part]
        observed, expected = observed_expected(folds, psth, part)
        smoothed = [smooth(x, fold.bin_valid) for x in (observed, expected)]
        summed = [x.sum(1, keepdims=True) for x in (observed, expected)]  # [K, 1, n]
        designs[part] = [
            (scored, _gains(fold, visible, scored, smoothed, summed, expected))
            for visible, scored in visible_after(folds, task)
        ]
    spikes = folds.parts[TRAIN].counts[folds.parts[TRAIN].bin_valid]

    def fit_one(penalty):
        rates = {part: observed_expected(folds, psth, part)[1].copy() for part in (VALIDATION, TEST)}
        for group, (scored, design) in enumerate(designs[TRAIN]):
            weights = fit_poisson(design, spikes[:, scored], _penalty(penalty, 2))
            for part, out in rates.items():
                other = designs[part][group][1]
                gained = other.offset * np.exp(np.minimum(log_gain(other, weights), MAX_LOG_GAIN))
                target = np.zeros((*out.shape[:2], len(scored)), np.float32)
                target[folds.parts[part].bin_valid] = gained
                out[:, :, scored] = target
        return rates

    return _tuned(folds, task, fit_one)


def _gains(fold, visible, scored, smoothed, summed, expected):
    """Design over the valid bins from the visible units, without the scored unit itself where it is one."""
    own = np.isin(scored, visible).astype(np.float32)
    covariates = []
    for pair in (smoothed, summed):
        # float64, so that a unit's own spikes cancel
        rest = [x[..., visible].sum(-1, keepdims=True, dtype=np.float64) - own * x[..., scored] for x in pair]
        now = log_ratio(*(np.maximum(x, 0) for x in rest))
        covariates.append(np.broadcast_to(now, (*fold.bin_valid.shape, len(scored)))[fold.bin_valid])
    return own_design(covariates, expected[fold.bin_valid][:, scored])


def _fit_forward(folds, psth):
    gains = {}
    for part in (TRAIN, VALIDATION, TEST):
        observed, expected = past_observed_expected(folds, psth, part)
        population = log_gains_so_far(observed.sum(-1, keepdims=True), expected.sum(-1, keepdims=True))
        own = log_gains_so_far(observed, expected)
        gains[part] = own + [np.broadcast_to(p, own[0].shape) for p in population]
    return _tuned(folds, "forward", lambda penalty: fit_gain_ahead(folds, psth, gains, None, penalty, penalty))
