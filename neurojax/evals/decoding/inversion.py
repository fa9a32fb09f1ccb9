"""An encoding model as a decoder: how each unit fires at each value of the target, turned round by
Bayes' rule.

    p(value | spikes) ~ p(spikes | value) ** tempering * p(value)

The encoder gives each unit a rate at every candidate, the values of the fitting trials: a mean over
fitting trials with a Gaussian over the distance between values, so that a map of the visual field
is smooth. Spikes are Poisson around these rates. Units are not independent given the target, so
the product over them is surer than it should be: its power, the tempering, is chosen in the folds,
as is the width of the Gaussian. Of a class the posterior itself is predicted, of numbers its mean,
which has the least squared error.

Source: Zhang et al. 1998, J. Neurophysiol. 79, 1017 (Bayes' rule with smoothed tuning).
"""

import itertools

import numpy as np
from scipy import special
from scipy.spatial import distance

from neurojax.errors import require
from neurojax.evals.decoding.crossval import ReadOut
from neurojax.evals.decoding.features import Features
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, Target

WIDTHS = (0.0, 0.25, 0.5, 1.0)  # of the Gaussian, in spreads of the target
TEMPERINGS = (0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
MOST_CANDIDATES = 400
BORROWED = 1.0  # trials at a unit's overall mean, beside those of a candidate
LEAST_RATE = 1e-4  # spikes; a rate of zero would make one spike impossible


def require_candidates(target: Target, where: str) -> None:
    """Raises InputError for numbers with more different values than an encoder is turned round
    over."""
    if target.kind == CATEGORICAL:
        return
    number = len(np.unique(_known(target.values.reshape(-1, target.values.shape[-1])), axis=0))
    require(
        number <= MOST_CANDIDATES,
        f"{where}: --baselines names 'bayes', which turns an encoder round over the values of the "
        f"target, and it has {number}; expected at most {MOST_CANDIDATES}: leave bayes out, or "
        "give the target in steps",
    )


def read_out(signals: Features, target: Target) -> ReadOut:
    """The read-out of `neurojax decode --baselines=bayes`.

    Args:
        signals: counts of each bin.
        target: what is decoded; its values, of all trials, are the candidates.

    Raises:
        InputError: see `require_candidates`.
    """
    require_candidates(target, f"target {target.name!r}")
    counts = signals.signals.astype(np.float64)
    seen = np.broadcast_to(signals.bin_valid[..., None], counts.shape)
    seen = (seen if signals.observed is None else seen & signals.observed).astype(np.float64)
    counts = counts * seen
    if target.kind != PER_BIN:  # one number of spikes a trial, of as many bins as were observed
        counts, seen = counts.sum(1)[:, None], seen.sum(1)[:, None]
    settings = list(itertools.product(WIDTHS, TEMPERINGS))
    if target.kind == CATEGORICAL:
        settings = [(0.0, tempering) for tempering in TEMPERINGS]

    def fit(target: Target, fitting: np.ndarray, asked: np.ndarray) -> np.ndarray:
        return _predicted(counts, seen, target, fitting, asked, settings)

    return ReadOut(fit, settings, setting="width_and_tempering")


def _predicted(counts, seen, target: Target, fitting, asked, settings) -> np.ndarray:
    """As `crossval.FitPredict`, every setting of the grid."""
    values = _values(target)  # [K, T, dims]
    known = np.isfinite(values[fitting]).all(-1)
    spikes, exposure = counts[fitting][known], seen[fitting][known]
    candidates, place = np.unique(values[fitting][known], axis=0, return_inverse=True)
    place = place.ravel()
    tested, tested_seen = (part[asked].reshape(-1, counts.shape[-1]) for part in (counts, seen))
    sums = np.zeros((2, len(candidates), counts.shape[-1]))
    for total, part in zip(sums, (spikes, exposure), strict=True):
        np.add.at(total, place, part)
    prior = np.log(np.bincount(place) / len(place))
    found, logs, width = [], None, None
    for own_width, tempering in settings:
        if own_width != width:
            logs, width = (
                _log_likelihood(sums, candidates, own_width, tested, tested_seen),
                own_width,
            )
        posterior = special.log_softmax(tempering * logs + prior, axis=1)
        if target.kind == CATEGORICAL:
            whole = np.full((len(posterior), len(target.classes)), np.log(1e-12))
            whole[:, candidates[:, 0].astype(int)] = posterior
            found.append(whole)
        else:
            mean = np.exp(posterior) @ candidates
            found.append(mean.reshape(len(asked), *values.shape[1:])[..., : values.shape[-1]])
    stacked = np.stack(found)
    return stacked if target.kind in (CATEGORICAL, PER_BIN) else stacked[:, :, 0]


def _log_likelihood(sums, candidates, width, tested, seen) -> np.ndarray:
    """Log probability of the spikes of each row under each candidate, up to a constant of the row,
    [rows, candidates]; units that were not observed say nothing."""
    near = np.eye(len(candidates))
    if width > 0:
        spread = candidates.std(0)
        scaled = candidates / np.where(spread > 0, spread, 1.0)
        near = np.exp(-0.5 * distance.cdist(scaled, scaled, "sqeuclidean") / width**2)
    spikes, exposure = near @ sums[0], near @ sums[1]
    mean = sums[0].sum(0) / np.maximum(sums[1].sum(0), 1e-9)
    borrowed = BORROWED * sums[1].sum(0) / max(sums[1].sum(0).max(), 1e-9)
    rates = (spikes + borrowed * mean) / np.maximum(exposure + borrowed, 1e-9)
    rates = np.maximum(rates, LEAST_RATE)
    return tested @ np.log(rates).T - seen @ rates.T


def _values(target: Target) -> np.ndarray:
    """Values [K, T, dims] of bins, or [K, 1, dims] of trials."""
    if target.kind == PER_BIN:
        return target.values
    values = np.asarray(target.values, np.float64)
    return values.reshape(len(values), 1, -1)


def _known(rows: np.ndarray) -> np.ndarray:
    return rows[np.isfinite(rows).all(1)]
