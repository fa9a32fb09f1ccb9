"""Peri-stimulus time histogram: each unit's train average by bin, smoothed and shrunk to its mean.

Smoothing (in seconds, none included) and shrinkage are chosen on validation. It is also the offset
of the other baselines. Where windows are not aligned to an event it is the mean, since their bins
have no meaning.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import grids
from neurojax.evals.baselines.folds import (
    PARTS,
    Fit,
    Fitted,
    Folds,
    choose,
    padded_psth,
    psth_of_trials,
)

PSEUDO_COUNTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
FLOOR = 0.05  # of the unit's mean


class Smoothing(NamedTuple):
    """How a PSTH is made of few trials.

    Attributes:
        width_s: sigma of the Gaussian, 0 = none; None = flat, the mean itself.
        pseudo_count: weight of the mean, in `kind`.
        kind: "trials" (per bin) or "spikes" (per unit).
    """

    width_s: float | None
    pseudo_count: float = 1.0
    kind: str = "trials"


FLAT = Smoothing(None)


def fit(folds: Folds, tasks: tuple[str, ...], chosen: Smoothing) -> Fitted:
    """The PSTH for every task, with the smoothing that `tuned_smoothing` chose."""
    psth = shrunk_psth(folds, chosen)
    rates = {part: psth_of_trials(psth, folds.parts[part]) for part in PARTS}
    return dict.fromkeys(tasks, Fit(rates, {"aligned": folds.aligned, **chosen._asdict()}))


def tuned_smoothing(folds: Folds) -> Smoothing:
    """The smoothing and shrinkage best on validation; FLAT where windows are not aligned."""
    if not folds.aligned:
        return FLAT
    validation = folds.parts[VALIDATION]
    num_trials = validation.entries.sum(0).astype(np.float64)  # [T, n] or [T, 1]
    total = validation.counts.sum(0, dtype=np.float64)  # [T, n]

    train = folds.parts[TRAIN].counts
    # Every candidate is drawn to this mean, and FLAT is the mean itself.
    mean = np.broadcast_to(folds.mean, train.shape[1:])
    spikes = train.sum((0, 1), dtype=np.float64)

    def loss(psth):
        # A bin without a train spike would predict zero, and one spike there cost infinitely much.
        rates = padded_psth(np.maximum(psth, FLOOR * mean), len(total))
        return (num_trials * rates - total * np.log(rates)).sum()

    losses = {FLAT: loss(mean)}
    for width_s in grids.widths_s(folds.session.bin_size_s, train.shape[1]):
        smoothed = _smoothed(train, folds, width_s)  # once a width
        for smoothing in (
            Smoothing(width_s, p, kind) for p in PSEUDO_COUNTS for kind in ("trials", "spikes")
        ):
            losses[smoothing] = loss(_shrunk(*smoothed, smoothing, mean, spikes))
    return choose(list(losses), losses.__getitem__)


def shrunk_psth(folds: Folds, smoothing: Smoothing) -> np.ndarray:
    """Gaussian average of the train PSTH, pulled to the unit's mean; float64 [T of train, n]."""
    mean = np.broadcast_to(folds.mean, folds.parts[TRAIN].counts.shape[1:])
    spikes = folds.parts[TRAIN].counts.sum((0, 1), dtype=np.float64)
    psth = shrunk_average(folds.parts[TRAIN].counts, folds, smoothing, mean, spikes)
    return np.maximum(psth, FLOOR * mean)


def shrunk_average(
    values: np.ndarray, folds: Folds, smoothing: Smoothing, mean: np.ndarray, spikes: np.ndarray
) -> np.ndarray:
    """The same of any signal of the train split: [K, T, n], zero where padded -> float64 [T, n].

    Args:
        mean: [T, n], what it is pulled to.
        spikes: [n], of each unit in train, what a pseudo-count in spikes is weighed against.
    """
    if smoothing.width_s is None:
        return np.array(mean, np.float64)
    return _shrunk(*_smoothed(values, folds, smoothing.width_s), smoothing, mean, spikes)


def _smoothed(values, folds, width_s):
    """Sum over train trials [T, n] and number of trials [T, 1], of units that were not always
    observed [T, n], both smoothed over time."""
    num_trials = folds.parts[TRAIN].entries.sum(0).astype(np.float64)
    total = values.sum(0, dtype=np.float64)
    if sigma_bins := width_s / folds.session.bin_size_s:
        total = gaussian_filter1d(total, sigma_bins, axis=0, mode="constant")
        num_trials = gaussian_filter1d(num_trials, sigma_bins, axis=0, mode="constant")
    return total, num_trials


def _shrunk(total, num_trials, smoothing, mean, spikes):
    """What `shrunk_average` says, of smoothed sums."""
    if smoothing.kind == "trials":
        return (total + smoothing.pseudo_count * mean) / (num_trials + smoothing.pseudo_count)
    # By spikes: a unit that has few is drawn to its mean in all bins alike.
    weight = spikes / (spikes + smoothing.pseudo_count)
    average = weight * total / np.maximum(num_trials, 1e-9) + (1 - weight) * mean
    # A bin in which a unit was never observed is expected to be as any other.
    return np.where(num_trials > 1e-9, average, mean)
