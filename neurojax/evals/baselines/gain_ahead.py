"""How active units have been so far, and the gain this predicts for the hidden bins.

A gain is observed over expected spikes. All horizons of a group share one gain, so the Poisson
likelihood needs only the spikes summed over the group and the PSTH summed over it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import forward, grids
from neurojax.evals.baselines.folds import (
    PARTS,
    Fit,
    Folds,
    choose,
    exponential_filter,
    padded_psth,
    poisson_loss,
)
from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, Design, fit_poisson, log_gain

SLOWER = (1.0, 3.0, 10.0)  # the memories of a unit's past, in the first
START_BINS = 2.0  # where the walk over the first begins
PSEUDO_SPIKES = 0.5  # added above and below in a gain


def observed_expected(folds: Folds, psth: np.ndarray, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and PSTH of a split, float32 [K, T, n] each, zero where padded or not observed."""
    fold = folds.parts[part]
    expected = padded_psth(psth, fold.counts.shape[1]).astype(np.float32)
    return fold.counts, np.where(fold.entries, expected, np.float32(0))


def past_observed_expected(
    folds: Folds, psth: np.ndarray, part: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same for the forward task; zero in units whose past it hides (their gain is 1)."""
    return tuple(
        np.where(folds.past_unseen, np.float32(0), x) for x in observed_expected(folds, psth, part)
    )


def log_ratio(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Log gain, float32, shrunk to 0 where little is expected."""
    return np.log((observed + PSEUDO_SPIKES) / (expected + PSEUDO_SPIKES)).astype(np.float32)


def log_gains_so_far(
    observed: np.ndarray, expected: np.ndarray, memories_s: Sequence[float], bin_size_s: float
) -> list[np.ndarray]:
    """Log gains [K, T, n] of exponentially weighted sums, one per memory."""
    found = []
    # The filter averages; times the memory it is a sum again, which pseudo-spikes stand beside.
    for memory in (memory_s / bin_size_s for memory_s in memories_s):
        found.append(
            log_ratio(
                *(max(memory, 1.0) * exponential_filter(x, memory) for x in (observed, expected))
            )
        )
    return found


def tuned_ahead(
    folds: Folds,
    penalties: Sequence[float],
    with_memories: Callable[[tuple[float, ...]], Callable[[float], dict[int, np.ndarray]]],
) -> list[Fit]:
    """Fits with the memories a walk on validation visits, the best first, with its best penalty.

    Args:
        penalties: the first is the walk's.
        with_memories: memories in seconds -> penalty -> part -> rates [K, T, n].
    """
    bin_size_s = folds.session.bin_size_s
    grid = grids.memories_s(bin_size_s, folds.parts[TRAIN].counts.shape[1])[1:] or [bin_size_s]

    def fit_at(place, tried):
        """[(loss, fit)] of some penalties."""
        memories = tuple(slower * grid[place] for slower in SLOWER)
        fit_one, found = with_memories(memories), []
        for penalty in tried:
            fit = Fit(fit_one(penalty), {"memories_s": list(memories), "penalty": penalty})
            found.append(
                (poisson_loss(fit.rates[VALIDATION], folds.parts[VALIDATION], "forward"), fit)
            )
        return found

    fits: dict[int, tuple[float, Fit]] = {}

    def losses_at(place):
        (fits[place],) = fit_at(place, penalties[:1])
        return {"forward": fits[place][0]}

    visited = grids.climb(len(grid), grids.start_of(grid, START_BINS * bin_size_s), losses_at)
    best = grids.best_place(visited, "forward")
    tuned = [fits.pop(best), *fit_at(best, penalties[1:])]
    others = sorted(fits.values(), key=lambda pair: pair[0])
    return [choose(tuned, lambda pair: pair[0])[1], *(fit for _, fit in others)]


def own_design(covariates: list[np.ndarray], offset: np.ndarray) -> Design:
    """One free weight per covariate and unit, after an intercept; covariates J x [rows, n]."""
    num_rows, n = offset.shape
    basis = np.eye(len(covariates) + 1, dtype=np.float32)
    shared = np.zeros((num_rows, len(basis)), np.float32)
    shared[:, 0] = 1
    ties = tuple(np.broadcast_to(row, (n, len(basis))) for row in basis[1:])
    return Design(shared, tuple(covariates), ties, offset)


class GainsAhead:
    """Forward prediction: one gain per unit and group of horizons, from covariates at the origin.

    What is to be predicted is gathered once for all fits, and each fit starts where the one before
    ended, be it of other memories, another penalty or, the first time, other horizons.

    Args:
        psth: [T of train, n].
    """

    def __init__(self, folds: Folds, psth: np.ndarray):
        self.folds, self.psth = folds, psth
        self.origins = forward.train_origins(folds.parts[TRAIN])
        horizons = np.arange(self.origins.num_horizons)
        # neighbouring horizons share a fit
        self.groups = np.array_split(horizons, 1 if len(horizons) <= 3 else 3)
        self.targets = [self._target(group) for group in self.groups]
        self.warm: dict[int, np.ndarray] = {}

    def fits(
        self, own: Mapping[int, list[np.ndarray]], shared: Mapping[int, np.ndarray] | None
    ) -> Callable[[float], dict[int, np.ndarray]]:
        """Fits from some covariates.

        Args:
            own: part -> J covariates [K, T, n], each with its own weight per unit.
            shared: part -> covariates [K, T, p] that every unit may use, or None.

        Returns:
            penalty -> {VALIDATION, TEST: rates float32 [K, T, n]}.
        """
        at = {TRAIN: (self.origins.trial, self.origins.bin)}
        for part in PARTS:
            fold = self.folds.parts[part]
            at[part] = np.arange(len(fold.counts)), forward.last_visible(fold)
        designs = {
            part: _origin_design(own[part], shared and shared[part], *places)
            for part, places in at.items()
        }
        return lambda penalty: self._fit(designs, penalty)

    def _target(self, group):
        """Counts and what is expected, summed over a group of horizons, float32 [rows, n] each."""
        train = self.folds.parts[TRAIN]
        expected = padded_psth(self.psth, train.counts.shape[1]).astype(np.float32)
        trial = self.origins.trial[:, None]
        later = self.origins.bin[:, None] + group + 1  # [rows, horizons of the group]
        counts = train.counts[trial, later].sum(1)
        # An offset of zero leaves a row out of a unit's fit: no spike is due, none is counted.
        if train.observed is None:
            return counts, expected[later].sum(1)
        due = train.observed[trial, later]
        return counts, np.where(due, expected[later], np.float32(0)).sum(1)

    def _fit(self, designs, penalty_of_weights):
        folds, shape = self.folds, (self.origins.num_horizons, len(self.folds.units))
        penalty = np.full(designs[TRAIN].shared.shape[1], penalty_of_weights)
        penalty[0] = 0.0  # of the intercept
        predicted = {
            part: np.zeros((len(folds.parts[part].counts), *shape), np.float32) for part in PARTS
        }
        for number, group in enumerate(self.groups):
            counts, offset = self.targets[number]
            design = dataclasses.replace(designs[TRAIN], offset=offset)
            near = self.warm.get(number, self.warm.get(number - 1))
            # To the end: where a fit stops short, what is chosen depends on which came before it.
            options = {"tolerance": 0.001, "by_curvature": True}
            weights = self.warm[number] = fit_poisson(design, counts, penalty, near, **options)
            for part, out in predicted.items():
                fold = folds.parts[part]
                last = forward.last_visible(fold)
                gain = np.exp(np.minimum(log_gain(designs[part], weights), MAX_LOG_GAIN))
                # Horizons past a trial's end take its last bin; they are not scored.
                bins = np.clip(last[:, None] + group + 1, 0, fold.counts.shape[1] - 1)
                out[:, group] = padded_psth(self.psth, fold.counts.shape[1])[bins] * gain[:, None]
        found = {}
        for part, by_horizon in predicted.items():
            fold = folds.parts[part]
            elsewhere = padded_psth(self.psth, fold.counts.shape[1])
            found[part] = forward.place(by_horizon, elsewhere, fold)
        return found


def _origin_design(own, shared, trial, origin):
    """Design at some origins, without an offset."""
    covariates = [forward.at_origins(e, trial, origin) for e in own]
    design = own_design(covariates, np.zeros(covariates[0].shape, np.float32))
    if shared is None:
        return design
    extra = forward.at_origins(shared, trial, origin)
    ties = tuple(np.pad(a, ((0, 0), (0, extra.shape[1]))) for a in design.tie)
    return Design(np.concatenate([design.shared, extra], 1), design.own, ties, design.offset)
