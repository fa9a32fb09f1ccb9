"""The stack: a log-linear mixture of linear predictors, the bar a model has to clear.

log rate = c + log mean + sum of a_m (log rate_m - log mean), a_m >= 0, by Poisson likelihood on
validation trials, a task at a time. c and a are drawn to 0 and 1 / parts, as strongly as folds of
the validation trials want it (with one trial: altogether), and the rate stays near those of the
parts. What it says of validation trials comes from the other folds, so that it can be compared with
other methods there. Leave-out tasks: ridge and factor analysis at each width around their best,
reduced rank, Poisson GLM. Forward: ridge and GLM at two memories each, reduced rank, coupling,
autoregression.

Drift is not a part: a task asks what the visible spikes of a trial say of its hidden ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import nnls

from neurojax.data.session import TEST, VALIDATION
from neurojax.evals import on_threads
from neurojax.evals.baselines.folds import Fit, Folds, choose, poisson_loss

LEAST_RATE = 1e-6  # spikes per bin, of a part
PULLS = (1000.0, 100.0, 10.0)  # nats a squared step away from equal weights
NUM_FOLDS = 5
# the rate is at most twice the largest of its parts, at least half the smallest
_BEYOND = np.log(2.0)
_ENTRIES = 20_000  # of which curvature is made: all would give the same minimum, later
_STEPS_A_CURVATURE = 6
_MOST_STEPS = 100
_TOLERANCE = 1e-10  # nats an entry that another step would gain
AVERAGED = ("ridge", "poisson_glm")
WEIGHTS = np.linspace(0, 1, 11)  # of the first of these two


def fit(folds: Folds, task: str, parts: Mapping[str, Sequence[Fit]]) -> Fit:
    """Mixes what the parts predict.

    Args:
        parts: name -> fits of that method. One with a rate that is not finite is left out.
    """
    every = [(name, one) for name, several in parts.items() for one in several]
    fits = [(name, one) for name, one in every if _is_finite(one)] or every
    # Around the train mean: with all weights at zero the stack is that mean, not a rate of one.
    log_mean = np.log(np.maximum(folds.mean, LEAST_RATE)).astype(np.float32)

    def log_ratios(part):
        """float32 [parts, K, T, n]."""
        return np.stack(
            [
                np.log(np.maximum(one.rates[part], LEAST_RATE)).astype(np.float32) - log_mean
                for _, one in fits
            ]
        )

    fold, gains = folds.parts[VALIDATION], log_ratios(VALIDATION)
    trials = [_scored_of(fold, task, gains, log_mean, trial) for trial in range(len(fold.counts))]
    pull, held_out = _choose_pull(trials)
    offset, weights = mixture(*_joined(trials), pull)
    rates = {VALIDATION: np.broadcast_to(np.exp(log_mean), fold.counts.shape).copy()}
    # Each by a mixture that did not see it: fitted to them, the stack would win by fitting.
    for trial, (point, (of_trial, _, _)) in enumerate(zip(held_out, trials, strict=True)):
        rates[VALIDATION][trial][fold.scored[task][trial]] *= np.exp(mixed(*point, of_trial))
    shape = folds.parts[TEST].counts.shape
    gains = log_ratios(TEST).reshape(len(fits), -1)
    rates[TEST] = np.exp(mixed(offset, weights, gains).reshape(shape) + log_mean)
    told = [
        {"name": name, "weight": round(float(a), 3), **one.chosen}
        for (name, one), a in zip(fits, weights, strict=True)
    ]
    return Fit(rates, {"offset": offset, "pull": None if np.isinf(pull) else pull, "parts": told})


def _is_finite(part: Fit) -> bool:
    return all(np.isfinite(part.rates[split]).all() for split in (VALIDATION, TEST))


def average(
    folds: Folds, task: str, first: Mapping[int, np.ndarray], second: Mapping[int, np.ndarray]
) -> Fit:
    """Weighted mean of the rates of two methods, of AVERAGED, with one weight from validation."""

    def mix(weight, part):
        return np.float32(weight) * first[part] + np.float32(1 - weight) * second[part]

    def loss(weight):
        return poisson_loss(mix(weight, VALIDATION), folds.parts[VALIDATION], task)

    best = choose(list(WEIGHTS), loss)
    return Fit({part: mix(best, part) for part in first}, {"weight_of_ridge": float(best)})


def mixed(offset: float, weights: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Log rate minus log mean [entries] of gains [parts, entries], kept near those of the parts."""
    log_rate = np.float32(offset) + weights.astype(np.float32) @ gains
    return np.clip(log_rate, gains.min(0) - np.float32(_BEYOND), gains.max(0) + np.float32(_BEYOND))


def _scored_of(fold, task, gains, log_mean, trial):
    """(gains [parts, entries], mean [entries], counts [entries]) of one trial's scored entries."""
    scored = fold.scored[task][trial]  # [T, n]
    mean = np.broadcast_to(np.exp(log_mean), scored.shape)[scored]
    return gains[:, trial][:, scored], mean, fold.counts[trial][scored].astype(np.float64)


def _joined(trials):
    gains, means, counts = zip(*trials, strict=True)
    return np.concatenate(gains, 1), np.concatenate(means), np.concatenate(counts)


def _choose_pull(trials):
    """The pull best on held-out trials; (offset, weights) for each trial, fitted without it."""
    num_folds = min(NUM_FOLDS, len(trials))
    equal = 0.0, np.full(len(trials[0][0]), 1 / len(trials[0][0]))
    if num_folds < 2 or not any(counts.any() for _, _, counts in trials):
        return np.inf, [equal] * len(trials)
    fold_of = np.arange(len(trials)) % num_folds
    losses, points = dict.fromkeys(PULLS, 0.0), {pull: [equal] * len(trials) for pull in PULLS}
    for held in range(num_folds):
        on_threads.check()
        others = _joined([t for t, f in zip(trials, fold_of, strict=True) if f != held])
        point = equal
        for pull in PULLS:  # each from where the stronger one ended, of the same trials
            point = mixture(*others, pull, point)
            for trial in np.flatnonzero(fold_of == held):
                gains, mean, counts = trials[trial]
                log_rate = mixed(*point, gains)
                losses[pull] += float((mean * np.exp(log_rate)).sum() - counts @ log_rate)
                points[pull][trial] = point
    best = min(PULLS, key=losses.__getitem__)
    return best, points[best]


def mixture(
    gains: np.ndarray,
    mean: np.ndarray,
    counts: np.ndarray,
    pull: float = 0.0,
    near: tuple[float, np.ndarray] | None = None,
) -> tuple[float, np.ndarray]:
    """c and a >= 0 of least NLL plus pull / 2 (c^2 + sum (a - 1 / parts)^2), by Newton steps.

    Args:
        gains: [parts, entries], log ratios to the mean; log rate = log mean + c + a . gains.
        mean: [entries], spikes per bin.
        counts: [entries].
        pull: to no offset and equal weights; infinite: these.
        near: c and a to start from; default: these too.
    """
    equal = np.concatenate([[0.0], np.full(len(gains), 1 / len(gains))])
    if np.isinf(pull) or not counts.size:
        return 0.0, equal[1:]
    if not np.isfinite(gains).all():  # a part has no rate somewhere: nothing can be chosen
        return (0.0, equal[1:]) if near is None else near
    mean = mean.astype(np.float32, copy=False)
    fired = np.flatnonzero(counts)
    at_spikes, spikes = gains[:, fired].astype(np.float64), counts[fired]
    drive = np.concatenate([[spikes.sum()], at_spikes @ spikes])
    drawn = gains, mean
    if len(counts) > _ENTRIES:
        some = np.random.default_rng(0).integers(len(counts), size=_ENTRIES)
        drawn = np.take(gains, some, axis=1), mean[some] * np.float32(len(counts) / _ENTRIES)

    def loss(point):
        """(nats but for a constant, their slope)."""
        rate, pulled = _rates(point, gains, mean), point - equal
        expected = np.concatenate([[rate.sum(dtype=np.float64)], gains @ rate])
        value = expected[0] - point @ drive + pull / 2 * pulled @ pulled
        return value, expected - drive + pull * pulled

    point = equal if near is None else np.concatenate([[near[0]], near[1]])
    value, slope = loss(point)
    for number in range(_MOST_STEPS):
        if number % _STEPS_A_CURVATURE == 0:
            curvature = _curvature(drawn[0], _rates(point, *drawn))
            curvature[np.diag_indices_from(curvature)] += pull
        try:
            step = _lowest(point, slope, curvature) - point
        except (np.linalg.LinAlgError, RuntimeError, ValueError):  # no parabola, or no end of it
            break
        promised = -(slope @ step)
        if promised < _TOLERANCE * len(counts):
            break
        size = 1.0
        while size > 1e-3:
            reached, slope_there = loss(point + size * step)
            # Of numbers this large differences have a last digit of their own.
            if reached <= value - 1e-4 * size * promised + 1e-9 * abs(value):
                break
            size /= 2
        else:
            break
        point, value, slope = point + size * step, reached, slope_there
    return float(point[0]), point[1:]


def _rates(point, gains, mean):
    """Spikes per bin, float32 [entries]."""
    eta = point[1:].astype(np.float32) @ gains
    eta += np.float32(point[0])
    # The search tries long steps, at which exp would overflow.
    np.exp(np.minimum(eta, np.float32(20.0), out=eta), out=eta)
    return np.multiply(mean, eta, out=eta)


def _curvature(gains, rate):
    """Second derivatives by c and a of the summed rates, float64 [1 + parts, 1 + parts]."""
    covariates = np.concatenate([np.ones((1, len(rate))), gains])
    found = (covariates * rate) @ covariates.T
    # Parts that say the same leave a direction without any.
    found[np.diag_indices_from(found)] += 1e-9 * np.trace(found) + 1e-9
    return found


def _lowest(point, slope, curvature):
    """Where the parabola through a point is lowest, with all but the first coordinate >= 0."""
    right = curvature @ point - slope
    of_first = curvature[0, 1:] / curvature[0, 0]
    inner = curvature[1:, 1:] - np.outer(curvature[1:, 0], of_first)
    half = np.linalg.cholesky(inner)
    rest, _ = nnls(half.T, np.linalg.solve(half, right[1:] - of_first * right[0]))
    first = (right[0] - curvature[0, 1:] @ rest) / curvature[0, 0]
    return np.concatenate([[first], rest])
