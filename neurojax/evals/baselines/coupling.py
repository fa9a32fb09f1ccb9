"""Population coupling: each unit scales its PSTH with how active the rest of the population is.

log rate = log PSTH + intercept + b1 x log gain of the summed visible activity now + b2 x its log
gain over the trial; gain = observed / expected. Forward: log gains of the unit itself and of the
population so far, under three memories. One Poisson regression per unit; the width of "now", the
memories and L2 chosen on validation.

Source: Okun et al. 2015, "Diverse coupling of neurons to populations in sensory cortex", as a
    baseline.
"""

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import grids
from neurojax.evals.baselines.folds import (
    PARTS,
    Fit,
    Fitted,
    Folds,
    choose,
    poisson_loss,
    smooth,
)
from neurojax.evals.baselines.gain_ahead import (
    GainsAhead,
    log_gains_so_far,
    log_ratio,
    observed_expected,
    own_design,
    past_observed_expected,
    tuned_ahead,
)
from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, fit_poisson, log_gain

PENALTIES = (10.0, 1.0, 100.0)  # the first with every width or memory, the others with the best


def fit(folds: Folds, tasks: tuple[str, ...], psth: np.ndarray) -> Fitted:
    """Fits every task, given the PSTH [T of train, n] to scale."""
    return {
        task: fit_forward(folds, psth) if task == "forward" else _fit_leave_out(folds, task, psth)
        for task in tasks
    }


def fit_forward(folds: Folds, psth: np.ndarray, *, with_population: bool = True) -> Fit:
    """The forward task; without the population a unit's own history alone."""
    bin_size_s, ahead = folds.session.bin_size_s, GainsAhead(folds, psth)

    def with_memories(memories_s):
        gains, shared = {}, {}
        for part in (TRAIN, *PARTS):
            observed, expected = past_observed_expected(folds, psth, part)
            gains[part] = log_gains_so_far(observed, expected, memories_s, bin_size_s)
            if with_population:
                summed = observed.sum(-1, keepdims=True), expected.sum(-1, keepdims=True)
                population = log_gains_so_far(*summed, memories_s, bin_size_s)
                shared[part] = np.concatenate(population, -1)  # [K, T, memories]
        return ahead.fits(gains, shared or None)

    return tuned_ahead(folds, PENALTIES, with_memories)[0]


def _fit_leave_out(folds, task, psth):
    train = folds.parts[TRAIN]
    spikes = train.counts[train.bin_valid]
    widths = grids.widths_s(folds.session.bin_size_s, train.counts.shape[1])
    designs, fits = {}, {}

    def loss_of(place, penalty):
        if place not in designs:
            designs[place] = _designs(folds, task, psth, widths[place])
        rates = _rates(folds, psth, designs[place], spikes, penalty)
        fits[place, penalty] = Fit(rates, {"width_s": widths[place], "penalty": penalty})
        return poisson_loss(rates[VALIDATION], folds.parts[VALIDATION], task)

    start = grids.start_of(widths, folds.session.bin_size_s)
    visited = grids.climb(len(widths), start, lambda place: {task: loss_of(place, PENALTIES[0])})
    best = grids.best_place(visited, task)
    # Other penalties at the best width alone: all pairs would cost as many times more.
    losses = {PENALTIES[0]: visited[best][task]} | {p: loss_of(best, p) for p in PENALTIES[1:]}
    return fits[best, choose(list(losses), losses.__getitem__)]


def _designs(folds, task, psth, width_s):
    """part -> (scored units, design over the valid bins) of each group of the task."""
    designs = {}
    for part in (TRAIN, *PARTS):
        fold = folds.parts[part]
        observed, expected = observed_expected(folds, psth, part)
        sigma_bins = width_s / folds.session.bin_size_s
        smoothed = [
            smooth(x, fold.bin_valid, sigma_bins, fold.observed) for x in (observed, expected)
        ]
        summed = [x.sum(1, keepdims=True) for x in (observed, expected)]  # [K, 1, n]
        designs[part] = [
            (scored, _gains(fold, visible, scored, smoothed, summed, expected))
            for visible, scored in folds.groups[task]
        ]
    return designs


def _rates(folds, psth, designs, spikes, penalty):
    # Zero where a unit was not observed: in train such a row is left out of its fit.
    rates = {part: observed_expected(folds, psth, part)[1].copy() for part in PARTS}
    for group, (scored, design) in enumerate(designs[TRAIN]):
        weights = fit_poisson(design, spikes[:, scored], np.array([0.0, penalty, penalty]))
        for part, out in rates.items():
            other = designs[part][group][1]
            gained = other.offset * np.exp(np.minimum(log_gain(other, weights), MAX_LOG_GAIN))
            target = np.zeros((*out.shape[:2], len(scored)), np.float32)
            target[folds.parts[part].bin_valid] = gained
            out[:, :, scored] = target
    return rates


def _gains(fold, visible, scored, smoothed, summed, expected):
    """Design over valid bins from the visible units, less the scored unit itself."""
    # 1 for a scored unit that is visible, whose own spikes are taken out of the sum.
    own = np.isin(scored, visible).astype(np.float32)
    covariates = []
    for pair in (smoothed, summed):
        # float64, so that a unit's own spikes cancel
        rest = [
            x[..., visible].sum(-1, keepdims=True, dtype=np.float64) - own * x[..., scored]
            for x in pair
        ]
        now = log_ratio(*(np.maximum(x, 0) for x in rest))
        covariates.append(
            np.broadcast_to(now, (*fold.bin_valid.shape, len(scored)))[fold.bin_valid]
        )
    return own_design(covariates, expected[fold.bin_valid][:, scored])
