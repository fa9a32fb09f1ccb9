"""Features of the visible units for the leave-out baselines, and their inner products.

A feature is a unit's surplus over its PSTH, of counts or of their square roots (whose noise hardly
grows with the rate), over its spread in train, smoothed over time; and, as an option, the same
averaged over the trial.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from neurojax.data.session import TRAIN
from neurojax.evals.baselines.folds import PARTS, Folds, padded_psth, smooth, surplus, trial_mean
from neurojax.evals.baselines.missing import Equations, equations
from neurojax.evals.baselines.psth import Smoothing, shrunk_average, shrunk_psth

# beyond, features are not doubled: the inner products of 5,000 units take 0.2 GB
MOST_UNITS_WITH_MEANS = 2000
_LEAST_VARIANCE = 1e-6


class Family(NamedTuple):
    """How counts become features; times in seconds."""

    width_s: float
    square_root: bool
    trial_mean: bool


@dataclasses.dataclass(frozen=True)
class Activity:
    """Features of one session; p = n, or 2n with trial means: features i and n + i are unit i's.

    Attributes:
        family: how they were made.
        now: part -> float32 [K, T, n], zero where padded.
        average: part -> float32 [K, n], or None without trial means.
        equations: float64 inner products [p, p] over the valid bins of train, and with the surplus
            of the counts over the PSTH [p, n].
    """

    family: Family
    now: dict[int, np.ndarray]
    average: dict[int, np.ndarray] | None
    equations: Equations

    @property
    def gram(self) -> np.ndarray:
        """float64 [p, p], inner products over the valid bins of train."""
        return self.equations.gram

    @property
    def cross(self) -> np.ndarray:
        """float64 [p, n], with the surplus over the PSTH in the bins a unit was observed in."""
        return self.equations.cross

    def columns(self, units: np.ndarray) -> np.ndarray:
        """Features of some units, int64 [units] or [2 x units]."""
        return np.concatenate([units, self.cross.shape[1] + units]) if self.average else units

    def apply(self, weights: np.ndarray, part: int) -> np.ndarray:
        """Features times weights [p, m], float32 [K, T, m]."""
        n = self.cross.shape[1]
        predicted = self.now[part] @ weights[:n].astype(np.float32, copy=False)
        if self.average:
            predicted += (self.average[part] @ weights[n:].astype(np.float32, copy=False))[:, None]
        return predicted


def families_allowed(num_units: int) -> tuple[bool, ...]:
    """Whether features may hold trial means: both, or only without for too many units."""
    return (True, False) if num_units <= MOST_UNITS_WITH_MEANS else (False,)


def make_activity(folds: Folds, smoothing: Smoothing, family: Family) -> Activity:
    """The features of a session.

    Args:
        smoothing: of the PSTH that is the offset; square roots have an offset made alike.
        family: how they are made.
    """
    scaled = _surplus_over_spread(folds, smoothing, family.square_root)
    sigma_bins = family.width_s / folds.session.bin_size_s
    seen = {part: (fold.bin_valid, fold.observed) for part, fold in folds.parts.items()}
    now = {part: smooth(x, seen[part][0], sigma_bins, seen[part][1]) for part, x in scaled.items()}
    average = None
    if family.trial_mean:
        average = {part: trial_mean(x, *seen[part]) for part, x in scaled.items()}
    train = folds.parts[TRAIN]
    target = surplus(train, shrunk_psth(folds, smoothing))
    of_train = now[TRAIN], average and average[TRAIN]
    products = normal_equations(*of_train, target, train)
    return Activity(family, now, average, _of_observed(*products, *of_train, train))


def _of_observed(gram, cross, now, average, train) -> Equations:
    """The equations of units that were not always observed."""
    if train.observed is None:
        return equations(gram, cross, None, None)
    trial = np.nonzero(train.bin_valid)[0]
    rows = now[train.bin_valid]

    def rows_of(places):
        if average is None:
            return rows[places]
        return np.concatenate([rows[places], average[trial[places]]], axis=1)

    return equations(gram, cross, train.observed[train.bin_valid], rows_of)


def _surplus_over_spread(
    folds: Folds, smoothing: Smoothing, square_root: bool
) -> dict[int, np.ndarray]:
    """part -> float32 [K, T, n], zero where padded."""
    parts, num_entries = (TRAIN, *PARTS), folds.parts[TRAIN].num_entries
    if square_root:
        values = {part: np.sqrt(folds.parts[part].counts) for part in parts}
        spikes = folds.parts[TRAIN].counts.sum((0, 1), dtype=np.float64)
        mean = values[TRAIN].sum((0, 1), dtype=np.float64) / num_entries
        expected = shrunk_average(
            values[TRAIN], folds, smoothing, np.broadcast_to(mean, values[TRAIN].shape[1:]), spikes
        )
    else:
        values = {part: folds.parts[part].counts for part in parts}
        expected = shrunk_psth(folds, smoothing)
    found = {}
    for part in parts:
        offset = padded_psth(expected, values[part].shape[1]).astype(np.float32)
        # What was not observed is as expected: no surplus.
        found[part] = np.where(folds.parts[part].entries, values[part] - offset, np.float32(0))
    square = np.einsum("ktn,ktn->n", found[TRAIN], found[TRAIN]) / num_entries
    # One penalty for all units: without equal spread it would hardly touch the fast ones.
    scale = (1 / np.sqrt(np.maximum(square, _LEAST_VARIANCE))).astype(np.float32)
    return {part: x * scale for part, x in found.items()}


def normal_equations(now, average, target, fold):
    """X'X [p, p] and X'Y [p, n], float64; X = [now] or [now, average of the trial]. A target is
    zero, and so left out of X'Y, where it was not observed."""
    rows, wanted = now[fold.bin_valid], target[fold.bin_valid]  # [valid bins, n]
    gram, cross = (rows.T @ rows).astype(np.float64), (rows.T @ wanted).astype(np.float64)
    if average is None:
        return gram, cross
    lengths = fold.bin_valid.sum(1)[:, None]
    mixed = now.sum(1, dtype=np.float64).T @ average  # now is zero where padded
    # A trial's average is the same in all its bins: its products need one row a trial.
    gram = np.block([[gram, mixed], [mixed.T, (average * lengths).T @ average]])
    return gram, np.concatenate([cross, average.T.astype(np.float64) @ target.sum(1)])
