"""Tuning of features and of units to what is known of a trial: columns of conditions and behaviour.

A column has a value a trial, or one a bin. Correlations of training trials say what a signal is
tuned to; those of test trials say how much of that is true. Features of trials are their mean
activations, units' their mean counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from neurojax.data.session import Session
from neurojax.evals.decoding.targets import behaviour_of_trials

MAX_CLASSES, MAX_DIMS, MAX_COLUMNS = 8, 8, 24
SMOOTHED_BINS = 3.0  # standard deviation of the Gaussian that counts of bins are also read through
_TINY = 1e-12


class Column(NamedTuple):
    """Attributes:
    name: "choice", "stimulus = left", "velocity 2".
    per_bin: whether it has a value a bin.
    values: float64 [K] of trials, or [K, T] of bins; NaN where it is not known.
    """

    name: str
    per_bin: bool
    values: np.ndarray


class Sums(NamedTuple):
    """Centred sums of signals [F] beside one column, of one recording; sums add over recordings."""

    xx: np.ndarray
    xy: np.ndarray
    yy: float

    def plus(self, other: "Sums") -> "Sums":
        return Sums(self.xx + other.xx, self.xy + other.xy, self.yy + other.yy)

    def correlation(self) -> np.ndarray:
        """float64 [F]; 0 of signals that do not vary."""
        scale = np.sqrt(self.xx * self.yy)
        return np.where(scale > _TINY, self.xy / np.maximum(scale, _TINY), 0.0)


def columns_of(session: Session, trials: np.ndarray, num_bins: int) -> Iterator[Column]:
    """At most MAX_COLUMNS columns of trials, int64 [K]: numbers as they are, a column for each
    label of at most MAX_CLASSES, each dimension of a behaviour, at most MAX_DIMS.

    Constant columns are left out; bins beyond `num_bins` too.
    """
    number = 0
    for column in _all_columns(session, trials, num_bins):
        known = column.values[np.isfinite(column.values)]
        if len(known) > 2 and np.ptp(known) > 0 and number < MAX_COLUMNS:
            number += 1
            yield column


def _all_columns(session: Session, trials: np.ndarray, num_bins: int) -> Iterator[Column]:
    for name, entries in session.conditions.items():
        values = np.asarray(entries)[trials]
        if values.dtype.kind in "biuf":
            yield Column(name, False, values.astype(np.float64))
        elif values.dtype.kind in "US":
            labels = np.unique(values)
            if len(labels) <= MAX_CLASSES:
                # of two labels the second says all
                for label in labels if len(labels) > 2 else labels[1:]:
                    yield Column(f"{name} = {label}", False, (values == label).astype(np.float64))
    for name in session.behaviour:
        values, _ = behaviour_of_trials(session, name, trials)  # [K, T, dims]
        padded = np.full((len(trials), num_bins), np.nan)
        for dim in range(min(values.shape[-1], MAX_DIMS)):
            own = np.array(padded)
            own[:, : values.shape[1]] = values[:, :num_bins, dim]
            yield Column(name if values.shape[-1] == 1 else f"{name} {dim + 1}", True, own)


def sums_of(signals: np.ndarray, bin_valid: np.ndarray, column: Column, rows: np.ndarray) -> Sums:
    """Centred sums over some trials.

    Args:
        signals: [K, T, F].
        bin_valid: bool [K, T].
        column: of the same trials.
        rows: bool [K], trials that count.
    """
    if column.per_bin:
        chosen = bin_valid & np.isfinite(column.values) & rows[:, None]
        x, y = signals[chosen], column.values[chosen]
    else:
        chosen = rows & np.isfinite(column.values) & bin_valid.any(1)
        x, y = means_of(signals[chosen], bin_valid[chosen]), column.values[chosen]
    if len(y) < 3:
        return Sums(np.zeros(signals.shape[-1]), np.zeros(signals.shape[-1]), 0.0)
    x, y = x.astype(np.float64), y - y.mean()
    x -= x.mean(0)
    return Sums((x**2).sum(0), y @ x, float(y @ y))


def means_of(signals: np.ndarray, bin_valid: np.ndarray) -> np.ndarray:
    """Means over the valid bins of each trial, [K, F] of [K, T, F]."""
    weight = bin_valid / np.maximum(bin_valid.sum(1, keepdims=True), 1)
    return np.einsum("ktf,kt->kf", signals, weight)


def smoothed(counts: np.ndarray) -> np.ndarray:
    """Counts [K, T, N] through a Gaussian along each trial."""
    return gaussian_filter1d(counts.astype(np.float32), SMOOTHED_BINS, axis=1)


class Best(NamedTuple):
    """The signal that training trials choose for a column, and its correlations."""

    index: int
    train: float
    test: float


def best(train: Sums, test: Sums) -> Best:
    """The signal of the largest absolute correlation on training trials; `test` has the sign that
    makes the training correlation positive."""
    of_train, of_test = train.correlation(), test.correlation()
    index = int(np.abs(of_train).argmax())
    sign = 1.0 if of_train[index] >= 0 else -1.0
    return Best(index, sign * float(of_train[index]), sign * float(of_test[index]))


def compare(found: Sequence[Mapping[str, Best]]) -> dict[str, Any]:
    """Mean test correlations over recordings of one column: what was chosen among -> mean, and in
    how many recordings the chosen feature is above the chosen unit.

    Args:
        found: of each recording name of the signals ("feature", "unit", ...) -> best.
    """
    names = sorted(set.intersection(*(set(one) for one in found)))
    block: dict[str, Any] = {
        name: float(np.mean([one[name].test for one in found])) for name in names
    }
    block["num_recordings"] = len(found)
    block["feature_above_unit"] = sum(one["feature"].test > one["unit"].test for one in found)
    return block
