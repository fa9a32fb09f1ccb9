"""Classical decoders of two classes of EEG: power at known rates, spatial patterns, Riemann.

Each is fit(windows, label) -> (windows -> score), score float64 [W], higher for class 1. Windows
are float [W, T, C] in any one unit.

power     `discriminant` of `power_features`: log power at a few rates against their neighbours
csp       common spatial patterns (Ramoser et al. 2000), log variances, linear discriminants
riemann   covariances as points of a curved space, logarithms at their geometric mean (Barachant et
          al. 2012), logistic regression; of evoked responses beside the mean responses of the
          classes, so that a covariance tells of their shape (Congedo et al. 2013)
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import linalg, special

from neurojax.errors import require

Fitted = Callable[[np.ndarray], np.ndarray]
SHRINKAGE = 0.1  # of a covariance towards one of equal channels
NEAR_HZ, FROM_HZ, TO_HZ = 0.45, 0.9, 3.0  # of a rate, and of its neighbours
MOST_PATTERNS = 3  # of each class
_MEAN_STEPS, _MEAN_CHANGE = 30, 1e-8
_RIDGE, _NEWTON_STEPS = 1.0, 30


def power_features(
    windows: np.ndarray, sampling_hz: float, rates_hz: Sequence[float]
) -> np.ndarray:
    """Log power of every channel at a few rates, less that of 0.9 to 3 Hz away: [W, rates * C]."""
    taper = np.hanning(windows.shape[1])[:, None]
    centred = windows - windows.mean(1, keepdims=True)
    found = np.abs(np.fft.rfft(centred * taper, axis=1)) ** 2
    frequency = np.fft.rfftfreq(windows.shape[1], 1 / sampling_hz)
    parts = []
    for rate in rates_hz:
        apart = np.abs(frequency - rate)
        near, beside = apart < NEAR_HZ, (apart > FROM_HZ) & (apart < TO_HZ)
        require(
            near.any() and beside.any(),
            f"windows of {windows.shape[1]} samples do not resolve {rate:g} Hz at "
            f"{sampling_hz:g} Hz; take longer ones",
        )
        parts.append(np.log(found[:, near].mean(1)) - np.log(found[:, beside].mean(1)))
    return np.concatenate(parts, axis=1)


def csp(windows: np.ndarray, label: np.ndarray) -> Fitted:
    """Log variances of the patterns whose variance differs most between the classes."""
    mean = [covariances(windows[label == kind]).mean(0) for kind in (0, 1)]
    _, patterns = linalg.eigh(mean[1], mean[0] + mean[1])  # rising share of class 1
    number = min(MOST_PATTERNS, patterns.shape[1] // 2) or 1
    kept = patterns[:, np.r_[:number, -number:0]]

    def features(given: np.ndarray) -> np.ndarray:
        seen = (given - given.mean(1, keepdims=True)) @ kept
        return np.log(seen.var(1) + 1e-12)

    score = discriminant(features(windows), label)
    return lambda others: score(features(others))


def riemann(windows: np.ndarray, label: np.ndarray) -> Fitted:
    """Tangent space of covariances, and logistic regression."""
    reference = geometric_mean(covariances(windows))
    score = logistic(tangent(covariances(windows), reference), label)
    return lambda others: score(tangent(covariances(others), reference))


def riemann_evoked(windows: np.ndarray, label: np.ndarray) -> Fitted:
    """`riemann` of windows beside the mean response of each class, of what was fitted alone."""
    mean = np.concatenate([windows[label == kind].mean(0) for kind in (0, 1)], axis=-1)

    def beside(given: np.ndarray) -> np.ndarray:
        return np.concatenate([np.broadcast_to(mean, (len(given), *mean.shape)), given], axis=-1)

    score = riemann(beside(windows), label)
    return lambda others: score(beside(others))


def evoked(windows: np.ndarray, label: np.ndarray, bins: int = 20) -> Fitted:
    """Means of short stretches of every channel, regularised linear discriminants."""

    def features(given: np.ndarray) -> np.ndarray:
        parts = np.array_split(given, bins, axis=1)
        return np.concatenate([part.mean(1) for part in parts], axis=1)

    score = discriminant(features(windows), label)
    return lambda others: score(features(others))


def covariances(windows: np.ndarray) -> np.ndarray:
    """Of every window, shrunk so that each has an inverse: float64 [W, C, C]."""
    seen = np.asarray(windows, np.float64)
    seen = seen - seen.mean(1, keepdims=True)
    found = np.einsum("wtc,wtd->wcd", seen, seen) / seen.shape[1]
    size = found.shape[-1]
    level = np.trace(found, axis1=1, axis2=2) / size
    own = np.maximum(level, 1e-30)[:, None, None] * np.eye(size)
    return (1 - SHRINKAGE) * found + SHRINKAGE * own


def geometric_mean(matrices: np.ndarray) -> np.ndarray:
    """The Frechet mean of positive matrices [W, C, C] under the affine-invariant distance."""
    mean = matrices.mean(0)
    for _ in range(_MEAN_STEPS):
        root, inverse = _powers(mean, 0.5), _powers(mean, -0.5)
        step = _function(inverse @ matrices @ inverse, np.log).mean(0)
        mean = root @ _function(step, np.exp) @ root
        if np.linalg.norm(step) < _MEAN_CHANGE:
            break
    return (mean + mean.T) / 2


def tangent(matrices: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Logarithms at a reference as vectors, off-diagonals times sqrt(2): [W, C (C + 1) / 2]."""
    inverse = _powers(reference, -0.5)
    logarithm = _function(inverse @ matrices @ inverse, np.log)
    row, column = np.triu_indices(matrices.shape[-1])
    return logarithm[:, row, column] * np.where(row == column, 1.0, np.sqrt(2.0))


def discriminant(features: np.ndarray, label: np.ndarray) -> Fitted:
    """Linear discriminants with a shared covariance, shrunk towards its diagonal."""
    _require_both(label)
    means = [features[label == kind].mean(0) for kind in (0, 1)]
    residual = features - np.where(label[:, None] == 1, means[1], means[0])
    shared = residual.T @ residual / max(1, len(residual) - 2)
    shared = (1 - SHRINKAGE) * shared + SHRINKAGE * np.diag(np.diag(shared) + 1e-12)
    weight = np.linalg.solve(shared, means[1] - means[0])
    middle = 0.5 * (means[0] + means[1]) @ weight
    return lambda others: others @ weight - middle


def logistic(features: np.ndarray, label: np.ndarray) -> Fitted:
    """Logistic regression on standardised features with a ridge, by Newton's steps."""
    _require_both(label)
    centre, spread = features.mean(0), np.maximum(features.std(0), 1e-12)

    def design(given: np.ndarray) -> np.ndarray:
        return np.concatenate([(given - centre) / spread, np.ones((len(given), 1))], axis=1)

    seen = design(features)
    penalty = np.append(np.full(seen.shape[1] - 1, _RIDGE), 1e-6)
    weight = np.zeros(seen.shape[1])
    for _ in range(_NEWTON_STEPS):
        share = special.expit(seen @ weight)
        slope = seen.T @ (share - label) + penalty * weight
        bend = (seen * (share * (1 - share))[:, None]).T @ seen + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weight = weight - step
        if np.abs(step).max() < 1e-8:
            break
    return lambda others: design(others) @ weight


def _require_both(label: np.ndarray) -> None:
    found = set(np.unique(label).tolist())
    require(found == {0, 1}, f"labels to fit are {sorted(found)}, expected 0 and 1; fit on more")


def _function(matrices: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    value, vector = np.linalg.eigh(matrices)
    return (vector * of(value)[..., None, :]) @ np.swapaxes(vector, -1, -2)


def _powers(matrix: np.ndarray, exponent: float) -> np.ndarray:
    return _function(matrix, lambda value: value**exponent)
